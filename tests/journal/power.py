"""A disk that can lose its power: an SQLite VFS that notes every change, and what may be there after a loss.

Between two syncs of a file nothing is promised: any of its writes may be on the disk or not, whole, torn at a page or a
sector, in any order. A file that was made or deleted is so for good when its folder was synced, which the first sync of
a new file does.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw

PAGE = 4096
SECTOR = 512

_NUMBERS = itertools.count()


class Change(NamedTuple):
    """What was done: `write`, `truncate`, `sync`, `create`, `delete`, a `folder` synced, or a `mark` of the test."""

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""
    mark: object = None


class _File(apsw.VFSFile):
    def __init__(self, base: str, name: Any, flags: Any, disk: Disk) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path is not None, (
            "a file of no name, wherever temporary files are: a commit must not depend on that place"
        )
        self._name = os.path.basename(path)
        self._disk = disk
        is_new = not os.path.exists(path)
        super().__init__(base, name, flags)
        if is_new:
            disk.changes.append(Change("create", self._name))

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.changes.append(Change("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.changes.append(Change("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.changes.append(Change("sync", self._name))


class Disk(apsw.VFS):
    """Everything that was changed through it, in order."""

    def __init__(self) -> None:
        self.name = f"disk-{next(_NUMBERS)}"
        self.changes: list[Change] = []
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:
        return _File("unix", name, flags, self)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.changes.append(Change("delete", os.path.basename(filename)))
        if syncdir:
            self.changes.append(Change("folder"))

    def connect(self, uri: str) -> apsw.Connection:
        """For JournalFile."""
        flags = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        return apsw.Connection(uri, flags=flags, vfs=self.name)

    def mark(self, what: object) -> None:
        """Note something of the test's own."""
        self.changes.append(Change("mark", mark=what))


class _Held:
    """One file: what is on the disk for good, and the changes that may be."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.pending: list[Change] = []
        self.is_there = False  # for good

    def apply(self, change: Change, random: Random | None) -> None:
        """Carry out a change, or, with `random`, what the power left of it."""
        if change.kind == "truncate":
            if random is None or random.random() < 0.5:
                del self.content[change.offset :]
            return
        pieces = [(0, len(change.data))] if random is None else _torn(random, len(change.data))
        for start, end in pieces:
            first, last = change.offset + start, change.offset + end
            if first > len(self.content):
                hole = first - len(self.content)
                self.content += b"\0" * hole if random is None or random.random() < 0.7 else random.randbytes(hole)
            self.content[first:last] = change.data[start:end]


def _torn(random: Random, length: int) -> list[tuple[int, int]]:
    """Which parts of a write got through."""
    match random.randrange(5):
        case 0:
            return []
        case 1:
            return [(0, length)]
        case 2:
            return [(0, random.randrange(length + 1))]
        case _:
            unit = random.choice((PAGE, SECTOR))
            return [(n, min(n + unit, length)) for n in range(0, length, unit) if random.random() < 0.5]


def after_power_loss(changes: list[Change], random: Random) -> dict[str, bytes]:
    """The files that may be there when the power was lost after these changes."""
    files: dict[str, _Held] = {}
    gone: dict[str, _Held] = {}  # deleted, and the folder not synced since
    for change in changes:
        if change.kind == "folder":
            _folder_synced(files, gone)
        elif change.kind == "create":
            files[change.file] = _Held()
        elif change.kind == "delete":
            gone[change.file] = files.pop(change.file)
        elif change.kind == "sync":
            held = files[change.file]
            for each in held.pending:
                held.apply(each, None)
            held.pending = []
            if not held.is_there:
                _folder_synced(files, gone)
        elif change.kind != "mark":
            files[change.file].pending.append(change)
    for held in [*files.values(), *gone.values()]:
        pending = held.pending
        if random.random() < 0.3:
            random.shuffle(pending)
        for each in pending:
            if random.random() < 0.7:
                held.apply(each, random)
    left = {name: bytes(held.content) for name, held in files.items() if held.is_there or random.random() < 0.5}
    back = {name: bytes(held.content) for name, held in gone.items() if held.is_there and random.random() < 0.5}
    return {**back, **left}


def _folder_synced(files: dict[str, _Held], gone: dict[str, _Held]) -> None:
    gone.clear()
    for held in files.values():
        held.is_there = True


def put(files: dict[str, bytes], folder: Path) -> None:
    """Write files into a folder that holds none."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
