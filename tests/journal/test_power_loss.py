"""What is acknowledged is there after a loss of power, whatever of the rest got through (decision 16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest

from legato.model.journal import RunQuery
from legato.stores import journal_file
from legato.stores.journal import SqliteJournal
from tests.journal.power import Change, Disk, after_power_loss, put
from tests.journal.writes import Claims, Writes, check_prefix


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "CHECKPOINT", 24)  # pages: several times in each scenario


class Scenario:
    """Writes to a journal on a disk that notes everything; `writes` says how much is acknowledged when."""

    def __init__(self, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk = Disk()
        self.claims = Claims()
        self.writes = Writes(seed)
        self.random = Random(seed)
        self.path = str(folder / "j.db")
        sync_folder: Callable[[str], None] = getattr(journal_file, "_sync_folder")  # noqa: B009 - not ours

        def noted(path: str) -> None:
            sync_folder(path)
            self.disk.changes.append(Change("folder"))

        monkeypatch.setattr(journal_file, "_sync_folder", noted)

    async def live(self, rounds: int, ends: bool) -> SqliteJournal:
        """Open the journal, write for some rounds; whether it is closed at the end."""
        journal = SqliteJournal(self.path, self.claims, self.disk.connect)
        loop, random = asyncio.get_running_loop(), self.random
        for _ in range(rounds):
            done: list[asyncio.Future[None]] = []
            for _ in range(random.choice((1, 1, 2, 5))):
                last = loop.create_future()
                done.append(last)
                number = len(self.writes.made) + 1
                journal.append(self.writes.next(lambda last=last, number=number: self._stored(last, number)))
            if random.random() < 0.7:
                await asyncio.gather(*done)
            else:
                await asyncio.sleep(0)
            if random.random() < 0.2:
                journal.runs(RunQuery())  # a reader keeps a checkpoint from being finished
        await asyncio.gather(*done)
        if ends:
            await asyncio.to_thread(journal.close)
        return journal

    def _stored(self, future: asyncio.Future[None], number: int) -> None:
        self.disk.mark(number)
        future.set_result(None)


def found_in(folder: Path, claims: Claims) -> dict[bytes, Any]:
    """What a process finds that opens the journal, which must be sound."""
    journal = SqliteJournal(str(folder / "j.db"), claims)
    try:
        with journal_file.JournalFile(str(folder / "j.db")).reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: dict[bytes, Any] = {}
        for row in journal.runs(RunQuery(limit=10_000)):
            stored = journal.run(row.id)
            assert stored is not None
            found[row.id] = row.state, list(stored.events)
            assert journal.definition(row.program) == b"{}"
        return found
    finally:
        journal.close()


def lose_power(scenario: Scenario, folder: Path, moments: list[int], random: Random) -> set[int]:
    """Lose the power at each of these moments; gives how many writes were found each time, less those promised."""
    folder.mkdir()
    beyond: set[int] = set()
    for moment in moments:
        changes = scenario.disk.changes[:moment]
        promised = max((int(str(change.mark)) for change in changes if change.kind == "mark"), default=0)
        put(after_power_loss(changes, random), folder)
        found = found_in(folder, scenario.claims)
        beyond.add(check_prefix(scenario.writes.made, found, promised) - promised)
    return beyond


def played(scenario: Scenario, *lives: Callable[[], Coroutine[Any, Any, SqliteJournal]]) -> None:
    async def main() -> None:
        for live in lives:
            await live()

    asyncio.run(main())
    del scenario


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_acknowledged_survives_at_every_sync(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lived").mkdir()
    scenario = Scenario(tmp_path / "lived", seed, monkeypatch)
    played(scenario, lambda: scenario.live(25, ends=True), lambda: scenario.live(12, ends=True))
    changes = scenario.disk.changes
    syncs = [n for n, change in enumerate(changes) if change.kind in ("sync", "folder", "delete", "truncate")]
    checkpoints = [n for n in syncs if changes[n].kind == "sync" and changes[n].file == "j.db"]
    assert len(checkpoints) > 3, "the log was never put into the file"
    near = sorted({moment for n in syncs for moment in (n, n + 1)})
    beyond = lose_power(scenario, tmp_path / "lost", near, Random(seed))
    assert max(beyond) > 0, "what was about to be acknowledged is never there: nothing was torn"


def test_what_is_acknowledged_survives_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lived").mkdir()
    scenario = Scenario(tmp_path / "lived", 3, monkeypatch)
    played(scenario, lambda: scenario.live(15, ends=True))
    random = Random(3)
    moments = sorted(random.sample(range(len(scenario.disk.changes) + 1), 150))
    lose_power(scenario, tmp_path / "lost", moments, random)
    lose_power(scenario, tmp_path / "first", list(range(40)), random)  # while the journal is made


def test_this_disk_would_show_a_journal_that_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lived").mkdir()
    scenario = Scenario(tmp_path / "lived", 4, monkeypatch)
    connect = scenario.disk.connect

    class Careless:
        """A connection that syncs only when the log is put into the file."""

        def __init__(self, uri: str) -> None:
            self._connection = connect(uri)

        def execute(self, text: str, values: Any = ()) -> Any:
            return self._connection.execute(text.replace("synchronous = FULL", "synchronous = NORMAL"), values)

        def close(self) -> None:
            self._connection.close()

    monkeypatch.setattr(scenario.disk, "connect", Careless)
    played(scenario, lambda: scenario.live(15, ends=True))
    marks = [n + 1 for n, change in enumerate(scenario.disk.changes) if change.kind == "mark"]
    with pytest.raises(AssertionError, match="are not the first"):
        lose_power(scenario, tmp_path / "lost", marks, Random(4))


def test_who_writes_syncs_at_each_commit_and_needs_no_place_for_temporary_files(tmp_path: Path) -> None:
    file = journal_file.JournalFile(str(tmp_path / "j.db"))
    connection = file.own()
    asked = ("journal_mode", "synchronous", "temp_store")
    assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == ["wal", 2, 2]
    connection.close()
    file.release()
