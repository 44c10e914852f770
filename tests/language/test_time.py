"""Time in flows: sleeps, deadlines of runs, calls that take long on the spot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.testing import ok, refused
from tests.language.play import play


def test_sleeps_take_their_time_and_leave_the_value() -> None:
    played = play("steps: [{set: 7}, {sleep: 90s}, {call: look}, {sleep: 1ms}]\ntimeout: 5m")
    assert played.value == 7
    assert played.asked[0].at == pytest.approx(90, abs=0.01)
    assert 90 <= played.took < 90.1


def test_sleeps_side_by_side() -> None:
    text = "steps: [{parallel: {a: [{sleep: 2s}, a], b: [{sleep: 1s}, b], c: [{sleep: 3s}, c]}}]"
    played = play(text)
    assert [asked.path for asked in played.asked] == ["parallel.b.b", "parallel.a.a", "parallel.c.c"]
    assert 3 <= played.took < 3.1


@pytest.mark.parametrize("hard", [False, True])
def test_a_sleep_is_cancelled_at_once(hard: bool) -> None:
    text = "steps: [{call: a, undo: u}, {sleep: 1h}, never]\ntimeout: 2h"
    played = play(text, disturb={1: lambda run: run.cancel("cancelled", hard=hard)})
    assert played.paths == ["a"] if hard else ["a", "a/undo"]
    assert played.took < 1.1
    assert played.error.path == "sleep"


@pytest.mark.parametrize("what", ["{sleep: 1h}", "hang", "{foreach: [1, 2, 3], steps: [{sleep: 1h}]}",
                                  "{steps: [hang], timeout: 1h}", "{flow: slow}"])  # fmt: skip
def test_the_deadline_of_the_run(what: str) -> None:
    text = f"timeout: 2s\nsteps: [{{call: a, undo: u}}, {what}, never]"
    played = play(text, {"hang": ok().held()}, flows={"slow": "timeout: 1h\nsteps: [hang]"})
    assert played.error.reason == "deadline"
    assert played.paths[0] == "a"
    assert played.paths[-1] == "a/undo"
    assert 2 <= played.took < 2.1


def test_the_caller_may_give_a_run_less_time_but_not_more() -> None:
    assert 3 <= play("steps: [hang]", {"hang": ok().held()}, timeout=3.0).took < 3.1
    assert 2 <= play("timeout: 2s\nsteps: [hang]", {"hang": ok().held()}, timeout=3.0).took < 2.1


def test_a_call_has_its_own_time_whatever_was_done_before_it() -> None:
    """Calls that settle on the spot may have taken long; the next one's time begins when it does."""

    def slow(value: Any) -> Any:
        asyncio.get_running_loop()._legato_clock.advance(5)  # type: ignore[attr-defined]
        return value

    text = "steps: [slow, {call: f, timeout: 2s}]"
    played = play(text, {"slow": slow, "f": ok(7).later(1)})
    assert played.value == 7
    assert played.functions.aborted == []
    looped = (
        "steps: [{foreach: [1, 2, 3], concurrency: 1, steps: [slow]}, {call: f, timeout: 2s, retry: {attempts: 2}}]"
    )
    assert play(looped, {"slow": slow, "f": ok(7).later(1)}).paths[-1:] == ["f"]


def test_a_retrys_wait_is_no_reason_to_wait_beyond_the_deadline() -> None:
    text = "timeout: 5s\nsteps: [{call: a, undo: u}, {call: f, retry: {attempts: 5, backoff: 1h}, idempotent: true}]"
    acts: Any = {"f": lambda _: refused(503)}
    played = play(text, acts)
    assert played.error.reason == "failed"
    assert played.took < 0.1


def test_many_sleeps_leave_no_timers() -> None:
    text = (
        "steps: [{foreach: '${input}', concurrency: 50, steps: [{sleep: 1s}, {steps: [{sleep: 1s}], timeout: 1500ms}]}]"
    )
    played = play(text, {}, list(range(500)))
    assert len(played.value) == 500
    assert played.run.kernel.most_live <= 100  # type: ignore[attr-defined]
