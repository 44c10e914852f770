"""What is explained is what the host would do: the same calls, the same limits, the same warnings."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from legato.app import App
from legato.explain import Explanation, Line, explained, summed_up, told
from legato.explain.calls import Call
from legato.explain.explanation import Explained
from legato.hosts.patience import impatience, worst_case
from legato.kernel import linked
from legato.kernel.linker import CALLBACK_RETRY
from legato.model.flow import MAX_STEPS, Callback, Flow
from legato.model.function import Function
from legato.model.mapping import Template
from legato.model.policy import Breaker, Hedge, Retry
from legato.model.settings import Settings
from legato.model.steps import (
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
    PythonStep,
    SequenceStep,
    SetStep,
    UndoCall,
    WaitStep,
)
from legato.orchestrator import function_named
from legato.pictures.parts import parts_of
from tests.pictures.flows import ALL, OUTER, call, calls, known
from tests.pictures.strategies import flows

SETTINGS = Settings(
    timeout=45.0,
    functions={
        "slow": Function(name="slow", url="https://slow.example/v1", timeout=9.0, keyed=True, concurrency=4),
        "shaky": Function(name="shaky", url="http://shaky", breaker=Breaker(failures=3)),
        "score": Function(name="score", python="json:loads", idempotent=True),
        "echo": Function(name="echo", builtin="echo"),
    },
)


def explain(flow: Flow, settings: Settings = SETTINGS) -> Explanation:
    return explained(parts_of(flow, known), lambda name: function_named(name, settings), settings.timeout)


def one(*steps: Any, **more: Any) -> Explained:
    return explain(Flow(name="x", steps=steps, **more)).steps[0]


def the_call(step: Any) -> Call:
    found = one(step).call
    assert found is not None
    return found


def every_call(steps: tuple[Explained, ...]) -> list[Call]:
    found: list[Call] = []
    for step in steps:
        found += [each for each in (step.call, step.undo) if each is not None]
        for inner in step.within:
            found += every_call(inner.steps)
    return found


# Beside the host.


@given(flows)
def test_limits_are_those_that_the_host_binds(flow: Flow) -> None:
    flow = msgspec.structs.replace(flow, callback=None)
    functions = {name: Function(name=name, url=f"http://{name}") for name in ("a", "b", "render-mail", "get-all-of-it")}
    code = {"shop:add_vat": len, "shop:read": len}
    settings = Settings(functions={**functions, "a": Function(name="a", url="http://a", timeout=4.0, keyed=True)})
    bound = App(settings, stores=[]).orchestrator.bind(flow, code)
    explanation = explain(flow, settings)
    calls = every_call(explanation.steps) + [
        each for handler in explanation.handlers for each in every_call(handler.steps)
    ]
    theirs = {each.path: each for each in bound.calls if not each.path.endswith("/response")}
    assert {each.path for each in calls} == theirs.keys()
    for each in calls:
        other = theirs[each.path]
        assert (each.attempts, each.timeout, each.is_undo) == (other.attempts, other.timeout, other.is_undo), each
        assert each.worst == pytest.approx(worst_case(other))
        assert each.repeatable == (other.target.safe or each.is_undo), each
    assert explanation.deadline == bound.timeout
    assert [(each.detail, each.remedy) for each in explanation.warnings] == impatience(bound)


# Calls.


def test_what_is_called() -> None:
    assert the_call(call("slow", path="/x/${value.id}", query={"n": 5})).reaches == (
        "POST https://slow.example/v1/x/${value.id}?n=5"
    )
    assert the_call(call("score")).reaches == "Python json:loads"
    assert the_call(call("echo", method="GET")).reaches == "built-in echo"
    assert the_call(call("other")).reaches == "POST http://other:8080"
    assert the_call(PythonStep(python="a.b:c")).reaches == "Python a.b:c"
    assert the_call(call("a.b:c")).reaches == "Python a.b:c"


def test_how_often_and_how_long() -> None:
    plain = the_call(call("slow"))
    assert (plain.attempts, plain.timeout, plain.waits, plain.worst) == (1, 9.0, 0.0, 9.0)
    tried = the_call(call("slow", timeout=2.0, retry=Retry(attempts=4, backoff=1.0, max_backoff=3.0)))
    assert (tried.attempts, tried.timeout, tried.waits, tried.worst) == (4, 2.0, 6.0, 14.0)
    undo = one(call("a", undo=UndoCall(function="slow"))).undo
    assert undo is not None
    assert (undo.path, undo.attempts, undo.is_undo, undo.repeatable) == ("a/undo", 10, True, True)
    assert undo.worst == pytest.approx(90.0 + 42.6)


@pytest.mark.parametrize(
    ("step", "repeatable"),
    [
        (call("other"), False),
        (call("other", method="PUT"), True),
        (call("other", idempotent=True), True),
        (call("slow"), True),
        (call("score"), True),
        (call("echo", method="PUT"), False),
        (PythonStep(python="a:b"), False),
        (PythonStep(python="a:b", idempotent=True), True),
    ],
)
def test_whether_it_may_be_repeated(step: Any, repeatable: bool) -> None:
    assert the_call(step).repeatable == repeatable


def test_what_bounds_the_function() -> None:
    assert the_call(call("slow", hedge=Hedge(delay=0.2))).hedge == Hedge(delay=0.2)
    assert the_call(call("slow")).concurrency == 4
    assert the_call(call("shaky")).breaker == Breaker(failures=3)


def test_a_callback_is_a_call_of_its_own() -> None:
    explanation = explain(Flow(name="x", steps=calls("a"), callback=Callback(url="https://h/${run.id}", timeout=2.0)))
    assert explanation.callback is not None
    assert explanation.callback.reaches == "POST https://h/${run.id}"
    assert explanation.callback.attempts == CALLBACK_RETRY.attempts
    assert explanation.callback.timeout == 2.0
    assert explanation.calls == 1


# Steps.


def test_times_of_each_kind() -> None:
    assert str(one(WaitStep(wait="w")).worst) == "as long as w takes"
    assert one(WaitStep(wait="w", timeout=5.0)).worst.seconds == 5.0
    assert one(SetStep(set=Template(value=1))).worst.seconds == 0.0
    assert one(ParallelStep(branches={"a": call("slow"), "b": call("a")})).worst.seconds == 30.0
    assert one(ParallelStep(branches={"a": call("slow"), "b": call("a")}, timeout=4.0)).worst.seconds == 4.0
    assert one(SequenceStep(steps=calls("slow", "slow"))).worst.seconds == 18.0
    assert one(call("slow", on_error=OnError(action="steps", steps=calls("a")))).worst.seconds == 39.0
    choose = ChooseStep(cases=(Case(when="${a}", steps=calls("slow", "slow")),), otherwise=calls("slow"))
    assert one(choose).worst.seconds == 18.0
    foreach = ForeachStep(over="${input}", steps=calls("slow"), concurrency=4)
    assert str(one(foreach).worst) == "9s for every 4 items of foreach"
    diamond = {
        "a": GraphNode(step=call("slow")),
        "b": GraphNode(step=call("a"), after={"a": Edge()}),
        "c": GraphNode(step=call("slow"), after={"a": Edge(order=True)}),
        "d": GraphNode(step=call("slow"), after={"b": Edge(), "c": Edge()}),
    }
    assert one(GraphStep(nodes=diamond)).worst.seconds == 48.0


def test_flows_within() -> None:
    inner, again = explain(OUTER).steps
    assert inner.worst.seconds == again.worst.seconds == 3.0  # its own timeout
    assert [each.role for each in inner.within] == ["flow", "finally"]
    assert one(FlowStep(flow="inner", timeout=1.0)).worst.seconds == 1.0
    assert one(FlowStep(flow="unknown")).worst.open == ("unknown",)


def test_calls_are_counted() -> None:
    loop = ForeachStep(over="${input}", steps=(call("a", undo=UndoCall(function="b")), call("c")))
    explanation = explain(Flow(name="x", steps=(call("slow"), loop), finally_=calls("d")))
    assert (explanation.calls, explanation.undos, explanation.repeated) == (4, 1, 2)


# Warnings.


def test_retries_that_outlast_the_deadline() -> None:
    retry = Retry(attempts=3, backoff=0.0)
    steps = (call("a", retry=retry), call("slow", retry=retry), call("b"), call("c", undo=UndoCall(function="u")))
    warnings = explain(Flow(name="x", steps=steps, on_failure=(call("a", id="h", retry=retry),))).warnings
    assert [each.detail.partition(":")[0] for each in warnings] == ["a"]
    assert "3 attempts of 30 s" in warnings[0].detail
    assert warnings[0].remedy
    assert not explain(Flow(name="x", steps=steps, timeout=90.0)).warnings


def test_a_hedge_that_may_do_harm() -> None:
    warnings = explain(Flow(name="x", steps=(call("other", hedge=Hedge()), call("slow", hedge=Hedge())))).warnings
    assert [each.detail.partition(":")[0] for each in warnings] == ["other"]
    assert "idempotent: true" in warnings[0].remedy


# Durable flows.


def test_a_durable_flow_takes_as_long_as_it_takes() -> None:
    explanation = explain(Flow(name="x", steps=(call("slow", undo=UndoCall(function="u")),), durable=True))
    assert (explanation.deadline, explanation.after) == (None, None)
    assert summed_up(explanation) == [
        "worst case: 9s",
        "deadline: none, a durable run takes as long as it takes (`timeout` would be one)",
        "undo and handlers: as long as they take",
        "calls: 1, and 1 to undo",
    ]
    bounded = explain(Flow(name="x", steps=calls("slow"), durable=True, timeout=86400.0))
    assert summed_up(bounded)[1] == "deadline: 1d"


def forward(flow: Flow) -> set[str]:
    """The paths of calls that are said to be tried until they are done."""
    explanation = explain(flow)
    handlers = [each for handler in explanation.handlers for each in every_call(handler.steps)]
    return {each.path for each in [*every_call(explanation.steps), *handlers] if each.forward}


@given(flows)
def test_which_calls_go_forward_is_what_the_program_says(flow: Flow) -> None:
    for n, step in enumerate(flow.steps):
        if not step.when and step.on_error is None and not isinstance(step, FailStep):
            steps = (*flow.steps[:n], msgspec.structs.replace(step, pivot=True), *flow.steps[n + 1 :])
            flow = msgspec.structs.replace(flow, steps=steps)
            break
    durable = msgspec.structs.replace(flow, durable=True, callback=None)
    calls = linked(durable, known)[0].calls
    assert forward(durable) == {each.path for each in calls if each.forward and not each.path.endswith("/response")}


def test_a_call_that_goes_forward_has_no_end_that_is_known() -> None:
    explanation = explain(Flow(name="x", steps=calls("slow"), durable=True, strategy="forward", timeout=5.0))
    (step,) = explanation.steps
    assert step.worst.open == ("slow",)
    line = told(explanation)
    assert line.text.endswith(", durable, only forward")
    assert "only forward: attempts of 9s until it is done, at most 10s apart" in line.below[0].facts
    assert not explanation.warnings, "no attempt of it is the last one"


def test_what_is_said_of_sagas() -> None:
    flow = Flow(
        name="x",
        durable=True,
        steps=(
            ParallelStep(branches={"a": call("a"), "b": call("b")}, undo=UndoCall(function="u"), id="both"),
            call("pay", pivot=True, at_most_once=True),
            WaitStep(wait="go", schema=True),
        ),
    )
    both, pay, wait = told(explain(flow)).below
    assert [below.text for below in both.below] == ["a", "b", "undo: u"]
    assert "pivot: after it nothing is undone" in pay.facts
    assert "at most once: after a crash it is not called again" in pay.facts
    assert wait.facts == ("as long as it takes",)
    undo = explain(flow).steps[0].undo
    assert undo is not None
    assert (undo.path, undo.is_undo, undo.forward) == ("both/undo", True, False)


# Telling.


def texts(line: Line) -> list[str]:
    found = [line.text, line.takes, *line.facts]
    for below in line.below:
        found += texts(below)
    return found


@given(flows)
def test_every_call_is_told(flow: Flow) -> None:
    explanation = explain(flow)
    said = texts(told(explanation))
    for each in every_call(explanation.steps):
        assert each.reaches in said


def test_lines() -> None:
    steps = (
        call("slow", id="charge", retry=Retry(attempts=2), undo=UndoCall(function="refund")),
        ChooseStep(cases=(Case(when="${value.x}", steps=()), Case(when="${value.y}", steps=calls("a"), name="why"))),
        ParallelStep(branches={"left": call("a"), "right": call("shaky")}),
    )
    line = told(explain(Flow(name="x", steps=steps, finally_=calls("b"))))
    charge, choose, parallel, last = line.below
    assert charge == Line(
        "charge: slow",
        "up to 18.2s",
        (
            "POST https://slow.example/v1",
            "2 attempts of 9s, waits of 200ms in all; again unless refused",
            "4 calls of slow at a time, those of other runs included",
        ),
        (
            Line(
                "undo: refund",
                "up to 5m 42.6s",
                ("POST http://refund:8080", "10 attempts of 30s, waits of 42.6s in all; again unless refused"),
            ),
        ),
    )
    assert [below.text for below in choose.below] == ["if value.x", "why: if value.y"]
    assert [below.text for below in choose.below[0].below] == ["nothing"]
    assert parallel.text == "parallel, at once"
    assert [below.text for below in parallel.below] == ["left: a", "right: shaky"]
    assert "breaker: 3 failures in a row within 1m refuse calls for 10s" in parallel.below[1].facts
    assert last.text == "in the end, always"


def test_the_sum() -> None:
    flow = Flow(name="x", steps=(call("slow"), ForeachStep(over="${input}", steps=calls("slow"), concurrency=2)))
    assert summed_up(explain(flow)) == [
        "worst case: 9s + 9s for every 2 items of foreach",
        "deadline: 45s, which may come first: then 504, after undo",
        "calls: 2, 1 of them for each item",
    ]
    short = Flow(name="x", steps=(call("slow", undo=UndoCall(function="u")),), timeout=9.0)
    assert summed_up(explain(short)) == [
        "worst case: 9s",
        "deadline: 9s",
        "undo and handlers: up to 5m",
        "calls: 1, and 1 to undo",
    ]


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_as_data(flow: Flow) -> None:
    explanation = explain(flow)
    document = json.loads(msgspec.json.encode(explanation))
    assert document["flow"] == flow.name
    assert document["version"] == flow.version
    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation


def test_as_many_steps_as_there_may_be() -> None:
    steps = tuple(ForeachStep(over="${input}", steps=calls("a")) for _ in range(MAX_STEPS // 2))
    explanation = explain(Flow(name="long", steps=steps))
    assert explanation.calls == MAX_STEPS // 2
    assert len(told(explanation).below) == MAX_STEPS // 2
    nodes = {f"n{n}": GraphNode(step=step, after={f"n{n - 1}": Edge()} if n else {}) for n, step in enumerate(steps)}
    assert not explain(Flow(name="long", steps=(GraphStep(nodes=nodes),))).worst.known
