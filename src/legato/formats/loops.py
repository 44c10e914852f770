"""The native language's `foreach`: what it goes over, how many at a time, how many may fail."""

from __future__ import annotations

import re
from typing import Literal, cast

from legato.formats.expressions import check_template, read_expression
from legato.formats.fields import Fields
from legato.formats.kinds import LOOP_KEYS
from legato.formats.mappings import json_value
from legato.formats.modifiers import Modifiers
from legato.formats.nest import Nest
from legato.formats.report import Report, shown
from legato.formats.scalars import read_integer, wrong_kind
from legato.formats.tree import Node
from legato.model.flow import MAX_ITEMS, MAX_WINDOW
from legato.model.steps import ForeachStep

FOREACH_KEYS = ("over", *LOOP_KEYS)  # of a mapping after `foreach`
COLLECT = ("values", "outcomes", "object")
PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)

USUAL = ForeachStep(over="", steps=())  # has the defaults

_OVER = 'write "${input.items}", or a list'


def read_foreach(nest: Nest, body: Node, beside: Fields, modifiers: Modifiers, depth: int) -> ForeachStep:
    """A loop. Its keys stand beside `foreach`, or in a mapping after it with `over`."""
    report = nest.report
    inside = Fields(report, body, "`foreach`", FOREACH_KEYS) if body.kind == "mapping" else None
    over = body if inside is None else inside.required("over", _OVER)
    found = {key: _one(report, key, inside, beside) for key in LOOP_KEYS}
    nodes = {key: node for key, node in found.items() if node is not None}
    steps, tolerate = nodes.get("steps"), nodes.get("tolerate")
    if steps is None:
        report.add(body.key, "`foreach` needs `steps`", "list what to do with each item: steps: [pick]")
        report.gap()
    values = Node("mapping", body.place)
    values.fields.update(nodes)
    loop = Fields(report, values, "`foreach`", FOREACH_KEYS)
    share = _read_percent(report, tolerate)
    least = nodes.get("min_successful")
    if least is not None and tolerate is not None:
        report.add(least.key, "`min_successful` and `tolerate` say the same", "keep one of them")
    step = ForeachStep(
        over=_read_over(report, over),
        steps=() if steps is None else nest.scope(steps, "`steps`", depth + 1),
        concurrency=loop.integer("concurrency", USUAL.concurrency, 1, MAX_WINDOW),
        tolerate=0 if share is not None else loop.integer("tolerate", 0, 0, MAX_ITEMS),
        tolerate_percent=share or USUAL.tolerate_percent,
        min_successful=None if least is None else read_integer(report, least, "`min_successful`", 0, MAX_ITEMS),
        collect=cast("Literal['values', 'outcomes', 'object']", loop.choice("collect", USUAL.collect, COLLECT)),
        **modifiers,
    )
    if over is not None:
        nest.places.keep_key(step, "over", over)
    for key, node in nodes.items():
        nest.places.keep_key(step, key, node)
    return step


def _one(report: Report, key: str, inside: Fields | None, beside: Fields) -> Node | None:
    """The value of a key, wherever it stands, but in one place."""
    first, other = beside.node(key), None if inside is None else inside.node(key)
    if first is not None and other is not None:
        report.add(first.key, f"{shown(key)} stands in `foreach` and beside it", "keep one of them")
    return first if other is None else other


def _read_over(report: Report, node: Node | None) -> object:
    """An expression, or the items themselves."""
    if node is None or node.kind == "text":
        return "" if node is None else read_expression(report, node, "what `foreach` goes over")
    if node.kind not in ("list", "mapping"):
        wrong_kind(report, node, "what `foreach` goes over", "an expression or a list", _OVER)
        return ""
    value = json_value(report, node)
    return value if check_template(report, node, value) else ""


def _read_percent(report: Report, node: Node | None) -> float | None:
    """The share of a `tolerate` that is one; None for a number, which is read elsewhere."""
    if node is None or node.kind != "text":
        return None
    match = PERCENT.fullmatch(node.text)
    if match is None or float(match[1]) > 100:
        report.add(node.place, f"`tolerate` is {shown(node.text)}", 'write a number of items, or "50%"')
        return 0.0
    return float(match[1])
