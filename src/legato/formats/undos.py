"""The call that undoes another: `undo`."""

from __future__ import annotations

from legato.formats.fields import Fields
from legato.formats.mappings import read_mapping
from legato.formats.naming import read_name
from legato.formats.report import Report
from legato.formats.requests import read_headers, read_path, read_query
from legato.formats.retries import read_retry
from legato.formats.scalars import DAY
from legato.formats.tree import Node
from legato.model.steps import UndoCall

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNDO_KEYS = ("call", "timeout", "retry", "method", "path", "query", "headers", "input")
SHORTEST, LONGEST = 0.001, DAY  # a timeout of nothing always fails; one of more than a day is a wait, not a call


def read_undo(report: Report, node: Node) -> UndoCall:
    """An undo from a function's name or a mapping; after a problem it is good for nothing but reading on."""
    if node.kind == "text":
        return UndoCall(function=read_name(report, node, "`undo`"))
    if node.kind != "mapping":
        if node.kind != "broken":
            report.add(node.place, f"`undo` must be a function's name or a mapping, not {node.word}", "name a function")
        return UndoCall(function="")
    fields = Fields(report, node, "`undo`", UNDO_KEYS)
    function = fields.required("call", "name the function that undoes: call: refund")
    retry, made = fields.node("retry"), fields.node("input")
    return UndoCall(
        function="" if function is None else read_name(report, function, "`call`"),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST),
        retry=None if retry is None else read_retry(report, retry),
        method=fields.choice("method", "POST", METHODS),
        path=read_path(report, fields.node("path"), undo=True),
        query=read_query(report, fields.node("query"), undo=True),
        headers=read_headers(report, fields.node("headers"), undo=True),
        input=None if made is None else read_mapping(report, made, "`input`", undo=True),
    )
