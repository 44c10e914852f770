"""Definitions in SQLite: what is stored for good, what is noticed, and what is said when the file cannot be used."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from legato.errors import Conflict, StoreUnavailable
from legato.model.source import MAX_BYTES, Gone, Source
from legato.stores import sqlite, sqlite_file
from legato.stores.sqlite import SqliteStore
from tests.support.told import Told

PATIENCE = 10.0


def put(store: SqliteStore, name: str, text: bytes = b"x", version: str = "v1") -> Source:
    return store.put(name, "native", text, version)


@contextlib.contextmanager
def plain(path: Path, *statements: str) -> Iterator[sqlite3.Connection]:
    """The database as another program sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        yield connection


# Storing.


def test_only_put_makes_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    assert store.load() == []
    assert store.revisions("a") == []
    assert not store.delete("a")
    with pytest.raises(Conflict):
        store.put("a", "native", b"", "v1", "0" * 32)
    assert os.listdir(tmp_path) == []
    assert put(store, "a") == Source(name="a", language="native", text=b"x", origin=f"sqlite:{tmp_path}/legato.db a")
    assert os.listdir(tmp_path) == ["legato.db"]  # no log is left


def test_the_label_is_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("a?b#c%20d.db")
    assert store.label == "sqlite:a?b#c%20d.db"
    put(store, "a")
    assert os.listdir(tmp_path) == ["a?b#c%20d.db"]
    monkeypatch.chdir("/")
    assert [source.name for source in store.load()] == ["a"]


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    put(SqliteStore(tmp_path / "legato.db"), "a")
    with plain(tmp_path / "legato.db") as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (sqlite_file.APPLICATION,)
        assert connection.execute("PRAGMA user_version").fetchone() == (sqlite_file.SCHEMA,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_blank_database_is_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "legato.db").touch()
    store = SqliteStore(tmp_path / "legato.db")
    assert store.load() == []
    assert not store.delete("a")
    put(store, "a")
    assert len(store.load()) == 1


def test_earlier_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "KEPT", 3)
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "b", b"other", "v9")
    for text, version in ((b"1", "v1"), (b"2", "v2"), (b"3", "v3"), (b"1 again", "v1")):
        put(store, "a", text, version)
    assert [(each.version, each.text) for each in store.revisions("a")] == [
        ("v1", b"1 again"),
        ("v3", b"3"),
        ("v2", b"2"),
    ]
    store.put("a", "fnkit", b"4", "v4")
    assert [each.version for each in store.revisions("a")] == ["v4", "v1", "v3"]
    assert store.revisions("a")[0].language == "fnkit"
    assert store.revisions("a")[0].created.endswith("+00:00")
    store.delete("a")
    assert [each.version for each in store.revisions("a")] == ["v4", "v1", "v3"]
    assert [each.text for each in store.revisions("b")] == [b"other"]


def test_a_clock_that_goes_back_leaves_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    clock = iter((5_000, 4_000, 3_000, 2_000))
    monkeypatch.setattr(sqlite.time, "time_ns", lambda: next(clock))
    for version in ("v1", "v2", "v3"):
        put(store, "a", version.encode(), version)
    store.delete("a")
    put(store, "a", b"v4", "v4")
    assert [each.version for each in store.revisions("a")] == ["v4", "v3", "v2", "v1"]


def test_what_another_program_wrote_harms_no_other(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "good")
    with plain(tmp_path / "legato.db") as connection:
        row = "INSERT INTO flow VALUES (?, 'native', ?, 'v1', ?, '')"
        connection.execute(row, ("large", b"x" * (MAX_BYTES + 1), 1))
        connection.execute(row, ("text", "no blob", 2))
        connection.execute(row.replace("?", "CAST(? AS TEXT)", 1), (b"\xff", b"", 3))
    large = store.load()[1]
    assert large.name == "large"
    assert large.text == b""
    assert large.trouble is not None
    assert large.trouble.message == "cannot be read: it is larger than 1024 KiB"
    texts = {source.name: source.text for source in store.load() if source.trouble is None}
    assert texts == {"good": b"x", "text": b"no blob", "\N{REPLACEMENT CHARACTER}": b""}


