"""Random flows on the inline host: every kind of outcome, timeouts, deadlines, cancels and callers that leave.

The connector checks that the host keeps its promises (nothing settles twice, nothing is aborted after it settled);
here is checked what follows for the run (contract 1).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given

from legato.kernel import link
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.model.policy import Retry
from legato.model.steps import CallStep, ParallelStep, SequenceStep, Step, UndoCall
from legato.testing import Act, ScriptedConnector, Stage, run_in_manual_time
from legato.testing.scripted import ScriptedAttempt
from tests.kernel.strategies import flows, seeds, some_answer


class Play:
    """One random run of a random flow, to its end."""

    def __init__(self, shape: Flow, seed: int) -> None:
        self.random = Random(seed)
        self.functions: dict[str, Function] = {}
        self.script = ScriptedConnector()
        self.flow = Flow(
            name="random",
            steps=tuple(self.dressed(step) for step in shape.steps),
            timeout=self.random.choice([None, 0.5, 20.0]),
            on_disconnect=self.random.choice(["", "cancel", "finish"]),  # type: ignore[arg-type]
        )
        self.calls = {call.path: call for call in link(self.flow).calls}
        self.stage = Stage(self.script, self.functions)
        self.left_at: float | None = None
        self.cancelled: list[tuple[float, bool]] = []
        self.hard = False

    def dressed(self, step: Step) -> Step:
        """The step with policies, its functions with scripts."""
        if isinstance(step, SequenceStep):
            return SequenceStep(steps=tuple(map(self.dressed, step.steps)), id=step.id)
        if isinstance(step, ParallelStep):
            branches = {name: self.dressed(branch) for name, branch in step.branches.items()}
            return ParallelStep(branches=branches, id=step.id, lenient=self.random.random() < 0.3)
        self.employ(step.function, 0.35)
        undo = step.undo
        if undo is not None:
            self.employ(undo.function, 0.6)
            undo = UndoCall(function=undo.function, retry=self.retry(), timeout=self.random.choice([None, 1.0]))
        return CallStep(
            function=step.function,
            id=step.id,
            undo=undo,
            retry=self.retry(),
            idempotent=self.random.random() < 0.2,
            method=self.random.choice(["POST", "POST", "PUT"]),
            timeout=self.random.choice([None, 0.2, 3.0]),
        )

    def retry(self) -> Retry | None:
        random = self.random
        if random.random() < 0.4:
            return None
        statuses = random.choice([(), (500,), (500, 502)])
        return Retry(attempts=random.randrange(1, 5), backoff=random.choice([0.01, 1.0]), when_status=statuses)

    def employ(self, name: str, trouble: float) -> None:
        random = self.random
        self.functions[name] = Function(
            name=name,
            idempotent=random.random() < 0.2,
            keyed=random.random() < 0.2,
            timeout=random.choice([0.3, 30.0]),
        )
        self.script.script(name, *(self.act(trouble) for _ in range(random.randrange(1, 5))))

    def act(self, trouble: float) -> Act:
        random = self.random
        after = random.choice([0.0, 0.0, 0.05, 0.4, 5.0])
        if random.random() > trouble:
            return Act(payload=some_answer(random), after=after)
        kind = random.choice(["refused", "retryable", "unknown", "hangs", "hangs unsent", "unsent"])
        if kind == "hangs":
            return Act(kind="unknown", after=None)
        if kind == "hangs unsent":
            return Act(kind="retryable", after=None, sent=False)
        if kind == "unsent":
            return Act(kind="retryable", status=0, sent=False, after=after, overloaded=random.random() < 0.3)
        status = {"refused": 409, "retryable": 503}.get(kind, random.choice([0, 500, 502]))
        wish = random.choice([None, 0.5, 100.0]) if kind == "retryable" else None
        return Act(kind=kind, status=status, after=after, retry_after=wish)  # type: ignore[arg-type]

    async def to_its_end(self, clock: Any) -> None:
        """Start it, disturb it, and wait for longer than anything may take."""
        run = self.stage.start(self.flow, some_answer(self.random))
        for _ in range(self.random.choice([0, 0, 1, 3])):
            await asyncio.sleep(self.random.choice([0.0, 0.03, 0.3, 2.0]))
            what = self.random.random()
            if what < 0.4:
                run.caller_left()
            else:
                hard = what < 0.6
                self.hard = self.hard or (hard and not self.stage.ends)
                run.cancel("cancelled", hard=hard)
        await asyncio.sleep(2_000)

    def by_call(self) -> Iterator[tuple[str, list[ScriptedAttempt]]]:
        """The attempts of each call, by path."""
        attempts: dict[str, list[ScriptedAttempt]] = defaultdict(list)
        for attempt in self.script.attempts:
            attempts[attempt.path].append(attempt)
        yield from attempts.items()


def played(flow: Flow, seed: int) -> Play:
    play = Play(flow, seed)
    run_in_manual_time(play.to_its_end)
    return play


@given(flows, seeds)
def test_every_attempt_settles_and_the_caller_is_told_once(flow: Flow, seed: int) -> None:
    play = played(flow, seed)
    (end,) = play.stage.ends
    assert not play.script.pending
    assert not list(play.stage.host.runs())
    assert play.stage.host.active() == {"random": 0}
    assert end.run.slot == 0
    assert (end.failure is None) or not end.payload.size
    settled = [event for event in play.script.events if event[0] == "settle"]
    assert len(settled) == len(set(settled)) == len(play.script.attempts)


@given(flows, seeds)
def test_what_is_tried_again_and_under_which_key(flow: Flow, seed: int) -> None:
    play = played(flow, seed)
    root = play.stage.ends[0].run.id.decode()
    for path, attempts in play.by_call():
        call = play.calls[path]
        policy = call.definition.retry or Retry(attempts=10 if call.is_undo else 1)
        assert len(attempts) <= policy.attempts
        assert {attempt.key for attempt in attempts} == {f"{root}/{path}"}
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        assert len({attempt.payload for attempt in attempts}) == 1
        function = play.functions[call.function]
        safe = function.idempotent or function.keyed or call.definition.idempotent or call.definition.method == "PUT"
        for attempt in attempts[:-1]:
            outcome = attempt.outcome
            assert outcome is not None
            if outcome.kind == "ok":
                # It was not the JSON or text that a join needs (contract 1: garbage is unknown).
                assert call.inspected
                assert outcome.payload.content_type == b"image/png"
                assert safe or outcome.status in policy.when_status
            elif outcome.kind == "unknown":
                assert safe or call.is_undo or outcome.status in policy.when_status
            else:
                assert outcome.kind == "retryable", "never after a refusal or a cancel"


@given(flows, seeds)
def test_a_failed_run_undoes_exactly_what_may_have_been_done(flow: Flow, seed: int) -> None:
    play = played(flow, seed)
    (end,) = play.stage.ends
    begun = dict(play.by_call())
    undone = {path for path in begun if path.endswith("/undo")}
    due: set[str] = set()
    for path, attempts in begun.items():
        undo = play.calls[path].undo
        outcomes = [attempt.outcome for attempt in attempts if attempt.outcome is not None]
        if undo is not None and any(outcome.kind in ("ok", "unknown") for outcome in outcomes):
            due.add(undo.linked.path)
    if end.failure is None:
        assert not undone
        return
    assert undone <= due
    if not play.hard and end.run.now < end.run.deadline:  # nor had undo used up its own time
        assert undone == due
    for path, succeeded in end.failure.undo:
        last = begun[path][-1].outcome
        assert last is not None
        assert succeeded == (last.kind == "ok")
    assert {path for path, _ in end.failure.undo} == undone


@given(flows, seeds)
def test_the_same_seed_plays_the_same_play(flow: Flow, seed: int) -> None:
    # Backoff is random; without it everything follows from the order of events.
    def calm(step: Step) -> Step:
        if isinstance(step, SequenceStep):
            return SequenceStep(steps=tuple(map(calm, step.steps)), id=step.id)
        if isinstance(step, ParallelStep):
            return ParallelStep(branches={n: calm(b) for n, b in step.branches.items()}, id=step.id)
        return CallStep(function=step.function, id=step.id, timeout=step.timeout)

    plays: list[Play] = []
    for _ in range(2):
        play = Play(flow, seed)
        play.flow = Flow(name="random", steps=tuple(map(calm, play.flow.steps)))
        play.calls = {call.path: call for call in link(play.flow).calls}
        run_in_manual_time(play.to_its_end)
        plays.append(play)
    assert plays[0].script.events == plays[1].script.events


def test_a_play_is_not_trivial() -> None:
    """So that the properties above speak of something: a good share of the plays fail, undo, retry and abort."""
    steps = (CallStep(function="f", id="a", undo=UndoCall(function="u")), CallStep(function="g", id="b"))
    branches: dict[str, Step] = {"b0": SequenceStep(steps=steps), "b1": CallStep(function="h")}
    flow = Flow(name="x", steps=(ParallelStep(branches=branches, id="p"), CallStep(function="i", id="c")))
    ends = {"ok": 0, "failed": 0, "deadline": 0, "cancelled": 0, "disconnect": 0, "overloaded": 0, "mistake": 0}
    seen = {"undo": 0, "retry": 0, "abort": 0}
    for seed in range(150):
        play = played(flow, seed)
        failure = play.stage.ends[0].failure
        ends["ok" if failure is None else failure.reason] += 1
        seen["undo"] += any(path.endswith("/undo") for path, _ in play.by_call())
        seen["retry"] += any(attempt.number > 1 for attempt in play.script.attempts)
        seen["abort"] += any(attempt.aborted for attempt in play.script.attempts)
    assert json_payload(ends)
    assert all(ends[word] for word in ("ok", "failed", "deadline", "cancelled", "disconnect")), ends
    assert all(count > 20 for count in seen.values()), seen
