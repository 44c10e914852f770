"""A disk that fails at any write: nothing is acknowledged that is not stored, and runs go on when it is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from legato.errors import StoreUnavailable
from legato.model.journal import RunQuery, Write
from legato.model.payload import json_payload
from legato.stores import journal_writer
from legato.stores.journal import SqliteJournal
from legato.testing import ScriptedConnector, ok
from tests.journal.faults import FULL, KINDS, READ_ONLY, Disk
from tests.journal.stage import Stage
from tests.journal.writes import Claims, Writes, check_prefix
from tests.language.play import flow_of

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "PAUSES", (0.005, 0.01))


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def until(what: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():  # noqa: ASYNC110 - what it waits for happens in a thread
            await asyncio.sleep(0.002)


class Told:
    """What was told of each write: `stored`, or why it was refused."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}

    def write(self, writes: Writes) -> Write:
        number = len(writes.made)

        def tell(what: str) -> None:
            assert number not in self.of, f"write {number} was told {self.of[number]}, and then {what}"
            self.of[number] = what

        return writes.next(lambda: tell("stored"), tell)

    @property
    def refused(self) -> set[int]:
        return {number for number, what in self.of.items() if what != "stored"}

    def refused_runs(self, writes: Writes) -> set[bytes]:
        return {writes.made[number].events[0].run for number in self.refused}

    def missing(self, writes: Writes) -> list[int]:
        """Writes of which nothing was told, but for those of runs that were refused."""
        gone = self.refused_runs(writes)
        return [n for n, write in enumerate(writes.made) if n not in self.of and write.events[0].run not in gone]


def found_in(journal: SqliteJournal) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for row in journal.runs(RunQuery(limit=1000)):
        stored = journal.run(row.id)
        assert stored is not None
        found[row.id] = row.state, list(stored.events)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=["full", "broken", "read-only"])
def test_a_failure_at_any_statement_is_told_and_mended(tmp_path: Path, kind: tuple[int, str]) -> None:
    for place in range(1, 14):
        folder = tmp_path / str(place)
        folder.mkdir()
        run(_fails_at(folder, place, kind))


async def _fails_at(folder: Path, place: int, kind: tuple[int, str]) -> None:
    """The disk fails at one statement of the commits that follow, and is well again after some tries."""
    disk, told, writes, claims = Disk(), Told(), Writes(place), Claims()
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    journal = SqliteJournal(str(folder / "j.db"), claims, disk.connect)
    for _ in range(3):
        journal.append(told.write(writes))
    await until(lambda: len(told.of) == 3)
    disk.failing, disk.fails_from = kind, disk.done + place
    while not disk.failures:
        journal.append(told.write(writes))
        await asyncio.sleep(0.003)
    await until(lambda: journal.trouble)
    assert kind[1] in journal.trouble
    assert str(folder) in journal.trouble
    more = [told.write(writes) for _ in range(3)]
    for write in more:
        journal.append(write)
    await until(lambda: disk.failures > 2)
    stored_before = [number for number, what in told.of.items() if what == "stored"]
    disk.fails_from = None
    await until(lambda: not told.missing(writes) and not journal.trouble)
    assert len(reported) == 1, reported  # however often it was tried
    refused = told.refused
    for number in refused:
        assert writes.made[number].refused is not None
        assert kind[1] in told.of[number]
    assert [number for number in told.of if number not in refused] == sorted(told.of.keys() - refused), "out of order"
    assert set(stored_before) <= told.of.keys()
    kept = [write for write in writes.made if write.events[0].run not in told.refused_runs(writes)]
    assert check_prefix(kept, found_in(journal), len(kept)) == len(kept)
    await asyncio.to_thread(journal.close)


def test_a_disk_that_is_full_when_the_journal_is_opened_says_so(tmp_path: Path) -> None:
    whole = Disk()
    SqliteJournal(str(tmp_path / "whole.db"), Claims(), whole.connect).close()
    for place in range(1, whole.done + 1):
        disk = Disk()
        disk.fails_from = place
        path = str(tmp_path / f"{place}.db")
        with pytest.raises(StoreUnavailable, match="full; make room on the disk"):
            SqliteJournal(path, Claims(), disk.connect)
        SqliteJournal(path, Claims()).close()  # neither its lock nor half of its tables are left


