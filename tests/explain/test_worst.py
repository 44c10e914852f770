"""The worst case is a bound: no run can take longer, whatever is chosen and however many items there are."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.explain import explained
from legato.explain.worst import MOST, OTHERS, Loop, Window, Worst, longest
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.steps import (
    CallStep,
    ChooseStep,
    FailStep,
    ForeachStep,
    GraphStep,
    ParallelStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
)
from legato.model.walk import every_step
from legato.pictures.parts import parts_of
from tests.pictures.strategies import flows

TIMEOUT = 7.0


def function_of(name: str) -> Function:
    return Function(name=name, python=name if ":" in name else "", url="" if ":" in name else "http://x", timeout=7.0)


def at(worst: Worst, items: int) -> float:
    """What a bound comes to where every foreach has so many items."""
    loops = sum(
        loop.seconds * math.prod(math.ceil(items / window.size) for window in loop.windows) for loop in worst.loops
    )
    return worst.seconds + loops


def slowest(step: Step, items: int) -> float:
    """The longest that a step can take, found the simple way: everything is tried, everything times out."""
    took = _slowest(step, items)
    if not isinstance(step, CallStep | PythonStep) and step.timeout is not None:
        took = min(took, step.timeout)
    if step.on_error is not None:
        took += in_turn(step.on_error.steps, items)
    return took


def _slowest(step: Step, items: int) -> float:
    match step:
        case CallStep() | PythonStep():
            retry = step.retry
            attempts = 1 if retry is None else retry.attempts
            waits = (
                0.0 if retry is None else sum(min(retry.max_backoff, retry.backoff * 2**n) for n in range(attempts - 1))
            )
            reading = (step.timeout or TIMEOUT) if isinstance(step, CallStep) and step.on_response else 0.0
            return attempts * (step.timeout or TIMEOUT) + waits + reading
        case SleepStep():
            return step.sleep
        case SequenceStep():
            return in_turn(step.steps, items)
        case ParallelStep():
            return max(slowest(branch, items) for branch in step.branches.values())
        case ChooseStep():
            bodies = [case.steps for case in step.cases] + ([step.otherwise] if step.otherwise else [])
            return max(in_turn(body, items) for body in bodies)
        case ForeachStep():
            count = len(step.over) if isinstance(step.over, list) else items
            one = in_turn(step.steps, items)
            return sum(one for _ in range(0, count, step.concurrency))
        case GraphStep():
            ended: dict[str, float] = {}
            for name, node in step.nodes.items():  # each is after some before it
                ended[name] = max((ended[each] for each in node.after), default=0.0) + slowest(node.step, items)
            return max(ended.values())
        case SetStep() | RespondStep() | FailStep():
            return 0.0
        case _:
            raise AssertionError(step)


def in_turn(steps: Iterable[Step], items: int) -> float:
    return sum(slowest(step, items) for step in steps)


@given(flows, st.integers(0, 40))
def test_no_run_takes_longer(flow: Flow, items: int) -> None:
    worst = explained(parts_of(flow), function_of, 60.0).worst
    took = in_turn(flow.steps, items)
    assert at(worst, items) >= took - 1e-6
    assert not worst.open


@given(flows)
def test_without_loops_it_is_exact(flow: Flow) -> None:
    if not any(isinstance(step, ForeachStep) and isinstance(step.over, str) for step in every_step(flow)):
        worst = explained(parts_of(flow), function_of, 60.0).worst
        assert worst.known
        assert worst.seconds == pytest.approx(in_turn(flow.steps, 3))


@given(flows, st.integers(0, 40))
def test_one_loop_is_exact(flow: Flow, items: int) -> None:
    """Where a flow is a foreach over steps without another, the bound is what it takes."""
    if any(isinstance(step, ForeachStep) and isinstance(step.over, str) for step in every_step(flow)):
        return
    loop = ForeachStep(over="${input}", steps=flow.steps, concurrency=3)
    worst = explained(parts_of(Flow(name="x", steps=(loop,))), function_of, 60.0).worst
    assert at(worst, items) == pytest.approx(in_turn([loop], items))


# The parts.

A, B = Worst(2.0, (Loop(3.0, (Window("a", 2),)),)), Worst(5.0, (Loop(1.0, (Window("b", 1),)),), ("w",))


def test_one_after_the_other() -> None:
    assert A.then(B) == Worst(7.0, (*A.loops, *B.loops), ("w",))
    assert B.then(B).open == ("w",)
    assert Worst().then(A) == A


def test_at_the_same_time() -> None:
    assert longest([A, B]) == Worst(5.0, (*A.loops, *B.loops), ("w",))
    assert longest([]) == Worst()
    twice = longest([A, Worst(1.0, (Loop(9.0, A.loops[0].windows),))])
    assert twice == Worst(2.0, (Loop(9.0, A.loops[0].windows),))


def test_a_timeout_ends_what_nobody_knows() -> None:
    assert B.within(4.0) == Worst(4.0)
    assert B.within(400.0) == Worst(400.0)
    assert Worst(5.0).within(400.0) == Worst(5.0)
    assert Worst(5.0).within(4.0) == Worst(4.0)
    assert B.within(None) == B


def test_items_that_are_written() -> None:
    assert Worst(2.0).for_each("x", 4, 9) == Worst(6.0)
    assert A.for_each("x", 1, 2) == Worst(4.0, (Loop(6.0, (Window("a", 2),)),))
    assert B.for_each("x", 1, 0) == Worst()


def test_items_that_are_not_known() -> None:
    assert Worst(2.0).for_each("x", 4, None) == Worst(0.0, (Loop(2.0, (Window("x", 4),)),))
    assert A.for_each("x", 4, None).loops[1] == Loop(3.0, (Window("a", 2), Window("x", 4)))
    assert Worst().for_each("x", 4, None) == Worst()


def test_how_it_is_said() -> None:
    assert str(Worst()) == "0s"
    assert str(Worst(150.0)) == "2m 30s"
    assert str(A) == "2s + 3s for every 2 items of a"
    assert str(B) == "5s + 1s for every item of b + as long as w takes"
    assert str(A.for_each("x", 4, None)) == (
        "2s for every 4 items of x + 3s for every 2 items of a, for every 4 items of x"
    )
    assert str(Worst(open=("w",))) == "as long as w takes"


def test_thousands_of_loops_are_not_all_said() -> None:
    worst = Worst()
    for n in range(5000):
        worst = worst.then(Worst(1.0).for_each(f"x{n}", 2, None)).then(Worst(open=(f"w{n}",)))
    assert len(worst.loops) == MOST
    assert OTHERS in worst.open
    assert len(worst.open) <= MOST + 1
    assert not worst.known
