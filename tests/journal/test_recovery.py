"""What a process makes of the runs of the one before it, in memory and manual time, write by write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from legato.hosts.journal.records import Decided, Delivered, Parked, record_of
from legato.model.journal import RunQuery
from legato.model.outcome import Kind
from legato.model.payload import json_payload
from legato.testing import ManualClock, ScriptedConnector, ok, refused, retryable, run_in_manual_time, unknown
from tests.journal.stage import MemoryJournal, Stage
from tests.language.play import flow_of

_ALL = RunQuery()

Then = Callable[[Stage, ScriptedConnector], Coroutine[Any, Any, None]]


async def settled(seconds: float = 400.0) -> None:
    """Let everything happen that happens by itself."""
    await asyncio.sleep(seconds)


def crash(flow: str, before: Callable[[ScriptedConnector], None], after: Callable[[ScriptedConnector], None],
          then: Then, first: Then | None = None) -> MemoryJournal:  # fmt: skip
    """Start a run, let all happen that can, end the process, and have the next one take the run up."""
    journals: list[MemoryJournal] = []

    async def main(_: ManualClock) -> None:
        script, journal = ScriptedConnector(), MemoryJournal()
        before(script)
        stage = Stage(script, journal, [flow_of(flow)])
        stage.start("main", json_payload(1))
        await settled(20.0)
        if first is not None:
            await first(stage, script)
        stage.stop()
        script, journal = ScriptedConnector(), journal.copy()
        after(script)
        stage = Stage(script, journal, [flow_of(flow)])
        await stage.host.recover()
        await settled()
        await then(stage, script)
        journals.append(journal)
        stage.stop()
        assert not stage.troubles, stage.troubles

    run_in_manual_time(main)
    return journals[0]


def called(script: ScriptedConnector) -> list[str]:
    return [attempt.path for attempt in script.attempts]


def state(stage: Stage) -> str:
    [row] = stage.host.journal.runs(_ALL)
    return row.state


@pytest.mark.parametrize("answers", [refused(409), retryable(503)], ids=["refused", "never taken"])
def test_a_call_that_was_in_flight_and_is_refused_now_may_have_been_done(answers: Any) -> None:
    """The first request may have had its effect; what the second one is answered says nothing about that."""

    def before(script: ScriptedConnector) -> None:
        script.script("pay", ok(1).held())

    def after(script: ScriptedConnector) -> None:
        script.script("pay", answers)

    async def then(stage: Stage, script: ScriptedConnector) -> None:
        assert called(script) == ["pay", "pay/undo"]
        assert script.attempts[1].payload.value() == {"sent": 1, "result": None}
        assert state(stage) == "undone"

    crash("durable: true\nsteps: [{call: pay, undo: refund}]", before, after, then)


def test_a_call_that_failed_before_and_was_between_two_attempts_was_not_in_flight() -> None:
    def before(script: ScriptedConnector) -> None:
        script.script("pay", retryable(503))

    def after(script: ScriptedConnector) -> None:
        script.script("pay", refused(409))

    async def then(stage: Stage, script: ScriptedConnector) -> None:
        await settled(3600.0)
        assert called(script) == ["pay"]
        assert state(stage) == "failed"

    flow = "durable: true\nsteps: [{call: pay, undo: refund, retry: {attempts: 3, backoff: 600s, max_backoff: 600s}}]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("legato.hosts.attempts.random", lambda: 1.0)
        journal = crash(flow, before, after, then)
    [events] = journal.stored.values()
    outcomes = [record_of(event.kind, event.body) for event in events if event.kind == "outcome"]
    assert [outcome.attempts for outcome in outcomes if isinstance(outcome, Delivered)] == [2]


@pytest.mark.parametrize(("action", "kind"), [("skip", "refused"), ("done", "ok")])
def test_an_operators_choice_is_written_with_what_follows_from_it(action: Any, kind: Kind) -> None:
    """Else a crash between the two would have the call made again that somebody said is done."""

    def script_undo(script: ScriptedConnector) -> None:
        script.script("refund", refused(410))
        script.script("no", refused(409))

    async def decide(stage: Stage, script: ScriptedConnector) -> None:
        [row] = stage.host.journal.runs(_ALL)
        assert row.state == "parked"
        run = await stage.host.take_up(row.id)
        assert run is not None
        run.decide("pay/undo", Decided(action), lambda: None)
        await settled(1.0)

    async def then(stage: Stage, script: ScriptedConnector) -> None:
        assert called(script) == []
        assert state(stage) == ("undone" if action == "done" else "failed")

    flow = "durable: true\nsteps: [{call: pay, undo: refund}, no]"
    journal = crash(flow, script_undo, script_undo, then, decide)
    [write] = [write for write in journal.writes if any(event.kind.startswith("decided") for event in write.events)]
    record = record_of(write.events[1].kind, write.events[1].body)
    assert isinstance(record, Delivered)
    assert (write.events[1].path, record.kind) == ("pay/undo", kind)


def test_what_may_have_been_done_and_is_tried_again_by_an_operator_may_still_have_been_done() -> None:
    def before(script: ScriptedConnector) -> None:
        script.script("pay", ok(1).held())

    def after(script: ScriptedConnector) -> None:
        script.script("pay", refused(409))

    async def then(stage: Stage, script: ScriptedConnector) -> None:
        assert (called(script), state(stage)) == ([], "parked")
        [row] = stage.host.journal.runs(_ALL)
        run = await stage.host.take_up(row.id)
        assert run is not None
        run.decide("pay", Decided("retry"), lambda: None)
        await settled()
        assert called(script) == ["pay", "pay/undo"]
        assert state(stage) == "undone"

    crash("durable: true\nsteps: [{call: pay, undo: refund, at_most_once: true}]", before, after, then)


def test_an_attempt_waits_until_the_failure_before_it_is_on_disk() -> None:
    """Else a crash would forget failures, and more attempts be made than there may be."""

    async def main(_: ManualClock) -> None:
        script, journal = ScriptedConnector(), MemoryJournal(most=2)  # the start, and one failure
        script.script("a", retryable(503))
        flow = flow_of("durable: true\nsteps: [{call: a, retry: {attempts: 9, backoff: 1ms}}]")
        stage = Stage(script, journal, [flow])
        stage.start("main", json_payload(1))
        await settled(20.0)
        assert called(script) == ["a", "a"]
        stage.stop()
        stage = Stage(script, journal.copy(), [flow])
        await stage.host.recover()
        await settled(20.0)
        assert len(called(script)) == 9 + 1, "nine attempts, and one that was in flight"
        stage.stop()

    run_in_manual_time(main)


def test_what_is_parked_may_have_been_done_if_an_earlier_attempt_may_have_done_it() -> None:
    def script_it(script: ScriptedConnector) -> None:
        script.script("late", unknown(500), retryable(503))

    async def then(stage: Stage, script: ScriptedConnector) -> None:
        assert state(stage) == "failed"

    flow = (
        "durable: true\ntimeout: 10s\nsteps: [{call: a, pivot: true}, {call: late, retry: {attempts: 3, backoff: 1s}}]"
    )
    journal = crash(flow, script_it, script_it, then)
    [events] = journal.stored.values()
    [parked] = [record_of(event.kind, event.body) for event in events if event.kind.startswith("parked")]
    assert isinstance(parked, Parked)
    assert (parked.delivered.kind, parked.delivered.maybe_done) == ("retryable", True)
    [late] = [record_of(event.kind, event.body) for event in events if (event.kind, event.path) == ("outcome", "late")]
    assert isinstance(late, Delivered)
    assert late.maybe_done
