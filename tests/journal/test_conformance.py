"""The journal host does what the inline host does, and a run that is cut off anywhere goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from legato.hosts import attempts
from legato.hosts.journal.records import Cancelled, Delivered, Ended, record_of
from legato.hosts.journal.replay import Replay
from legato.kernel import Call, Command, Leaf
from legato.model.flow import Flow
from legato.model.journal import Event, StoredRun
from legato.testing import ManualClock, run_in_manual_time
from tests.journal.plays import End, Functions, Lives, cases, inline
from tests.journal.stage import MemoryJournal, Stage
from tests.language.recorded import shown


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "random", lambda: 0.61803)


def events_of(lives: Lives) -> list[Event]:
    [events] = lives.journal.stored.values()
    return events


def told(events: Sequence[Event]) -> list[tuple[str, str, int, bytes]]:
    """The outcomes in a record, as plays.End has them."""
    found: list[tuple[str, str, int, bytes]] = []
    for event in events:
        record = record_of(event.kind, event.body)
        if isinstance(record, Delivered):
            outcome = record.outcome()
            body = outcome.payload.body if outcome.kind == "ok" else b""
            found.append((event.path, outcome.kind, outcome.status, body))
    return found


def ended(events: Sequence[Event]) -> Ended:
    records = [record_of(event.kind, event.body) for event in events]
    [found] = [record for record in records if isinstance(record, Ended)]
    return found


@pytest.mark.parametrize("block", range(4))
def test_the_journal_has_the_same_events_as_the_inline_host(block: int) -> None:
    compared, leaves = 0, 0
    for seed, trouble, flows, there in cases(block * 1000, 50):
        lives = Lives(seed, trouble, flows)
        lives.begin()
        here = told(events_of(lives))
        if here != there.deliveries and _is_a_close_call(seed, trouble, flows, there):
            continue  # the order of what happens at once is nobody's promise
        if any("[" in path for path, *_ in here):  # nor is that of items, whose timers are due at once
            here, there.deliveries = sorted(here), sorted(there.deliveries)
        assert here == there.deliveries, f"seed {seed}"
        end = ended(events_of(lives))
        assert end.state == there.state, f"seed {seed}"
        if there.failure is None:
            assert (b"" if end.result is None else end.result.body) == there.result
        else:
            assert end.failure is not None
            assert (end.failure.path, end.failure.reason) == there.failure
            assert end.failure.undo == there.undone
        assert lives.answers == there.answers
        compared += 1
        leaves += len(here)
    assert compared >= 45, f"only {compared} flows could be compared"
    assert leaves > 500


def _is_a_close_call(seed: int, trouble: float, flows: Sequence[Flow], there: End) -> bool:
    """Whether the inline host itself does something else when calls take a hair's breadth longer."""
    return any(inline(seed, trouble, flows, hair).deliveries != there.deliveries for hair in (1e-4, 1e-3, 3e-3))


@pytest.mark.parametrize("block", range(3))
def test_a_record_that_is_cut_anywhere_goes_on_with_the_same_commands(block: int) -> None:
    cuts = 0
    for seed, trouble, flows, _ in cases(block * 1000 + 10_000, 30):
        lives = Lives(seed, trouble, flows)
        lives.begin()

        async def main(_: ManualClock, lives: Lives = lives, flows: Sequence[Flow] = flows) -> int:
            stage = Stage(Functions(0, 0.0), MemoryJournal(), flows)
            bound, events = stage.bound("main"), events_of(lives)
            [row] = lives.journal.rows.values()
            whole = [Replayed(bound, StoredRun(row, events[:1])).follow(events[1:])]
            for cut in range(1, len(events) + 1):
                replayed = Replayed(bound, StoredRun(row, events[:cut]))
                assert replayed.follow(events[cut:]) == whole[0][_advances(events[1:cut]) :], f"cut at {cut}"
                assert not replayed.open
                kernel = replayed.kernel
                assert kernel.state == "ended"
                end = ended(events)
                assert (kernel.failure is None) == (end.failure is None)
                assert kernel.result.body == (b"" if end.result is None else end.result.body)
            stage.stop()
            return len(events)

        cuts += run_in_manual_time(main)
    assert cuts > 300


