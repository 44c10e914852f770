"""Callers that leave while their run goes on: what is cancelled, and what is finished (contract 1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.model.function import Function
from legato.model.policy import Retry
from legato.testing import Act, ScriptedConnector, Stage, refused, retryable
from tests.hosts.scene import HANG, scene
from tests.kernel.flows import call, flow


@pytest.mark.parametrize(
    ("policy", "function", "sent", "ends"),
    [
        ("", "f", True, False),  # a call that must not be repeated was sent: finish
        ("", "f", False, True),
        ("", "safe", True, True),
        ("cancel", "f", True, True),
        ("finish", "safe", False, False),
    ],
)
def test_the_caller_leaves(policy: Any, function: str, sent: bool, ends: bool) -> None:
    @scene(safe=Function(name="safe", idempotent=True))
    async def run(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script(function, Act(after=None, sent=sent))
        started = stage.start(flow(call(function), call("after"), on_disconnect=policy))
        started.caller_left()
        assert bool(stage.ends) == ends
        if not ends:
            script.pending[0].settle()
            assert stage.ends[0].failure is None
        else:
            assert stage.ends[0].failure is not None
            assert stage.ends[0].failure.reason == "disconnect"

    run()


@scene(safe=Function(name="safe", idempotent=True))
async def test_a_caller_leaves_after_something_was_done(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("safe", HANG)
    run = stage.start(flow(call("f"), call("safe")))
    run.caller_left()
    assert not stage.ends
    script.pending[0].settle()
    run = stage.start(flow(call("safe", id="x"), call("safe")))
    script.pending[0].settle()
    run.caller_left()
    assert [end.failure is None for end in stage.ends] == [True, False]


@scene(safe=Function(name="safe", idempotent=True))
async def test_a_forwarded_call_that_may_be_repeated_does_not_hide_one_that_may_not(
    stage: Stage, script: ScriptedConnector, clock: Any
) -> None:
    script.script("last", HANG)
    run = stage.start(flow(call("f", forward="pipeline"), call("safe", forward=True), call("safe", id="last")))
    run.caller_left()
    script.pending[0].settle()
    assert stage.ends[0].failure is None
    script.script("first", HANG)
    run = stage.start(flow(call("safe", forward="pipeline", id="first")))
    run.caller_left()
    assert stage.ends[1].failure is not None


@scene()
async def test_a_caller_leaves_while_undo_runs(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", refused())
    script.script("u", HANG)
    run = stage.start(flow(call("a", undo="u"), call("f"), on_disconnect="cancel"))
    run.caller_left()
    assert not stage.ends
    script.pending[0].settle()
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("a/undo", True)]


@scene()
async def test_a_caller_leaves_when_nothing_could_be_sent(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", retryable(sent=False))
    run = stage.start(flow(call("f", retry=Retry(attempts=9, backoff=10.0))))
    await asyncio.sleep(0)
    run.caller_left()
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.reason == "disconnect"
