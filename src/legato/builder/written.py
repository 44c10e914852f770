"""What an operator says: the same tree as a file's, with the place in Python where it was said, and Python code in it.

Values become trees here and trees become nodes for the readers of `formats`, so that there is one set of rules.
"""

from __future__ import annotations

import inspect
import linecache
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from legato.builder.code import Code, CodeBook
from legato.errors import DefinitionError
from legato.formats.report import Report, shown
from legato.formats.tree import MAX_DEPTH, Node
from legato.model.problem import Problem

MAX_DIGITS = 40  # of a whole number, as in a file: what is longer is no number to anybody

Tree = Any  # JSON as Python has it, with `Code` where a name of code may stand, and `Written` for a step


class Where(NamedTuple):
    """A line of Python."""

    file: str
    line: int


class Written(NamedTuple):
    """One step as an operator has written it; `label` is what messages call the operator."""

    label: str
    tree: Mapping[str, Tree]
    where: Where


class Composed(ABC):
    """What is built of operators, and may stand where a definition has steps."""

    @abstractmethod
    def tree(self) -> Tree:
        """What it says so far: later operators do not change it."""


def caller() -> Where:
    """Where the builder was called from."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("legato.builder."):
        frame = frame.f_back
    return Where("", 0) if frame is None else Where(frame.f_code.co_filename, frame.f_lineno)


def tree_of(value: object, label: str, depth: int = 0) -> Tree:
    """A copy of a value as a tree. Raises DefinitionError for what no definition can hold."""
    if depth > MAX_DEPTH:
        raise DefinitionError(f"{label}: nested deeper than {MAX_DEPTH} levels (split it)")
    if value is None or isinstance(value, bool | float | Code | Written):
        return value
    if isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            raise DefinitionError(f"{label}: a whole number has at most {MAX_DIGITS} digits (write it as text)")
        return int(value)
    if isinstance(value, str):
        _check_text(value, label)
        return str(value)
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {_key(key, label): tree_of(each, label, depth + 1) for key, each in entries.items()}
    if isinstance(value, list | tuple):
        return [tree_of(each, label, depth + 1) for each in cast("Sequence[object]", value)]
    if isinstance(value, Composed):
        return value.tree()
    if callable(value):
        return Code(value)
    kind = type(value).__name__
    raise DefinitionError(f"{label}: {kind} is no value that a definition can hold (write text, numbers, lists, dicts)")


def _key(key: object, label: str) -> str:
    if not isinstance(key, str):
        raise DefinitionError(f"{label}: the key {key!r} is no text (write it in quotes)")
    _check_text(key, label)
    return key


def _check_text(text: str, label: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DefinitionError(f"{label}: the text {shown(text)} holds half a character (write both halves)") from None


class Nodes:
    """Makes nodes of trees, and knows afterwards what each place of a report stands for: its line is an index here."""

    def __init__(self, book: CodeBook) -> None:
        self._book = book
        self._written: list[Written] = []
        self._line = 0

    def of(self, tree: Tree) -> Node:
        """The node of a tree."""
        if isinstance(tree, Written):
            before = self._line
            self._written.append(tree)
            self._line = len(self._written)
            node = self.of(tree.tree)
            self._line = before
            return node
        place = (self._line, 1)
        if isinstance(tree, dict):
            node = Node("mapping", place)
            for key, value in cast("dict[str, Tree]", tree).items():
                node.fields[key] = self.of(value)
                node.fields[key].key = place
            return node
        if isinstance(tree, list):
            node = Node("list", place)
            node.items = [self.of(each) for each in cast("list[Tree]", tree)]
            return node
        if isinstance(tree, Code):
            return Node("text", place, self._book.name_of(tree.function))
        if isinstance(tree, bool):
            return Node("boolean", place, "true" if tree else "false", tree)
        if isinstance(tree, int | float):
            return Node("integer" if isinstance(tree, int) else "number", place, repr(tree), tree)
        return Node("null", place) if tree is None else Node("text", place, tree)

    def problems(self, found: Sequence[Problem], file: str, folder: str) -> list[Problem]:
        """Problems with the lines of Python that they are about; `file` is for those that are about none."""
        return [self._problem(problem, file, folder) for problem in found]

    def _problem(self, problem: Problem, file: str, folder: str) -> Problem:
        if not 0 < problem.line <= len(self._written):
            return msgspec.structs.replace(problem, file=file, line=0, column=0, source="")
        written = self._written[problem.line - 1]
        where = written.where
        return msgspec.structs.replace(
            problem,
            file=os.path.relpath(where.file, folder) if where.file.startswith(folder + os.sep) else where.file,
            message=f"{written.label}: {problem.message}",
            line=where.line,
            column=1,
            source=linecache.getline(where.file, where.line).strip(),
        )


def plain(tree: Tree, name_of: Callable[[Callable[..., Any]], str]) -> Tree:
    """A tree as a file would have it: places left out, code by its name."""
    if isinstance(tree, Written):
        return plain(tree.tree, name_of)
    if isinstance(tree, dict):
        return {key: plain(value, name_of) for key, value in cast("dict[str, Tree]", tree).items()}
    if isinstance(tree, list):
        return [plain(value, name_of) for value in cast("list[Tree]", tree)]
    return name_of(tree.function) if isinstance(tree, Code) else tree


def complaints(report: Report) -> str:
    """Everything that is wrong, in one line."""
    found = [f"{each.message} ({each.remedy})" if each.remedy else each.message for each in report.problems()]
    return "; ".join(found)
