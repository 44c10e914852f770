"""Random flows over every kind of step, with every outcome, cancelled at every moment: what holds of every run.

That each leaf is issued and delivered once, that none is left, that a run ends when the last one has, and that a replay
of its record does the same is checked in `recorded`, of every run of `play`.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings

from legato.kernel import Call
from legato.model.payload import json_payload
from tests.kernel.strategies import seeds, some_answer
from tests.language.play import Played, play
from tests.language.random_flows import Drawn
from tests.language.recorded import Recorded


def run_of(seed: int, disturbed: bool) -> tuple[Played, bool]:
    """A random flow, played; and whether it was cancelled hard."""
    drawn, random = Drawn(seed), Random(seed + 1)
    hard = False
    disturb: dict[float, Any] = {}
    for at in random.sample([0.05, 0.3, 0.7, 1.5, 2.5, 6.0], random.randrange(1, 3)) if disturbed else ():
        what = random.choice(["cancelled", "deadline", "disconnect", "hard", "leave"])
        hard = hard or what == "hard"
        disturb[at] = _disturbance(what)
    value = some_answer(random) if random.random() < 0.5 else json_payload(random.choice([1, {"n": 1}, [1, 2]]))
    played = play(drawn.main, drawn.functions(), value, flows=drawn.flows, disturb=disturb, patience=7200)
    return played, hard


def _disturbance(what: Any) -> Any:
    if what == "leave":
        return lambda run: run.caller_left()
    if what == "hard":
        return lambda run: run.cancel("cancelled", hard=True)
    return lambda run: run.cancel(what)


def in_handler(path: str) -> bool:
    return "/failure." in path or "/finally." in path


def done(kernel: Recorded) -> set[str]:
    """The paths of calls that have an undo and were done, or may have been, other than by handlers."""
    found: set[str] = set()
    for kind, path, outcome in kernel.record:
        leaf = kernel.issued.get(path) if kind == "deliver" else None
        if isinstance(leaf, Call) and leaf.step.undo is not None and outcome.effect_possible and not in_handler(path):
            found.add(path)
    return found


def is_call(kernel: Recorded, path: str) -> bool:
    """Whether what has the path is a call, with an undo of its own."""
    leaf = kernel.issued.get(path)
    return isinstance(leaf, Call) and leaf.step.undo is not None


def around(path: str) -> set[str]:
    """The paths of all steps that one is within."""
    return {path[:n] for n, char in enumerate(path) if char in ".[/"}


def check(seed: int, disturbed: bool) -> None:
    """What holds of every run."""
    played, hard = run_of(seed, disturbed)
    kernel = played.run.kernel
    assert isinstance(kernel, Recorded)
    undone = [path.removesuffix("/undo") for path in kernel.issued if path.endswith("/undo")]
    did = done(kernel)
    assert {path for path in undone if is_call(kernel, path)} <= did, "what was never done is undone"
    failure = kernel.failure
    at_the_end = {path.removesuffix("/undo") for path in kernel.at_the_end if path.endswith("/undo")}
    for path in at_the_end:
        assert not at_the_end & around(path), "what is within is undone beside what it is within"
    if kernel.pivoted:
        assert not at_the_end, "something is undone after the pivot"
    elif failure is not None and not hard:
        for path in did:
            assert path in undone or set(undone) & around(path), f"{path} was done and is not undone"
    if failure is None:
        assert kernel.outward_state == "succeeded"
    else:
        assert failure.outcome.detail or failure.outcome.status, "nobody knows why"
        assert failure.reason != "mistake" or failure.path or kernel.program.flow.output is not None
        assert "Error" not in failure.outcome.detail.split(":")[0], failure.outcome.detail
    for each in kernel.handler_failures:
        assert in_handler(each.path) or each.path == "/callback", each
        assert "Error" not in each.outcome.detail.split(":")[0], each.outcome.detail
    assert not kernel.undo_failures
    assert len(kernel.errors) <= 100
    if kernel.errors:
        assert not kernel.completed or all(isinstance(path, str) for path in kernel.errors)
    order = {path: n for n, path in enumerate(kernel.issued)}
    for path in undone:
        assert order.get(path, -1) < order[f"{path}/undo"]


@settings(max_examples=400)
@given(seeds)
def test_any_flow_undisturbed(seed: int) -> None:
    check(seed, disturbed=False)


@settings(max_examples=400)
@given(seeds)
def test_any_flow_disturbed(seed: int) -> None:
    check(seed, disturbed=True)
