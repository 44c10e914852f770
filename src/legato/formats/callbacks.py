"""The `callback` of a flow: where its result is posted when a run has ended."""

from __future__ import annotations

import re
from typing import Literal, cast

from legato.formats.addresses import Trouble, url_trouble
from legato.formats.expressions import OPENING, check_path, without_expressions
from legato.formats.fields import Fields
from legato.formats.report import Report
from legato.formats.retries import read_retry
from legato.formats.scalars import read_text, wrong_kind
from legato.formats.tree import Node
from legato.formats.undos import LONGEST, SHORTEST
from legato.model.flow import Callback

CALLBACK_KEYS = ("url", "when", "timeout", "retry")
WHEN = ("always", "success", "failure")

_SERVER = re.compile(r"[^:/?#]*://[^/?#]*")


def read_callback(report: Report, node: Node) -> Callback:
    """A callback from its URL or a mapping; after a problem it is good for nothing but reading on."""
    if node.kind == "text":
        return Callback(url=_read_url(report, node, "`callback`"))
    if node.kind != "mapping":
        wrong_kind(report, node, "`callback`", "a URL or a mapping", "write https://host/path")
        return Callback(url="")
    fields = Fields(report, node, "`callback`", CALLBACK_KEYS)
    url, retry = fields.required("url", "write url: https://host/path"), fields.node("retry")
    return Callback(
        url="" if url is None else _read_url(report, url, "`url`"),
        when=cast("Literal['always', 'success', 'failure']", fields.choice("when", "always", WHEN)),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST),
        retry=None if retry is None else read_retry(report, retry),
    )


def _read_url(report: Report, node: Node, label: str) -> str:
    url = read_text(report, node, label)
    if url is None:
        return ""
    server = _SERVER.match(url)
    if OPENING in (url if server is None else server[0]):
        report.add(node.place, f"{label} has an expression where its server is named", "write it out up to the path")
        return ""
    if not check_path(report, node, url):
        return ""
    trouble, remedy = _trouble(without_expressions(url))
    if "@" in (url if server is None else server[0]):
        report.hide(node.place[0])  # what stands before it may be a password
    if trouble:
        report.add(node.place, f"{label} {trouble}", remedy)
        return ""
    return url


def _trouble(url: str) -> Trouble:
    """What is wrong with a URL whose expressions have been replaced."""
    if not url.lower().startswith(("http://", "https://")):
        return "is not of a kind that can be called back", "begin it with http:// or https://"
    if "#" in url:
        return "holds a fragment", "end it before the #"
    address, _, query = url.partition("?")
    trouble = url_trouble(address)
    return trouble if trouble[0] else url_trouble("http://host/" + query.replace("?", ""))
