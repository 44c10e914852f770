"""Definitions in a folder of files: each file is one flow, called as the file is. What they say is not looked at."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Source

LANGUAGES: dict[str, Literal["native", "fnkit"]] = {".yaml": "native", ".yml": "native", ".json": "fnkit"}


class FileStore:
    """The definitions in `folder`: `*.yaml`, `*.yml` and `*.json`, hidden files aside."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load(self) -> tuple[list[Source], list[Problem]]:
        """Every file as it is now, sorted by name; a file that cannot be read is a problem and disturbs no other.

        A folder that does not exist holds nothing. Two files of one name are both given.
        """
        sources: list[Source] = []
        problems: list[Problem] = []
        try:
            names = sorted(os.listdir(self.folder), key=lambda name: (Path(name).stem, name))
        except FileNotFoundError:
            return [], []
        except OSError as error:
            return [], [_problem(self.folder, error)]
        for name in names:
            path = self.folder / name
            if name.startswith(".") or path.suffix not in LANGUAGES:
                continue
            match read_file(path):
                case Source() as source:
                    sources.append(source)
                case problem:
                    problems.append(problem)
        return sources, problems


def read_file(path: Path) -> Source | Problem:
    """One definition as it is now, or why it cannot be read. What is no `.json` is taken for YAML."""
    try:
        text = _read(path)
    except OSError as error:
        return _problem(path, error)
    language = LANGUAGES.get(path.suffix, "native")
    return Source(name=_printable(path.stem), language=language, text=text, origin=_printable(path))


def _read(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError for anything else, without ever waiting for a pipe's other end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a file")
        with open(descriptor, "rb", closefd=False) as file:
            text = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(text) > MAX_BYTES:
        raise OSError(f"it is larger than {MAX_BYTES // 1024} KiB")
    return text


def _problem(path: Path, error: OSError) -> Problem:
    remedy = "put a readable file of a definition there, or take it away"
    return Problem(file=_printable(path), message=f"cannot be read: {error.strerror or error}", remedy=remedy)


def _printable(path: str | Path) -> str:
    """A path as text that can be sent: names of files may hold bytes that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
