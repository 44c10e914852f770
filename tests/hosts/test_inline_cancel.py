"""The inline host when runs are cancelled, callers leave, and connectors break their promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.connectors.builtin import BuiltinConnector
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.model.policy import Retry
from legato.testing import Act, ScriptedConnector, Stage, ok, refused, retryable, run_in_manual_time, unknown
from tests.hosts.scene import HANG, scene
from tests.kernel.flows import call, flow, par


@scene()
async def test_cancel_aborts_what_is_in_flight_and_undoes(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    script.script("unsent", Act(after=None, sent=False))
    run = stage.start(flow(call("a", undo="u"), par("p", x=call("f", undo="u"), y=call("unsent", undo="u"))))
    assert not stage.ends
    run.cancel("cancelled")
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.reason, failure.undo) == ("cancelled", [("p.x/undo", True), ("a/undo", True)])


@scene()
async def test_a_hard_cancel_undoes_nothing(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    run = stage.start(flow(call("a", undo="u"), call("f")))
    run.cancel("cancelled", hard=True)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == []


@scene()
async def test_a_hard_cancel_stops_undo(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", refused())
    script.script("u", HANG)
    run = stage.start(flow(call("a", undo="u"), call("b", undo="u"), call("f")))
    run.cancel("cancelled")
    run.caller_left()
    assert not stage.ends
    run.cancel("cancelled", hard=True)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("b/undo", False)]


@scene()
async def test_what_comes_after_the_end_is_nothing_new(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    run = stage.start(flow(call("a")))
    failed = stage.start(flow(call("a", undo="u"), call("b"), on_disconnect="cancel"))
    for ended in (run, failed):
        ended.cancel("cancelled")
        ended.cancel("deadline", hard=True)
        ended.caller_left()
    assert len(stage.ends) == 2
    assert stage.host.active() == {"test": 0}
    assert stage.ends[0].failure is None


@scene()
async def test_a_reply_that_cancels_its_own_run_changes_nothing(stage: Stage, script: Any, clock: Any) -> None:
    ends: list[object] = []

    def reply(run: Any, payload: object, failure: object) -> None:
        ends.append(failure)
        run.cancel("cancelled", hard=True)
        run.caller_left()

    from legato.testing.stage import Caller

    stage.host.start(stage.bind(flow(call("a"))), json_payload(1), Caller(), reply)
    assert ends == [None]


@scene()
async def test_a_cancel_from_within_a_call_waits_for_its_turn(stage: Stage, script: Any, clock: Any) -> None:
    runs: list[Any] = []
    script.script("f", HANG)
    begin = script.begin

    def cancelling(function: str, attempt: Any) -> None:
        begin(function, attempt)
        if function == "f":
            attempt.run.cancel("cancelled")

    script.begin = cancelling
    runs.append(stage.start(flow(call("a", undo="u"), par("p", x=call("f", undo="u"), y=call("f", undo="u")))))
    await asyncio.sleep(1)
    (end,) = stage.ends
    assert end.failure is not None
    assert end.failure.reason == "cancelled"
    assert sorted(end.failure.undo) == [("a/undo", True), ("p.x/undo", True), ("p.y/undo", True)]


@scene()
async def test_cancel_between_two_attempts(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    policy = Retry(attempts=3, backoff=20.0, max_backoff=20.0)
    script.script("f", retryable(retry_after=20.0))
    script.script("g", unknown(500))
    first = stage.start(flow(call("a", undo="u"), call("f", undo="u", retry=policy)))
    await asyncio.sleep(15)
    script.script("u", ok().later(25.0))  # needs all of its 30 s, counted from now
    first.cancel("cancelled")
    await asyncio.sleep(100)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("a/undo", True)]
    assert [a.aborted for a in script.of("a/undo")] == [False]
    assert len(script.of("f")) == 1


@scene()
async def test_cancel_between_two_attempts_of_which_the_first_is_maybe_done(
    stage: Stage, script: Any, clock: Any
) -> None:
    script.script("g", unknown(500))
    run = stage.start(flow(call("g", undo="u", idempotent=True, retry=Retry(attempts=3, backoff=50, max_backoff=50))))
    run.cancel("disconnect")
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("g/undo", True)]


@scene(get=Function(name="get", idempotent=True), timeout=Function(name="timeout", timeout=1.0))
async def test_a_sibling_that_fails_stops_retries(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("timeout", HANG)
    script.script("f", retryable(retry_after=5.0))
    stage.start(flow(par("p", x=call("timeout"), y=call("f", retry=Retry(attempts=9)))))
    await asyncio.sleep(100)
    assert len(script.of("p.y")) == 1
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.path == "p.x"


@pytest.mark.parametrize("when", ["begin", "retry", "after it settled", "abort", "time-out"])
def test_a_connectors_bug_leaves_no_run_that_never_ends(when: str) -> None:
    told: list[object] = []

    @scene(f=Function(name="f", timeout=2.0, idempotent=True))
    async def run(stage: Stage, script: Any, clock: Any) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        script.script("f", retryable() if when == "retry" else HANG)
        begin, abort = script.begin, script.abort

        def breaking(function: str, attempt: Any) -> None:
            if function == "f" and (when == "begin" or (when == "retry" and script.attempts)):
                raise ZeroDivisionError("a bug")
            begin(function, attempt)
            if function == "f" and when == "after it settled":
                script.pending[0].settle()
                raise ZeroDivisionError("a bug")

        def no_abort(attempt: Any) -> None:
            if when in ("abort", "time-out"):
                script.attempts[0].outcome = Act().outcome(attempt.payload)  # so that it does not count as pending
                raise ZeroDivisionError("a bug")
            abort(attempt)

        script.begin, script.abort = breaking, no_abort
        run = stage.start(flow(call("f", retry=Retry(attempts=2, backoff=0.1) if when == "retry" else None)))
        if when == "abort":
            run.cancel("cancelled")
        await asyncio.sleep(30)
        (end,) = stage.ends
        assert (end.failure is None) == (when == "after it settled")
        if when in ("begin", "retry"):
            assert end.failure is not None
            assert end.failure.outcome.detail == "ZeroDivisionError: a bug"

    run()
    assert bool(told) == (when == "after it settled")


@scene()
async def test_a_connector_that_raises_after_a_retry_was_decided(stage: Stage, script: Any, clock: Any) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    script.script("f", retryable())
    begin = script.begin

    def breaking(function: str, attempt: Any) -> None:
        begin(function, attempt)
        raise ZeroDivisionError("a bug")

    script.begin = breaking
    stage.start(flow(call("f", retry=Retry(attempts=3, backoff=0.1))))
    await asyncio.sleep(30)
    assert len(script.attempts) == 3
    assert len(told) == 3
    (end,) = stage.ends
    assert end.failure is not None
    assert end.failure.outcome.kind == "retryable"


def test_calls_that_settle_on_the_spot_do_not_recurse() -> None:
    async def main(clock: Any) -> None:
        stage = Stage(BuiltinConnector(), {"echo": Function(name="echo", builtin="echo")})
        stage.start(flow(*[call("echo") for _ in range(10_000)]), json_payload({"n": 1}))
        stage.start(flow(par("p", **{f"b{n}": call("echo") for n in range(256)})), json_payload(7))
        assert [end.failure for end in stage.ends] == [None, None]
        assert stage.ends[0].payload.body == b'{"n":1}'
        assert stage.ends[1].payload.value() == {f"b{n}": 7 for n in range(256)}

    run_in_manual_time(main)


def test_drain_waits_then_cancels() -> None:
    async def main(clock: Any) -> None:
        script = ScriptedConnector()
        stage = Stage(script)
        assert await stage.host.drain(5.0) == 0
        script.script("f", ok().later(3.0))
        script.script("g", HANG)
        stage.start(flow(call("f")))
        start = clock.now
        assert await stage.host.drain(5.0) == 0
        assert 3.0 <= clock.now - start <= 3.1
        stage.start(flow(call("a", undo="u"), call("g")))
        stage.start(flow(call("g")))
        assert await stage.host.drain(5.0) == 2
        assert [end.failure.reason for end in stage.ends[1:] if end.failure] == ["cancelled", "cancelled"]
        assert len(script.of("a/undo")) == 1  # a stop does not skip the undo
        assert not list(stage.host.runs())

    run_in_manual_time(main)


def test_drain_does_not_wait_for_ever_for_an_undo() -> None:
    async def main(clock: Any) -> None:
        script = ScriptedConnector()
        stage = Stage(script)
        script.script("g", HANG)
        script.script("u", HANG)
        stage.start(flow(call("a", undo="u"), call("g")))
        start = clock.now
        assert await stage.host.drain(5.0) == 1
        assert 10.0 <= clock.now - start <= 10.1  # the patience, and UNDO_GRACE
        assert not list(stage.host.runs())
        assert [end.failure.undo for end in stage.ends if end.failure] == [[("a/undo", False)]]

    run_in_manual_time(main)
