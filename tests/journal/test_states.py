"""A journal that is not as it was left, or cannot be used: a clear word of it, and nothing else harmed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from time import time
from typing import Any

import pytest

from legato.errors import LegatoError, StoreUnavailable
from legato.hosts.journal import host as host_module
from legato.hosts.journal import run as run_module
from legato.model.journal import RunQuery
from legato.model.payload import Payload, json_payload
from legato.stores.blobs import Blobs
from legato.stores.blobs_folder import FolderData
from legato.stores.journal import SqliteJournal
from legato.stores.journal_file import APPLICATION
from legato.testing import ScriptedConnector, ok
from tests.journal.stage import Stage
from tests.journal.writes import Claims, Writes
from tests.language.play import flow_of

FLOW = flow_of("durable: true\nsteps: [a, b]")
WAITS = flow_of("durable: true\nsteps: [{wait: go, timeout: 1h, default: 1}, a]", "waits")


def journal_with(path: Path, runs: int = 30) -> None:
    """Make a journal that holds some runs."""

    async def main() -> None:
        writes, journal = Writes(1), SqliteJournal(str(path), Claims())
        stored: list[int] = []
        for n in range(runs * 4):
            journal.append(writes.next(lambda n=n: stored.append(n)))
        while len(stored) < runs * 4:  # noqa: ASYNC110 - a thread tells
            await asyncio.sleep(0.002)
        await asyncio.to_thread(journal.close)

    asyncio.run(main())


def looked_through(path: Path) -> list[str]:
    """Open a journal and read all of it; gives what it said of what cannot be read. Anything but our words raises."""
    said: list[str] = []
    try:
        journal = SqliteJournal(str(path), Claims())
    except StoreUnavailable as error:
        return [str(error)]
    reads: list[Callable[[], Any]] = [journal.live, journal.counts, journal.next_due]
    reads += [lambda: journal.due(1e10, 100), lambda: journal.runs(RunQuery(limit=1000))]
    runs = [number.to_bytes(16, "big") for number in range(1, 40)]
    reads += [lambda run=run: journal.run(run) for run in runs]
    for read in reads:
        try:
            read()
        except KeyError:
            pass  # a large body, which these claims have not kept
        except StoreUnavailable as error:
            said.append(str(error))
    journal.close()
    return said


@pytest.mark.parametrize("damage", ["page", "sector", "cut"])
def test_a_damaged_file_is_told_as_such_wherever_the_damage_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "j.db"
    journal_with(path)
    assert looked_through(path) == []
    whole = path.read_bytes()
    random, told = Random(damage), 0
    for place in range(0, len(whole), len(whole) // 40 // 4096 * 4096 or 4096):
        damaged = bytearray(whole)
        if damage == "cut":
            del damaged[place:]
        else:
            size = 4096 if damage == "page" else 512
            damaged[place : place + size] = random.randbytes(size)
        for name in ("j.db-wal", "j.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(damaged)
        said = looked_through(path)
        told += bool(said)
        for each in said:
            assert str(path) in each
            assert ";" in each, f"no remedy in {each}"
    assert told > 10


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"this is a text and no database at all, however long it may be" * 100,
            "file is not a database; name another",
        ),
        ("CREATE TABLE t (a); INSERT INTO t VALUES (1)", "is a database of something else; name another file"),
        (
            f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 9; CREATE TABLE t (a)",
            "has schema 9, .* upgrade",
        ),
    ],
    ids=["text", "another database", "newer"],
)
def test_what_is_no_journal_of_ours_is_left_as_it_is(tmp_path: Path, content: bytes | str, says: str) -> None:
    path = tmp_path / "j.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(content)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=says):
        SqliteJournal(str(path), Claims())
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"make the folder {tmp_path / 'none'}"):
        SqliteJournal(str(tmp_path / "none" / "j.db"), Claims())


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_disk_that_may_only_be_read_is_told_with_the_remedy(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    journal_with(folder / "j.db", 3)
    (folder / "j.db.lock").chmod(0o666)
    (folder / "j.db").chmod(0o444)
    folder.chmod(0o555 if what == "folder" else 0o777)
    for parent in folder.parents:
        if os.access(parent, os.W_OK) and parent.stat().st_uid == os.getuid() and len(parent.parts) > 2:
            parent.chmod(parent.stat().st_mode | 0o055)
    if os.getuid() == 0:
        os.seteuid(65534)  # root may do anything
    try:
        with pytest.raises(StoreUnavailable, match=r"j\.db: cannot be .*(the right to|let this user write)"):
            SqliteJournal(str(folder / "j.db"), Claims())
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o755)
    SqliteJournal(str(folder / "j.db"), Claims()).close()


# Runs that cannot be taken up, beside others that can.


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - threads tell
            await asyncio.sleep(0.002)


def in_order(
    path: Path, damage: Callable[[bytes], None], then: Callable[[Stage, ScriptedConnector, bytes], Any]
) -> None:
    """Leave two runs at their first call, damage the first, and see what the next process makes of them."""

    async def main() -> None:
        script = ScriptedConnector()
        script.script("a", ok("x" * 100_000).held())
        blobs = Blobs(FolderData(path.parent / "data"))
        stage = Stage(script, SqliteJournal(str(path), blobs), [WAITS, FLOW], in_memory=False)
        large = json_payload("y" * 100_000)
        first = stage.start("main", large)
        stage.start("main", json_payload(2))
        await until(lambda: len(script.pending) == 2)
        stage.stop()
        await asyncio.to_thread(stage.host.journal.close)
        damage(first.key)
        script = ScriptedConnector()
        script.script("a", ok(1))
        script.script("b", ok(2))
        stage = Stage(script, SqliteJournal(str(path), blobs), [WAITS, FLOW], in_memory=False)
        await then(stage, script, first.key)
        await stage.host.drain(1.0)
        stage.stop()
        assert not [each for each in stage.troubles if not isinstance(each.get("exception"), LegatoError)]

    asyncio.run(main())


def states(stage: Stage) -> list[str]:
    return sorted(row.state for row in stage.host.journal.runs(RunQuery()))


def test_a_run_whose_large_payload_is_lost_stands_still_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"

    def lose(_: bytes) -> None:
        [payload] = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        hidden.write_bytes(payload.read_bytes())
        payload.unlink()

    async def then(stage: Stage, script: ScriptedConnector, key: bytes) -> None:
        await stage.host.recover()
        await until(lambda: "succeeded" in states(stage))
        assert states(stage) == ["running", "succeeded"]
        assert "not_taken_up" in stage.lines.getvalue()
        assert "is gone; put the backup of the store in its place" in stage.lines.getvalue()
        assert len(script.attempts) == 2
        data = hidden.read_bytes()
        Blobs(FolderData(tmp_path / "data")).keep(data)
        assert await stage.host.take_up(key) is not None
        await until(lambda: states(stage) == ["succeeded", "succeeded"])

    in_order(tmp_path / "j.db", lose, then)


def test_a_run_whose_record_is_damaged_is_parked_and_others_go_on(tmp_path: Path) -> None:
    def damage(key: bytes) -> None:
        with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
            connection.execute("UPDATE event SET body = x'c1', size = NULL WHERE run = ?", (key,))
            connection.commit()

    async def then(stage: Stage, script: ScriptedConnector, key: bytes) -> None:
        await stage.host.recover()
        await until(lambda: states(stage) == ["parked", "succeeded"])
        stored = stage.host.journal.run(key)
        assert stored is not None
        assert stored.row.state == "parked"
        assert "cannot be read" in stage.lines.getvalue()
        assert len(script.attempts) == 2

    in_order(tmp_path / "j.db", damage, then)


def test_a_run_without_its_beginning_is_parked(tmp_path: Path) -> None:
    def damage(key: bytes) -> None:
        with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
            connection.execute("DELETE FROM event WHERE run = ?", (key,))
            connection.commit()

    async def then(stage: Stage, script: ScriptedConnector, key: bytes) -> None:
        await stage.host.recover()
        await until(lambda: states(stage) == ["parked", "succeeded"])
        assert "its first event is not there" in stage.lines.getvalue()

    in_order(tmp_path / "j.db", damage, then)


def test_a_run_whose_definition_is_lost_does_not_hold_up_others(tmp_path: Path) -> None:
    def damage(_: bytes) -> None:
        with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
            connection.execute("UPDATE run SET program = x'00' WHERE id = (SELECT min(id) FROM run)")
            connection.commit()

    async def then(stage: Stage, script: ScriptedConnector, key: bytes) -> None:
        await stage.host.recover()
        await until(lambda: "succeeded" in states(stage))
        assert "the definition 00 is missing; put a backup in its place" in stage.lines.getvalue()
        assert len(script.attempts) == 2

    in_order(tmp_path / "j.db", damage, then)


def test_another_version_of_the_kernel_is_no_guess(tmp_path: Path) -> None:
    def damage(key: bytes) -> None:
        with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
            connection.execute("UPDATE run SET kernel = 99, program = x'01' WHERE id = ?", (key,))
            connection.commit()

    async def then(stage: Stage, script: ScriptedConnector, key: bytes) -> None:
        await stage.host.recover()
        await until(lambda: states(stage) == ["parked", "succeeded"])
        assert "recorded under version 99 of the kernel" in stage.lines.getvalue()

    in_order(tmp_path / "j.db", damage, then)


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0], ids=["ahead", "back"])
def test_a_clock_that_is_set_is_told_and_ends_no_run_in_memory_early(
    tmp_path: Path, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        ahead = [0.0]
        for module in (host_module, run_module):
            monkeypatch.setattr(module, "time", lambda: time() + ahead[0])
        monkeypatch.setattr(host_module, "TICK", 0.02)
        script = ScriptedConnector()
        stage = Stage(script, SqliteJournal(str(tmp_path / "j.db"), Claims()), [WAITS, FLOW], in_memory=False)
        await stage.host.recover()
        script.script("a", ok(1).held())
        stage.start("main", json_payload(1))
        waiting = stage.start("waits", Payload(b"", (b"",), 0))
        await until(lambda: script.pending)
        ahead[0] = jump
        await until(lambda: "clock_set" in stage.lines.getvalue())
        script.pending[0].settle()
        await until(lambda: "succeeded" in states(stage))
        assert script.attempts[-1].function == "b" or jump > 0
        if jump > 0:
            await until(lambda: script.pending or waiting.key in stage.host.live)
        else:
            assert "waiting" in states(stage)
        await stage.host.drain(0.1)
        stage.stop()
        assert not stage.troubles, stage.troubles

    asyncio.run(main())
