"""Large data in a folder, where things go wrong: killed writers, full and read-only disks, folders that vanish."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from legato.errors import NoSuchData, StoreUnavailable
from legato.stores import blobs_folder
from legato.stores.blobs_folder import NEW, FolderData

WRITER = """
import sys
from legato.stores.blobs_folder import FolderData
store = FolderData(sys.argv[1])
number = 0
while True:
    number += 1
    store.put(f"keys/k{number % 3}", number.to_bytes(8, "big") * 40_000)
    print(number, flush=True)
"""
LIMITED = """
import resource, sys
from legato.errors import StoreUnavailable
from legato.stores.blobs_folder import FolderData
store = FolderData(sys.argv[1])
store.put("f/small", b"x" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for key in ("f/small", "f/large"):
    try:
        store.put(key, b"y" * 100_000)
    except StoreUnavailable as error:
        print(error)
"""


def left(folder: Path) -> list[str]:
    """What is half written."""
    return os.listdir(folder / NEW) if (folder / NEW).exists() else []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB, mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_key_is_a_path_and_nothing_is_made_before(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "data"
    store = FolderData(folder)
    with pytest.raises(NoSuchData, match=r"data: there is no a/b$"):
        store.get("a/b")
    store.delete("a/b")
    assert [*store.keys("")] == []
    assert not (tmp_path / "some").exists()
    store.put("a/b/c.txt", b"text")
    assert (folder / "a" / "b" / "c.txt").read_bytes() == b"text"
    assert sorted(os.listdir(folder)) == [NEW, "a"]
    assert left(folder) == []


def test_folders_go_when_they_are_empty(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    for key in ("runs/1/a", "runs/1/b", "runs/2/a"):
        store.put(key, b"x")
    store.delete("runs/1/a")
    assert sorted(os.listdir(tmp_path / "runs")) == ["1", "2"]
    store.delete("runs/1/b")
    assert os.listdir(tmp_path / "runs") == ["2"]
    store.delete("runs/2/a")
    assert os.listdir(tmp_path) == [NEW]
    assert tmp_path.exists()


def test_what_others_have_put_beside_is_no_key(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    store.put("a", b"x")
    (tmp_path / "not a key").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b").write_text("x")
    assert [*store.keys("")] == ["a"]


def test_a_writer_may_be_killed_at_any_time(tmp_path: Path) -> None:
    chance, acknowledged = random.Random(5), 0
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()  # it is at work
            time.sleep(chance.uniform(0, 0.08))
            writer.kill()
            lines = [b"1", *writer.stdout.read().split()]
        last = int(lines[-1])
        store = FolderData(tmp_path)
        assert left(tmp_path) == []
        for key in range(3):
            promised = max((number for number in range(1, last + 1) if number % 3 == key), default=0)
            if promised:
                data = store.get(f"keys/k{key}")
                number = int.from_bytes(data[:8], "big")
                assert data == number.to_bytes(8, "big") * 40_000
                # What was put and not yet acknowledged may be there; what was acknowledged must be.
                assert number in (promised, last + 1)
        for key in [*store.keys("")]:
            store.delete(key)
        acknowledged += last
    assert acknowledged > 8


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    FolderData(tmp_path).put("a", b"x")
    (tmp_path / NEW / "left").write_bytes(b"half")
    (tmp_path / NEW / "live").write_bytes(b"half")
    (tmp_path / NEW / "folder").mkdir()
    with open(tmp_path / NEW / "live", "rb") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        FolderData(tmp_path)
        assert sorted(left(tmp_path)) == ["folder", "live"]
    FolderData(tmp_path)
    assert left(tmp_path) == ["folder"]


def test_opening_takes_nothing_from_those_who_write(tmp_path: Path) -> None:
    stop, failures = threading.Event(), list[BaseException]()

    def write(name: str) -> None:
        try:
            store = FolderData(tmp_path)
            for number in range(150):
                store.put(f"{name}/{number}", b"x" * 100)
        except BaseException as error:
            failures.append(error)

    def open_again() -> None:
        while not stop.is_set():
            FolderData(tmp_path)

    opener = threading.Thread(target=open_again)
    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in (opener, *writers):
        thread.start()
    for writer in writers:
        writer.join()
    stop.set()
    opener.join()
    assert not failures
    assert len([*FolderData(tmp_path).keys("")]) == 450
    assert left(tmp_path) == []


def test_a_folder_that_is_taken_away_is_made_again(tmp_path: Path) -> None:
    failures = list[BaseException]()

    def come_and_go(name: str) -> None:
        try:
            store = FolderData(tmp_path)
            for number in range(150):
                store.put(f"deep/er/{name}", b"%d" % number)
                assert store.get(f"deep/er/{name}") == b"%d" % number
                store.delete(f"deep/er/{name}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert os.listdir(tmp_path) == [NEW]
    assert left(tmp_path) == []


def test_the_whole_folder_may_go(tmp_path: Path) -> None:
    store = FolderData(tmp_path / "data")
    store.put("a", b"1")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(NoSuchData):
        store.get("a")
    store.put("a", b"2")
    assert store.get("a") == b"2"


def test_a_full_disk(disk: Path) -> None:
    store = FolderData(disk / "data")
    store.put("f/a", b"a" * 600_000)
    for key in ("f/b", "f/a", "other/b"):
        with pytest.raises(StoreUnavailable, match=r"data: cannot be written to: No space left on device; make room"):
            store.put(key, b"b" * 600_000)
        assert left(disk / "data") == []
    assert store.get("f/a") == b"a" * 600_000
    assert [*store.keys("")] == ["f/a"]
    store.delete("f/a")
    store.put("f/b", b"b" * 600_000)
    assert store.get("f/b") == b"b" * 600_000


def test_a_disk_that_cannot_be_written_to(disk: Path) -> None:
    FolderData(disk).put("a", b"x")
    (disk / NEW / "left").write_bytes(b"half")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    store = FolderData(disk)  # what is there can be read
    assert store.get("a") == b"x"
    assert [*store.keys("")] == ["a"]
    for act in (lambda: store.put("b", b"y"), lambda: store.delete("a")):
        with pytest.raises(StoreUnavailable, match="cannot be written to: Read-only file system; put it on a file sys"):
            act()


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    said = f"{tmp_path}: cannot be written to: File too large; raise the limit on the size of a file: `ulimit -f`\n"
    assert done.stdout == said * 2
    assert FolderData(tmp_path).get("f/small") == b"x" * 1000
    assert [*FolderData(tmp_path).keys("")] == ["f/small"]
    assert left(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "mkdir"])
@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.parametrize("key", ["f/old", "g/new"])
def test_whatever_fails_nothing_is_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, which: int, key: str
) -> None:
    store = FolderData(tmp_path)
    store.put("f/old", b"old")
    real: Callable[..., Any] = getattr(os, call)
    count = 0

    def fails(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == which + 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    said = ""
    with monkeypatch.context() as patched:
        patched.setattr(blobs_folder.os, call, fails)
        try:
            store.put(key, b"new")
        except StoreUnavailable as error:
            said = str(error)
    failed = count > which
    assert said == (f"{tmp_path}: cannot be written to: Input/output error; look after the disk" if failed else "")
    assert left(tmp_path) == []
    assert store.get("f/old") in ((b"old", b"new") if key == "f/old" else (b"old",))
    if key == "g/new":
        there = [each for each in store.keys("") if each != "f/old"]
        assert there in ([], ["g/new"])
        assert failed or there
    assert failed or store.get(key) == b"new"
    store.put(key, b"newer")
    assert store.get(key) == b"newer"


def test_a_disk_that_takes_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(blobs_folder.os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    FolderData(tmp_path).put("a", bytes(range(100)))
    assert FolderData(tmp_path).get("a") == bytes(range(100))


def test_data_is_synced_before_it_has_its_name_and_every_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink
    root = tmp_path / "data"

    def note_sync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        size = f" {os.fstat(descriptor).st_size}" if path.is_file() else ""
        done.append(f"sync {'new' if path.parent.name == NEW else os.path.relpath(path, root)}{size}")
        fsync(descriptor)

    def note_rename(old: Any, new: Any) -> None:
        done.append(f"rename {os.path.relpath(new, root)}")
        rename(old, new)

    def note_unlink(path: Any) -> None:
        done.append(f"unlink {os.path.relpath(path, root)}")
        unlink(path)

    monkeypatch.setattr(blobs_folder.os, "fsync", note_sync)
    monkeypatch.setattr(blobs_folder.os, "rename", note_rename)
    monkeypatch.setattr(blobs_folder.os, "unlink", note_unlink)
    store = FolderData(root)
    store.put("a/b/c", b"four")
    placed = ["sync new 4", "rename a/b/c", "sync a/b", "sync a", "sync ."]
    assert done == ["sync ..", "sync ..", *placed]
    done.clear()
    store.put("a/b/c", b"four")
    assert done == placed
    done.clear()
    store.delete("a/b/c")
    assert done == ["unlink a/b/c", "sync a/b"]


def test_a_key_that_is_another_s_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    store.put("a/b", b"1")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(StoreUnavailable, match="take away what is there"):
            store.put(key, b"2")
    with pytest.raises(NoSuchData):
        store.get("a")
    with pytest.raises(NoSuchData):
        store.get("a/b/c")
    for key in ("a", "a/b/c"):
        with contextlib.suppress(StoreUnavailable):
            store.delete(key)
    assert store.get("a/b") == b"1"
    assert left(tmp_path) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(StoreUnavailable, match=r"data: cannot be read: Not a directory; name a folder, or take away"):
        FolderData(tmp_path / "data")
    with pytest.raises(StoreUnavailable, match="cannot be written to: Not a directory"):
        FolderData(tmp_path / "data" / "below").put("a", b"x")
    assert (tmp_path / "data").read_text() == "x"
