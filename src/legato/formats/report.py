"""The problems of one file, collected while it is read, each with its place and the line as it was written.

Reading goes on after a problem, so that one report holds them all. Nothing in here knows a language.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection

import msgspec

from legato.model.problem import Problem

MAX_PROBLEMS = 100  # nobody reads more, and garbage of 1 MiB would make a hundred thousand
_MAX_QUOTE = 160

Place = tuple[int, int]  # line and column, from 1
WHOLE_FILE: Place = (0, 0)

_WORD = re.compile(r"[^\s\[\]{},:'\"`]{3,}")  # what a secret would be: shorter ones are in every message
_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # the line breaks that libyaml counts


def shown(text: str, limit: int = 60) -> str:
    """`text` as it may stand in a message: in backquotes, short, printable."""
    short = text if len(text) <= limit else text[: limit - 3] + "..."
    if short.isprintable():
        return f"`{short}`"
    return "`" + "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short) + "`"


class Report:
    """Collects problems. `ok` tells whether the file can be used."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.text = text
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._seen: set[tuple[Place, str]] = set()
        self._more = 0
        self._hidden: set[int] = set()
        self._secret: set[int] = set()
        self._known: set[str] = set()
        self._gaps = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._problems

    @property
    def count(self) -> int:
        """How many problems there are so far."""
        return len(self._problems) + self._more

    @property
    def gaps(self) -> bool:
        """Whether something could not be read at all, so that what refers to it cannot be judged."""
        return self._gaps

    def gap(self) -> None:
        """Note that something could not be read at all."""
        self._gaps = True

    @property
    def full(self) -> bool:
        """Whether further problems are only counted: then their remedies need no thought."""
        return len(self._problems) >= MAX_PROBLEMS

    def add(self, place: Place, message: str, remedy: str = "") -> None:
        """Note a problem at `place`."""
        if self.full:
            self._more += 1
            return
        if (place, message) in self._seen:
            return
        self._seen.add((place, message))
        self._problems.append(self._at(place, message, remedy))

    def warn(self, place: Place, message: str, remedy: str = "") -> None:
        """Note what may be meant, and probably is not."""
        if len(self._warnings) < MAX_PROBLEMS:
            self._warnings.append(self._at(place, message, remedy))

    def _at(self, place: Place, message: str, remedy: str) -> Problem:
        line, column = place
        source = self._quote(line)
        return Problem(file=self.file, message=message, remedy=remedy, line=line, column=column, source=source)

    def place(self, offset: int) -> Place:
        """The place of a character by its offset in the text."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def offset(self, place: Place) -> int:
        """The offset in the text of a place in it."""
        line, column = place
        return self._starts[min(line, len(self._starts)) - 1] + column - 1

    @property
    def lines(self) -> int:
        """How many lines the text has."""
        return len(self._starts)

    def line(self, number: int) -> str:
        """A line of the text, without its end."""
        if not 0 < number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        following = _BREAK.search(self.text, start)
        return self.text[start : following.start() if following else len(self.text)]

    def hide(self, line: int) -> None:
        """Never quote this line: it holds a secret."""
        self._hidden.add(line)

    def keep_secret(self, line: int, known: Collection[str]) -> None:
        """Never quote this line, nor repeat a word of it, but those that are `known`."""
        self._hidden.add(line)
        self._secret.add(line)
        self._known.update(known)

    def problems(self) -> list[Problem]:
        """All problems in the order of their places."""
        found = self._in_order(self._problems)
        if self._more:
            found.append(Problem(file=self.file, message=f"{self._more} more problems", remedy="mend these first"))
        return found

    def warnings(self) -> list[Problem]:
        """All warnings in the order of their places."""
        return self._in_order(self._warnings)

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        """Problems by their places, without what is secret."""
        found = sorted(problems, key=lambda problem: (problem.line, problem.column))
        found = [msgspec.structs.replace(each, source="") if each.line in self._hidden else each for each in found]
        return [self._without_secrets(each) if each.line in self._secret else each for each in found]

    def _without_secrets(self, problem: Problem) -> Problem:
        """A problem without any word of its line, but those that everybody knows."""
        words = set(_WORD.findall(self.line(problem.line))) - self._known
        if not words:
            return problem
        # Where a message repeats what was written it does so in quotes or brackets.
        longest_first = sorted(words, key=len, reverse=True)
        secret = re.compile(f"(?<=[`\"'\\[*&!])(?:{'|'.join(map(re.escape, longest_first))})")
        message, remedy = secret.sub("...", problem.message), secret.sub("...", problem.remedy)
        return msgspec.structs.replace(problem, message=message, remedy=remedy)

    def _quote(self, number: int) -> str:
        line = self.line(number).strip()
        if len(line) > _MAX_QUOTE:
            line = line[: _MAX_QUOTE - 3] + "..."
        return "".join(char if char.isprintable() else " " for char in line)
