"""Random flows. Every call has a function of its own; ids are explicit, so that paths are plain to see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from legato.model.flow import Flow
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.steps import CallStep, ParallelStep, SequenceStep, Step, UndoCall, WaitStep
from legato.model.walk import steps_inside
from tests.kernel.flows import BINARY, text

# A call is whether it has an undo; a list is a sequence; a tuple is a parallel.
Shape = bool | list[Any] | tuple[Any, ...]

seeds = st.integers(0, 2**32 - 1)  # of everything that happens to a run: drawing each event would exhaust Hypothesis


def some_answer(random: Random) -> Payload:
    """An answer of any sort: mostly JSON, sometimes nothing, text or an image."""
    n = random.randrange(12)
    if n < 3:
        return (EMPTY, text("words"), BINARY)[n]
    return json_payload([None, n, "ab"[n % 2 :], [n > 6], {"n": n}][n % 5])


def some_outcome(random: Random, trouble: float) -> Outcome:
    """A success, or, as often as `trouble` says, a failure of any sort."""
    if random.random() >= trouble:
        return Outcome("ok", some_answer(random), 200)
    kind = random.choice(["refused", "retryable", "unknown", "cancelled"])
    status = 422 if kind == "refused" else 0  # without one it is no function that says no, but the flow's own mistake
    return Outcome(kind, status=status, maybe_done=random.random() < 0.3)  # type: ignore[arg-type]


def flow_of(shape: list[Any]) -> Flow:
    """The flow of a shape."""
    numbers = count()
    return Flow(name="random", steps=tuple(_step(inner, numbers, True) for inner in shape))


def _step(shape: Shape, numbers: Iterator[int], named: bool) -> Step:
    n = next(numbers)
    if isinstance(shape, bool):
        undo = UndoCall(function=f"u{n}") if shape else None
        return CallStep(function=f"f{n}", id=f"c{n}" if named else "", undo=undo)
    if isinstance(shape, list):
        return SequenceStep(steps=tuple(_step(i, numbers, True) for i in shape), id=f"s{n}" if named else "")
    branches = {f"b{k}": _step(inner, numbers, False) for k, inner in enumerate(shape)}
    return ParallelStep(branches=branches, id=f"p{n}" if named else "")


def with_saga(flow: Flow, seed: int) -> Flow:
    """A flow some of whose steps, whatever they hold, have an undo of their own, and one of which may be its pivot.

    Every so often a wait stands in the place of a call.
    """
    random, numbers = Random(seed), count(1000)

    def changed(step: Step) -> Step:
        # What ends with the event that began it may have been cut off by what fails with that event: nobody could say.
        undo = UndoCall(function=f"u{next(numbers)}") if takes_time(step) and random.random() < 0.4 else None
        if isinstance(step, SequenceStep):
            return SequenceStep(steps=tuple(map(changed, step.steps)), id=step.id, undo=undo)
        if isinstance(step, ParallelStep):
            branches = {name: changed(branch) for name, branch in step.branches.items()}
            return ParallelStep(branches=branches, id=step.id, undo=undo)
        if isinstance(step, CallStep) and random.random() < 0.3:
            return WaitStep(wait=step.function, id=step.id, undo=undo)
        return step

    steps = [changed(step) for step in flow.steps]
    if steps and random.random() < 0.6:
        n = random.randrange(len(steps))
        steps[n] = pivoted(steps[n], random)
    return Flow(name=flow.name, steps=tuple(steps), durable=True)


def takes_time(step: Step) -> bool:
    """Whether there is a call in it."""
    return isinstance(step, CallStep) or any(map(takes_time, steps_inside(step)))


def pivoted(step: Step, random: Random) -> Step:
    """A step as the pivot, or one of those within it that may be."""
    if isinstance(step, SequenceStep) and step.undo is None and step.steps and random.random() < 0.5:
        n = random.randrange(len(step.steps))
        inner = pivoted(step.steps[n], random)
        return replace(step, steps=(*step.steps[:n], inner, *step.steps[n + 1 :]))
    return replace(step, pivot=True)


shapes: st.SearchStrategy[Shape] = st.recursive(
    st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, min_size=1, max_size=3).map(tuple),
    max_leaves=9,
)
flows = st.lists(shapes, max_size=4).map(flow_of)
sagas = st.builds(with_saga, flows, seeds)
