"""Large data in a folder of files: the key is the path. Which data, and for whom, is not known here.

A piece is written to a file in `.new`, synced, and renamed into its place, so that a process may be killed at any time.
Who writes holds a lock on that file, which the kernel frees at death: by it, leftovers are told from work of others.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

from legato.errors import NoSuchData
from legato.model.data_keys import checked_folder, checked_key, key_problem
from legato.stores.folder import printable, unavailable

NEW = ".new"  # no key begins with a dot
TRIES = 100  # lost races against those who take away the folder that we write to, because it is empty

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderData:
    """Data in `folder`, which is made at the first `put`. Raises StoreUnavailable where it is there and cannot be used.

    Several processes may use one folder. What a killed one left half written is taken away here.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(os.path.abspath(folder))
        self._is_made = False
        self._making = threading.Lock()
        with self._explained("read"):
            self._clean()

    @property
    def label(self) -> str:
        """What messages call it: its folder."""
        return printable(self.folder)

    def put(self, key: str, data: bytes) -> None:
        """See ports.DataStore."""
        file = self.folder / checked_key(key)
        with self._explained("written to"):
            self._make()
            new, descriptor = self._open_new()
            try:
                _write(descriptor, data)
                os.fsync(descriptor)
                self._place(new, file)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(new)
                raise
            finally:
                os.close(descriptor)  # with it the lock; until it has its name, it is ours

    def get(self, key: str) -> bytes:
        """See ports.DataStore."""
        path = self.folder / checked_key(key)
        with self._explained("read"):
            try:
                with open(path, "rb") as file:
                    return file.read()
            except _ABSENT:
                raise NoSuchData(f"{self.label}: there is no {key}") from None

    def delete(self, key: str) -> None:
        """See ports.DataStore."""
        file = self.folder / checked_key(key)
        with self._explained("written to"):
            with contextlib.suppress(*_ABSENT):
                os.unlink(file)
                _sync(file.parent)
            for parent in self._parents(file):
                try:
                    os.rmdir(parent)
                except OSError:  # it holds more, or is gone
                    break

    def keys(self, folder: str) -> Iterator[str]:
        """See ports.DataStore."""
        start = checked_folder(folder)
        left = [start]
        while left:
            below = left.pop()
            with self._explained("read"):
                entries = _entries(self.folder / below)
            for name, is_folder in entries:
                if key_problem(name):  # `.new`, or somebody else's
                    continue
                path = f"{below}/{name}" if below else name
                if is_folder:
                    left.append(path)
                else:
                    yield path

    def _place(self, new: Path, file: Path) -> None:
        """Give what is written its name, for good."""
        parents = self._parents(file)
        for attempt in range(TRIES):
            try:
                for parent in reversed(parents):
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(parent)
                os.rename(new, file)
                break
            except FileNotFoundError:  # somebody has taken a folder away again
                if attempt == TRIES - 1:
                    raise
        # Every folder on the way: who made it may not have come to sync it yet. Where one is gone, so is the data.
        with contextlib.suppress(FileNotFoundError):
            for parent in (*parents, self.folder):
                _sync(parent)

    def _parents(self, file: Path) -> list[Path]:
        """The folders that a file is in, the nearest first, without our own."""
        return [parent for parent in file.parents if parent.is_relative_to(self.folder) and parent != self.folder]

    def _make(self) -> None:
        """Have the folder, for good."""
        with self._making:
            if not self._is_made or not os.path.isdir(self.folder / NEW):
                missing = [each for each in (self.folder, *self.folder.parents) if not each.exists()]
                os.makedirs(self.folder / NEW, exist_ok=True)
                for each in (self.folder, *missing):
                    _sync(each.parent)
                self._is_made = True

    def _open_new(self) -> tuple[Path, int]:
        """A file of our own to write to, and its descriptor, which holds its lock."""
        for _ in range(TRIES):
            path = self.folder / NEW / secrets.token_hex(16)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:  # else somebody took it for a leftover, before it was locked
                    return path, descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise OSError("every file that is made there is taken away")

    def _clean(self) -> None:
        """Take away what was left half written. One that cannot be is in nobody's way."""
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        for name, _ in _entries(self.folder / NEW):
            path = self.folder / NEW / name
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(path)
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def _explained(self, verb: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise unavailable(self.folder, verb, error) from error


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """The names in a folder, and whether each is a folder; none where there is no such folder."""
    try:
        with os.scandir(folder) as found:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
