"""What a call sends beside its body: the path, the query, the headers. Also the headers of an answer."""

from __future__ import annotations

import re

from legato.formats.expressions import check_path, check_query, check_text, without_expressions
from legato.formats.mappings import json_value
from legato.formats.report import Report, shown
from legato.formats.scalars import read_entries, read_text, wrong_kind
from legato.formats.tree import Node

MAX_PATH = 4096  # half of the longest URL that servers accept (contract 9)
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
# Ours to write, or of one connection only (RFC 9110, 7.6.1); the last ones are how names begin.
OURS = (
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "idempotency-key", "traceparent",
)  # fmt: skip
OUR_PREFIXES = ("proxy-", "legato-")

_NOT_IN_HEADER = re.compile(r"[^\x20-\x7e\xa0-\xff]")

# (what a path must not hold, what to say, the remedy); the first that is found is reported
_PATH_RULES = (
    (re.compile(r"[?#]"), "{} holds a query or a fragment", "write a query under `query`"),
    (re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]"), "{} holds a character that no URL can", "percent-encode it"),
    (re.compile(r"%(?![0-9A-Fa-f]{2})"), "{} holds a % that encodes nothing", "write %25 for a percent sign"),
    (re.compile(r"(?:/|%2f)(?:\.|%2e){2}(?:/|%2f|$)", re.IGNORECASE), "{} climbs up with ..", "write the whole path"),
)


def read_path(report: Report, node: Node | None, undo: bool = False) -> str:
    """A path with its expressions, nothing after a problem; what is not one of these is checked as part of a URL."""
    path = None if node is None else read_text(report, node, "`path`")
    before = report.count
    if node is None or path is None:
        return ""
    if len(path) > MAX_PATH:
        report.add(node.place, f"`path` is longer than {MAX_PATH} characters", "send what is long in the body")
        return ""
    if not check_path(report, node, path, undo):
        return ""
    if not path.startswith("/"):
        report.add(node.place, f"`path` must begin with a slash, not {shown(path[:20])}", f"write {shown('/' + path)}")
    fixed = without_expressions(path)
    for pattern, message, remedy in _PATH_RULES:
        if pattern.search(fixed):
            report.add(node.place, message.format("`path`"), remedy)
            break
    return path if report.count == before else ""


def read_query(report: Report, node: Node | None, undo: bool = False) -> dict[str, object]:
    """The query by name, in the order of writing: scalars, and lists of them; nothing after a problem."""
    query: dict[str, object] = {}
    if node is None:
        return query
    before = report.count
    for name, value in read_entries(report, node, "`query`").items():
        if not name:
            report.add(value.key, "a name in `query` is empty", "write a name")
        for item in value.items if value.kind == "list" else [value]:
            if item.kind in ("mapping", "list"):
                wrong_kind(report, item, f"{shown(name)} in `query`", "text, a number or a list of them", "write text")
        query[name] = json_value(report, value)
    return query if report.count == before and check_query(report, node, query, undo) else {}


def read_headers(report: Report, node: Node | None, undo: bool = False) -> dict[str, str]:
    """Headers by their names in lower case, in the order of writing; nothing after a problem."""
    headers: dict[str, str] = {}
    if node is None:
        return headers
    before = report.count
    for written, value in read_entries(report, node, "`headers`").items():
        name = written.lower()
        if not HEADER.fullmatch(written):
            remedy = "write a token: letters, digits and - among others"
            report.add(value.key, f"{shown(written)} is not a header's name", remedy)
        elif name in OURS or name.startswith(OUR_PREFIXES):
            report.add(value.key, f"the header {shown(written)} is not for flows to set", "remove it")
        elif name in headers:
            report.add(value.key, f"the header {shown(written)} is there already", "keep one; case does not count")
        text = read_text(report, value, f"the header {shown(written)}")
        headers[name] = text or ""
        if text is None or not check_text(report, value, text, undo):
            continue
        if _NOT_IN_HEADER.search(without_expressions(text)):
            message = f"the header {shown(written)} holds a character that no header can"
            report.add(value.place, message, "write one line of visible characters")
    return headers if report.count == before else {}
