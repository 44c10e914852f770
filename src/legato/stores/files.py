"""Definitions in a folder of files: each file is one flow, called as the file is. What they say is not looked at."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import watchfiles

from legato.errors import Conflict, StoreUnavailable
from legato.model.source import MAX_BYTES, Language, Revision, Source
from legato.ports import StoreListener
from legato.stores.folder import LANGUAGES, Picture, Seen, is_definition, printable, read_file, unavailable
from legato.stores.watching import Teller, Watches

__all__ = ["FileStore", "read_file"]

TICK = 50  # milliseconds between two looks whether the folder is still the one that is watched
QUIET = 25  # milliseconds without an event after which those before are looked at
BURST = 50  # milliseconds after which they are looked at anyway
POLL = 1.0  # seconds between two looks where the kernel does not tell of changes
POLLS = 60  # of these, before the kernel is asked again
FULL = 10.0  # seconds after which everything is looked at: events can be lost, and targets of links have none
LOCK_PATIENCE = 5.0  # seconds to wait for another writer
LOCK_PAUSE = 0.01  # seconds

NEW = ".legato-new"  # a text before it has its name; one that a crash left is overwritten by the next


class FileStore:
    """The definitions in `folder`: `*.yaml`, `*.yml` and `*.json`, hidden files aside."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._seen: dict[str, Seen] = {}
        self._unread = False  # whether the last `load` failed
        self._watches = Watches("files")

    @property
    def label(self) -> str:
        """The folder as given."""
        return printable(self.folder)

    def load(self) -> list[Source]:
        """Every file as it is now. A folder that does not exist holds nothing. Two files of one name are both given."""
        self._unread = True
        picture = Picture(self.folder, patient=False)
        sources = picture.look().found
        self._seen, self._unread = picture.seen, False
        return sources

    def put(self, name: str, language: Language, text: bytes, version: str, expected: str | None = None) -> Source:
        """Write NAME.yaml or NAME.json, and take away what else has that name. See DefinitionStore.

        Raises ValueError for a name that is no file's, or a text that could not be read again.
        """
        file = _checked(name) + (".yaml" if language == "native" else ".json")
        if len(text) > MAX_BYTES:
            raise ValueError(f"a definition has {MAX_BYTES // 1024} KiB at most")
        with self._writing(make=True) as folder:
            there = self._expect(name, expected, folder)
            _write(folder, file, text)
            for other in there:
                if other != file:
                    os.unlink(other, dir_fd=folder)
            os.fsync(folder)
        return Source(name=name, language=language, text=text, origin=printable(self.folder / file), draft=True)

    def delete(self, name: str, expected: str | None = None) -> bool:
        """Remove every file of this name. Raises ValueError for a name that is no file's. See DefinitionStore."""
        _checked(name)
        if not self.folder.exists():
            self._expect(name, expected, None)
            return False
        with self._writing(make=False) as folder:
            there = self._expect(name, expected, folder)
            for file in there:
                os.unlink(file, dir_fd=folder)
            if there:
                os.fsync(folder)
        return bool(there)

    def revisions(self, name: str) -> list[Revision]:
        """None: a folder keeps no earlier texts."""
        return []

    def watch(self, listener: StoreListener) -> None:
        """See DefinitionStore."""
        picture = Picture(self.folder, self._seen)
        self._watches.start(listener, lambda teller: _watch(picture, teller), self._unread)

    def close(self) -> None:
        """See DefinitionStore."""
        self._watches.close()

    def _expect(self, name: str, expected: str | None, folder: int | None) -> list[str]:
        """The files of this name. Raises Conflict where the writer expected other texts."""
        there = [] if folder is None else [name + suffix for suffix in LANGUAGES if _exists(name + suffix, folder)]
        if expected is not None:
            digests = [read_file(self.folder / file).digest for file in there]
            if expected not in (digests or [""]):
                raise Conflict(f"{self.label}: {name} is not what it was")
        return there

    @contextlib.contextmanager
    def _writing(self, make: bool) -> Generator[int]:
        """The folder, locked against other writers."""
        try:
            if make:
                _make(self.folder)
            descriptor = _locked(self.folder)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unavailable(self.folder, "written to", error) from error


