"""How long calls may take at worst, and whether their run would wait for that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from legato.hosts.bound import UNTIL_DONE, BoundProgram
from legato.model.policy import Retry


class Tried(Protocol):
    """What is known of a call beforehand: `timeout` (seconds) bounds each of its `attempts`."""

    @property
    def path(self) -> str: ...

    @property
    def attempts(self) -> int: ...

    @property
    def timeout(self) -> float: ...

    @property
    def retry(self) -> Retry: ...

    @property
    def is_undo(self) -> bool: ...


def longest_wait(retry: Retry, attempts: int) -> float:
    """Seconds that may pass between so many attempts in all."""
    return sum(retry.next_delay(attempt, 1.0, None) for attempt in range(1, attempts))


def worst_case(call: Tried) -> float:
    """Seconds that a call may take at worst: each attempt its timeout, each wait its longest."""
    return call.attempts * call.timeout + longest_wait(call.retry, call.attempts)


def impatience(bound: BoundProgram) -> list[tuple[str, str]]:
    """Calls whose retries cannot all happen before the run's deadline: (what is the matter, the remedy) of each."""
    return impatient(bound.calls, bound.timeout)


def impatient(calls: Iterable[Tried], deadline: float) -> list[tuple[str, str]]:
    """The same of calls that a run with this deadline (seconds) would make."""
    found: list[tuple[str, str]] = []
    for call in calls:
        if call.attempts >= UNTIL_DONE:
            continue
        worst = worst_case(call)
        bounded = not (call.is_undo or call.path.startswith("/"))  # what follows the end of a flow is not
        if call.attempts > 1 and bounded and worst > deadline:
            message = (
                f"{call.path}: {call.attempts} attempts of {call.timeout:g} s each, with the waits between them, take "
                f"up to {worst:g} s, longer than the run's {deadline:g} s: the last ones may never happen"
            )
            found.append((message, "make `timeout` of the call or `attempts` smaller, or the flow's `timeout` larger"))
    return found
