"""The native language's `call`: its modifiers, its retry, its undo, its path."""

from __future__ import annotations

import re

from legato.formats.fields import Fields
from legato.formats.naming import read_name
from legato.formats.report import Report, shown
from legato.formats.scalars import DAY, HOUR, read_integer, read_text
from legato.formats.tree import Node
from legato.model.flow import CallStep, UndoCall
from legato.model.names import name_problem
from legato.model.outcome import classify
from legato.model.policy import MAX_ATTEMPTS, Retry

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CALL_KEYS = ("method", "path", "timeout", "retry", "idempotent", "undo")
SHORTEST, LONGEST = 0.001, DAY  # a timeout of nothing always fails; one of more than a day is a wait, not a call
MAX_PATH = 4096  # half of the longest URL that servers accept (contract 9)

RETRY_KEYS = ("attempts", "backoff", "max_backoff", "when_status")

# (what a path must not hold, what to say, the remedy); the first that is found is reported
_PATH_RULES = (
    (re.compile(r"\$\{"), "expressions in {} are not available in this version", "write a fixed path"),
    (re.compile(r"[?#]"), "{} holds a query or a fragment", "end it before the ? or #"),
    (re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]"), "{} holds a character that no URL can", "percent-encode it"),
    (re.compile(r"%(?![0-9A-Fa-f]{2})"), "{} holds a % that encodes nothing", "write %25 for a percent sign"),
    (re.compile(r"(?:/|%2f)(?:\.|%2e){2}(?:/|%2f|$)", re.IGNORECASE), "{} climbs up with ..", "write the whole path"),
)


def read_call(report: Report, node: Node, fields: Fields, step_id: str) -> CallStep:
    """A call step from its mapping; after a problem it is good for nothing but reading on."""
    function = fields.node("call")
    retry, undo = fields.node("retry"), fields.node("undo")
    return CallStep(
        function="" if function is None else read_name(report, function, "`call`"),
        id=step_id,
        method=fields.choice("method", "POST", METHODS),
        path=_read_path(report, fields.node("path")),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST),
        retry=None if retry is None else _read_retry(report, retry),
        idempotent=fields.boolean("idempotent", False),
        undo=None if undo is None else _read_undo(report, undo),
    )


def _read_path(report: Report, node: Node | None) -> str:
    path = None if node is None else read_text(report, node, "`path`")
    if node is None or path is None:
        return ""
    if not path.startswith("/"):
        report.add(node.place, f"`path` must begin with a slash, not {shown(path[:20])}", f"write {shown('/' + path)}")
    if len(path) > MAX_PATH:
        report.add(node.place, f"`path` is longer than {MAX_PATH} characters", "send what is long in the body")
    for pattern, message, remedy in _PATH_RULES:
        if pattern.search(path):
            report.add(node.place, message.format("`path`"), remedy)
            break
    return path


def _read_retry(report: Report, node: Node) -> Retry:
    if node.kind == "integer":
        report.add(node.place, "`retry` must be a mapping", f"write {{attempts: {shown(node.text)[1:-1]}}}")
        return Retry()
    fields = Fields(report, node, "`retry`", RETRY_KEYS)
    # Without it the block would mean "once" and silently do nothing.
    fields.required("attempts", f"say how often to try in all, 1 to {MAX_ATTEMPTS}: attempts: 3")
    backoff = fields.duration("backoff", Retry().backoff, 0, HOUR)
    limit = fields.node("max_backoff")
    # A backoff above the default limit raises it: the author said how long to wait.
    max_backoff = fields.duration("max_backoff", max(backoff, Retry().max_backoff), 0, HOUR)
    if limit is not None and max_backoff < backoff:
        report.add(limit.place, "`max_backoff` is less than `backoff`", "write one that is at least as long")
    return Retry(
        attempts=fields.integer("attempts", 1, 1, MAX_ATTEMPTS),
        backoff=backoff,
        max_backoff=max_backoff,
        when_status=_read_statuses(report, fields.items("when_status")),
    )


def _read_statuses(report: Report, nodes: list[Node]) -> tuple[int, ...]:
    """Statuses in ascending order, each once, so that the order of writing does not make another version."""
    statuses: set[int] = set()
    for node in nodes:
        status = read_integer(report, node, "a status", 300, 599)
        if status is None:
            continue
        if classify(status) == "refused":
            message = f"status {status} is a definite no, which is never tried again"
            report.add(node.place, message, "name statuses of 500 and above; 408, 425, 429 and 503 are retried anyway")
        statuses.add(status)
    return tuple(sorted(statuses))


def _read_undo(report: Report, node: Node) -> UndoCall:
    if node.kind == "text":
        return UndoCall(function=read_name(report, node, "`undo`", name_problem))
    if node.kind != "mapping":
        if node.kind != "broken":
            report.add(node.place, f"`undo` must be a function's name or a mapping, not {node.word}", "name a function")
        return UndoCall(function="")
    fields = Fields(report, node, "`undo`", ("call", "timeout", "retry"), LATER_UNDO)
    function = fields.required("call", "name the function that undoes: call: refund")
    retry = fields.node("retry")
    return UndoCall(
        function="" if function is None else read_name(report, function, "`call`"),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST),
        retry=None if retry is None else _read_retry(report, retry),
    )


LATER_UNDO = ("input", "method", "path", "query", "headers")
