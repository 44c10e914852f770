"""The breaker: what opens it, what it refuses meanwhile, and how it closes again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.model.function import Function
from legato.model.policy import Breaker, Hedge, Retry
from legato.testing import Act, ScriptedConnector, Stage, ok, refused, retryable, unknown
from tests.hosts.guarded import failure_of, guarded
from tests.hosts.scene import HANG
from tests.kernel.flows import call, flow, par

POLICY = Breaker(failures=3, within=60.0, open=10.0)
F = Function(name="f", timeout=2.0, breaker=POLICY)
ONE = flow(call("f"))
UNCONNECTED = Act(kind="retryable", status=0, sent=False)
OVERLOADED = Act(kind="retryable", status=0, sent=False, overloaded=True)


def is_open(stage: Stage) -> bool:
    connector: Any = stage.connector
    gauge = connector.guards.open_breakers()
    assert set(gauge.values()) <= {0.0, 1.0}
    return gauge["f"] == 1.0


async def fails(stage: Stage, script: ScriptedConnector, times: int = 3, act: Act | None = None) -> None:
    """Have calls end so, one after another."""
    script.script("f", act or unknown(500))
    for _ in range(times):
        stage.start(ONE)
        await asyncio.sleep(0)


@guarded(f=F)
async def test_a_function_that_keeps_failing_is_left_alone(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    assert len(script.attempts) == 3
    stage.start(ONE)
    assert len(script.attempts) == 3
    failure = stage.ends[-1].failure
    assert failure is not None
    assert (failure.reason, failure.outcome.kind, failure.outcome.status) == ("overloaded", "retryable", 0)
    assert failure.outcome.detail == "the breaker of f is open: its last calls failed; it is tried again in 10.0 s"
    assert not failure.outcome.effect_possible
    assert is_open(stage)


@guarded(f=F)
async def test_it_is_one_for_all_flows_and_none_for_other_functions(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    stage.start(flow(call("g"), par(left=call("f"))))
    assert failure_of(stage).overloaded
    stage.start(flow(call("g")))
    assert stage.ends[-1].failure is None


@pytest.mark.parametrize(
    ("act", "opens"),
    [
        (unknown(500), True),
        (unknown(), True),
        (retryable(503), True),
        (retryable(429), True),
        (UNCONNECTED, True),
        (HANG, True),
        (Act(after=None, sent=False), True),  # no connection within the time of the attempt
        (ok(), False),
        (refused(404), False),
        (refused(0), False),  # ours, not the function's
        (OVERLOADED, False),
    ],
)
def test_what_counts(act: Act, opens: bool) -> None:
    @guarded(f=F)
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", act)
        for _ in range(3):
            stage.start(ONE)
            await asyncio.sleep(3)
        assert is_open(stage) == opens

    scene()


@pytest.mark.parametrize(("act", "resets"), [(ok(), True), (refused(404), True), (refused(0), False),
                                             (OVERLOADED, False)])  # fmt: skip
def test_failures_count_in_a_row(act: Act, resets: bool) -> None:
    @guarded(f=F)
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        await fails(stage, script, 2)
        await fails(stage, script, 1, act)
        await fails(stage, script, 1)
        assert is_open(stage) != resets
        if resets:
            await fails(stage, script, 2)
            assert is_open(stage)

    scene()


@guarded(f=F)
async def test_failures_count_within_their_time(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script, 1)
    await asyncio.sleep(61)
    await fails(stage, script, 2)
    assert not is_open(stage)  # the first is too long ago
    await asyncio.sleep(58)
    await fails(stage, script, 1)
    assert is_open(stage)


@guarded(f=F)
async def test_what_is_withdrawn_says_nothing(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    for end in ("cancel", "deadline", "sibling"):
        for _ in range(4):
            if end == "cancel":
                stage.start(ONE).cancel("cancelled")
            elif end == "deadline":
                stage.start(flow(call("f"), timeout=1.9))
            else:
                script.script("g", refused())
                stage.start(flow(par(left=call("f"), right=call("g"))))
            await asyncio.sleep(5)
        assert not is_open(stage), end


@guarded(f=F)
async def test_the_losers_of_a_hedge_say_nothing(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG, ok().later(0.1))
    for _ in range(4):
        stage.start(flow(call("f", hedge=Hedge(delay=0.5), idempotent=True)))
        await asyncio.sleep(3)
        assert stage.ends[-1].failure is None
    assert not is_open(stage)


@guarded(f=F)
async def test_a_hedge_that_finds_it_open_is_refused_at_once(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    stage.start(flow(call("f", hedge=Hedge(delay=0.5), idempotent=True)))
    assert failure_of(stage).overloaded
    assert len(script.attempts) == 3


@guarded(f=F)
async def test_one_call_tries_whether_it_is_back(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    script.script("f", ok("back").later(1.0))
    await asyncio.sleep(9.98)
    stage.start(ONE)
    assert len(script.attempts) == 3
    await asyncio.sleep(0.03)
    for _ in range(5):
        stage.start(ONE)
    assert len(script.attempts) == 4
    assert len(stage.ends) == 3 + 1 + 4
    assert "it is being tried by another call" in failure_of(stage).detail
    assert is_open(stage)  # until that call has ended well
    await asyncio.sleep(1.01)
    assert stage.ends[-1].payload.value() == "back"
    assert not is_open(stage)
    for _ in range(5):
        stage.start(ONE)
    assert len(script.attempts) == 9
    await asyncio.sleep(2)


@guarded(f=F)
async def test_it_needs_as_many_failures_after_it_closed(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    await asyncio.sleep(10.01)
    await fails(stage, script, 1, ok())
    await fails(stage, script, 2)
    assert not is_open(stage)
    await fails(stage, script, 1)
    assert is_open(stage)


@guarded(f=F)
async def test_one_failure_of_the_trial_opens_it_again(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    await asyncio.sleep(10.01)
    await fails(stage, script, 2)
    assert len(script.attempts) == 4
    assert "tried again in 10.0 s" in failure_of(stage).detail
    await asyncio.sleep(9.9)
    await fails(stage, script, 1)
    assert len(script.attempts) == 4
    await asyncio.sleep(0.2)
    await fails(stage, script, 1)
    assert len(script.attempts) == 5


@pytest.mark.parametrize("end", [OVERLOADED, refused(0), HANG])
def test_a_trial_that_says_nothing_frees_its_place(end: Act) -> None:
    @guarded(f=F)
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        await fails(stage, script)
        await asyncio.sleep(10.01)
        script.script("f", end)
        run = stage.start(ONE)
        assert len(script.attempts) == 4
        run.cancel("cancelled")
        script.script("f", ok())
        stage.start(ONE)
        assert stage.ends[-1].failure is None
        assert not is_open(stage)

    scene()


@guarded(f=F)
async def test_a_trial_whose_time_is_up_has_failed(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    await asyncio.sleep(10.01)
    script.script("f", HANG)
    stage.start(ONE)
    await asyncio.sleep(2.05)
    stage.start(ONE)
    assert "tried again in" in failure_of(stage).detail


@guarded(f=F)
async def test_calls_from_before_say_nothing_new(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(500).later(1.9), unknown(500), ok().later(1.5))
    held = Function(name="f", timeout=100.0, breaker=POLICY)
    stage.functions["f"] = held
    script.script("f", ok().held())
    for _ in range(6):
        stage.start(ONE)
    before = list(script.pending)
    await fails(stage, script)
    assert is_open(stage)
    before[0].settle(ok())
    assert is_open(stage)  # it answered, but to what came before
    for attempt in before[1:4]:
        attempt.settle(unknown(500))
    await asyncio.sleep(10.01)
    await fails(stage, script, 1, ok())
    assert not is_open(stage)
    await fails(stage, script, 2)
    before[4].settle(unknown(500))
    assert not is_open(stage)  # nor does it count for the row of now
    before[5].settle(ok())
    await fails(stage, script, 1)
    assert is_open(stage)


@guarded(f=F)
async def test_a_retry_waits_for_it(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script)
    script.script("f", ok("back"))
    started = clock.now
    run = stage.start(flow(call("f", retry=Retry(attempts=2, backoff=0.001, max_backoff=30.0))))
    await asyncio.sleep(20)
    assert stage.ends[-1].payload.value() == "back"
    assert 9.99 <= run.now - started < 10.1
    assert len(script.attempts) == 4


@guarded(f=Function(name="f", breaker=Breaker(failures=1, open=5.0)))
async def test_one_failure_may_be_enough(stage: Stage, script: Any, clock: Any) -> None:
    await fails(stage, script, 4)
    assert len(script.attempts) == 1
    await asyncio.sleep(5.01)
    await fails(stage, script, 2, ok())
    assert len(script.attempts) == 3


@guarded(f=F)
async def test_what_follows_from_an_end_finds_the_breaker_as_it_is_then(stage: Stage, script: Any, clock: Any) -> None:
    # the third failure opens it before the flow's next call of the same function is made
    await fails(stage, script, 2)
    stage.start(flow(call("f", id="one", undo="f")))
    assert is_open(stage)
    assert len(script.attempts) == 3
    script.script("f", ok())
    await asyncio.sleep(400)
    assert len(script.of("one/undo")) == 1  # refused until it closed, and done then


@guarded(f=F)
async def test_a_storm_of_failures_opens_it_once(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(500).later(1.0))
    for _ in range(10_000):
        stage.start(ONE)
    await asyncio.sleep(1.5)
    assert len(stage.ends) == 10_000
    assert is_open(stage)
    await asyncio.sleep(9.6)  # 10 s after the third failure, not after the last
    stage.start(ONE)
    assert len(script.attempts) == 10_001
    await asyncio.sleep(5)
