"""What every kind of step may say: `id when input output timeout on_error undo pivot`."""

from __future__ import annotations

from typing import TypedDict

from legato.formats.expressions import read_expression
from legato.formats.fields import Fields
from legato.formats.mappings import read_mapping
from legato.formats.naming import read_name
from legato.formats.nest import Nest
from legato.formats.report import shown
from legato.formats.scalars import meant
from legato.formats.tree import Node
from legato.formats.undos import LONGEST, SHORTEST, read_undo
from legato.model.mapping import Mapping
from legato.model.steps import OnError, UndoCall

LONGEST_WAIT = 365 * LONGEST  # of a step that may hold a sleep; a longer one outlives every process
LONGEST_STORED = 10 * LONGEST_WAIT  # where runs are stored: beyond it, whoever would be told is gone

ON_ERROR_WORDS = ("fail", "skip")
ON_ERROR_KEYS = ("value", "steps")

_ON_ERROR = "write skip, fail, {value: ...} or {steps: [...]}"


class Modifiers(TypedDict, total=False):
    """The modifiers that are there, as every step of the model takes them."""

    id: str
    when: str
    input: Mapping | None
    output: Mapping | None
    timeout: float | None
    on_error: OnError | None
    undo: UndoCall | None
    pivot: bool


def read_modifiers(nest: Nest, fields: Fields, longest: float, depth: int) -> Modifiers:
    """The modifiers of a step, whose `timeout` may be as long as `longest` seconds."""
    report, modifiers = nest.report, Modifiers()
    if (node := fields.node("id")) is not None:
        modifiers["id"] = read_name(report, node, "`id`")
    if (node := fields.node("when")) is not None:
        modifiers["when"] = read_expression(report, node, "`when`")
    if (node := fields.node("input")) is not None:
        modifiers["input"] = read_mapping(report, node, "`input`")
    if (node := fields.node("output")) is not None:
        modifiers["output"] = read_mapping(report, node, "`output`")
    if fields.node("timeout") is not None:
        modifiers["timeout"] = fields.duration("timeout", None, SHORTEST, longest)
    if (node := fields.node("on_error")) is not None:
        modifiers["on_error"] = _read_on_error(nest, node, depth)
    if (node := fields.node("undo")) is not None:
        modifiers["undo"] = read_undo(report, node)
    if fields.node("pivot") is not None:
        modifiers["pivot"] = fields.boolean("pivot", False)
    return modifiers


def _read_on_error(nest: Nest, node: Node, depth: int) -> OnError | None:
    report = nest.report
    if node.kind == "text":
        if node.text not in ON_ERROR_WORDS:
            remedy = meant(node.text, ON_ERROR_WORDS, "write {value: ...}, {steps: [...]} or one of")
            report.add(node.place, f"`on_error` cannot be {shown(node.text)}", remedy)
        return OnError(action="skip") if node.text == "skip" else None
    if node.kind != "mapping":
        if node.kind != "broken":
            remedy = "write {steps: [...]} around the list" if node.kind == "list" else _ON_ERROR
            report.add(node.place, f"`on_error` must be a word or a mapping, not {node.word}", remedy)
        return None
    fields = Fields(report, node, "`on_error`", ON_ERROR_KEYS)
    value, steps = fields.node("value"), fields.node("steps")
    if (value is None) == (steps is None):
        report.add(node.place, "`on_error` needs either `value` or `steps`", _ON_ERROR)
    if steps is not None:
        return OnError(action="steps", steps=nest.scope(steps, "`steps`", depth + 1))
    return None if value is None else OnError(action="value", value=read_mapping(report, value, "`value`"))
