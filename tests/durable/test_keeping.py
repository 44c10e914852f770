"""What is kept of durable runs, and for how long; how many there may be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from legato.model.journal import Event, RunQuery, RunRow, StartKey, Write
from legato.stores.blobs import Blobs
from legato.stores.blobs_folder import FolderData
from legato.stores.journal import SqliteJournal
from tests.durable.conftest import Start

LARGE = b"x" * 100_000


def opened(folder: Path) -> tuple[SqliteJournal, FolderData]:
    data = FolderData(folder / "data")
    return SqliteJournal(str(folder / "journal.db"), Blobs(data)), data


def key(number: int, created: float) -> bytes:
    return int(created * 1000).to_bytes(6, "big") + number.to_bytes(10, "big")


def written(number: int, state: str, created: float, ended: float | None, body: bytes = b"small") -> Write:
    run = key(number, created)
    row = RunRow(run, "f", "v", b"p", 1, state, created, ended, None)
    events = [Event(run, seq, created, f"k{seq}", "", body) for seq in range(3)]
    return Write(events, row, lambda: None)


async def store(journal: SqliteJournal, *writes: Write) -> None:
    for write in writes:
        done = asyncio.get_running_loop().create_future()
        write.committed = lambda done=done: done.set_result(None)
        journal.append(write)
        await done


async def prune(journal: SqliteJournal, before: float) -> int:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    journal.prune(before, done.set_result)
    return await done


def test_old_runs_go_with_the_large_bodies_that_nobody_else_holds(tmp_path: Path) -> None:
    now = time.time()
    day = 86_400.0

    async def main() -> None:
        journal, data = opened(tmp_path)
        await store(
            journal,
            written(1, "succeeded", now - 40 * day, now - 39 * day, LARGE + b"own"),
            written(2, "failed", now - 40 * day, now - 39 * day, LARGE + b"shared"),
            written(3, "succeeded", now - 40 * day, now - 1 * day, LARGE + b"shared"),  # it took its time
            written(4, "waiting", now - 40 * day, None),
            written(5, "parked", now - 40 * day, None),
            written(6, "cancelled", now - 1 * day, now),
        )
        assert len(list(data.keys("payloads"))) == 2
        assert await prune(journal, now - 30 * day) == 2
        assert await prune(journal, now - 30 * day) == 0
        while len(list(data.keys("payloads"))) > 1:  # noqa: ASYNC110 - they go little by little
            await asyncio.sleep(0.01)
        left = {int.from_bytes(row.id[6:], "big") for row in journal.runs(RunQuery())}
        assert left == {3, 4, 5, 6}
        assert journal.run(key(1, now - 40 * day)) is None
        third = journal.run(key(3, now - 40 * day))
        assert third is not None
        assert [event.body for event in third.events] == [LARGE + b"shared"] * 3
        assert journal.events(key(1, now - 40 * day), 0) == []
        assert len(list(data.keys("payloads"))) == 1
        journal.close()

    asyncio.run(main())


def test_keys_of_starts_are_forgotten_when_they_have_expired(tmp_path: Path) -> None:
    async def main() -> None:
        journal, _ = opened(tmp_path)
        for number, expires in enumerate((time.time() - 1, time.time() - 2, time.time() + 60)):
            write = written(number, "succeeded", time.time(), time.time())
            write.key = StartKey(b"key%d" % number, b"run", b"body", expires)
            await store(journal, write)
        assert journal.started(b"key0") is None
        assert journal.started(b"key2") is not None
        with journal._file.reading() as connection:  # pyright: ignore[reportPrivateUsage]
            assert connection.execute("SELECT count(*) FROM start_key").fetchall() == [(1,)]
        journal.close()

    asyncio.run(main())


def test_more_than_may_be_under_way_is_refused(scene: Start) -> None:
    started = scene({"sleeps": {"durable": True, "steps": [{"sleep": "1s"}]}}, limits={"durable_runs": 2})
    assert [started.start("sleeps", prefer="respond-async").status for _ in range(3)] == [202, 202, 503]
    refused = started.start("sleeps", prefer="respond-async")
    assert "limits.durable_runs" in refused.detail
    assert refused.fields["retry-after"] == "1"
    started.wait(lambda: started.start("sleeps", prefer="respond-async").status == 202)


def test_waiting_runs_do_not_count(scene: Start) -> None:
    started = scene({"waits": {"durable": True, "steps": [{"wait": "go"}]}}, limits={"durable_runs": 2})
    for _ in range(5):
        run = started.start("waits", prefer="respond-async")
        assert run.status == 202
        started.until(run.fields["legato-run"], "waiting")
