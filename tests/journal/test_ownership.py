"""A journal has one owner; one that has died never stands in the way, one that was overtaken writes nothing more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from legato.errors import StoreUnavailable
from legato.model.journal import RunQuery, Write
from legato.stores.journal import SqliteJournal
from tests.admin.serving import Serving
from tests.journal.owner import end, owner
from tests.journal.writes import Claims, Writes
from tests.support.gateway_process import free_port

DURABLE = {"waits": {"durable": True, "answer_within": "0s", "steps": [{"wait": "go"}]}}


def test_a_second_process_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    first = owner(path)
    try:
        with pytest.raises(StoreUnavailable, match=rf"in use by process {first.pid}; a journal has one owner"):
            SqliteJournal(str(path), Claims())
    finally:
        end(first)


def test_two_journals_of_one_process_are_two_owners(tmp_path: Path) -> None:
    journal = SqliteJournal(str(tmp_path / "j.db"), Claims())
    with pytest.raises(StoreUnavailable, match=f"in use by process {os.getpid()}"):
        SqliteJournal(str(tmp_path / "j.db"), Claims())
    journal.close()
    SqliteJournal(str(tmp_path / "j.db"), Claims()).close()


@pytest.mark.parametrize("words", [(), ("fork",)], ids=["alone", "with a child"])
def test_an_owner_that_was_killed_does_not_stand_in_the_way(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "j.db"
    first = owner(path, *words)
    first.kill()
    first.wait()
    try:
        SqliteJournal(str(path), Claims()).close()
    finally:
        end(first)


def test_an_owner_that_stands_still_is_an_owner(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    first = owner(path)
    try:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match=f"in use by process {first.pid}"):
            SqliteJournal(str(path), Claims())
    finally:
        end(first)


def test_a_second_gateway_says_so_and_ends_with_3(tmp_path: Path) -> None:
    first = Serving(tmp_path, DURABLE)
    try:
        assert first.run("waits").status == 202
        second = subprocess.run(
            [sys.executable, "-m", "legato", "serve", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}"],
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert second.returncode == 3, second
        assert f"in use by process {first.process.pid}".encode() in second.stderr
        assert first.run("waits").status == 202
    finally:
        first.stop()


def test_who_was_overtaken_writes_nothing_more(tmp_path: Path) -> None:
    asyncio.run(_overtaken(tmp_path))


async def _overtaken(folder: Path) -> None:
    """The lock's file is taken away, as a careless script might: then the epoch is what is left."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    writes, told = Writes(1), list[object]()
    path = str(folder / "j.db")
    first = SqliteJournal(path, Claims())
    first.append(writes.next(lambda: told.append("stored")))
    await _until(told, 1)
    (folder / "j.db.lock").unlink()
    second = SqliteJournal(path, Claims())
    before = second.runs(RunQuery())
    for _ in range(5):
        write = writes.next(lambda: told.append("stored"), told.append)
        first.append(write)
    only = Write([], before[0]._replace(state="failed"), lambda: told.append("stored"))
    first.append(only)
    async with asyncio.timeout(10):
        while "another process has taken it; this one must be stopped" not in first.trouble:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    assert told.count("stored") == 1, "what an owner of the past has not stored was acknowledged"
    assert second.runs(RunQuery()) == before
    assert len(reported) == 1, reported
    second_writes = Writes(1)
    second_writes.next(lambda: None)
    second.append(Write([], before[0]._replace(state="failed"), lambda: told.append("stored")))
    await _until([each for each in told if each == "stored"] and told, 2)
    await asyncio.to_thread(first.close)
    await asyncio.to_thread(second.close)


async def _until(told: list[object], count: int) -> None:
    async with asyncio.timeout(10):
        while len(told) < count:  # noqa: ASYNC110 - a thread tells
            await asyncio.sleep(0.002)
