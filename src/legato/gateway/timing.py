"""How long each step took, for `legato dev`: in a header that browsers draw, and in the log."""

from __future__ import annotations

import re

from legato.hosts.inline import InlineRun
from legato.hosts.journal.ended import EndedRun
from legato.hosts.recent import NOTED, step_documents

LONGEST = 4096  # characters of the header, which must stay below what clients accept
_NOT_IN_TOKEN = re.compile(r"[^A-Za-z0-9_.-]")


def server_timing(run: InlineRun | EndedRun) -> bytes:
    """`Server-Timing` (W3C Server Timing) with a metric for the whole run and one for each step, as far as they fit."""
    metrics = f"total;dur={run.seconds * 1000:.3f}"
    for step in step_documents(run.noted[:NOTED]):
        metric = f', {_NOT_IN_TOKEN.sub("-", step.path)};desc="{step.path} ({step.outcome})";dur={step.ms}'
        if len(metrics) + len(metric) > LONGEST:
            break
        metrics += metric
    return f"server-timing: {metrics}\r\n".encode()


def step_times(run: InlineRun | EndedRun) -> list[dict[str, object]]:
    """What the log says of each step."""
    return [
        {
            "path": step.path,
            "function": step.function,
            "ms": step.ms,
            "outcome": step.outcome,
            "attempts": step.attempts,
            "status": step.status,
            "detail": step.detail,
        }
        for step in step_documents(run.noted[:NOTED])
    ]