def test_what_cannot_be_read_again_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    with pytest.raises(ValueError, match="1024 KiB"):
        put(store, "a", b"x" * (MAX_BYTES + 1))
    with pytest.raises(ValueError):
        put(store, "\ud800")
    assert os.listdir(tmp_path) == []


# What cannot be used.


def test_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere" / "legato.db", "there is no folder for it; make the folder")


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path, "is not a file; name a file")
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "legato.db", "cannot be read: Not a directory; name a folder")


def test_no_database(tmp_path: Path) -> None:
    (tmp_path / "legato.db").write_bytes(b"flow: a\n" * 1000)
    refused(tmp_path / "legato.db", "file is not a database; name another file, or take this one away")


def test_a_damaged_database(tmp_path: Path) -> None:
    damaged(tmp_path / "legato.db")
    with pytest.raises(StoreUnavailable, match=r"malformed; put a backup in its place"):
        SqliteStore(tmp_path / "legato.db").load()


def damaged(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(20):
        put(store, f"flow-{number}", b"x" * 5000)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096))


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with plain(tmp_path / "legato.db", "CREATE TABLE other (x)"):
        pass
    refused(tmp_path / "legato.db", "is a database of something else; name another file")


def test_a_newer_schema(tmp_path: Path) -> None:
    put(SqliteStore(tmp_path / "legato.db"), "a")
    with plain(tmp_path / "legato.db", "PRAGMA user_version = 7"):
        pass
    refused(tmp_path / "legato.db", "has schema 7, this Legato knows 1; upgrade Legato")


def refused(path: Path, why: str) -> None:
    store = SqliteStore(path)
    before = path.read_bytes() if path.is_file() else b""
    for use in (store.load, lambda: put(store, "a"), lambda: store.delete("a"), lambda: store.revisions("a")):
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert str(caught.value).startswith(f"sqlite:{path}: ")
        assert str(caught.value).endswith(why)
    assert not path.is_file() or path.read_bytes() == before


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "a", b"old")
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 12")
        return connection

    monkeypatch.setattr(sqlite_file.sqlite3, "connect", small)
    with pytest.raises(StoreUnavailable, match="database or disk is full; make room on the disk"):
        put(store, "a", b"x" * 100_000)
    assert [source.text for source in store.load()] == [b"old"]
    assert [revision.text for revision in store.revisions("a")] == [b"old"]


def test_a_lock_that_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY", 0.1)
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "a", b"old")
    with plain(tmp_path / "legato.db", "BEGIN IMMEDIATE"):
        with pytest.raises(StoreUnavailable, match="database is locked; end the process that holds it, or try again"):
            put(store, "a", b"new")
        assert [source.text for source in store.load()] == [b"old"]  # who reads does not wait
    put(store, "a", b"new")


def test_a_file_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "a", b"old")
    read_only(monkeypatch, "mode=ro")
    assert [source.text for source in store.load()] == [b"old"]
    refusal = "readonly database; give this user the right to write the file and its folder"
    with pytest.raises(StoreUnavailable, match=refusal):
        put(store, "a", b"new")
    with pytest.raises(StoreUnavailable, match=refusal):
        store.delete("a")
    assert [source.text for source in store.load()] == [b"old"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "legato.db")
    put(store, "a", b"old")
    (tmp_path / "legato.db").chmod(0o400)
    tmp_path.chmod(0o500)
    assert [source.text for source in store.load()] == [b"old"]
    with pytest.raises(StoreUnavailable, match="give this user the right to"):
        put(store, "a", b"new")
    tmp_path.chmod(0o700)


