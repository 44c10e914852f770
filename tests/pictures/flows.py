"""Flows to draw: every kind of step, and what is awkward about each."""

from __future__ import annotations

from legato.model.flow import Callback, Flow
from legato.model.mapping import Shape, Template
from legato.model.policy import Hedge, Retry
from legato.model.steps import (
    CallStep,
    Case,
    ChooseStep,
    Edge,
    FailStep,
    FlowStep,
    ForeachStep,
    GraphNode,
    GraphStep,
    OnError,
    ParallelStep,
    PublishStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
    UndoCall,
    WaitStep,
)


def call(function: str, **more: object) -> CallStep:
    return CallStep(function=function, **more)  # type: ignore[arg-type]


def calls(*functions: str) -> tuple[Step, ...]:
    return tuple(map(call, functions))


ORDER = Flow(
    name="process-order",
    description="Checks an order, charges it, tells everybody at once",
    timeout=120.0,
    steps=(
        call("validate-order"),
        call(
            "charge-payment",
            id="payment",
            method="PUT",
            path="/v1/charges/${input.order}",
            timeout=1.5,
            retry=Retry(attempts=5),
            undo=UndoCall(function="refund-payment", timeout=2.0),
        ),
        ParallelStep(
            branches={
                "stock": call("reserve-stock", undo=UndoCall(function="release-stock")),
                "points": call("add-points", on_error=OnError(action="skip")),
                "mail": SequenceStep(steps=calls("render-mail", "send-mail")),
            },
            id="both",
        ),
        ForeachStep(over="${input.items}", steps=(call("pick", input=Template(value="${item}")),), concurrency=8),
        ChooseStep(
            cases=(
                Case(
                    when="${steps.payment.amount > 1000}",
                    steps=(WaitStep(wait="approval", timeout=172800.0, default=Template(value={"approved": False})),),
                ),
            )
        ),
        call("send-email"),
    ),
    output=Template(value={"id": "${input.orderId}", "payment": "${steps.payment}"}),
)

LEAVES = Flow(
    name="leaves",
    steps=(
        SetStep(set=Template(value={"a": 1, "b": "${value.b}"})),
        PythonStep(python="shop.flows:add_vat", retry=Retry(attempts=3, backoff=1.0)),
        SleepStep(sleep=0.15),
        WaitStep(wait="any-signal"),
        PublishStep(publish="shop.orders/created", id="told"),
        RespondStep(respond=Template(value={"accepted": True}), status=202),
        FlowStep(flow="other-flow", timeout=2.0),
        FailStep(fail="no ${value.item} left", status=409, when="${value.left == 0}"),
        call("a", hedge=Hedge(delay=0.05), idempotent=True, on_response="shop.flows:read", query={"n": "${value}"}),
        call("a", when="${value.again}", on_error=OnError(action="value", value=Template(value={"spare": True}))),
        SequenceStep(steps=()),
        FailStep(fail="over"),
        call("never"),
    ),
)

CHOICES = Flow(
    name="choices",
    steps=(
        ChooseStep(
            id="size",
            cases=(
                Case(
                    when='${value.total > 1000 && value.customer.name != "<b>Ada & \\"Co\\"</b>"}',
                    name="large",
                    steps=(SequenceStep(steps=calls("ask", "note"), id="asked"),),
                ),
                Case(when="${has(value.vip)}", steps=calls("greet")),
            ),
            otherwise=(FailStep(fail="too small", status=422),),
        ),
        ChooseStep(cases=(Case(when="${value.a}", steps=()),), otherwise=calls("b")),
        ChooseStep(
            all=True,
            cases=(
                Case(when="${input.mail}", name="mail", steps=calls("send-mail")),
                Case(when="${input.post}", name="post", steps=calls("print", "send")),
            ),
        ),
        ChooseStep(
            cases=(Case(when="${value.x}", steps=(FailStep(fail="no"),)),), otherwise=(FailStep(fail="neither"),)
        ),
    ),
)

GRAPH = Flow(
    name="graph",
    steps=(
        GraphStep(
            id="prepare",
            nodes={
                "stock": GraphNode(step=call("reserve-stock", undo=UndoCall(function="release-stock"))),
                "price": GraphNode(step=call("get-price", timeout=1.0)),
                "tax": GraphNode(step=call("get-tax"), after={"price": Edge()}),
                "pack": GraphNode(
                    step=SequenceStep(steps=calls("box", "label")), after={"stock": Edge(), "tax": Edge()}
                ),
                "audit": GraphNode(
                    step=SetStep(set=Shape(pick=("total", "tax"))),
                    after={
                        "tax": Edge(order=True),
                        "price": Edge(),
                        "stock": Edge(transform=Template(value="${value.items[0]}")),
                    },
                ),
                "mail": GraphNode(
                    step=call("send-email"),
                    after={
                        "pack": Edge(transform=Template(value={"weight": "${value.grams}"})),
                        "price": Edge(order=True),
                    },
                ),
            },
        ),
        GraphStep(nodes={"only": GraphNode(step=call("a"))}, id="small"),
    ),
)