def _advances(events: Sequence[Event]) -> int:
    return sum(isinstance(record_of(event.kind, event.body), Delivered | Cancelled) for event in events)


class Replayed(Replay):
    """A replay that goes on with the events that follow."""

    def follow(self, events: Sequence[Event]) -> list[list[str]]:
        """The commands that each of them causes."""
        advances: list[list[str]] = []
        for event in events:
            record = record_of(event.kind, event.body)
            commands: Sequence[Command] = ()
            if isinstance(record, Delivered):
                commands = self.kernel.deliver(self.open.pop(event.path), record.outcome())
            elif isinstance(record, Cancelled):
                commands = self.kernel.cancel(record.reason, hard=record.hard)
            else:
                continue
            for command in commands:
                if isinstance(command, Leaf):
                    self.open[command.path] = command
            advances.append([shown(command) for command in commands])
        return advances


@pytest.mark.parametrize("block", range(3))
def test_a_run_that_crashes_after_any_write_ends_and_repeats_only_what_was_open(block: int) -> None:
    crashes = 0
    for seed, trouble, flows, _ in cases(block * 1000 + 20_000, 12):
        whole = Lives(seed, trouble, flows, parks=True)
        whole.begin()
        for writes in range(1, len(whole.journal.writes)):
            lives = Lives(seed, trouble, flows, parks=True)
            lives.begin(most=writes)
            committed = {path for path, *_ in told(events_of(lives))}
            lives.go_on(writes)
            check_calls(lives, committed)
            assert ended(events_of(lives)).state in ("succeeded", "failed", "undone", "cancelled")
            crashes += 1
    assert crashes > 100


def check_calls(lives: Lives, committed: set[str]) -> None:
    """Nothing whose outcome was written was called by a later process, and what repeats is sent the same."""
    sent: dict[str, bytes] = {}
    for life, path, body in lives.functions.calls:
        assert life == 1 or path not in committed, f"{path} was called again, though its outcome was written"
        assert sent.setdefault(path, body) == body, f"{path} was sent something else"


@pytest.mark.parametrize("seed", range(30_000, 30_800, 100))
def test_a_run_that_crashes_again_and_again_ends(seed: int) -> None:
    [(_, trouble, flows, _)] = cases(seed, 1)
    random, lives = Random(seed), Lives(seed, trouble, flows, parks=True)
    lives.begin(most=1)
    committed: set[str] = set()
    for _ in range(500):
        if any(row.ended is not None for row in lives.journal.rows.values()):
            break
        committed |= {path for path, *_ in told(events_of(lives))}
        before = len(lives.functions.calls)
        lives.go_on(len(lives.journal.writes), most=random.choice((1, 1, 2, 3)))
        again = {path for _, path, _ in lives.functions.calls[before:]} & committed
        assert not again, f"{again} were called again, though their outcomes were written"
    else:
        raise AssertionError("it never ends")
    assert ended(events_of(lives)).state == next(iter(lives.journal.rows.values())).state
    assert all(isinstance(path, str) for path in committed)


def test_calls_are_what_is_cut_off() -> None:
    """The flows above are no use if nothing in them is under way when they are cut off."""
    in_flight = 0
    for seed, trouble, flows, _ in cases(10_000, 10):
        lives = Lives(seed, trouble, flows)
        lives.begin()

        async def main(_: ManualClock, lives: Lives = lives, flows: Sequence[Flow] = flows) -> int:
            stage = Stage(Functions(0, 0.0), MemoryJournal(), flows)
            events = events_of(lives)
            [row] = lives.journal.rows.values()
            half = Replay(stage.bound("main"), StoredRun(row, events[: len(events) // 2 + 1]))
            stage.stop()
            return sum(isinstance(leaf, Call) for leaf in half.open.values())

        in_flight += run_in_manual_time(main)
    assert in_flight > 5
