"""Reads YAML and JSON text into a tree in which every value knows its place. Any bytes in: a tree or problems.

Built on the parser's events, not on composed or constructed objects: no recursion, no aliases to expand, no types of
YAML 1.1. What the keys mean is the business of the languages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Literal, cast

import yaml

from legato.formats.report import WHOLE_FILE, Place, Report, shown
from legato.formats.tree import Builder, Node, core_scalar
from legato.formats.yaml_errors import explain
from legato.model.source import MAX_BYTES

Syntax = Literal["yaml", "json"]

# libyaml's parser is 50 times faster: 0.1 s against 6 s for 10,000 steps. PyYAML's own does where it is missing.
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s,:{}\[\]"]+')
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_document(file: str, data: bytes, syntax: Syntax = "yaml") -> tuple[Node | None, Report]:
    """The document in `data`, with the report that further problems go to.

    None without a problem means that there is nothing in it but blanks and comments.
    """
    text, report = _decode(file, data)
    if text is None or not text.strip(" \t\r\n"):
        return None, report
    read: Callable[[str, Report], Node | None] = _read_json if syntax == "json" else _read_yaml
    try:
        return read(text, report), report
    except Exception as error:  # the promise is "any bytes in"; a defect of a parser must not stop the gateway
        report.add(WHOLE_FILE, f"cannot be read: {type(error).__name__}", "simplify the document")
        return None, report


def _decode(file: str, data: bytes) -> tuple[str | None, Report]:
    if len(data) > MAX_BYTES:
        report = Report(file)
        report.add(WHOLE_FILE, f"larger than {MAX_BYTES // 1024} KiB ({len(data)} bytes)", "split it")
        return None, report
    try:
        text = data.decode("utf-8-sig")
        return text, Report(file, text)
    except UnicodeDecodeError as error:
        report = Report(file, data.decode("utf-8", "replace"))
        # An invalid byte becomes at least one replacement character, so what precedes it keeps its place.
        place = report.place(len(data[: error.start].decode("utf-8", "replace")))
        report.add(place, f"not UTF-8: byte 0x{data[error.start]:02x}", "save the file as UTF-8")
        return None, report


def _read_yaml(text: str, report: Report) -> Node | None:
    if match := _UNPRINTABLE.search(text):
        report.add(report.place(match.start()), f"the character U+{ord(match[0]):04X} is not allowed", "remove it")
        return None
    try:
        return _build(text, report)
    except yaml.YAMLError as error:
        explain(error, report)
        return None


def _build(text: str, report: Report) -> Node | None:
    loader: Any = _LOADER(text)
    try:
        return _build_from(loader.get_event, Builder(report), report)
    finally:
        loader.dispose()


def _build_from(next_event: Callable[[], Any], builder: Builder, report: Report) -> Node | None:
    while (event := next_event()) is not None:
        kind = cast("type[yaml.Event]", type(event))
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1)
        if kind is yaml.ScalarEvent:
            plain = not event.style
            if event.tag or event.anchor:
                _refuse_properties(event, place, report)
            # What a tag would make of the text is nobody's to guess.
            builder.add(Node("broken", place) if event.tag else _scalar(event.value, plain, place, report), plain)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            _refuse_properties(event, place, report)
            if not builder.open("mapping" if kind is yaml.MappingStartEvent else "list", place):
                return None
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            builder.close()
        elif kind is yaml.AliasEvent:
            _refuse_properties(event, place, report)
            builder.add(Node("broken", place))
        elif kind is yaml.DocumentStartEvent and builder.root is not None:
            report.add(place, "a second document in one file", "one file holds one document: remove the `---`")
            return builder.root
    return _unless_empty(builder.root)


def _refuse_properties(event: yaml.NodeEvent, place: Place, report: Report) -> None:
    """Report anchors, aliases and tags: they make a file mean something else than what stands there."""
    if isinstance(event, yaml.AliasEvent):
        report.add(place, f"the alias {shown('*' + event.anchor)} is not allowed", "write the value out")
        return
    if event.anchor:
        report.add(
            place, f"the anchor {shown('&' + event.anchor)} is not allowed", "write the value out where it is used"
        )
    tag = getattr(event, "tag", None)
    if tag:
        name = str(tag).replace("tag:yaml.org,2002:", "!!", 1)
        report.add(place, f"the tag {shown(name)} is not allowed", "remove it; quote what is meant as text")


def _scalar(value: str, plain: bool, place: Place, report: Report) -> Node:
    if not value.isascii() and _SURROGATE.search(value):
        report.add(place, "an escape stands for half a character", "write both halves, or the character itself")
        return Node("broken", place)
    kind, scalar = core_scalar(value) if plain else ("text", None)
    return Node(kind, place, value, scalar)


def _unless_empty(root: Node | None) -> Node | None:
    return None if root is not None and root.kind == "null" and not root.text else root


def _read_json(text: str, report: Report) -> Node | None:
    """Check strictly with the standard parser, then walk the tokens, of which then only the places matter."""
    try:
        _CHECK(text)
    except json.JSONDecodeError as error:
        remedy = "mend the JSON; text and keys stand in double quotes, no comma before a closing bracket"
        report.add(report.place(min(error.pos, len(text))), f"not valid JSON: {error.msg}", remedy)
        return None
    except RecursionError:
        report.add(WHOLE_FILE, "nested too deep", "split the document")
        return None
    except ValueError as error:
        report.add(WHOLE_FILE, f"not valid JSON: {error}", "write a number or null")
        return None
    builder = Builder(report)
    for match in _JSON_TOKEN.finditer(text):
        part, place = match[0], report.place(match.start())
        if part in ("{", "["):
            if not builder.open("mapping" if part == "{" else "list", place):
                return None
        elif part in ("}", "]"):
            builder.close()
        else:
            quoted = part[0] == '"'
            value = _unquoted(part) if quoted else part
            builder.add(_scalar(value, not quoted, place, report))
    return builder.root


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is not a JSON value")


_CHECK = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant).decode


def _unquoted(token: str) -> str:
    """The text of a JSON string that has been checked; most hold no escape."""
    return json.loads(token) if "\\" in token else token[1:-1]
