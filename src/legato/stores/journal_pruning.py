"""Deleting runs that ended long ago, and the large bodies that no other run holds."""

from __future__ import annotations

from typing import Any

from legato.model.journal import ENDED
from legato.stores.journal_file import QUERIES

EVENTS = 2000  # after which a transaction takes no more runs


def pruned(connection: Any, before: float, most: int) -> tuple[int, list[bytes]]:
    """Delete at most so many runs of each state that ended before a moment; within a transaction.

    Gives how many, and the digests of bodies that are in no event any more: to be let go of after the commit.
    """
    oldest = max(0, int(before * 1000)).to_bytes(6, "big")  # how a UUID version 7 begins
    old = QUERIES["old_runs"]
    runs = [run for state in ENDED for (run,) in connection.execute(old, (state, oldest, before, most)).fetchall()]
    bodies: set[bytes] = set()
    events = deleted = 0
    for run in runs:
        if events > EVENTS:
            break
        deleted += 1
        bodies.update(body for (body,) in connection.execute(QUERIES["large_bodies"], (run,)).fetchall())
        events += len(connection.execute(QUERIES["delete_events"], (run,)).fetchall())
        connection.execute(QUERIES["delete_run"], (run,))
    return deleted, [body for body in bodies if not connection.execute(QUERIES["is_kept"], (body,)).fetchall()]