def test_starts_are_refused_while_runs_wait_for_the_disk_and_go_on(tmp_path: Path) -> None:
    run(_starts_are_refused(tmp_path))


async def _starts_are_refused(folder: Path) -> None:
    disk, script = Disk(), ScriptedConnector()
    script.script("a", ok(1).held())
    journal = SqliteJournal(str(folder / "j.db"), Claims(), disk.connect)
    stage = Stage(script, journal, [flow_of("durable: true\nsteps: [a, b]")], in_memory=False)
    stored: list[bytes] = []
    first = stage.start("main", json_payload(1), lambda run: stored.append(run.id))
    await until(lambda: script.pending)
    disk.fails_from = disk.done + 1
    second = stage.start("main", json_payload(2), lambda run: stored.append(run.id))
    await until(lambda: stage.refused)
    assert stored == [first.id], "what is not on disk was acknowledged"
    assert "full; make room on the disk" in stage.refused[0]
    assert second.key not in stage.host.live
    script.pending[0].settle()
    await asyncio.sleep(0.1)
    assert [each.function for each in script.attempts] == ["a"], "what an outcome causes was done before it was stored"
    assert stage.host.gauges()["troubled"] == 1.0
    disk.fails_from = None
    await until(lambda: stage.ends)
    assert [each.function for each in script.attempts] == ["a", "b"]
    assert stage.ends[0][0] == first.id.decode()
    assert stage.host.gauges()["troubled"] == 0.0
    assert {row.id for row in journal.runs(RunQuery())} == {first.key}
    await stage.host.drain(1.0)
    stage.stop()


def test_trouble_passes_though_nothing_is_left_to_write(tmp_path: Path) -> None:
    run(_trouble_passes(tmp_path))


async def _trouble_passes(folder: Path) -> None:
    """Who starts runs is refused as long as there is trouble: somebody else must find out that it has passed."""
    disk = Disk()
    journal = SqliteJournal(str(folder / "j.db"), Claims(), disk.connect)
    stage = Stage(ScriptedConnector(), journal, [flow_of("durable: true\nsteps: [a]")], in_memory=False)
    disk.fails_from = disk.done + 1
    stage.start("main")
    await until(lambda: journal.trouble)
    await until(lambda: disk.failures >= 3)
    assert journal.trouble
    disk.fails_from = None
    await until(lambda: not journal.trouble)
    stage.start("main")
    await until(lambda: stage.ends)
    await stage.host.drain(1.0)
    stage.stop()


def test_a_run_whose_start_is_refused_leaves_nothing_though_its_time_was_up(tmp_path: Path) -> None:
    run(_leaves_nothing(tmp_path))


async def _leaves_nothing(folder: Path) -> None:
    disk = Disk()
    journal = SqliteJournal(str(folder / "j.db"), Claims(), disk.connect)
    stage = Stage(ScriptedConnector(), journal, [flow_of("durable: true\ntimeout: 1ms\nsteps: [a]")], in_memory=False)
    disk.fails_from = disk.done + 1
    started = stage.start("main")
    started.cancel("deadline")  # before the journal has said a word
    disk.failing = READ_ONLY
    await until(lambda: stage.refused)
    disk.fails_from = None
    await until(lambda: not journal.trouble)
    assert journal.runs(RunQuery()) == []
    assert journal.events(started.key, 0) == []
    await stage.host.drain(1.0)
    stage.stop()


def test_a_write_that_contradicts_the_journal_harms_no_other(tmp_path: Path) -> None:
    run(_contradicts(tmp_path))


async def _contradicts(folder: Path) -> None:
    disk, told, writes = Disk(), Told(), Writes(5)
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    journal = SqliteJournal(str(folder / "j.db"), Claims(), disk.connect)
    first = told.write(writes)
    journal.append(first)
    await until(lambda: told.of)
    lost: list[bool] = []
    again = Write(first.events, None, lambda: lost.append(False), lost=lambda: lost.append(True))
    others = [told.write(writes) for _ in range(4)]
    disk.failing = FULL
    for write in (others[0], again, *others[1:]):
        journal.append(write)
    await until(lambda: len(told.of) == 5 and lost)
    assert lost == [True]
    assert set(told.of.values()) == {"stored"}
    assert check_prefix(writes.made, found_in(journal), 5) == 5
    await asyncio.to_thread(journal.close)
