"""The concurrency limit: who is begun when, who is refused, and that no place is ever lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.hosts.guards.limit import QUEUE_LENGTH
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.model.policy import Breaker, Hedge, Retry
from legato.testing import Act, ScriptedConnector, Stage, ok, refused, unknown
from tests.hosts.guarded import failure_of, guarded
from tests.hosts.scene import HANG
from tests.kernel.flows import call, flow, par, seq

TWO = Function(name="f", timeout=100.0, concurrency=2)
ONE = Function(name="f", timeout=100.0, concurrency=1)
F = flow(call("f"))


def order(script: ScriptedConnector) -> list[Any]:
    """What was sent, in the order in which it was begun."""
    return [attempt.payload.value() for attempt in script.attempts]


@guarded(f=TWO)
async def test_there_are_never_more_in_flight(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok().later(1.0))
    started = clock.now
    for _ in range(7):
        stage.start(F)
    most = 0
    while len(stage.ends) < 7:
        most = max(most, len(script.pending))
        await asyncio.sleep(0.05)
    assert most == 2
    assert 4.0 <= clock.now - started < 4.2
    assert all(end.failure is None for end in stage.ends)


@guarded(f=TWO)
async def test_who_comes_first_is_begun_first(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok().later(0.5))
    for number in range(8):
        stage.start(F, json_payload(number))
    await asyncio.sleep(0.6)
    for number in range(8, 12):
        stage.start(F, json_payload(number))
    await asyncio.sleep(5)
    assert order(script) == list(range(12))


@guarded(f=ONE)
async def test_nobody_overtakes_in_the_moment_when_a_place_is_free(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", ok().held())
    for number in range(3):
        stage.start(F, json_payload(number))
    script.pending[0].settle()  # number 1 is woken in the loop's next turn
    stage.start(F, json_payload("late"))
    for _ in range(3):
        await asyncio.sleep(0)
        script.pending[0].settle()
    assert order(script) == [0, 1, 2, "late"]


@guarded(f=ONE)
async def test_a_run_that_goes_on_with_the_same_function_stands_in_line(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", ok().later(0.1))
    twice = flow(seq(call("f"), call("f", id="again")))
    for number in range(3):
        stage.start(twice, json_payload(number))
    await asyncio.sleep(3)
    assert order(script) == [0, 1, 2, 0, 1, 2]


@guarded(f=ONE, g=Function(name="g"))
async def test_the_limit_is_of_one_function_over_all_flows(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    script.script("g", HANG)
    runs = [stage.start(flow(par(left=call("f"), right=call("g")))) for _ in range(3)]
    assert [a.function for a in script.pending] == ["f", "g", "g", "g"]
    for run in runs:
        run.cancel("cancelled")


@guarded(f=ONE)
async def test_the_wait_is_bounded(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok().later(20.0))
    stage.start(F)
    await asyncio.sleep(1)
    stage.start(F)
    await asyncio.sleep(1)
    stage.start(F)
    await asyncio.sleep(3.99)  # now 4.99 after the first to wait
    assert not stage.ends
    await asyncio.sleep(0.02)
    assert len(stage.ends) == 1
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.reason, failure.outcome.kind) == ("overloaded", "retryable")
    assert failure.outcome.detail == "none of the 1 places of f became free within 5 s"
    assert not failure.outcome.effect_possible
    await asyncio.sleep(0.97)
    assert len(stage.ends) == 1
    await asyncio.sleep(0.03)
    assert len(stage.ends) == 2
    await asyncio.sleep(20)


@guarded(f=ONE)
async def test_those_behind_one_that_left_keep_their_own_time(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    first = stage.start(F)
    second = stage.start(F)
    await asyncio.sleep(2)
    stage.start(F)
    second.cancel("cancelled")
    await asyncio.sleep(4.9)
    assert len(stage.ends) == 1
    await asyncio.sleep(0.2)
    assert len(stage.ends) == 2
    first.cancel("cancelled")


@guarded(f=ONE)
async def test_a_line_has_an_end(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", ok().held())
    for number in range(1 + QUEUE_LENGTH):
        stage.start(F, json_payload(number))
    assert not stage.ends
    stage.start(F)
    failure = stage.ends[0].failure
    assert failure is not None
    assert failure.reason == "overloaded"
    assert failure.outcome.detail == "1024 calls of f already wait for one of its 1 places"
    script.script("f", ok())
    script.pending[0].settle()
    await asyncio.sleep(0)
    assert order(script) == list(range(1 + QUEUE_LENGTH))
    await asyncio.sleep(0)


@guarded(f=ONE)
async def test_a_storm_of_ten_thousand_ends_without_recursion(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", ok().held())
    twice = stage.bind(flow(seq(call("f"), call("f", id="again"))))
    for number in range(10_000):
        stage.start(twice, json_payload(number))
    assert len(stage.ends) == 10_000 - 1 - QUEUE_LENGTH
    script.script("f", ok())  # from now on each settles from within begin
    script.pending[0].settle()
    await asyncio.sleep(1)
    done = [end for end in stage.ends if end.failure is None]
    assert len(done) == 1 + QUEUE_LENGTH
    assert len(stage.ends) == 10_000


@guarded(f=ONE)
async def test_an_abort_in_line_is_settled_at_once_and_unsent(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    first = stage.start(F)
    waiting = [stage.start(F, json_payload(number)) for number in range(3)]
    waiting[1].cancel("cancelled")
    assert [end.run for end in stage.ends] == [waiting[1]]
    failure = stage.ends[0].failure
    assert failure is not None
    assert not failure.outcome.effect_possible
    first.cancel("cancelled")
    await asyncio.sleep(0.01)
    assert order(script)[1:] == [0]
    waiting[0].cancel("cancelled")
    await asyncio.sleep(0.01)
    assert order(script)[1:] == [0, 2]
    waiting[2].cancel("cancelled")


@guarded(f=Function(name="f", timeout=2.0, concurrency=1))
async def test_an_attempt_whose_time_is_up_in_line_was_overloaded(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", ok().later(1.99), ok())
    stage.start(F)
    script.script("f", HANG)
    await asyncio.sleep(0)
    stage.start(flow(call("f", timeout=1.0)))
    await asyncio.sleep(1.05)
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.reason, failure.outcome.kind) == ("overloaded", "retryable")
    assert failure.outcome.detail == "no answer within 1 s: withdrawn while it waited for a place"
    await asyncio.sleep(5)


@guarded(f=ONE)
async def test_every_way_to_end_frees_the_place(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    for act in (ok(), refused(), unknown(500), Act(kind="retryable", status=0, sent=False), HANG, ok().later(0.5)):
        script.script("f", act)
        run = stage.start(F)
        await asyncio.sleep(0.1)
        run.cancel("cancelled")
    script.script("f", ok("free"))
    stage.start(F)
    assert stage.ends[-1].payload.value() == "free"


@guarded(f=ONE)
async def test_one_refused_in_line_may_end_another(stage: Stage, script: Any, clock: Any) -> None:
    # the first branch's refusal cancels the second, which is in the same line and due at the same moment
    script.script("f", HANG)
    first = stage.start(F)
    run = stage.start(flow(par(left=call("f"), right=call("f"))))
    other = stage.start(F)
    await asyncio.sleep(5.01)
    assert {end.run for end in stage.ends} == {run, other}
    assert len(stage.ends) == 2
    first.cancel("cancelled")


@guarded(f=ONE)
async def test_a_retry_gives_its_place_back_while_it_waits(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(503), ok("second"))
    stage.start(flow(call("f", idempotent=True, retry=Retry(attempts=2, backoff=2.0))))
    script.script("f", ok("other"))
    stage.start(F)
    assert stage.ends[0].payload.value() == "other"
    await asyncio.sleep(5)
    assert len(stage.ends) == 2


@guarded(f=TWO)
async def test_each_start_of_a_hedge_takes_a_place(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    hedged = flow(call("f", hedge=Hedge(delay=0.1, attempts=3), idempotent=True))
    first = stage.start(hedged, json_payload(1))
    second = stage.start(hedged, json_payload(2))
    await asyncio.sleep(1)
    assert len(script.pending) == 2
    first.cancel("cancelled")
    await asyncio.sleep(0.01)
    assert [a.payload.value() for a in script.pending] == [2, 2]
    second.cancel("cancelled")


@guarded(f=Function(name="f", timeout=100.0, concurrency=1, breaker=Breaker(failures=2, open=10.0)))
async def test_its_refusals_do_not_open_the_breaker(stage: Stage, script: Any, clock: Any) -> None:
    connector: Any = stage.connector
    script.script("f", ok().later(30.0))
    for _ in range(10):
        stage.start(F)
    await asyncio.sleep(6)
    assert len(stage.ends) == 9
    assert connector.guards.open_breakers() == {"f": 0.0}
    stage.start(flow(call("f", timeout=0.5)))
    stage.start(flow(call("f", timeout=0.5)))
    await asyncio.sleep(1)
    assert len(stage.ends) == 11
    assert connector.guards.open_breakers() == {"f": 0.0}
    await asyncio.sleep(30)


@guarded(f=Function(name="f", timeout=100.0, concurrency=1, breaker=Breaker(failures=2, open=10.0)))
async def test_an_open_breaker_takes_no_place(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(500))
    for _ in range(5):
        stage.start(F)
    assert len(script.attempts) == 2
    assert failure_of(stage).detail.startswith("the breaker of f is open")


@pytest.mark.parametrize("turns", range(6))
def test_an_abort_at_each_turn_of_the_loop(turns: int) -> None:
    @guarded(f=ONE)
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", ok().held())
        runs = [stage.start(F, json_payload(number)) for number in range(4)]
        script.pending[0].settle()
        for _ in range(turns):
            await asyncio.sleep(0)
        runs[1].cancel("cancelled")
        runs[2].cancel("cancelled")
        await asyncio.sleep(0.01)
        assert [a.payload.value() for a in script.pending] == [3]
        script.pending[0].settle()
        assert len(stage.ends) == 4

    scene()
