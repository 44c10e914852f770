"""Which statuses mean what to a call: `success` and `return_status`."""

from __future__ import annotations

import re

from legato.formats.report import Report, shown
from legato.formats.scalars import read_integer, wrong_kind
from legato.formats.tree import Node

STATUS = re.compile(r"[1-5](?:[0-9]{2}|[xX]{2})", re.ASCII)  # 404, 4xx
SAME = 0  # the caller gets the status that the function answered

_USUAL = "2xx"
_EXAMPLE = "write statuses from 100 to 599, or 2xx for a hundred of them"


def read_success(report: Report, node: Node) -> tuple[str, ...]:
    """Statuses in ascending order, each once; none for those of 2xx, which are the usual ones."""
    if node.kind == "list" and not node.items:
        report.add(node.place, "`success` names no status", _EXAMPLE)
    items = node.items if node.kind == "list" else [node]
    statuses = {_read_status(report, item, item.text, "a status of `success`") for item in items}
    return tuple(sorted(statuses - {""})) if statuses != {_USUAL} else ()


def read_return_status(report: Report, node: Node) -> dict[str, int]:
    """What the caller gets by the function's status, in ascending order."""
    statuses: dict[str, int] = {}
    if node.kind == "boolean":
        return {"4xx": SAME} if node.scalar else {}
    if node.kind == "list":
        for item in node.items:
            statuses[_read_status(report, item, item.text, "a status of `return_status`")] = SAME
    elif node.kind == "mapping":
        for text, value in node.fields.items():
            key = Node("text", value.key, text)
            status = read_integer(report, value, "what `return_status` gives", 400, 599)
            written = _read_status(report, key, text, "a status of `return_status`")
            if written in statuses:
                report.add(value.key, f"{shown(written)} is there already", "keep one")
            statuses[written] = status or SAME
    else:
        wrong_kind(report, node, "`return_status`", "true, a list or a mapping", "write true, [404, 409] or {5xx: 503}")
    return {status: statuses[status] for status in sorted(statuses) if status}


def _read_status(report: Report, node: Node, text: str, label: str) -> str:
    """A status or a hundred of them, as canonical text; empty after a problem."""
    if node.kind == "broken":
        return ""
    if node.kind in ("text", "integer") and STATUS.fullmatch(text):
        return text.lower()
    if node.kind in ("mapping", "list", "null"):
        wrong_kind(report, node, label, "a status", _EXAMPLE)
    else:
        report.add(node.place, f"{label} is {shown(text)}", _EXAMPLE)
    return ""
