"""Where in a file each part of the model was written, for what is found out about a flow when it has been read."""

from __future__ import annotations

from collections.abc import Sequence

from legato.formats.report import Place, Report
from legato.formats.tree import Node
from legato.model.mapping import SHAPING

Pointer = Sequence[str | int]

_QUOTES = ("'", '"')
_BLOCKS = ("|", ">")
_MADE = frozenset({"input", "output", "set", "respond", "default", "value"})  # keys that hold a mapping of the model


class Places:
    """Remembers by identity: equal steps may stand in several places. It keeps what it knows alive."""

    def __init__(self) -> None:
        self._nodes: dict[int, tuple[object, Node]] = {}
        self._elsewhere: dict[tuple[int, str], Node] = {}

    def keep(self, thing: object, node: Node) -> None:
        """Remember what a part of the model was read from."""
        self._nodes[id(thing)] = (thing, node)

    def keep_key(self, thing: object, key: str, node: Node) -> None:
        """Remember the value of a key that is called otherwise in the file, or stands elsewhere."""
        self._elsewhere[id(thing), key] = node

    def node(self, thing: object, key: str = "", pointer: Pointer = ()) -> Node | None:
        """What stands at a key (parts joined by dots) of a part of the model, and at a pointer in its value.

        Where the file does not go as deep, the nearest node around it; None for a part that is not known.
        """
        if id(thing) not in self._nodes:
            return None
        node = self._nodes[id(thing)][1]
        if (elsewhere := self._elsewhere.get((id(thing), key))) is not None:
            node = elsewhere
        else:
            for part in key.split(".") if key else ():
                node = _below(node, part)
        if key.startswith("after.") or key.rpartition(".")[2] in _MADE:
            node = content_of(node)
        for part in pointer:
            node = _below(node, part)
        return node


def content_of(node: Node) -> Node:
    """What a `value:` around data holds, else the node itself."""
    return node.fields["value"] if node.fields.keys() == {"value"} else node


def is_shape(node: Node) -> bool:
    """Whether a mapping consists of shaping words."""
    return bool(node.fields) and all(key in SHAPING for key in node.fields)


def within(report: Report, node: Node, offset: int) -> Place:
    """The place of a character of a text; that of the whole text where it is not written as it reads."""
    if node.kind != "text" or not 0 < offset <= len(node.text) or not report.text:
        return node.place
    start = report.offset(node.place)
    mark = report.text[start : start + 1]
    if report.text.startswith(node.text[:offset], start + (mark in _QUOTES)):
        return report.place(start + (mark in _QUOTES) + offset)
    return _in_lines(report, node, offset, from_next=mark in _BLOCKS) or node.place


def _in_lines(report: Report, node: Node, offset: int, from_next: bool) -> Place | None:
    """The place of a character of a text of several lines; None where a line holds something else than the text."""
    text, (line, column) = node.text, node.place
    done, number = 0, line + from_next
    while number <= report.lines:
        first = 0 if from_next or number > line else column - 1 + (report.line(number)[column - 1] in _QUOTES)
        written = report.line(number)[first:].strip()
        done += len(text[done:]) - len(text[done:].lstrip())
        if not text.startswith(written[: max(0, offset - done)], done):
            return None
        if done <= offset <= done + len(written):
            return number, report.line(number).index(written, first) + offset - done + 1
        done += len(written)
        number += 1
    return None


def below(node: Node, pointer: Pointer) -> Node:
    """What stands at a pointer, or the nearest node around it."""
    for part in pointer:
        node = _below(node, part)
    return node


def _below(node: Node, part: str | int) -> Node:
    if isinstance(part, int):
        return node.items[part] if part < len(node.items) else node
    if part in node.fields:
        return node.fields[part]
    return next((field for key, field in node.fields.items() if key.lower() == part), node)  # a header's name
