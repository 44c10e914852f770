"""Texts with `${...}` in them: what can be seen to be wrong with them alone is reported where it stands.

Whether the steps that they name exist is for `kernel.check`, which sees the whole flow.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from legato.formats.places import below, within
from legato.formats.report import Report, shown
from legato.formats.scalars import read_text, wrong_kind
from legato.formats.tree import Node
from legato.model.mapping import Shape
from legato.values import (
    ExpressionError,
    compile_expression,
    compile_path,
    compile_query,
    compile_schema,
    compile_shape,
    compile_template,
    compile_text,
)
from legato.values.tokens import end_of_expression

OPENING = "${"

_STAND_IN = "x"  # for an expression in what is checked as text: it is no hexadecimal digit
_BEGINS = re.compile(r"\$\$\{|\$\{")


def without_expressions(text: str) -> str:
    """A text that compiles, with a letter in the place of each expression, and `${` where `$${` was written."""
    parts: list[str] = []
    at = 0
    while (match := _BEGINS.search(text, at)) is not None:
        is_literal = match[0] != OPENING
        parts += [text[at : match.start()], OPENING if is_literal else _STAND_IN]
        at = match.end() if is_literal else end_of_expression(text, match.end()) + 1
    return "".join([*parts, text[at:]])


def read_expression(report: Report, node: Node, label: str) -> str:
    """A text that is one expression, with its `${}`; empty after a problem."""
    if node.kind != "text":
        wrong_kind(report, node, label, "an expression", 'write "${...}"')
        return ""
    text = read_text(report, node, label)
    if text is None:
        return ""
    text = text.strip()
    if not text.startswith(OPENING):
        is_near = len(text) <= 80 and text.isprintable() and OPENING not in text
        remedy = f'write "{OPENING}{text}}}"' if is_near else 'write one "${...}"'
        report.add(node.place, f"{label} must be one expression, not {shown(text)}", remedy)
        return ""
    if not _compiles(report, node, lambda: _compile_first(text)):
        return ""
    if end_of_expression(text, len(OPENING)) != len(text) - 1:
        report.add(node.place, f"{label} must be one expression, not {shown(text)}", 'write one "${...}"')
        return ""
    return text


def _compile_first(text: str) -> None:
    """Compile the expression that a text begins with. Raises ExpressionError, with offsets into the text."""
    try:
        compile_expression(text[len(OPENING) : end_of_expression(text, len(OPENING))])
    except ExpressionError as error:
        moved = [msgspec.structs.replace(each, offset=each.offset + len(OPENING)) for each in error.faults]
        raise ExpressionError(moved) from None


def check_template(report: Report, node: Node, value: object, undo: bool = False) -> bool:
    """Whether a JSON value can be made; `node` is where it was written. Problems are reported."""
    return not _is_in(node) or _compiles(report, node, lambda: compile_template(value, undo=undo))


def check_text(report: Report, node: Node, text: str, undo: bool = False) -> bool:
    """Whether a text can be made."""
    return OPENING not in text or _compiles(report, node, lambda: compile_text(text, undo=undo))


def check_path(report: Report, node: Node, text: str, undo: bool = False) -> bool:
    """Whether a path can be made."""
    return OPENING not in text or _compiles(report, node, lambda: compile_path(text, undo=undo))


def check_query(report: Report, node: Node, query: dict[str, object], undo: bool = False) -> bool:
    """Whether a query can be made."""
    return not _is_in(node) or _compiles(report, node, lambda: compile_query(query, undo=undo))


def check_shape(report: Report, node: Node, shape: Shape) -> bool:
    """Whether a shape can be used."""
    return _compiles(report, node, lambda: compile_shape(shape.under, shape.pick, shape.drop, shape.rename, shape.wrap))


def check_schema(report: Report, node: Node, schema: object) -> bool:
    """Whether a JSON Schema can be used."""
    return _compiles(report, node, lambda: compile_schema(schema))


def _is_in(node: Node) -> bool:
    """Whether there is an expression anywhere in it."""
    if node.kind == "text":
        return OPENING in node.text
    return any(map(_is_in, node.items)) or any(OPENING in key or _is_in(node.fields[key]) for key in node.fields)


def _compiles(report: Report, node: Node, compile_it: Callable[[], object]) -> bool:
    """Whether it compiles; `node` is where it was written. Not known, and nobody's to read, once the report is full."""
    if report.full:
        return False
    try:
        compile_it()
    except ExpressionError as error:
        for fault in error.faults:
            at = below(node, fault.pointer)
            report.add(within(report, at, fault.offset), fault.message, fault.remedy)
        return False
    return True
