"""Everything that can be built in Python is what a file says: the same model, and so the same version."""

from __future__ import annotations

from datetime import timedelta

import pytest

from legato import Flow, Graph, Steps
from legato.model import flow as model
from legato.model.policy import Hedge, Retry
from tests.python import code
from tests.python.written import from_yaml

PAIRS: dict[str, tuple[Flow, str]] = {
    "calls": (
        Flow("f").call("a").call("b", id="second").call("a"),
        "steps: [a, {call: b, id: second}, a]",
    ),
    "a call in full": (
        Flow("f").call(
            "pay", id="p", method="PUT", path="/v1/${input.id}", query={"a": [1, "${input.b}"]}, headers={"X-T": "t"},
            input={"order": "${input.id}"}, output={"pick": ["id"]}, when="${has(input.id)}", timeout=1.5,
            retry={"attempts": 5, "backoff": timedelta(milliseconds=100), "max_backoff": 2, "when_status": [502]},
            idempotent=True, hedge=0.2, encode="form", decode="text", success=[200, "4xx"], return_status=[404, 409],
            undo={"call": "refund", "timeout": 2, "retry": 3, "input": {"id": "${result.id}"}}, on_error="skip",
            on_response=code.judge,
        ),
        """
        steps:
        - call: pay
          id: p
          method: PUT
          path: "/v1/${input.id}"
          query: {a: [1, "${input.b}"]}
          headers: {X-T: t}
          input: {order: "${input.id}"}
          output: {pick: [id]}
          when: "${has(input.id)}"
          timeout: 1500ms
          retry: {attempts: 5, backoff: 100ms, max_backoff: 2s, when_status: [502]}
          idempotent: true
          hedge: 200ms
          encode: form
          decode: text
          success: [200, 4xx]
          return_status: [404, 409]
          undo: {call: refund, timeout: 2s, retry: {attempts: 3}, input: {id: "${result.id}"}}
          on_error: skip
          on_response: tests.python.code:judge
        """,
    ),
    "policies as they are in the model": (
        Flow("f")
        .call("a", retry=Retry(attempts=3, backoff=0.1, when_status=(500,)), idempotent=True, hedge=Hedge(delay=1.0))
        .call("b", hedge=True, idempotent=True, return_status={404: 404, "5xx": 503}, undo="c"),
        """
        steps:
        - {call: a, retry: {attempts: 3, backoff: 100ms, when_status: [500]}, idempotent: true, hedge: 1s}
        - {call: b, hedge: true, idempotent: true, return_status: {404: 404, 5xx: 503}, undo: c}
        """,
    ),
    "code": (
        Flow("f").modify(code.add_vat, retry=2, undo="c").modify("tests.python.code:later", timeout="1m"),
        """
        steps:
        - {python: "tests.python.code:add_vat", retry: {attempts: 2}, undo: c}
        - {python: "tests.python.code:later", timeout: 1m}
        """,
    ),
    "what makes values": (
        Flow("f").set({"a": "${input}", "b": [1, 2.5, None, True]}).set({"value": {"pick": 1}})
        .call("a", input={"value": None}),
        'steps: [{set: {a: "${input}", b: [1, 2.5, null, true]}}, {set: {value: {pick: 1}}}, {call: a, input: null}]',
    ),
    "parallel": (
        Flow("f").parallel(
            {"first-one": "a"},
            second=Steps().call("b", undo="c"),
            third=["d", Steps().call("e")],
            fourth=Steps().call("g").call("h"),
            join=2, merge="flat", prefer=["second"], options={"id": "all", "on_error": "skip"},
        ),
        """
        steps:
        - parallel: {first-one: a, second: {call: b, undo: c}, third: [d, {call: e}], fourth: [{call: g}, {call: h}]}
          join: {quorum: 2}
          merge: flat
          prefer: [second]
          id: all
          on_error: skip
        """,
    ),
    "any branch": (
        Flow("f").parallel(a="x", b=code.add_vat, join="any", merge="first"),
        'steps: [{parallel: {a: x, b: {python: "tests.python.code:add_vat"}}, join: any, merge: first}]',
    ),
    "foreach": (
        Flow("f")
        .foreach("${input.items}", "pick", concurrency=4, tolerate="50%", collect="outcomes", id="each")
        .foreach([1, 2], Steps("a", "b"), min_successful=1, timeout=10)
        .foreach({"a": 1}, "c", collect="object"),
        """
        steps:
        - {foreach: "${input.items}", steps: [pick], concurrency: 4, tolerate: 50%, collect: outcomes, id: each}
        - {foreach: [1, 2], steps: [a, b], min_successful: 1, timeout: 10s}
        - {foreach: {over: {a: 1}, collect: object, steps: [c]}}
        """,
    ),
    "choose": (
        Flow("f")
        .choose(("${value.a}", "x"), ("${value.b}", Steps().call("y")), otherwise=["z", "w"])
        .choose(("${value.a}", "x", "big"), all=True, when="${true}"),
        """
        steps:
        - choose:
          - {when: "${value.a}", steps: [x]}
          - {when: "${value.b}", steps: [{call: y}]}
          - {otherwise: true, steps: [z, w]}
        - {choose: {all: true, cases: [{when: "${value.a}", steps: [x], name: big}]}, when: "${true}"}
        """,
    ),
    "graph": (
        Flow("f").graph(
            Graph()
            .node("a", call="x", retry=2)
            .node("b", modify=code.add_vat)
            .node("c", steps=["y", "z"], on_error="skip")
            .node("d", call="w", aggregate=code.add_vat)
            .edge("a", "b").edge("a", "c", order=True).edge("b", "d", forward="${value.total}").edge("c", "d"),
            id="g",
        ),
        """
        steps:
        - id: g
          graph:
            a: {call: x, retry: {attempts: 2}}
            b: {python: "tests.python.code:add_vat", after: a}
            c: {steps: [y, z], on_error: skip, after: {a: order}}
            d: {steps: [{python: "tests.python.code:add_vat"}, {call: w}], after: {b: "${value.total}", c: data}}
        """,
    ),
    "a graph in a graph": (
        Flow("f").graph(
            Graph().node("a", call="x")
            .sub("b", Graph().node("c", call="y").node("d", call="z").edge("c", "d")).edge("a", "b")
        ),
        "steps: [{graph: {a: x, b: {graph: {c: y, d: {call: z, after: c}}, after: a}}}]",
    ),
    "the small ones": (
        Flow("f", durable=True).sleep(0.25).sleep("2s")
        .wait("ok", timeout="1h", default={"a": 1}, schema={"type": "object"}).publish("t")
        .respond({"id": 1}, status=202, headers={"X": "y"}).flow("other", id="o").flow(Flow("another"))
        .fail("no ${value}", status=409, when="${false}").steps("a", "b", id="s"),
        """
        durable: true
        steps:
        - sleep: 250ms
        - sleep: 2s
        - {wait: ok, timeout: 1h, default: {a: 1}, schema: {type: object}}
        - publish: t
        - {respond: {id: 1}, status: 202, headers: {X: y}}
        - {flow: other, id: o}
        - flow: another
        - {fail: "no ${value}", status: 409, when: "${false}"}
        - {steps: [a, b], id: s}
        """,
    ),
    "sagas": (
        Flow("f", durable=True, strategy="forward", timeout=timedelta(days=3650))
        .call("a", at_most_once=True).modify(code.add_vat, at_most_once=True, undo="u")
        .parallel(x="b", y="c", options={"undo": {"call": "u", "input": "${result.x}", "timeout": 2}, "id": "p"})
        .foreach("${value}", "d", undo="u").set(1, undo="u").steps("e", "f", undo="u", id="s").flow("g", pivot=True)
        .sleep("3650d").graph(Graph().node("n", steps=Steps("h", "i"), undo="u"), id="g2"),
        """
        durable: true
        strategy: forward
        timeout: 3650d
        steps:
        - {call: a, at_most_once: true}
        - {python: "tests.python.code:add_vat", at_most_once: true, undo: u}
        - {parallel: {x: b, y: c}, undo: {call: u, input: "${result.x}", timeout: 2s}, id: p}
        - {foreach: "${value}", steps: [d], undo: u}
        - {set: 1, undo: u}
        - {steps: [e, f], undo: u, id: s}
        - {flow: g, pivot: true}
        - sleep: 3650d
        - {graph: {n: {steps: [h, i], undo: u}}, id: g2}
        """,
    ),
    "what a flow says": (
        Flow(
            "f", description="d", timeout=timedelta(minutes=1), answer_within=5, input={"type": "object"},
            output={"id": "${input.id}"}, on_disconnect="finish",
        ).call("a").callback("https://h/x/${run.id}", when="success", timeout=2, retry=3)
        .on_failure(Steps().call("tell", input={"why": "${error.detail}"})).finally_("clean"),
        """
        description: d
        timeout: 1m
        answer_within: 5s
        input: {type: object}
        output: {id: "${input.id}"}
        on_disconnect: finish
        steps: [a]
        callback: {url: "https://h/x/${run.id}", when: success, timeout: 2s, retry: {attempts: 3}}
        on_failure: [{call: tell, input: {why: "${error.detail}"}}]
        finally: [clean]
        """,
    ),
    "handlers that are code": (
        Flow("f").call("a", on_failure=code.add_vat).on_failure(code.judge).finally_(code.later),
        """
        steps: [{call: a, on_error: {steps: [{python: "tests.python.code:add_vat", input: "${error}"}]}}]
        on_failure:
        - graph:
            handle: {python: "tests.python.code:judge", input: "${error}"}
            say: {set: "${steps.handle}", when: "${steps.handle != null}", after: {handle: order}}
        finally: [{python: "tests.python.code:later", input: "${run.state}"}]
        """,
    ),
    "errors and steps": (
        Flow("f").call("a", on_error={"value": {"x": 1}}).call("b", on_error={"steps": Steps().call("c")}),
        "steps: [{call: a, on_error: {value: {x: 1}}}, {call: b, on_error: {steps: [{call: c}]}}]",
    ),
    "steps as a file has them": (
        Flow("f").steps({"call": "a", "timeout": "2s"}, [{"python": code.add_vat}]).parallel(a={"set": 1}),
        """
        steps:
        - steps: [{call: a, timeout: 2s}, {python: "tests.python.code:add_vat"}]
        - parallel: {a: {set: 1}}
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_flow(name: str) -> None:
    built, written = PAIRS[name]
    assert built.model == from_yaml(written)
    assert built.version == from_yaml(written).version


def test_every_operator_has_a_pair() -> None:
    built = " ".join(str(flow.document) for flow, _ in PAIRS.values())
    kinds = [
        "call",
        "python",
        "steps",
        "parallel",
        "graph",
        "foreach",
        "choose",
        "flow",
        "set",
        "sleep",
        "wait",
        "publish",
        "respond",
        "fail",
    ]
    assert all(f"'{kind}'" in built for kind in kinds)


def test_the_document_is_the_flow_as_a_file_has_it() -> None:
    flow = PAIRS["code"][0]
    assert flow.document == {
        "flow": "f",
        "steps": [
            {"python": "tests.python.code:add_vat", "retry": {"attempts": 2}, "undo": "c"},
            {"python": "tests.python.code:later", "timeout": "1m"},
        ],
    }


def test_code_that_can_be_imported_is_called_by_its_name() -> None:
    assert Flow("f").modify(code.Shop.price).document["steps"] == [{"python": "tests.python.code:Shop.price"}]


def test_other_code_gets_names_of_its_own_in_order() -> None:
    def local(value: object) -> object:
        return value

    shared = lambda value: value  # noqa: E731 - that is what is tested
    flow = Flow("a-b").modify(local).modify(shared).modify(lambda value: value).modify(shared).modify(code.Shop().rate)
    names = [step["python"] for step in flow.document["steps"]]
    assert names == ["code.a_b:local", "code.a_b:lambda", "code.a_b:lambda_2", "code.a_b:lambda", "code.a_b:rate"]
    assert flow.definition().code.keys() == set(names)
    assert flow.definition().code["code.a_b:local"] is local


def test_what_a_name_leads_to_is_the_function_itself() -> None:
    """A decorator hides a function behind its name: then the name is none of its own."""
    assert Flow("f").modify(code.hidden.__wrapped__).document["steps"] == [{"python": "code.f:hidden"}]


def test_operators_give_the_same_flow_back() -> None:
    flow = Flow("f")
    assert flow.call("a") is flow
    assert [step.function for step in flow.model.steps] == ["a"]  # type: ignore[union-attr]
    flow.call("b")
    assert len(flow.model.steps) == 2


def test_steps_are_taken_as_they_are_when_they_are_given() -> None:
    steps, options = Steps().call("a"), {"x": 1}
    flow = Flow("f").parallel(p=steps, q="b").set(options)
    steps.call("later")
    options["x"] = 2
    assert flow.model == from_yaml("steps: [{parallel: {p: {call: a}, q: b}}, {set: {x: 1}}]")


def test_steps_may_stand_in_several_flows() -> None:
    checks = Steps().call("a", id="x").call("b")
    first, second = Flow("f").steps(checks, id="s"), Flow("f").parallel(p=checks, q=checks)
    assert first.model == from_yaml("steps: [{steps: [{call: a, id: x}, {call: b}], id: s}]")
    both = "[{call: a, id: x}, {call: b}]"
    assert second.model == from_yaml(f"steps: [{{parallel: {{p: {both}, q: {both}}}}}]")


def test_the_model_is_a_flow() -> None:
    assert isinstance(Flow("f").call("a").model, model.Flow)
