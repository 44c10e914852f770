"""Paths are the kernel's, and nothing that flows say makes a walk endless."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given

from legato.kernel import linked
from legato.model.flow import MAX_DEPTH, MAX_STEPS, Flow
from legato.model.steps import (
    CallStep,
    Case,
    ChooseStep,
    Edge,
    FlowStep,
    ForeachStep,
    GraphNode,
    GraphStep,
    ParallelStep,
    PythonStep,
    SequenceStep,
    Step,
)
from legato.pictures import FORMS, drawn
from legato.pictures.parts import parts_of
from tests.pictures.flows import AWKWARD, CHOICES, GRAPH, HANDLERS, LEAVES, NESTED, ORDER, OUTER, call, known
from tests.pictures.strategies import flows
from tests.pictures.test_svg import all_parts


def calls_of(flow: Flow) -> set[str]:
    """The paths of all calls that pictures know of."""
    paths: set[str] = {"/callback"} if flow.callback is not None else set()
    for part in all_parts(parts_of(flow, known)):
        if isinstance(part.step, CallStep | PythonStep):
            paths.add(part.path)
            if part.step.undo is not None:
                paths.add(f"{part.path}/undo")
            if isinstance(part.step, CallStep) and part.step.on_response:
                paths.add(f"{part.path}/response")
    return paths


@pytest.mark.parametrize(
    "flow", [ORDER, LEAVES, CHOICES, GRAPH, NESTED, HANDLERS, AWKWARD, OUTER], ids=lambda flow: flow.name
)
def test_paths_are_those_of_the_kernel(flow: Flow) -> None:
    program, _ = linked(flow, known)
    assert calls_of(flow) == {linked_call.path for linked_call in program.calls}


@given(flows)
def test_paths_of_any_flow_are_those_of_the_kernel(flow: Flow) -> None:
    program, _ = linked(flow)
    assert calls_of(flow) == {linked_call.path for linked_call in program.calls}


def nested(depth: int) -> Step:
    step: Step = call("x")
    for n in range(depth):
        step = (
            SequenceStep(steps=(step,)),
            ParallelStep(branches={"a": step, "b": call("y")}),
            ForeachStep(over="${input}", steps=(step,)),
            ChooseStep(cases=(Case(when="${a}", steps=(step,)),)),
            GraphStep(nodes={"a": GraphNode(step=step), "b": GraphNode(step=call("z"), after={"a": Edge()})}),
        )[n % 5]
    return step


@pytest.mark.parametrize("form", FORMS)
def test_deep_flows(form: str) -> None:
    deepest = Flow(name="deep", steps=(nested(MAX_DEPTH - 1),))
    text = drawn(deepest, form)
    assert "nested too deep" not in text
    assert ".x" in text or "_x" in text
    beyond = drawn(Flow(name="deep", steps=(nested(200),)), form)
    assert "nested too deep" in beyond
    assert len(beyond) < 2 * len(text)


@pytest.mark.parametrize("form", FORMS)
def test_as_many_steps_as_there_may_be(form: str) -> None:
    text = drawn(Flow(name="long", steps=tuple(call("f") for _ in range(MAX_STEPS))), form)
    assert text.count(f"f_{MAX_STEPS}") >= 1
    assert "not shown" not in text
    if form == "svg":
        assert ElementTree.fromstring(text) is not None


@pytest.mark.parametrize("form", FORMS)
def test_more_steps_than_there_may_be(form: str) -> None:
    many = tuple(call("f") for _ in range(MAX_STEPS))
    flow = Flow(name="long", steps=(*many, ParallelStep(branches={"a": call("beyond"), "b": call("beyond")})))
    text = drawn(flow, form)
    assert "beyond" not in text
    assert ("the rest is not shown" in text) == (form != "json")
    assert ('"cut": true' in text) == (form == "json")


def test_flows_within_flows_do_not_multiply() -> None:
    """Forty flows, each calling the next one four times, would be 4 ** 40 steps."""
    doubling = {
        f"f{n}": Flow(name=f"f{n}", steps=tuple(FlowStep(flow=f"f{n + 1}", id=f"s{k}") for k in range(4)))
        for n in range(40)
    }
    whole = parts_of(doubling["f0"], doubling.get)
    assert whole.cut
    assert len(all_parts(whole)) == MAX_STEPS
    assert len(drawn(doubling["f0"], "dot", doubling.get)) < 20_000_000


def test_a_wide_graph_with_many_edges() -> None:
    nodes = {
        f"n{n}": GraphNode(step=call("f"), after={f"n{k}": Edge() for k in {0, n // 2, n - 1} if 0 <= k < n})
        for n in range(3000)
    }
    flow = Flow(name="far", steps=(GraphStep(nodes=nodes),))
    assert drawn(flow, "svg").count("<title>graph.n") >= 3000
    assert drawn(flow, "dot").count(" -> ") == sum(len(node.after) for node in nodes.values()) + 4


def test_a_cycle_in_a_graph_is_drawn_all_the_same() -> None:
    """No flow that is served has one; whoever looks for it may want to see it."""
    nodes = {
        "a": GraphNode(step=call("a"), after={"b": Edge()}),
        "b": GraphNode(step=call("b"), after={"a": Edge(), "gone": Edge()}),
        "c": GraphNode(step=call("c")),
    }
    flow = Flow(name="round", steps=(GraphStep(nodes=nodes),))
    for form in FORMS:
        assert drawn(flow, form)
