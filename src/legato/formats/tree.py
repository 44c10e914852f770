"""The tree that every document becomes, whatever its syntax: each value knows its place.

Keys are text, unique within their mapping. What this file must not know: YAML, JSON, or any key of a language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from legato.formats.report import Place, Report, shown

MAX_DEPTH = 128  # contract 9: deeper documents are attacks

Kind = Literal["mapping", "list", "text", "integer", "number", "boolean", "null", "broken"]

KIND_WORDS: dict[Kind, str] = {
    "mapping": "a mapping",
    "list": "a list",
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
    "broken": "broken",
}


class Node:
    """One value. `text` is a scalar as written, `scalar` what it means; `key` is the place of the key before it.

    A `broken` node stands where a problem has been reported already: readers pass over it in silence. `resolved` is
    the text after variables were put in, where that happened.
    """

    __slots__ = ("fields", "items", "key", "kind", "place", "resolved", "scalar", "text")

    def __init__(self, kind: Kind, place: Place, text: str = "", scalar: int | float | bool | None = None) -> None:
        self.kind: Kind = kind
        self.place = place
        self.text = text
        self.scalar = scalar
        is_scalar = kind != "mapping" and kind != "list"
        self.items: list[Node] = _NO_ITEMS if is_scalar else []
        self.fields: dict[str, Node] = _NO_FIELDS if is_scalar else {}
        self.key: Place = (0, 0)
        self.resolved: str | None = None

    @property
    def word(self) -> str:
        """The kind in words, for messages."""
        return KIND_WORDS[self.kind]


def nodes_below(root: Node) -> Iterator[Node]:
    """A node and everything in it, in document order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed([*node.items, *node.fields.values()]))


# Of all scalars, which are most of a document: nothing is ever put in.
_NO_ITEMS: list[Node] = []
_NO_FIELDS: dict[str, Node] = {}


class Builder:
    """Puts nodes together in document order: `open`, `add` and `close` as a parser meets them. No recursion."""

    def __init__(self, report: Report) -> None:
        self.root: Node | None = None
        self._report = report
        self._open: list[Node] = []
        self._keys: list[Node | None] = []

    def open(self, kind: Literal["mapping", "list"], place: Place) -> bool:
        """Begin a mapping or a list. False, with a problem reported, when the document is too deep to go on."""
        if len(self._open) >= MAX_DEPTH:
            self._report.add(place, f"nested deeper than {MAX_DEPTH} levels", "split the document")
            return False
        node = Node(kind, place)
        self.add(node)
        self._open.append(node)
        self._keys.append(None)
        return True

    def close(self) -> None:
        """End the innermost mapping or list."""
        self._open.pop()
        self._keys.pop()

    def add(self, node: Node, plain: bool = False) -> None:
        """Put a node where it belongs: the root, a list's next item, a mapping's next key or value.

        `plain` says that a scalar was written without quotes.
        """
        if not self._open:
            self.root = node
        elif self._open[-1].kind == "list":
            self._open[-1].items.append(node)
        elif (key := self._keys[-1]) is not None:
            self._keys[-1] = None
            self._set(self._open[-1], key, node)
        else:
            self._keys[-1] = node
            if plain:
                self._check_plain_key(node)

    def _check_plain_key(self, key: Node) -> None:
        if key.text == "<<":
            self._report.add(key.place, "merge keys are not used here", "write the keys out")
            key.kind = "broken"
        elif "${" in key.text:
            self._report.add(key.place, "an expression must be quoted when it holds a colon", "put it in double quotes")
            key.kind = "broken"

    def _set(self, mapping: Node, key: Node, node: Node) -> None:
        if key.kind in ("mapping", "list"):
            self._report.add(key.place, f"{key.word} cannot be a key", "quote text that begins with a brace or bracket")
            key.kind = "broken"
        if key.kind == "broken":
            if not mapping.fields:
                mapping.kind = "broken"  # no need to say as well that something is missing in it
            return
        if (first := mapping.fields.get(key.text)) is not None:
            line = first.key[0]
            self._report.add(key.place, f"the key {shown(key.text)} is there already, in line {line}", "keep one")
            return
        node.key = key.place
        mapping.kind = "mapping"
        mapping.fields[key.text] = node


_CONSTANTS: dict[str, tuple[Kind, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys(("true", "True", "TRUE"), ("boolean", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("boolean", False)),
}
_INTEGER = re.compile(r"(?P<decimal>[-+]?[0-9]+)|0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_BEGINS = frozenset("0123456789+-.~nNtTfF")  # of everything that is not text
_MAX_DIGITS = 40  # far beyond 64 bits, far below where Python refuses to convert


def core_scalar(text: str) -> tuple[Kind, int | float | bool | None]:
    """What unquoted text means by the YAML 1.2 core schema; JSON's numbers and constants are among it."""
    if text and text[0] not in _BEGINS:
        return "text", None
    if (constant := _CONSTANTS.get(text)) is not None:
        return constant
    if len(text) <= _MAX_DIGITS and (match := _INTEGER.fullmatch(text)):
        base = {"decimal": 10, "octal": 8, "hex": 16}[match.lastgroup or "decimal"]
        return "integer", int(match[match.lastgroup or 0], base)
    if _NUMBER.fullmatch(text):
        return "number", float(text)
    if _SPECIAL.fullmatch(text):
        return "number", float(text.replace(".", "", 1))
    return "text", None
