"""A folder of definitions as it is, and what has changed in it since the last look."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from legato.errors import StoreUnavailable
from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Gone, Language, Source
from legato.stores.watching import MISSING_PATIENCE

LANGUAGES: dict[str, Language] = {".yaml": "native", ".yml": "native", ".json": "fnkit"}

PATIENCE = 0.08  # seconds that a file may be away, empty or unreadable: an editor is at it
SETTLED = 2.0  # seconds after which a file that is written to has another time; FAT is the coarsest
TORN_READS = 3  # of a file that is written to meanwhile; then it is taken as it is, and looked at again
TORN_PAUSE = 0.01  # seconds

Signature = tuple[int, ...]


class Seen(NamedTuple):
    """What is kept of a file. One that is not `settled` may have changed since and look the same."""

    name: str
    origin: str
    digest: str
    signature: Signature | None
    settled: bool


class Changes(NamedTuple):
    """What a look has found. `again` says that something is not told before it holds still: look soon."""

    found: list[Source]
    gone: list[Gone]
    again: bool


class Picture:
    """What is known of a folder's files; `look` brings it up to date.

    A `patient` one does not take a file for changed that is away, empty or unreadable for a moment: an editor is at it.
    """

    def __init__(self, folder: Path, seen: dict[str, Seen] | None = None, patient: bool = True) -> None:
        self.folder = folder
        self.seen: dict[str, Seen] = dict(seen or {})
        self._patient = patient
        self._doubtful: dict[str, float] = {}  # since when

    def look(self, files: Iterable[str] | None = None) -> Changes:
        """What has changed, sorted by name. Raises StoreUnavailable, and knows then what it knew.

        `files`: none but these may have; None says that any may.
        """
        now = time.monotonic()
        there = self._files(files)
        found = [source for file in there or () if (source := self._changed(file, now)) is not None]
        found.sort(key=lambda source: (source.name, source.origin))
        patience = MISSING_PATIENCE if there is None else PATIENCE
        missing = {*(self.seen if files is None else files), *self._doubtful}.difference(there or ())
        gone = self._gone(missing, {source.name for source in found}, now, patience)
        return Changes(found, gone, bool(self._doubtful))

    def _files(self, among: Iterable[str] | None) -> list[str] | None:
        """The files that are definitions, of all or of some; None where there is no folder."""
        try:
            if among is None:
                return [file for file in os.listdir(self.folder) if is_definition(file)]
            if os.path.isdir(self.folder):
                files = {*among, *self._doubtful}
                return [file for file in files if os.path.lexists(os.path.join(self.folder, file))]
        except FileNotFoundError:
            pass
        except OSError as error:
            raise unavailable(self.folder, "read", error) from None
        return None

    def _changed(self, file: str, now: float) -> Source | None:
        """The file's text, if it is another one than was known."""
        path, known = os.path.join(self.folder, file), self.seen.get(file)
        if known is not None and known.settled and known.signature == signature(path):
            self._doubtful.pop(file, None)
            return None
        source, seen, torn = _look_at(Path(path))
        is_new = known is None or known.digest != seen.digest
        if is_new and not source.text and self._is_doubtful(file, now, PATIENCE):
            return None
        self._doubtful.pop(file, None)
        if source.trouble is not None and not os.path.lexists(path):
            return None
        if torn and self._patient:
            self._doubtful[file] = now
        self.seen[file] = seen
        return source if is_new else None

    def _gone(self, missing: set[str], found: set[str], now: float, patience: float) -> list[Gone]:
        gone: list[Gone] = []
        for file in missing:
            seen = self.seen.get(file)
            if seen is None:
                self._doubtful.pop(file, None)  # it came and went
            # A definition in the other language takes its place: both are told at once.
            elif seen.name in found or not self._is_doubtful(file, now, patience):
                self._doubtful.pop(file, None)
                del self.seen[file]
                gone.append(Gone(name=seen.name, origin=seen.origin))
        return sorted(gone, key=lambda each: each.origin)

    def _is_doubtful(self, file: str, now: float, patience: float) -> bool:
        return self._patient and now - self._doubtful.setdefault(file, now) < patience


def is_definition(file: str) -> bool:
    """Whether a file of this name is a definition."""
    return not file.startswith(".") and os.path.splitext(file)[1] in LANGUAGES


def signature(path: str) -> Signature | None:
    """What tells a file from what was there before, without reading it; None where that cannot be said."""
    try:
        return _signature(os.stat(path))
    except OSError:
        return None


def read_file(path: Path) -> Source:
    """One definition as it is now, or with its trouble. What is no `.json` is taken for YAML."""
    return _look_at(path)[0]


def unavailable(folder: Path, verb: str, error: OSError) -> StoreUnavailable:
    """Why a folder cannot be used, and what to do."""
    remedies = {
        errno.EACCES: "give this user the right to it",
        errno.EROFS: "put it on a file system that can be written to",
        errno.ENOSPC: "make room on the disk",
        errno.EDQUOT: "make room on the disk",
        errno.EFBIG: "raise the limit on the size of a file: `ulimit -f`",
        errno.EIO: "look after the disk",
        errno.ENAMETOOLONG: "take a shorter name",
        errno.ENOTDIR: "name a folder, or take away what is there",
        errno.EEXIST: "name a folder, or take away what is there",
        errno.EISDIR: "name a folder, or take away what is there",
    }
    remedy = remedies.get(error.errno or 0, "name a folder that can be used")
    return StoreUnavailable(f"{printable(folder)}: cannot be {verb}: {error.strerror or error}; {remedy}")


def printable(path: str | Path) -> str:
    """A path as text that can be sent: names of files may hold bytes that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _look_at(path: Path) -> tuple[Source, Seen, bool]:
    """A file's text, what to keep of it, and whether it was written to meanwhile, each time it was read."""
    text, trouble, before, torn = b"", None, None, False
    began = time.time()
    try:
        for attempt in range(TORN_READS):
            if attempt:
                time.sleep(TORN_PAUSE)
            began = time.time()
            text, before, torn = _read(path)
            if not torn:
                break
    except OSError as error:
        trouble = _problem(path, error)
    language = LANGUAGES.get(path.suffix, "native")
    name, origin = printable(path.stem), printable(path)
    source = Source(name=name, language=language, text=text, origin=origin, trouble=trouble, draft=True)
    settled = trouble is None and before is not None and not torn and began - max(before[-2:]) / 1e9 > SETTLED
    return source, Seen(name, origin, source.digest, before, settled), torn


def _read(path: Path) -> tuple[bytes, Signature, bool]:
    """The bytes of a regular file, and whether it changed meanwhile.

    Raises OSError for anything else, without ever waiting for a pipe's other end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError("it is not a file")
        with open(descriptor, "rb", closefd=False) as file:
            text = file.read(min(before.st_size, MAX_BYTES) + 1)  # asking for the most costs as much as all the rest
            if len(text) > before.st_size:
                text += file.read(MAX_BYTES + 1 - len(text))
        torn = _signature(os.fstat(descriptor)) != _signature(before)
    finally:
        os.close(descriptor)
    if len(text) > MAX_BYTES:
        raise OSError(f"it is larger than {MAX_BYTES // 1024} KiB")
    return text, _signature(before), torn


def _signature(status: os.stat_result) -> Signature:
    # The time of the last change of its state tells of rights, too, and of writers that set the other time back.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _problem(path: Path, error: OSError) -> Problem:
    remedy = "put a readable file of a definition there, or take it away"
    return Problem(file=printable(path), message=f"cannot be read: {error.strerror or error}", remedy=remedy)