def _checked(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} cannot be the name of a file")
    os.fsencode(name)
    return name


def _exists(file: str, folder: int) -> bool:
    try:
        os.stat(file, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _locked(folder: Path) -> int:
    """A descriptor of the folder that holds its lock, which ends with it. Raises OSError and StoreUnavailable."""
    until = time.monotonic() + LOCK_PATIENCE
    while time.monotonic() < until:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # What is locked may no longer be what is there: folders are swapped.
                if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(LOCK_PAUSE)
    remedy = "end the process that holds it, or try again"
    raise StoreUnavailable(f"{printable(folder)}: is locked by another writer; {remedy}")


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _write(folder: int, file: str, text: bytes) -> None:
    """Have the file hold this text, all of it or as before; for good once the folder is synced."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(NEW, dir_fd=folder)
    descriptor = os.open(NEW, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        with open(descriptor, "wb") as new:
            with contextlib.suppress(FileNotFoundError):  # who may read it stays as it was
                os.fchmod(new.fileno(), stat.S_IMODE(os.stat(file, dir_fd=folder).st_mode))
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        os.rename(NEW, file, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(NEW, dir_fd=folder)
        raise


# Watching.


def _watch(picture: Picture, teller: Teller) -> None:
    """Tell of changes until the teller stops."""
    while not teller.stop.is_set():
        watched = _identity(picture.folder)
        looked, again = float("-inf"), False
        for touched in _touches(picture.folder, watched, teller):
            if touched is None or time.monotonic() - looked > FULL:
                again, looked = _tell(picture, teller, None), time.monotonic()
            elif touched or again:
                again = _tell(picture, teller, touched)
            # Another folder in its place is no event of this one; nor does a folder that is gone have any.
            if _identity(picture.folder) != watched:
                break


def _tell(picture: Picture, teller: Teller, touched: Iterable[str] | None) -> bool:
    """Tell of what a look finds; whether another one is due soon."""
    try:
        changes = picture.look(touched)
    except StoreUnavailable as error:
        teller.down(str(error))
        return False
    teller.changed(changes.found, changes.gone)
    teller.up()
    return changes.again


def _touches(folder: Path, watched: tuple[int, ...], teller: Teller) -> Iterator[set[str] | None]:
    """The files that were touched, every now and then, None for any; ends when the folder is to be watched anew."""
    if len(watched) == 1:  # there is none, or it is out of reach
        while not teller.stop.wait(TICK / 1000):
            yield None
        return
    try:
        yield from _events(folder, teller)
    except (OSError, RuntimeError, ValueError):  # no more watches to be had, or a name that the library cannot say
        for _ in range(POLLS):
            yield None
            if teller.stop.wait(POLL):
                return


def _events(folder: Path, teller: Teller) -> Iterator[set[str] | None]:
    path = os.path.abspath(folder)
    events = watchfiles.watch(
        path,
        watch_filter=None,
        debounce=BURST,
        step=QUIET,
        rust_timeout=TICK,
        yield_on_timeout=True,
        stop_event=teller.stop,
        raise_interrupt=False,
        recursive=False,
    )
    for changes in events:
        touched = {"" if each == path else os.path.basename(each) for _, each in changes}
        # The folder itself, or a link that files go through: then any may be another one.
        is_any = any(not file or file.startswith("..") for file in touched)
        yield None if is_any else {file for file in touched if is_definition(file)}
        if (watchfiles.Change.deleted, path) in changes:
            return  # a new folder may have the number of the old one


def _identity(folder: Path) -> tuple[int, ...]:
    """What tells a folder from another one in its place, and from itself with other rights; else the error's number."""
    try:
        status = os.stat(folder)
    except OSError as error:
        return (error.errno or errno.EIO,)
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid
