"""The steps that call: `call`, a function, and `python`, code in this process."""

from __future__ import annotations

from typing import cast, get_args

from legato.formats.fields import Fields
from legato.formats.functions import PYTHON
from legato.formats.modifiers import Modifiers
from legato.formats.naming import read_name
from legato.formats.report import Report, shown
from legato.formats.requests import read_headers, read_path, read_query
from legato.formats.retries import read_hedge, read_retry
from legato.formats.scalars import read_text
from legato.formats.statuses import read_return_status, read_success
from legato.formats.tree import Node
from legato.formats.undos import METHODS
from legato.model.steps import CallStep, Decoding, Encoding, PythonStep

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
DECODINGS = tuple(each for each in get_args(Decoding) if each)


def read_call(report: Report, fields: Fields, modifiers: Modifiers) -> CallStep:
    """A call step; after a problem it is good for nothing but reading on."""
    function, retry = fields.node("call"), fields.node("retry")
    hedge, success, return_status = fields.node("hedge"), fields.node("success"), fields.node("return_status")
    on_response = fields.node("on_response")
    return CallStep(
        function="" if function is None else read_name(report, function, "`call`"),
        method=fields.choice("method", "POST", METHODS),
        path=read_path(report, fields.node("path")),
        query=read_query(report, fields.node("query")),
        headers=read_headers(report, fields.node("headers")),
        encode=cast("Encoding", fields.choice("encode", "json", ENCODINGS)),
        decode=cast("Decoding", fields.choice("decode", "", DECODINGS)),
        success=() if success is None else read_success(report, success),
        return_status={} if return_status is None else read_return_status(report, return_status),
        retry=None if retry is None else read_retry(report, retry),
        idempotent=fields.boolean("idempotent", False),
        hedge=None if hedge is None else read_hedge(report, hedge),
        on_response="" if on_response is None else _read_code(report, on_response, "`on_response`"),
        at_most_once=fields.boolean("at_most_once", False),
        **modifiers,
    )


def read_python(report: Report, fields: Fields, modifiers: Modifiers) -> PythonStep:
    """A step of Python code."""
    python, retry = fields.node("python"), fields.node("retry")
    return PythonStep(
        python="" if python is None else _read_code(report, python, "`python`"),
        retry=None if retry is None else read_retry(report, retry),
        idempotent=fields.boolean("idempotent", False),
        at_most_once=fields.boolean("at_most_once", False),
        **modifiers,
    )


def _read_code(report: Report, node: Node, label: str) -> str:
    """Where Python code is, `module:qualname`; empty after a problem."""
    text = read_text(report, node, label)
    if text is None or PYTHON.fullmatch(text):
        return text or ""
    report.add(node.place, f"{label} is {shown(text)}", "write module:function, as in shop.scoring:score")
    return ""
