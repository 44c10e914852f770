"""What is wrong with a flow is said by the operator that says it, with the remedy; the rest when the whole is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from legato import DefinitionError, Flow, Graph, Steps
from legato.formats import read
from legato.model.source import Source
from tests.python import code

nested: list[Any] = []
nested.append(nested)

AT_ONCE: dict[str, tuple[Callable[[], object], str]] = {
    "a flow's name": (lambda: Flow("Order"), "flow Order: 'Order' is not a name"),
    "a reserved name": (lambda: Flow("api"), "flow api: the name 'api' is reserved"),
    "a flow's timeout": (lambda: Flow("f", timeout="2 s"), "flow f: `timeout` is not a duration: `2 s`"),
    "no time at all": (lambda: Flow("f", timeout=0), "flow f: `timeout` is `0s`"),
    "a schema": (lambda: Flow("f", input={"type": "objct"}), "flow f: "),
    "a word": (lambda: Flow("f", on_disconnect="stay"), "flow f: `on_disconnect` cannot be `stay`"),
    "an unknown option": (
        lambda: Flow("f").call("a", retrys=3),  # type: ignore[call-arg]
        "call a: unknown key `retrys` in a `call` step (did you mean `retry`?",
    ),
    "an option of another": (
        lambda: Flow("f").sleep(1, retry=3),  # type: ignore[call-arg]
        "sleep: `retry` is for calls, not for `sleep` (write it on a call)",
    ),
    "a key of a retry": (lambda: Flow("f").call("a", retry={"atempts": 2}), "call a: unknown key `atempts` in `retry`"),
    "too many attempts": (lambda: Flow("f").call("a", retry=101), "call a: `attempts` is `101`"),
    "a function's name": (lambda: Flow("f").call("A b"), "call A b: 'A b' is not a name"),
    "a function that is code": (lambda: Flow("f").call(code.add_vat), "is not a name"),  # type: ignore[arg-type]
    "nan": (lambda: Flow("f").call("a", timeout=math.nan), "call a: `timeout` is not a duration: `nans`"),
    "a condition without braces": (
        lambda: Flow("f").call("a", when="value.x"),
        'call a: `when` must be one expression, not `value.x` (write "${value.x}")',
    ),
    "a condition that is code": (
        lambda: Flow("f").choose((code.judge, "a")),  # type: ignore[arg-type]
        "choose: a condition is an expression (write `branch` where Python code chooses)",
    ),
    "no case": (lambda: Flow("f").choose("a"), "choose: 'a' is no case (write"),  # type: ignore[arg-type]
    "an unnamed case": (lambda: Flow("f").choose(("${true}", "a"), all=True), "choose: a case needs `name`"),
    "syntax": (lambda: Flow("f").set("${value.}"), "set: "),
    "a quorum": (lambda: Flow("f").parallel(a="b", join=3), "parallel: `quorum` is `3` (write a number from 1 to 1)"),
    "no branches": (lambda: Flow("f").parallel(), "parallel: `parallel` has no branches"),
    "a branch twice": (lambda: Flow("f").parallel({"a": "x"}, a="y"), "parallel: the branch `a` is there twice"),
    "branches that look alike": (lambda: Flow("f").parallel({"a-b": "x"}, a_b="y"), "are the same in an expression"),
    "an id twice": (
        lambda: Flow("f").call("a", id="x-y").call("b", id="x_y"),
        "call b: the id `x_y` is taken in this flow or branch (`-` and `_` count as the same) (choose another id)",
    ),
    "an id that is within": (lambda: Flow("f").call("a", id="x").steps(Steps().call("b", id="x")), "steps: the id `x`"),
    "a window": (lambda: Flow("f").foreach("${value}", "a", concurrency=0), "foreach: `concurrency` is `0`"),
    "two tolerances": (
        lambda: Flow("f").foreach("${value}", "a", tolerate=1, min_successful=1),
        "foreach: `min_successful` and `tolerate` say the same",
    ),
    "two handlers": (
        lambda: Flow("f").call("a", on_failure=code.judge, on_error="skip"),
        "call a: `on_failure` and `on_error` say the same (keep one of them)",
    ),
    "what is no step": (lambda: Flow("f").steps(3), "steps: int is no step"),  # type: ignore[arg-type]
    "what is no code": (lambda: Flow("f").modify(3), "modify 3: int is no Python code"),  # type: ignore[arg-type]
    "a name that is no code": (lambda: Flow("f").modify("add_vat"), "modify add_vat: `python` is `add_vat`"),
    "what JSON has not": (lambda: Flow("f").set({"a": {1, 2}}), "set: set is no value that a definition can hold"),
    "a key that is no text": (lambda: Flow("f").set({1: 2}), "set: the key 1 is no text"),
    "infinity": (lambda: Flow("f").set(math.inf), "set: `inf` is no number that JSON has"),
    "half a character": (lambda: Flow("f").set("\ud800"), "set: the text"),
    "a huge number": (lambda: Flow("f").set(10**5000), "set: a whole number has at most 40 digits"),
    "a value within itself": (lambda: Flow("f").set(nested), "set: nested deeper than 128 levels"),
    "steps within themselves": (lambda: Flow("f").steps(nested), "steps: nested deeper than"),
    "a flow as a step": (
        lambda: Flow("f").steps(Flow("g").call("a")),
        "flow g is no step of another (write .flow('g'))",
    ),
    "a callback": (lambda: Flow("f").callback("ftp://x"), "callback: "),
    "a callback's key": (lambda: Flow("f").callback("https://x/", when="never"), "callback: `when` cannot be `never`"),
    "a second handler": (lambda: Flow("f").finally_("a").finally_("b"), "finally: the flow says this already"),
    "no items in a branch": (lambda: Flow("f").branch(code.judge, {}), "branch: there are no branches"),
    "a branch's name": (lambda: Flow("f").branch(code.judge, {"A": "x"}), "branch: 'A' is not a name"),
    "durable lambdas": (
        lambda: Flow("f", durable=True).modify(lambda value: value),
        "modify <lambda>: `lambda` is found by no other process, and a durable flow must be, after a restart",
    ),
    "durable lambdas within": (
        lambda: Flow("f", durable=True).parallel(a=Steps().modify(lambda value: value)),
        "parallel: `lambda` is found by no other process",
    ),
    "durable lambdas at the end": (
        lambda: Flow("f", durable=True).finally_(lambda state: None),
        "finally: `lambda` is found by no other process",
    ),
    "two kinds of a node": (
        lambda: Graph().node("a", call="x", modify=code.judge),
        "node a: a node does one thing, not `call` and `modify` (give one of call, modify, steps, graph)",
    ),
    "a node of nothing": (lambda: Graph().node("a"), "node a: a node does one thing, not nothing"),
    "a node twice": (lambda: Graph().node("a", call="x").node("a", call="y"), "node a: the node `a` is there already"),
    "nodes that look alike": (
        lambda: Graph().node("a-b", call="x").node("a_b", call="y"),
        "node a_b: the node `a_b` and `a-b` are the same in an expression",
    ),
    "a node's option": (lambda: Graph().node("a", call="x", retry="3"), "node a: "),  # type: ignore[arg-type]
    "retries of steps": (lambda: Graph().node("a", steps="x", retry=2), "node a: `retry` is for calls"),
    "an edge to nowhere": (
        lambda: Graph().node("a", call="x").edge("a", "b"),
        "edge a -> b: there is no node `b` (add nodes before edges)",
    ),
    "an edge twice": (
        lambda: Graph().node("a", call="x").node("b", call="y").edge("a", "b").edge("a", "b", order=True),
        "edge a -> b: this edge is there already",
    ),
    "an edge that forwards nothing": (
        lambda: Graph().node("a", call="x").node("b", call="y").edge("a", "b", order=True, forward="${value}"),
        "edge a -> b: an edge of `order` forwards nothing",
    ),
    "a node after itself": (lambda: Graph().node("a", call="x").edge("a", "a"), "this makes a cycle: a -> a"),
    "a cycle": (
        lambda: Graph().append(line("a", "b", "c")).edge("c", "a"),
        "edge c -> a: this makes a cycle: c -> a -> b -> c (remove an edge)",
    ),
    "graphs with a node of one name": (
        lambda: line("a", "b").append(line("b", "c")),
        "append: the node `b` is there already",
    ),
}


def line(*names: str) -> Graph:
    """Nodes one after another."""
    graph = Graph()
    for name in names:
        graph.node(name, call="x")
    for before, after in pairwise(names):
        graph.edge(before, after)
    return graph


@pytest.mark.parametrize("name", AT_ONCE)
def test_refused_at_once(name: str) -> None:
    build, message = AT_ONCE[name]
    with pytest.raises(DefinitionError) as refusal:
        build()
    assert message in str(refusal.value)
    assert "Node(" not in str(refusal.value)


def test_what_was_refused_is_not_in_the_flow() -> None:
    flow = Flow("f").call("a", id="x")
    for refused in (lambda: flow.call("b", id="x"), lambda: flow.sleep("x"), lambda: flow.on_failure("B")):
        with pytest.raises(DefinitionError):
            refused()
    assert flow.call("b", id="y").on_failure("c").document == {
        "flow": "f",
        "steps": [{"call": "a", "id": "x"}, {"call": "b", "id": "y"}],
        "on_failure": ["c"],
    }


def test_the_rest_is_told_with_its_line() -> None:
    flow = Flow("f", output="${steps.nowhere}").call("first")
    flow.parallel(
        a="x",
        b=Steps().call("y", input="${steps.frst}"),
    )
    definition = flow.definition("shop.flows")
    assert definition.flow is None
    assert definition.origin == "shop.flows"
    within, output = sorted(definition.problems, key=lambda problem: problem.line, reverse=True)
    assert within.message == "call y: there is no step `frst` here"
    assert within.remedy == "did you mean `first`? To be seen are first"
    assert within.source == 'b=Steps().call("y", input="${steps.frst}"),'
    assert within.file.endswith("tests/python/test_refusals.py")
    assert output.message == "there is no step `nowhere` here"
    with pytest.raises(DefinitionError) as refusal:
        _ = flow.model
    assert "call y: there is no step `frst` here" in str(refusal.value)
    assert "there is no step `nowhere` here" in str(refusal.value)


def test_a_flow_without_steps() -> None:
    with pytest.raises(DefinitionError, match="a flow needs at least one step"):
        _ = Flow("f").model


def test_a_graph_is_checked_as_a_whole() -> None:
    graph = Graph().node("a", call="x").node("b", call="y", input="${steps.c}").node("c", call="z").edge("a", "b")
    with pytest.raises(DefinitionError, match="node b: the step `c` has not run when this is read"):
        _ = Flow("f").graph(graph).model


def test_warnings_are_kept() -> None:
    graph = Graph().node("a", call="x").node("b", call="y").node("c", call="z")
    graph.edge("a", "b", order=True).edge("b", "c")
    (warning,) = Flow("f").graph(graph).definition().warnings
    assert (
        warning.message == "node a: the value of node `a` is lost: every edge from it is `order`, and nothing reads it"
    )
    assert warning.line > 0


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Flow("f").call("a", timeout="2 secs"), "{call: a, timeout: 2 secs}"),
        (lambda: Flow("f").call("a", retry={"attempts": 0}), "{call: a, retry: {attempts: 0}}"),
        (lambda: Flow("f").call("a", path="x"), "{call: a, path: x}"),
        (lambda: Flow("f").call("a", headers={"Host": "x"}), "{call: a, headers: {Host: x}}"),
        (lambda: Flow("f").foreach("value", "a"), "{foreach: value, steps: [a]}"),
        (lambda: Flow("f").set("${nothing}"), '{set: "${nothing}"}'),
        (lambda: Flow("f").fail("x", status=200), "{fail: x, status: 200}"),
    ],
)
def test_the_words_are_those_of_files(build: Callable[[], object], text: str) -> None:
    source = Source(name="f", language="native", text=f"flow: f\nsteps: [{text}]\n".encode(), origin="f.yaml")
    (problem,) = read(source).problems
    with pytest.raises(DefinitionError) as refusal:
        build()
    assert str(refusal.value).endswith(f": {problem.message} ({problem.remedy})")
