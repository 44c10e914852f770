"""Nested as deep as may be, in every kind of step: nothing breaks on Python's own limit, and deeper is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from legato.kernel import check, linked
from legato.kernel.linker import MAX_LEVELS
from legato.model.flow import MAX_DEPTH, Flow
from legato.model.mapping import Template
from legato.model.steps import (
    CallStep,
    Case,
    ChooseStep,
    Edge,
    FlowStep,
    ForeachStep,
    GraphNode,
    GraphStep,
    OnError,
    ParallelStep,
    SequenceStep,
    Step,
    UndoCall,
)
from legato.testing import ok, refused
from tests.language.play import play, problems_of

Wrap = Callable[[Step], Step]

MODIFIERS: dict[str, Any] = {
    "when": "${true}", "input": Template(value="${value}"), "output": Template(value="${value}"), "timeout": 3600.0,
}  # fmt: skip
FALLBACK = OnError(action="steps", steps=(CallStep(function="mend"), CallStep(function="bad")))
KINDS: dict[str, Wrap] = {
    "steps": lambda step: SequenceStep(steps=(step,), **MODIFIERS),
    "parallel": lambda step: ParallelStep(branches={"a": step}, **MODIFIERS),
    "quorum": lambda step: ParallelStep(branches={"a": step}, quorum=1, merge="first", **MODIFIERS),
    "graph": lambda step: GraphStep(nodes={"a": GraphNode(step=step)}, **MODIFIERS),
    "foreach": lambda step: ForeachStep(over=["${value}"], steps=(step,), **MODIFIERS),
    "choose": lambda step: ChooseStep(cases=(Case(when="${true}", steps=(step,)),), **MODIFIERS),
    "choose all": lambda step: ChooseStep(
        cases=(Case(when="${true}", name="a", steps=(step,)),), all=True, **MODIFIERS
    ),
    "on_error": lambda step: CallStep(function="bad", on_error=OnError(action="steps", steps=(step,))),
    "caught": lambda step: SequenceStep(steps=(step,), on_error=FALLBACK, **MODIFIERS),
}


def nested(wraps: list[Wrap], innermost: Step) -> Flow:
    """A flow of one step within another."""
    step = innermost
    for wrap in wraps:
        step = wrap(step)
    return Flow(name="main", steps=(step,))


def levels(kinds: list[str]) -> list[Wrap]:
    """As many of these in turn as may be nested."""
    return [KINDS[kinds[n % len(kinds)]] for n in range(MAX_DEPTH - 1)]


MIXED = list(KINDS)
COMBINATIONS = [*([kind] for kind in KINDS), MIXED, MIXED[::-1], ["parallel", "foreach", "caught"]]


@pytest.mark.parametrize("kinds", COMBINATIONS, ids="-".join)
@pytest.mark.parametrize("end", ["good", "bad", "cancelled", "timed out"])
def test_as_deep_as_may_be(kinds: list[str], end: str) -> None:
    innermost = SequenceStep(
        steps=(CallStep(function="f", undo=UndoCall(function="u")), CallStep(function="last")),
        timeout=5.0 if end == "timed out" else None,
    )
    functions = {
        "f": 7,
        "bad": refused(),
        "mend": 1,
        "last": {"good": ok(7), "bad": refused(410)}.get(end, ok().held()),
    }
    flow = nested(levels(kinds), innermost)
    disturb: Any = {1.0: lambda run: run.cancel("cancelled")} if end == "cancelled" else {}
    played = play(flow, functions, {"v": 1}, disturb=disturb)
    did = [asked.path for asked in played.asked if asked.function == "f"]
    assert len(did) == 1
    if end == "good":
        assert played.failure is None
        assert not [path for path in played.paths if path.endswith("/undo")]
    else:
        assert played.failure is not None
        assert played.paths.count(f"{did[0]}/undo") == 1


def test_deeper_is_refused_by_the_reader_and_by_the_linker() -> None:
    text = "f"
    for _ in range(MAX_DEPTH):
        text = f"{{steps: [{text}]}}"
    assert f"steps nested deeper than {MAX_DEPTH}" in problems_of(f"steps: [{text}]")
    step: Step = CallStep(function="f")
    for _ in range(MAX_LEVELS):
        step = SequenceStep(steps=(step,))
    (fault,) = check(Flow(name="main", steps=(step,)))
    assert fault.message.startswith(f"steps nested deeper than {MAX_LEVELS} levels")


@pytest.mark.parametrize("kinds", [["parallel"], ["foreach"], ["choose"], ["graph"], MIXED], ids="-".join)
def test_flows_within_flows_add_up(kinds: list[str]) -> None:
    """Each flow as deep as may be written; together as deep as may be linked, or refused with a word on it."""
    wraps = levels(kinds)
    inner = nested(wraps[: MAX_DEPTH // 2], CallStep(function="f", undo=UndoCall(function="u")))
    flows = {"inner": Flow(name="inner", steps=inner.steps)}
    outer = nested(wraps[: MAX_DEPTH // 2], FlowStep(flow="inner"))
    _, faults = linked(outer, flows.get)
    if any("nested deeper" in fault.message for fault in faults):
        return
    assert not faults
    played = play(outer, {"bad": refused(), "f": 1, "mend": 1}, {"v": 1}, flows=flows)
    assert len([asked for asked in played.asked if asked.function == "f"]) == 1
    bad = Flow(name="main", steps=(*outer.steps, CallStep(function="bad", id="end")))
    played = play(bad, {"bad": refused(), "f": 1, "mend": 1}, {"v": 1}, flows=flows)
    assert len([asked for asked in played.asked if asked.function == "u"]) == 1


def test_there_is_room_left_below_pythons_limit() -> None:
    """A host calls in from somewhere, and an expression has a stack of its own."""
    limit = sys.getrecursionlimit()
    flow = nested(levels(["caught"]), ForeachStep(over=["${[[[[value]]]].map(x, x)}"], steps=(CallStep(function="f"),)))
    try:
        sys.setrecursionlimit(limit - 300)
        assert play(flow, {"f": 1}, 1).failure is None
    finally:
        sys.setrecursionlimit(limit)


def test_a_chain_of_a_million_deliveries_needs_no_stack() -> None:
    """Calls that settle on the spot, one after another, in one loop of the host."""
    steps = tuple(CallStep(function="f") for _ in range(9_999))
    played = play(Flow(name="main", steps=steps), {"f": lambda value: value + 1}, 0, record=False)
    assert played.value == 9_999
    nodes = {
        f"n{n}": GraphNode(step=CallStep(function="f"), after={f"n{n - 1}": Edge()} if n else {}) for n in range(9_998)
    }
    played = play(Flow(name="main", steps=(GraphStep(nodes=nodes),)), {"f": lambda value: value + 1}, 0, record=False)
    assert played.value == 9_998