def read_only(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Have every connection be one of a user who may not write."""
    connect = sqlite3.connect

    def limited(place: str, *arguments: Any, **options: Any) -> sqlite3.Connection:
        how = place.partition("?")[2]
        return connect(place if "immutable" in how else place.replace(how, mode), *arguments, **options)

    monkeypatch.setattr(sqlite_file.sqlite3, "connect", limited)


WRITER = """
import itertools, sys
from legato.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
    text = b"%d " % number * 2000
    store.put(f"flow-{number % 7}", "native", text, f"v{number}")
    print(number, flush=True)
"""


def test_a_crash_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "legato.db"
    random_times = random.Random(7)
    last: dict[str, int] = {}
    following = 0
    for _ in range(10):
        command = [sys.executable, "-c", WRITER, str(path), str(following)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline())]
            time.sleep(random_times.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line[-1] == "\n"]
        for number in acknowledged:
            last[f"flow-{number % 7}"] = number
        unknown = acknowledged[-1] + 1  # may be there, or not, but not in part
        there = {source.name: source.text for source in SqliteStore(path).load()}
        for name, text in there.items():
            number = int(text.split(b" ", 1)[0])
            assert text == b"%d " % number * 2000
            assert number in (last.get(name), unknown)
            assert SqliteStore(path).revisions(name)[0].text == text
        assert there.keys() >= last.keys()
        last |= {name: unknown for name, text in there.items() if text.startswith(b"%d " % unknown)}
        following = unknown + 1
    with plain(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Watching.


class Listener:
    """What is there as it was told."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.texts = {source.name: source.text for source in store.load()}
        self.told: list[str] = []
        store.watch(self)

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        for each in gone:
            del self.texts[each.name]
        self.texts |= {source.name: source.text for source in found}
        self.told += [f"-{each.name}" for each in gone] + [f"+{source.name}" for source in found]

    def down(self, why: str) -> None:
        self.told.append(why)

    def up(self) -> None:
        self.told.append("up")

    def until(self, **texts: bytes) -> None:
        self._wait(lambda: self.texts == texts)

    def until_told(self, end: str) -> None:
        self._wait(lambda: bool(self.told) and self.told[-1].endswith(end))

    def _wait(self, is_so: Any) -> None:
        until = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < until, (self.texts, self.told)
            time.sleep(0.002)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "legato.db"


@contextlib.contextmanager
def watched(path: Path) -> Iterator[Listener]:
    listener = Listener(SqliteStore(path))
    try:
        yield listener
    finally:
        listener.store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("legato-sqlite")]


def test_the_file_is_made_while_it_is_watched(path: Path) -> None:
    with watched(path) as listener:
        time.sleep(0.25)
        assert not path.exists()
        put(SqliteStore(path), "a", b"1")
        listener.until(a=b"1")
        assert listener.told == ["+a"]


def test_many_changes_are_told_in_order(path: Path) -> None:
    with watched(path) as listener:
        writer = SqliteStore(path)
        names = [f"flow-{number}" for number in random.Random(3).sample(range(100), 30)]
        for name in names:
            put(writer, name)
        listener.until(**dict.fromkeys(names, b"x"))
        assert listener.told == [f"+{name}" for name in names]


def test_changes_while_another_program_keeps_it_open(path: Path) -> None:
    put(SqliteStore(path), "a", b"1")
    with plain(path, "SELECT count(*) FROM flow") as connection, watched(path) as listener:
        for text in (b"2", b"3", b"4"):
            connection.execute("UPDATE flow SET text = ?, seq = seq + 1", (text,))
            listener.until(a=text)
        assert listener.told == ["+a"] * 3


