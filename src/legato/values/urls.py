"""Templates of paths and queries: whatever expressions give stays within its segment, its name or its value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import quote

import msgspec

from legato.model.payload import too_large
from legato.values.dig import kind_of_json
from legato.values.env import Env, Reference
from legato.values.expression import Expression
from legato.values.faults import EvaluationFailed, printable, shown
from legato.values.pieces import MAX_LINE, Faults, Pointer, joined, text_of, text_of_json, written

_NOT_IN_URL = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")
_WAYS_UP = frozenset({".", ".."})

Pieces = Sequence[str | Expression]


class PathTemplate:
    """A path, or a whole URL, with expressions in it. `references` are the paths in documents that it looks at."""

    __slots__ = ("_pieces", "is_constant", "references")

    def __init__(self, pieces: Pieces, references: tuple[Reference, ...]) -> None:
        self._pieces = tuple(pieces)
        self.is_constant = not any(isinstance(piece, Expression) for piece in pieces)
        self.references = references

    def path(self, env: Env) -> bytes:
        """The path, what expressions give percent-encoded.

        Raises EvaluationFailed for what is not text, a number or a boolean, for nothing, and for a segment that would
        become `.` or `..`, which is a way up.
        """
        texts = (piece if isinstance(piece, str) else _part(piece, env) for piece in self._pieces)
        path = joined(texts, self._pieces, MAX_LINE)
        if "." in path and not self.is_constant:
            for segment in path.partition("?")[0].lower().replace("%2e", ".").split("/"):
                if segment in _WAYS_UP:
                    raise EvaluationFailed(
                        f"{written(self._pieces)} makes a path with the segment `{segment}`, a way up"
                    )
        return path.encode("ascii")


def _part(expression: Expression, env: Env) -> str:
    """What an expression gives, as a part of one segment."""
    document = _evaluated(expression, env)
    kind = kind_of_json(document)
    if kind not in ("text", "a number", "a boolean"):
        raise EvaluationFailed(
            f"{shown(expression.source)} is {kind}, which has no place in a path; give text or a number"
        )
    text = text_of_json(document)
    if not text:
        raise EvaluationFailed(
            f"{shown(expression.source)} is empty, which has no place in a path; it would name another"
        )
    return quote(text, safe="")


def _evaluated(expression: Expression, env: Env) -> bytes:
    """What an expression gives, where that is small enough to be encoded. Raises EvaluationFailed."""
    document = expression.evaluate(env)
    if len(document) > MAX_LINE:
        raise EvaluationFailed(too_large(f"a URL with {shown(expression.source)}", MAX_LINE))
    return document


def is_fixed(path: str, query: Mapping[str, object], headers: Mapping[str, str]) -> bool:
    """Whether what a call says beside its payload is the same in every run: it holds no expression."""
    return not (
        "${" in path
        or any("${" in text for text in headers.values())
        or (query and b"${" in msgspec.json.encode(query))
    )


def compile_path(text: str, *, undo: bool = False) -> PathTemplate:
    """The template of a path or a URL. What is literal is taken as it is: percent-encoded where it must be.

    Raises ExpressionError with every fault, also for literal characters that no URL can hold.
    """
    faults = Faults(undo)
    pieces = faults.pieces(text)
    for piece in pieces:
        wrong = _NOT_IN_URL.search(piece) if isinstance(piece, str) else None
        if wrong is not None:
            named = f"`{wrong[0]}`" if wrong[0].isprintable() and wrong[0] != "`" else f"U+{ord(wrong[0]):04X}"
            encoded = quote(wrong[0], safe="", errors="replace")
            faults.add(f"a path cannot hold {named}", f"write `{encoded}`", (), max(text.find(wrong[0]), 0))
    return PathTemplate(pieces, faults.settled())


class QueryTemplate:
    """A query by name, whose values may hold expressions. `references` are the paths that it looks at."""

    __slots__ = ("_entries", "references")

    def __init__(self, entries: Sequence[tuple[str, Pieces]], references: tuple[Reference, ...]) -> None:
        self._entries = tuple(entries)
        self.references = references

    def query(self, env: Env) -> bytes:
        """The query, percent-encoded, without a `?`: a list repeats its name, null leaves it out.

        Raises EvaluationFailed for an object, for a list in a list, and for more than MAX_LINE.
        """
        room = MAX_LINE + 1  # the first has no `&` before it
        made: list[str] = []
        for name, pieces in self._entries:
            for text in _texts(pieces, env):
                made.append(f"{name}={quote(text, safe='')}")
                room -= len(made[-1]) + 1
                if room < 0:
                    raise EvaluationFailed(too_large(f"the query at `{printable(name)}`, {written(pieces)},", MAX_LINE))
        return "&".join(made).encode("ascii")


def _texts(pieces: Pieces, env: Env) -> list[str]:
    """The values of one name: none for null, one for a scalar, several for a list."""
    only = pieces[0] if len(pieces) == 1 else None
    if not isinstance(only, Expression):
        return [text_of(pieces, env, MAX_LINE)]
    document = _evaluated(only, env)
    kind = kind_of_json(document)
    if kind == "null":
        return []
    items = msgspec.json.decode(document, type=list[msgspec.Raw]) if kind == "a list" else [document]
    found: list[str] = []
    for item in map(bytes, items):
        inner = kind_of_json(item)
        if inner in ("an object", "a list"):
            where = " in a list" if kind == "a list" else ""
            raise EvaluationFailed(
                f"{shown(only.source)} is {inner}{where}, which has no place in a query; name a field"
            )
        if inner != "null":
            found.append(text_of_json(item))
    return found


def compile_query(mapping: Mapping[str, object], *, undo: bool = False) -> QueryTemplate:
    """The template of a query: scalars and lists of them by name, strings with expressions.

    Raises ExpressionError with every fault, each with the pointer to its value.
    """
    faults = Faults(undo)
    entries: list[tuple[str, Pieces]] = []
    for name, value in mapping.items():
        many = isinstance(value, (list, tuple))
        for index, item in enumerate(cast("Sequence[object]", value) if many else (value,)):
            pieces = _pieces(item, faults, (name, index) if many else (name,))
            if pieces is not None:
                entries.append((_encoded(name, faults, (name,)), pieces))
    return QueryTemplate(entries, faults.settled())


def _pieces(value: object, faults: Faults, pointer: Pointer) -> Pieces | None:
    """The pieces of one value; None where it is left out."""
    if isinstance(value, str):
        pieces = faults.pieces(value, pointer) or [""]
        for piece in pieces:
            if isinstance(piece, str):
                _encoded(piece, faults, pointer)
        return pieces
    if value is None:
        return None
    if isinstance(value, (bool, int, float)):
        return [msgspec.json.encode(value).decode()]
    faults.add(f"a query cannot hold a {type(value).__name__}", "write text, a number or a list of them", pointer)
    return None


def _encoded(text: str, faults: Faults, pointer: Pointer) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        faults.add("text with half a surrogate pair", "write the character itself", pointer)
        return ""
