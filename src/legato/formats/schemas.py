"""A JSON Schema in a flow, as data that is known to compile: `input` of a flow, `schema` of a wait."""

from __future__ import annotations

from typing import cast

from legato.formats.expressions import check_schema
from legato.formats.mappings import json_value
from legato.formats.report import Report
from legato.formats.scalars import wrong_kind
from legato.formats.tree import Node


def read_schema(report: Report, node: Node, label: str) -> dict[str, object] | bool | None:
    """A JSON Schema; None after a problem."""
    if node.kind not in ("mapping", "boolean"):
        wrong_kind(report, node, label, "a JSON Schema", "write {type: object, required: [...], properties: {...}}")
        return None
    schema = cast("dict[str, object] | bool", json_value(report, node))
    return schema if check_schema(report, node, schema) else None
