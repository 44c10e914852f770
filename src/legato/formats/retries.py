"""How often a call is tried, and when again: `retry` and `hedge`."""

from __future__ import annotations

from legato.formats.fields import Fields
from legato.formats.report import Report, shown
from legato.formats.scalars import HOUR, read_duration, read_integer
from legato.formats.tree import Node
from legato.model.outcome import classify
from legato.model.policy import MAX_ATTEMPTS, Hedge, Retry

RETRY_KEYS = ("attempts", "backoff", "max_backoff", "when_status")
HEDGE_KEYS = ("delay", "attempts")
MAX_HEDGES = 5  # each one is a whole call more


def read_retry(report: Report, node: Node) -> Retry:
    """A retry; after a problem it is good for nothing but reading on."""
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


def read_hedge(report: Report, node: Node) -> Hedge | None:
    """A hedge: `true`, the delay alone, or all of it."""
    if node.kind == "boolean":
        return Hedge() if node.scalar else None
    if node.kind == "mapping":
        fields = Fields(report, node, "`hedge`", HEDGE_KEYS)
        return Hedge(
            delay=fields.duration("delay", Hedge().delay, 0, HOUR),
            attempts=fields.integer("attempts", Hedge().attempts, 2, MAX_HEDGES),
        )
    delay = read_duration(report, node, "`hedge`", 0, HOUR)
    return Hedge() if delay is None or delay == Hedge().delay else Hedge(delay=delay)
