"""Hedged calls: when more are started, which end counts, and that nobody is left running."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.errors import DefinitionError
from legato.hosts.guards import Guards
from legato.model.function import Function
from legato.model.policy import Hedge, Retry
from legato.model.steps import CallStep
from legato.testing import Act, ScriptedConnector, Stage, ok, refused, retryable, unknown
from tests.hosts.guarded import failure_of, guarded
from tests.hosts.scene import HANG
from tests.kernel.flows import call, flow, par, seq

F = Function(name="f", timeout=10.0)
ONE_SECOND = Hedge(delay=1.0, attempts=3)
UNSENT = Act(after=None, sent=False)


def hedged(function: str = "f", hedge: Hedge = ONE_SECOND, **fields: Any) -> Any:
    return call(function, hedge=hedge, idempotent=True, **fields)


def begins(script: ScriptedConnector) -> list[int]:
    return [number for event, _, number in script.events if event == "begin"]


@guarded(f=F)
async def test_a_quick_answer_needs_no_second_call(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok("quick").later(0.99))
    stage.start(flow(hedged()))
    await asyncio.sleep(20)
    assert stage.ends[0].payload.value() == "quick"
    assert len(script.attempts) == 1


@guarded(f=F)
async def test_an_answer_from_within_begin_starts_nothing(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    stage.start(flow(hedged(), hedged("g", Hedge(delay=0.0, attempts=5))))
    assert [end.failure for end in stage.ends] == [None]
    await asyncio.sleep(20)
    assert len(script.attempts) == 2


@guarded(f=F)
async def test_slow_calls_are_started_again_until_one_answers(
    stage: Stage, script: ScriptedConnector, clock: Any
) -> None:
    script.script("f", HANG, HANG, ok("third").later(0.5))
    started = clock.now
    run = stage.start(flow(hedged()))
    await asyncio.sleep(0.99)
    assert begins(script) == [1]
    await asyncio.sleep(1.0)
    assert begins(script) == [1, 2]
    await asyncio.sleep(20)
    assert stage.ends[0].payload.value() == "third"
    assert 2.5 <= run.now - started < 2.6
    assert [a.aborted for a in script.attempts] == [True, True, False]
    assert len({a.key for a in script.attempts}) == 1  # the function can tell that they are one


@guarded(f=F)
async def test_the_first_may_still_win(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok("first").later(1.5), HANG)
    stage.start(flow(hedged()))
    await asyncio.sleep(20)
    assert stage.ends[0].payload.value() == "first"
    assert begins(script) == [1, 2]
    assert script.attempts[1].aborted


@guarded(f=F)
async def test_there_are_never_more_than_its_attempts(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    stage.start(flow(hedged(hedge=Hedge(delay=0.1, attempts=4))))
    await asyncio.sleep(9)
    assert begins(script) == [1, 2, 3, 4]
    await asyncio.sleep(20)
    assert failure_of(stage).detail == "no answer within 10 s"
    assert failure_of(stage).kind == "unknown"
    assert all(a.aborted for a in script.attempts)


@guarded(f=F)
async def test_a_definite_no_ends_it(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG, refused(404))
    stage.start(flow(hedged()))
    await asyncio.sleep(1.5)
    assert len(stage.ends) == 1
    outcome = failure_of(stage)
    assert (outcome.kind, outcome.status) == ("refused", 404)
    assert outcome.maybe_done  # the first was sent, and nobody knows what became of it
    assert script.attempts[0].aborted


@guarded(f=F)
async def test_a_no_beside_what_was_never_sent_is_taken_at_its_word(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", UNSENT, refused(404))
    stage.start(flow(hedged(undo="u")))
    await asyncio.sleep(20)
    assert not failure_of(stage).effect_possible
    assert not script.of("f/undo")


@guarded(f=F)
async def test_what_may_have_been_done_is_undone(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", unknown(500).later(1.2), refused(409).later(5))
    stage.start(flow(hedged(hedge=Hedge(delay=1.0, attempts=2), undo="u")))
    await asyncio.sleep(30)
    assert failure_of(stage).kind == "refused"
    assert len(script.of("f/undo")) == 1


@guarded(f=F)
async def test_a_failure_waits_for_the_others(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", unknown(500).later(1.2), ok("second").later(3))
    stage.start(flow(hedged(hedge=Hedge(delay=1.0, attempts=2))))
    await asyncio.sleep(3.9)
    assert not stage.ends
    await asyncio.sleep(20)
    assert stage.ends[0].payload.value() == "second"


@guarded(f=F)
async def test_what_failed_at_once_is_for_the_retry_alone(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", retryable(sent=False))
    stage.start(flow(hedged()))
    assert failure_of(stage).kind == "retryable"
    await asyncio.sleep(20)
    assert begins(script) == [1]


@guarded(f=F)
async def test_each_attempt_of_a_retry_is_a_race_of_its_own(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(500).later(1.5), retryable(429, retry_after=4.0), HANG, ok("fourth").later(0.5))
    started = clock.now
    run = stage.start(flow(hedged(hedge=Hedge(delay=1.0, attempts=2), retry=Retry(attempts=2, backoff=0.001))))
    await asyncio.sleep(30)
    assert stage.ends[0].payload.value() == "fourth"
    assert begins(script) == [1, 2, 3, 4]
    # 1.5 s for the first race, what the 429 asked for, then a hedge and its half second
    assert 1.5 + 4 + 1 + 0.5 <= run.now - started < 7.1


@pytest.mark.parametrize(
    ("acts", "kind", "status", "overloaded"),
    [
        ((unknown(500).later(2), retryable(503).later(2)), "unknown", 500, False),
        ((retryable(503).later(2), unknown(500).later(3)), "unknown", 500, False),
        ((unknown().later(2), retryable(503).later(2)), "unknown", 0, False),
        ((unknown().later(2), unknown(502).later(2)), "unknown", 502, False),
        ((unknown(502).later(2), unknown().later(2)), "unknown", 502, False),
        ((retryable(sent=False).later(2), retryable(429).later(2)), "retryable", 429, False),
        ((retryable(429).later(2), retryable(sent=False).later(2)), "retryable", 429, False),
        (
            (Act(kind="retryable", status=0, sent=False, overloaded=True, after=2.0), retryable(sent=False).later(2)),
            "retryable", 0, False,
        ),
    ],
)  # fmt: skip
def test_of_failures_the_one_that_says_most_counts(acts: Any, kind: str, status: int, overloaded: bool) -> None:
    @guarded(f=F)
    async def run(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", *acts)
        stage.start(flow(hedged(hedge=Hedge(delay=1.0, attempts=2))))
        await asyncio.sleep(30)
        outcome = failure_of(stage)
        assert (outcome.kind, outcome.status, outcome.overloaded) == (kind, status, overloaded)
        assert len(script.attempts) == 2

    run()


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 1.5, 2.5])
@pytest.mark.parametrize("act", [HANG, UNSENT])
def test_an_abort_at_any_moment_ends_all(moment: float, act: Act) -> None:
    @guarded(f=F)
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", act)
        run = stage.start(flow(hedged()))
        await asyncio.sleep(moment)
        count = len(script.attempts)
        run.cancel("cancelled")
        assert len(stage.ends) == 1
        await asyncio.sleep(20)
        assert len(script.attempts) == count == 1 + int(moment)
        assert all(a.aborted for a in script.attempts)

    scene()


@guarded(f=F)
async def test_an_abort_says_whether_anything_was_sent(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    # the first never got a connection, the second did: its effect is possible, and so it is undone
    script.script("f", UNSENT, HANG)
    script.script("g", refused().later(1.5))
    stage.start(flow(par(left=hedged(undo="u"), right=call("g"))))
    await asyncio.sleep(20)
    assert len(script.of("parallel.left/undo")) == 1
    script.script("g", refused().later(0.5))
    stage.start(flow(par(left=hedged(undo="u"), right=call("g"))))
    await asyncio.sleep(20)
    assert len(script.of("parallel.left/undo")) == 1


@guarded(f=F)
async def test_a_caller_that_leaves_counts_what_children_have_sent(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    run = stage.start(flow(hedged()))
    await asyncio.sleep(0.5)
    assert [attempt.sent for attempt in run.in_flight()] == [True]
    run.caller_left()
    assert len(stage.ends) == 1  # all is idempotent


@guarded(f=F)
async def test_an_answer_that_starts_the_next_step_meets_no_leftovers(stage: Stage, script: Any, clock: Any) -> None:
    script.script("a", HANG, ok("a"))
    script.script("b", HANG, HANG, ok("b"))
    stage.start(flow(seq(hedged("a"), hedged("b"))))
    await asyncio.sleep(40)
    assert stage.ends[0].payload.value() == "b"
    assert [a.function for a in script.attempts] == ["a", "a", "b", "b", "b"]


@pytest.mark.parametrize(("method", "fields", "fine"), [
    ("POST", {}, False), ("POST", {"idempotent": True}, True), ("POST", {"keyed": True}, True), ("PUT", {}, True),
])  # fmt: skip
def test_only_what_may_be_repeated_is_hedged(method: str, fields: dict[str, Any], fine: bool) -> None:
    guards, function = Guards(), Function(name="pay", **fields)
    step = CallStep(function="pay", method=method, hedge=Hedge())
    target = ScriptedConnector().bind(function, step)
    if fine:
        assert guards.guard(function, step, target) is not target
    else:
        with pytest.raises(DefinitionError, match=r"^function pay: `hedge` .* `idempotent: true`"):
            guards.guard(function, step, target)


def test_what_asks_for_no_guard_gets_none() -> None:
    function, step = Function(name="f"), CallStep(function="f")
    target = ScriptedConnector().bind(function, step)
    assert Guards().guard(function, step, target) is target


class Raises:
    """A target with a bug."""

    timeout = 1.0
    safe = True

    def __init__(self, on: str) -> None:
        self.on = on

    def idempotent(self, attempt: Any) -> bool:
        return True

    def begin(self, attempt: Any) -> None:
        attempt.sent = True
        if self.on == "begin":
            raise KeyError("bug")

    def abort(self, attempt: Any) -> None:
        raise KeyError("bug")


@pytest.mark.parametrize("on", ["begin", "abort"])
def test_a_target_with_a_bug_leaves_nothing_behind(on: str) -> None:
    @guarded(f=Function(name="f", concurrency=1))
    async def scene(stage: Stage, script: Any, clock: Any) -> None:
        connector: Any = stage.connector
        connector.script.bind = lambda function, step: Raises(on)
        for _ in range(3):
            stage.start(flow(hedged(), timeout=0.5))
            await asyncio.sleep(5)
        assert len(stage.ends) == 3
        reasons = [end.failure.reason for end in stage.ends if end.failure]
        assert reasons == (["failed"] * 3 if on == "begin" else ["deadline"] * 3)
        assert on == "abort" or failure_of(stage).detail == "KeyError: 'bug'"

    scene()
