"""Which calls only go forward: as the program says it to hosts."""

from __future__ import annotations

import pytest

from legato.errors import DefinitionError
from legato.kernel import link
from legato.model.flow import Flow
from tests.language.play import flow_of

FLOWS = {
    "plain": "steps: [a, {call: b, undo: ub}]",
    "forward": "durable: true\nstrategy: forward\nsteps: [a]",
    "paying": "durable: true\nsteps: [a, {call: p, pivot: true}, b]",
    "spared": "durable: true\nstrategy: forward\nsteps: [{call: a, on_error: skip}, b]",
}

FORWARD = {
    "none, if nothing says so": ("steps: [a, {flow: plain}, {call: b, undo: ub}]", ""),
    "all, where the flow says so": ("strategy: forward\nsteps: [a, {parallel: {x: b, y: c}, id: p}]", "a p.x p.y"),
    "no undo": ("strategy: forward\nsteps: [{call: a, undo: ua}, {set: 1, undo: us, id: s}]", "a"),
    "no handler, no callback": (
        "strategy: forward\nsteps: [a]\non_failure: [b]\nfinally: [c]\ncallback: 'http://x.example/y'",
        "a",
    ),
    "those after the pivot, not the pivot": ("steps: [a, {call: p, pivot: true}, b, c]", "b c"),
    "a pivot of steps is none before it is done": ("steps: [{steps: [a, b], id: s, pivot: true}, c]", "c"),
    "after a pivot within steps, in these and after them": (
        "steps: [a, {steps: [b, {call: p, pivot: true}, c], id: s}, d]",
        "s.c d",
    ),
    "whatever comes after it, however deep": (
        "steps: [{call: p, pivot: true}, {parallel: {x: [a, {foreach: [1], id: e, steps: [b]}], y: c}, id: q}, "
        "{choose: [{when: '${true}', call: d}, {otherwise: true, call: e}], id: w}, {graph: {n: f}, id: g}]",
        "q.x.a q.x.e[*].b q.y w.case_1.d w.otherwise.e g.n",
    ),
    "flows within, after a pivot": (
        "steps: [{flow: plain}, {call: p, pivot: true}, {flow: plain, id: again}]",
        "again.a again.b",
    ),
    "a pivot within another flow is of that flow": ("steps: [{flow: paying, id: f}, c]", "f.b"),
    "a strategy of a flow within is of that flow": ("steps: [a, {flow: forward, id: f}, b]", "f.a"),
    "not where the failure of the call is taken": (
        "strategy: forward\nsteps: [{call: a, on_error: skip}, {call: b, on_error: {value: 1}}, c]",
        "c",
    ),
    "nor that of a step around": (
        "strategy: forward\nsteps: [{steps: [a, {parallel: {x: b}, id: p}], id: s, on_error: skip}, c]",
        "c",
    ),
    "but in what follows the failure": (
        "strategy: forward\nsteps: [{call: a, on_error: {steps: [b, {call: c, on_error: skip}]}}]",
        "a/error.b",
    ),
    "not in flows within whose failure is taken": (
        "strategy: forward\nsteps: [{flow: forward, id: f, on_error: skip}, {flow: plain, id: g}]",
        "g.a g.b",
    ),
    "and in flows within as they say": ("steps: [{flow: spared, id: f}]", "f.b"),
    "not where items may fail": (
        "strategy: forward\nsteps: [{foreach: [1], id: e, tolerate: 1, steps: [a]}, "
        "{foreach: [1], id: f, tolerate: '5%', steps: [a]}, {foreach: [1], id: g, min_successful: 1, steps: [a]}, "
        "{foreach: [1], id: h, collect: outcomes, steps: [a]}, {foreach: [1], id: i, steps: [a]}]",
        "i[*].a",
    ),
    "not where branches may fail": (
        "strategy: forward\nsteps: [{parallel: {x: a, y: b}, id: p, join: any}, {parallel: {x: a, y: b}, id: q}]",
        "q.x q.y",
    ),
    "code that reads an answer goes the way of its call": (
        "strategy: forward\nsteps: [{call: a, on_response: 'm:f'}, {call: b, on_response: 'm:f', on_error: skip}]",
        "a a/response",
    ),
    "python as calls": ("steps: [{call: p, pivot: true}, {python: 'm:f', id: x}]", "x"),
}


def flows() -> dict[str, Flow]:
    return {name: flow_of(text, name) for name, text in FLOWS.items()}


@pytest.mark.parametrize("name", FORWARD)
def test_which_calls_go_forward(name: str) -> None:
    text, expected = FORWARD[name]
    program = link(flow_of(f"durable: true\n{text}"), flows().get)
    assert sorted(call.path for call in program.calls if call.forward) == sorted(expected.split())
    assert not any(call.forward and call.is_undo for call in program.calls)


def test_pivots_are_marked_for_the_run() -> None:
    text = "durable: true\nsteps: [a, {call: p, pivot: true}, {flow: paying, id: f}]"
    assert [call.path for call in link(flow_of(text), flows().get).calls if call.pivot] == ["p", "f.p"]
    text = "durable: true\nsteps: [{steps: [a], pivot: true}]"
    assert not any(call.pivot for call in link(flow_of(text)).calls), "a step is done when all of it is"


@pytest.mark.parametrize("name", ["forward", "paying"])
def test_a_flow_that_only_goes_forward_is_not_within_one_that_is_not_durable(name: str) -> None:
    with pytest.raises(DefinitionError, match="is durable and would not be here"):
        link(flow_of(f"steps: [{{flow: {name}}}]"), flows().get)


def test_what_is_wrong_with_a_flow_within_is_told_at_the_step() -> None:
    inner = Flow(name="inner", strategy="forward", steps=flow_of("steps: [a]").steps)
    with pytest.raises(DefinitionError, match="in the flow `inner`: `strategy: forward` needs a run"):
        link(flow_of("steps: [{flow: inner}]"), {"inner": inner}.get)
