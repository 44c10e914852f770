"""How a call can end, as data (contract 1), and why a run failed.

Connectors only classify. What follows from an outcome (retry, undo, the caller's status) is decided by pure functions
in `policy` and carried out by the host, once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from legato.model.payload import EMPTY, Payload

Kind = Literal["ok", "refused", "retryable", "unknown", "cancelled"]
Reason = Literal["failed", "deadline", "cancelled", "disconnect", "overloaded", "mistake", "stated"]

RETRYABLE_STATUSES = frozenset({408, 425, 429, 503})


class Outcome(msgspec.Struct, eq=False, gc=False):
    """One call's end.

    `status` is the function's HTTP status, 0 when no answer came. `detail` says in words what went wrong;
    `retry_after` is the function's wish in seconds; `overloaded` marks a refusal by our own limits. `maybe_done` is
    set by the host when an earlier attempt of the same call ended `unknown`: a refusal of the second attempt says
    nothing about the first. `private` is for the log alone. `shared` are values (JSON) that Python code shares with the
    steps after it, None for one that it deleted.
    """

    kind: Kind
    payload: Payload = EMPTY
    status: int = 0
    detail: str = ""
    retry_after: float | None = None
    overloaded: bool = False
    maybe_done: bool = False
    private: str = ""
    shared: dict[str, bytes | None] | None = None

    @property
    def effect_possible(self) -> bool:
        """Whether the function may have done its work: then an undo is due when the flow fails."""
        return self.kind == "ok" or self.kind == "unknown" or self.maybe_done


def classify(status: int) -> Kind:
    """The outcome of a complete answer by its status (contract 1).

    A redirect is `unknown`: it is not followed, and whether the work was done cannot be told from it.
    """
    if 200 <= status < 300:
        return "ok"
    if status in RETRYABLE_STATUSES:
        return "retryable"
    if 400 <= status < 500:
        return "refused"
    return "unknown"


class Failure:
    """Why a step, and with it its flow, ended without a value.

    `siblings` are the branches of a parallel that had failed of themselves when it ended, this one included.
    `undo` lists what was compensated once the run has ended: (path, whether it succeeded). `answer` is the status
    that the caller is to get, 0 for what follows from the reason; `said` what the flow's own `on_failure` says to it.
    """

    __slots__ = ("answer", "function", "outcome", "path", "reason", "said", "siblings", "undo")

    def __init__(
        self,
        reason: Reason,
        outcome: Outcome,
        path: str = "",
        function: str = "",
        siblings: tuple[Failure, ...] = (),
    ) -> None:
        self.reason: Reason = reason
        self.outcome = outcome
        self.path = path
        self.function = function
        self.siblings = siblings
        self.undo: list[tuple[str, bool]] = []
        self.answer = 0
        self.said: Payload | None = None

    def beside(self, siblings: tuple[Failure, ...]) -> Failure:
        """The same with the failures of the branches beside it."""
        failure = Failure(self.reason, self.outcome, self.path, self.function, siblings)
        failure.undo, failure.answer = self.undo, self.answer
        return failure

    def __repr__(self) -> str:
        return f"Failure({self.reason!r}, {self.path!r}, {self.outcome!r})"
