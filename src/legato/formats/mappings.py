"""How a value is made, as an author writes it after `input:`, `output:`, `set:` and others: data, or shaping words."""

from __future__ import annotations

import math
from decimal import Decimal

from legato.formats.expressions import OPENING, check_shape, check_template
from legato.formats.fields import Fields
from legato.formats.places import content_of, is_shape
from legato.formats.report import Report, shown
from legato.formats.scalars import read_entries, read_text, wrong_kind
from legato.formats.tree import Node
from legato.model.mapping import SHAPING, Mapping, Shape, Template

_NOTHING = Template(value=None)


def read_mapping(report: Report, node: Node, label: str, undo: bool = False) -> Mapping:
    """What is written as data with expressions, or as shaping. `undo` says that `sent` and `result` are known there."""
    if is_shape(node):
        return _read_shape(report, node, label)
    content = content_of(node)
    value = json_value(report, content)
    if not check_template(report, content, value, undo):
        return _NOTHING
    return Template(value=value)


def json_value(report: Report, node: Node) -> object:
    """A value as JSON has it. What JSON cannot hold, or would hold as another number, is reported."""
    match node.kind:
        case "mapping":
            return {key: json_value(report, field) for key, field in node.fields.items()}
        case "list":
            return [json_value(report, item) for item in node.items]
        case "text":
            return node.text
        case "number":
            return _number(report, node)
        case _:
            return node.scalar


def _number(report: Report, node: Node) -> object:
    number = float(node.scalar or 0)
    if not math.isfinite(number):
        report.add(node.place, f"{shown(node.text)} is no number that JSON has", "write another, or quote it")
        return None
    if not _is_exactly(node.text, number):  # its author would find another number in what is sent
        report.add(node.place, f"{shown(node.text)} cannot be kept exactly", f"write {number!r}, or quote it")
        return None
    return number


def _is_exactly(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except ArithmeticError:  # an exponent beyond those of decimals
        return False


def _read_shape(report: Report, node: Node, label: str) -> Mapping:
    before = report.count
    fields = Fields(report, node, label, SHAPING)
    rename: dict[str, str] = {}
    if (written := fields.node("rename")) is not None:
        for key, value in read_entries(report, written, "`rename`").items():
            _refuse_expression(report, value, "a name in `rename`", key)
            rename[key] = _read_path(report, value, "a name in `rename`")
        if written.kind == "mapping" and not rename:
            report.add(written.place, "`rename` renames nothing", "write {old: new}, or remove it")
    wrap, under = fields.node("wrap"), fields.node("under")
    name = "" if wrap is None else _read_path(report, wrap, "`wrap`")
    if wrap is not None and "." in name and OPENING not in name:
        report.add(wrap.place, f"`wrap` is one key, not {shown(name)}", "write one without a dot")
    shape = Shape(
        under="" if under is None else _read_path(report, under, "`under`"),
        pick=_read_paths(report, fields.node("pick"), "`pick`"),
        drop=_read_paths(report, fields.node("drop"), "`drop`"),
        rename=rename,
        wrap=name,
    )
    return shape if report.count == before and check_shape(report, node, shape) else _NOTHING


def _read_paths(report: Report, node: Node | None, label: str) -> tuple[str, ...]:
    """The paths of a list, or one path."""
    if node is None:
        return ()
    if node.kind not in ("list", "text"):
        wrong_kind(report, node, label, "a field or a list of fields", "write [id, user.name]")
        return ()
    if node.kind == "list" and not node.items:
        report.add(node.place, f"{label} names nothing", "list fields, or remove it")
    items = node.items if node.kind == "list" else [node]
    return tuple(_read_path(report, item, f"a field of {label}" if item is not node else label) for item in items)


def _read_path(report: Report, node: Node, label: str) -> str:
    """Keys joined by dots; that they are is seen when the shape compiles."""
    path = read_text(report, node, label) or ""
    _refuse_expression(report, node, label, path)
    return path


def _refuse_expression(report: Report, node: Node, label: str, path: str) -> None:
    if OPENING in path:
        report.add(node.place, f"{label} cannot be an expression", "write field names; write `value:` around data")