def test_changes_within_one_step_of_the_clock(path: Path) -> None:
    with watched(path) as listener:
        for number in range(5):
            for turn in range(3):
                put(SqliteStore(path), "a", b"%d %d" % (number, turn))
                os.utime(path, ns=(0, time.time_ns() // 10**9 * 10**9))  # as coarse as some file systems
            listener.until(a=b"%d 2" % number)


def test_a_file_that_is_blank_for_a_moment(path: Path) -> None:
    put(SqliteStore(path), "a", b"1")
    backup = path.read_bytes()
    with watched(path) as listener:
        listener.until(a=b"1")
        path.write_bytes(b"")  # as somebody does who copies
        time.sleep(0.3)
        path.write_bytes(backup)
        put(SqliteStore(path), "b", b"1")
        listener.until(a=b"1", b=b"1")
        assert listener.told == ["+b"]


def test_another_file_in_its_place(tmp_path: Path, path: Path) -> None:
    put(SqliteStore(path), "a", b"1")
    put(SqliteStore(path), "b", b"1")
    shutil.copy(path, tmp_path / "backup")
    other = SqliteStore(tmp_path / "other")
    put(other, "a", b"1")
    put(other, "c", b"1")
    with watched(path) as listener:
        put(SqliteStore(path), "b", b"2")
        listener.until(a=b"1", b=b"2")
        (tmp_path / "other").rename(path)
        listener.until(a=b"1", c=b"1")
        assert listener.told == ["+b", "-b", "+c"]
        path.unlink()  # in two steps
        time.sleep(0.2)
        shutil.copy(tmp_path / "backup", path)
        listener.until(a=b"1", b=b"1")
        assert "-a" not in listener.told
        path.unlink()
        listener.until()
        assert sorted(listener.told[-2:]) == ["-a", "-b"]
        put(SqliteStore(path), "d", b"1")
        listener.until(d=b"1")


def test_a_backup_is_copied_over_it(tmp_path: Path, path: Path) -> None:
    put(SqliteStore(path), "a", b"1")
    shutil.copy(path, tmp_path / "backup")
    put(SqliteStore(path), "a", b"2")
    put(SqliteStore(path), "b", b"1")
    with watched(path) as listener:
        shutil.copy(tmp_path / "backup", path)  # the same file, going back in time
        listener.until(a=b"1")


def test_a_damaged_file_is_down_until_it_is_mended(tmp_path: Path, path: Path) -> None:
    put(SqliteStore(path), "a", b"1")
    damaged(tmp_path / "damaged")
    with watched(path) as listener:
        path.rename(tmp_path / "aside")
        (tmp_path / "damaged").rename(path)
        listener.until_told("rescue what it holds with `sqlite3 FILE .recover`")
        time.sleep(0.25)
        assert len(listener.told) == 1
        put(SqliteStore(tmp_path / "aside"), "b", b"1")
        (tmp_path / "aside").rename(path)
        listener.until_told("up")
        assert listener.texts == {"a": b"1", "b": b"1"}


def test_a_folder_that_is_away_deletes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data" / "legato.db"
    path.parent.mkdir()
    put(SqliteStore(path), "a", b"1")
    with watched(path) as listener:
        path.parent.rename(tmp_path / "aside")
        listener.until_told("there is no folder for it; make the folder")
        (tmp_path / "aside").rename(path.parent)
        listener.until_told("up")
        assert listener.texts == {"a": b"1"}


def test_a_lock_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WATCH_BUSY", 0.1)
    put(SqliteStore(path), "a", b"1")
    with watched(path) as listener:
        with plain(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE") as connection:
            connection.execute("UPDATE flow SET text = 'new', seq = seq + 1")
            connection.execute("COMMIT")  # the lock stays
            listener.until_told("database is locked; end the process that holds it, or try again")
        listener.until_told("up")
        assert listener.texts == {"a": b"new"}


def test_what_this_process_changes_is_told_without_waiting_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("legato.stores.sqlite.TICK", 60.0)
    told = Told()
    with contextlib.closing(SqliteStore(tmp_path / "legato.db")) as store:
        store.watch(told)
        store.put("a", "native", b"1", "v1")
        told.until_there(a=b"1")
        store.delete("a")
        told.until(lambda: told.gone)