NESTED = Flow(
    name="nested",
    steps=(
        ForeachStep(
            over=[1, 2, {"three": "${input.three}"}],
            tolerate_percent=12.5,
            collect="outcomes",
            concurrency=1,
            id="each-one",
            when="${input.go}",
            steps=(
                ParallelStep(
                    branches={
                        "left": GraphStep(
                            nodes={
                                "a": GraphNode(step=call("a")),
                                "b": GraphNode(step=call("b"), after={"a": Edge()}),
                                "c": GraphNode(step=call("c"), after={"a": Edge()}),
                                "d": GraphNode(step=call("d"), after={"b": Edge(), "c": Edge(order=True)}),
                            }
                        ),
                        "right": ParallelStep(branches={"x": call("x"), "y": call("y")}, quorum=1, merge="first"),
                        "last": SequenceStep(steps=()),
                    },
                    merge="flat",
                    prefer=("left", "right"),
                ),
                ForeachStep(over="${item.parts}", steps=(), tolerate=2, collect="object"),
            ),
        ),
    ),
)

HANDLERS = Flow(
    name="handlers",
    durable=True,
    answer_within=5.0,
    input={"type": "object", "required": ["orderId"]},
    steps=(
        call(
            "charge",
            undo=UndoCall(function="refund", method="DELETE", path="/v1/charges"),
            on_error=OnError(action="steps", steps=calls("explain", "log")),
        ),
        ParallelStep(
            branches={"a": call("a"), "b": call("b")},
            on_error=OnError(action="steps", steps=(FailStep(fail="both are needed", status=409),)),
        ),
        FailStep(fail="no", on_error=OnError(action="steps", steps=calls("mend"))),
        call("send"),
    ),
    on_failure=(call("tell-somebody"), RespondStep(respond=Template(value={"sorry": True}), status=500)),
    finally_=calls("clean-up"),
    callback=Callback(
        url="https://shop.example/told?run=${run.id}", when="failure", timeout=5.0, retry=Retry(attempts=3)
    ),
)

AWKWARD = Flow(
    name="awkward",
    description='What somebody could obey: <script>alert("&")</script> ]]> %%{init: {}}%% $$x$$ `y` \x1b[31m',
    steps=(
        call(
            "get",
            method="GET",
            path='/a"b\\c/<d>&e;#f|g{h}[i]`j`',
            query={"q": 'x"];\n--> y', "n": 5},
            when='${value.text == "\\"]; style x: y#z;\\u0000\\u202e" && true}',
        ),
        SetStep(set=Template(value="line one\nline two\t\x00\x1b[31m end \\N \\l \\")),
        SetStep(set=Template(value="\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 60 + " W" * 200), id="end"),
        SetStep(set=Template(value={"%%{init}%%": "$$a$$", "-->": "graph end"})),
        call("x" * 63, id="y" * 63),
        ParallelStep(branches={"end": call("end"), "subgraph": call("style"), "o": call("class"), "x": call("click")}),
    ),
)

EMPTY = Flow(name="empty")
CODE = Flow(name="code", code="shop.flows:process", timeout=5.0)

INNER = Flow(
    name="inner",
    steps=(call("fetch", undo=UndoCall(function="unfetch")), FlowStep(flow="inner"), FlowStep(flow="missing")),
    finally_=calls("close"),
    timeout=3.0,
)
OUTER = Flow(
    name="outer", steps=(FlowStep(flow="inner"), FlowStep(flow="inner", id="again", on_error=OnError(action="skip")))
)

SAGA = Flow(
    name="saga",
    durable=True,
    steps=(
        ParallelStep(
            id="hold",
            branches={
                "room": call("hold-room", undo=UndoCall(function="free-room")),
                "seat": SequenceStep(steps=calls("hold-seat"), undo=UndoCall(function="free-seat", method="PUT")),
            },
            undo=UndoCall(function="free-all"),
        ),
        SetStep(set=Template(value=1), undo=UndoCall(function="unset")),
        WaitStep(
            wait="approval", timeout=604800.0, schema={"type": "object", "required": ["by"]},
            undo=UndoCall(function="withdraw"), on_error=OnError(action="steps", steps=calls("remind")),
        ),
        call("pay", pivot=True, at_most_once=True),
        PythonStep(python="shop.flows:book", at_most_once=True, retry=Retry(attempts=2, backoff=1.0, max_backoff=9.0)),
        ForeachStep(over="${input.guests}", steps=calls("invite"), tolerate=1),
        FlowStep(flow="inner", undo=UndoCall(function="undo-inner"), on_error=OnError(action="skip")),
    ),
)  # fmt: skip
FORWARD = Flow(name="forward", durable=True, strategy="forward", timeout=31536000.0, steps=calls("a", "b"))

ALL = [ORDER, LEAVES, CHOICES, GRAPH, NESTED, HANDLERS, AWKWARD, EMPTY, CODE, SAGA, FORWARD, OUTER]


def known(name: str) -> Flow | None:
    return {flow.name: flow for flow in (INNER, OUTER)}.get(name)
