"""The inline host and its attempts: what is tried again, how often, when, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.model.function import Function
from legato.model.payload import json_payload
from legato.model.policy import Retry
from legato.testing import (
    Act,
    ScriptedConnector,
    Stage,
    ok,
    refused,
    retryable,
    unknown,
)
from tests.hosts.scene import HANG, retried, scene
from tests.kernel.flows import call, flow


@scene()
async def test_a_flow_of_no_steps_answers_before_start_returns(stage: Stage, script: object, clock: object) -> None:
    run = stage.start(flow(), json_payload(5))
    assert [(end.run, end.payload.body, end.failure) for end in stage.ends] == [(run, b"5", None)]


@scene()
async def test_retryable_is_tried_again_whatever_the_method(
    stage: Stage, script: ScriptedConnector, clock: Any
) -> None:
    script.script("f", retryable(), retryable(sent=False), ok("at last"))
    started = clock.now
    stage.start(retried())
    await asyncio.sleep(10)
    assert stage.ends[0].payload.value() == "at last"
    assert [a.number for a in script.attempts] == [1, 2, 3]
    assert len({a.key for a in script.attempts}) == 1
    assert clock.now - started >= 10


@scene()
async def test_attempts_count_the_first(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", retryable())
    stage.start(retried(attempts=4))
    await asyncio.sleep(60)
    assert len(script.attempts) == 4
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.outcome.kind, failure.outcome.status) == ("retryable", 503)


@pytest.mark.parametrize(
    ("act", "fields", "attempts"),
    [
        (refused(), {"idempotent": True}, 1),
        (unknown(), {}, 1),
        (unknown(500), {}, 1),
        (unknown(500), {"idempotent": True}, 3),
        (unknown(), {"method": "PUT"}, 3),
        (retryable(), {}, 3),
        (retryable(sent=False), {}, 3),
        (Act(kind="retryable", overloaded=True, sent=False), {}, 3),
        (ok(), {}, 1),
    ],
)
def test_what_is_tried_again(act: Act, fields: dict[str, Any], attempts: int) -> None:
    @scene()
    async def run(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", act)
        stage.start(retried(**fields))
        await asyncio.sleep(60)
        assert len(script.attempts) == attempts
        failure = stage.ends[0].failure
        assert (failure is None) == (act.kind == "ok")
        if failure is not None:
            assert failure.outcome.kind == act.kind
            assert failure.reason == ("overloaded" if act.overloaded else "failed")

    run()


@scene(k=Function(name="k", keyed=True))
async def test_a_keyed_function_may_be_repeated(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("k", unknown(), ok())
    stage.start(retried("k"))
    await asyncio.sleep(60)
    assert stage.ends[0].failure is None


@scene()
async def test_when_status_allows_a_repeat_on_the_users_word(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", unknown(502), unknown(500), ok())
    stage.start(flow(call("f", retry=Retry(attempts=5, backoff=0.1, when_status=(502,)))))
    await asyncio.sleep(60)
    assert len(script.attempts) == 2  # 500 is not on the list


@scene()
async def test_retry_after_is_honoured_up_to_max_backoff(stage: Stage, script: Any, clock: Any) -> None:
    policy = Retry(attempts=3, backoff=0.001, max_backoff=5.0)
    for wish, waited in ((3.0, 3.0), (3600.0, 5.0)):
        script.script("f", retryable(retry_after=wish), ok())
        start = clock.now
        run = stage.start(flow(call("f", retry=policy)))
        await asyncio.sleep(60)
        assert waited <= run.now - start <= waited + 0.01


@scene()
async def test_a_retry_that_could_not_even_start_is_not_waited_for(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", retryable(retry_after=9.0))
    start = clock.now
    stage.start(flow(call("f", retry=Retry(attempts=3)), timeout=5.0))
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.reason == "failed"
    assert clock.now == start


@scene(f=Function(name="f", timeout=2.0))
async def test_an_attempt_has_its_time_and_no_more(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    start = clock.now
    stage.start(flow(call("f")))
    await asyncio.sleep(60)
    assert 2.0 <= stage.ends[0].run.now - start <= 2.05
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.reason, failure.outcome.kind) == ("failed", "unknown")
    assert failure.outcome.detail == "no answer within 2 s"


@scene(f=Function(name="f", timeout=2.0))
async def test_each_attempt_has_its_own_time(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG, retryable(retry_after=4.0), HANG, ok().later(1.9))
    start = clock.now
    stage.start(retried(attempts=4, idempotent=True))
    await asyncio.sleep(50)
    assert stage.ends[0].failure is None
    assert [a.aborted for a in script.attempts] == [True, False, True, False]
    assert stage.ends[0].run.now - start >= 2 + 4 + 2 + 1.9


@scene(f=Function(name="f", timeout=2.0))
async def test_an_attempt_does_not_explain_itself_by_the_one_before(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG, unknown(500))
    stage.start(retried(attempts=2, idempotent=True))
    await asyncio.sleep(60)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.outcome.detail == "scripted: unknown"


@scene(f=Function(name="f", timeout=2.0))
async def test_a_timeout_before_anything_was_sent_is_tried_again(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", Act(after=None, sent=False), ok("sent at last"))
    stage.start(retried())
    await asyncio.sleep(20)
    assert stage.ends[0].payload.value() == "sent at last"
