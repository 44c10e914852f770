"""The document of a durable run (contract 5)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from legato.model.journal import Event, RunRow
from legato.telemetry.ids import id_text

if TYPE_CHECKING:
    from legato.hosts.journal.run import DurableRun


def run_document(row: RunRow, events: Iterable[Event], run: DurableRun | None = None) -> dict[str, object]:
    """A run as the API shows it; `run` is it in memory, if it is there."""
    created = datetime.fromtimestamp(row.created, UTC).isoformat(timespec="milliseconds")
    return {
        "id": id_text(row.id).decode(),
        "flow": row.flow,
        "version": row.version,
        "state": row.state,
        "created": created,
        "started": created,
        "ended": None,
        "steps": [],
    }
