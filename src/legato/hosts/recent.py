"""What the last inline runs did, step by step, for whoever looks; noted in passing, written out only when asked for.

fnkit kept as much in Valkey, at four round trips a step. Bodies are not kept: they hold what is nobody else's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic, time
from typing import TYPE_CHECKING

import msgspec

from legato.hosts.bound import BoundCall, BoundProgram

if TYPE_CHECKING:
    from legato.hosts.inline import InlineRun

NOTED = 256  # attempts of one run that are kept: its first ones
DETAIL = 500  # characters

# An attempt that has ended: the call, its number from 1, start and end (monotonic seconds), outcome, status, detail.
Noted = tuple[BoundCall, int, float, float, str, int, str]


class StepDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A call of a run: `ms` is the time of all its attempts with the waiting between them; the rest is the last's."""

    path: str
    function: str
    state: str
    attempts: int
    started: str
    ended: str | None
    ms: float
    outcome: str
    status: int = 0
    detail: str = ""


class RunDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A run (contract 5). Of an inline run, results are not kept; `truncated` says that steps are missing."""

    id: str
    flow: str
    version: str
    state: str
    created: str
    started: str
    ended: str | None
    ms: float
    inline: bool = False
    error: dict[str, object] | None = None
    steps: list[StepDocument] = []
    truncated: bool = False


class FunctionDocument(msgspec.Struct, kw_only=True):
    """What the last runs say of a function: how often it was called, failed, and how the last call ended."""

    attempts: int = 0
    errors: int = 0
    last_active: str = ""
    last_outcome: str = ""
    last_status: int = 0


class _Ended(msgspec.Struct, frozen=True):
    id: bytes
    bound: BoundProgram
    started: float
    ended: float
    state: str
    error: dict[str, object] | None
    noted: list[Noted]
    truncated: bool


class RecentRuns:
    """The last runs that ended, at most `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._ended = deque[_Ended](maxlen=capacity)

    def note(self, run: InlineRun) -> None:
        """Keep what is known of a run that has ended."""
        noted = run.noted
        truncated = len(noted) > NOTED
        if truncated:
            noted = noted[:NOTED]
        failure = run.kernel.failure
        state = "succeeded"
        error: dict[str, object] | None = None
        if failure is not None:
            undone = bool(failure.undo) and all(succeeded for _, succeeded in failure.undo)
            state = "undone" if undone else "cancelled" if failure.reason in ("cancelled", "disconnect") else "failed"
            error = {
                "reason": failure.reason,
                "step": failure.path,
                "function": failure.function,
                "status": failure.outcome.status,
                "detail": failure.outcome.detail[:DETAIL],
            }
        self._ended.append(_Ended(run.id, run.bound, run.started, run.now, state, error, noted, truncated))

    def documents(self, active: Sequence[InlineRun]) -> Iterator[RunDocument]:
        """Runs, newest first: those that have not ended, then those that have."""
        clock = _Clock()
        for run in sorted(active, key=lambda run: run.started, reverse=True):
            state = "undoing" if run.undoing else "running"
            truncated = len(run.noted) > NOTED
            yield _document(clock, run.id, run.bound, run.started, None, state, None, run.noted[:NOTED], truncated)
        for ended in reversed(self._ended):
            yield _document(
                clock, ended.id, ended.bound, ended.started, ended.ended, ended.state, ended.error, ended.noted,
                ended.truncated,
            )  # fmt: skip

    def functions(self) -> dict[str, FunctionDocument]:
        """What the last runs say of each function, by name."""
        clock = _Clock()
        last: dict[str, float] = {}
        functions: dict[str, FunctionDocument] = {}
        for run in self._ended:
            for call, _, _, ended, outcome, status, _ in run.noted:
                function = functions.setdefault(call.function, FunctionDocument())
                function.attempts += 1
                function.errors += outcome != "ok"
                if ended >= last.get(call.function, 0.0):
                    last[call.function] = ended
                    function.last_outcome, function.last_status = outcome, status
        for name, ended in last.items():
            functions[name].last_active = clock.at(ended)
        return functions


class _Clock:
    """Turns monotonic seconds into times of day (ISO 8601, UTC)."""

    def __init__(self) -> None:
        self._ahead = time() - monotonic()

    def at(self, moment: float) -> str:
        return datetime.fromtimestamp(moment + self._ahead, UTC).isoformat(timespec="milliseconds")


def _document(
    clock: _Clock,
    run_id: bytes,
    bound: BoundProgram,
    started: float,
    ended: float | None,
    state: str,
    error: dict[str, object] | None,
    noted: Sequence[Noted],
    truncated: bool = False,
) -> RunDocument:
    began = clock.at(started)
    return RunDocument(
        id=run_id.decode(),
        flow=bound.name,
        version=bound.program.flow.version,
        state=state,
        created=began,
        started=began,
        ended=None if ended is None else clock.at(ended),
        ms=round(((monotonic() if ended is None else ended) - started) * 1000, 3),
        inline=True,
        error=error,
        steps=step_documents(noted, clock),
        truncated=truncated,
    )


def step_documents(noted: Sequence[Noted], clock: _Clock | None = None) -> list[StepDocument]:
    """The attempts of each call together, in the order of their ends."""
    clock = clock or _Clock()
    begun: dict[BoundCall, float] = {}
    documents: dict[BoundCall, StepDocument] = {}
    for call, number, started, ended, outcome, status, detail in noted:
        first = begun.setdefault(call, started)
        documents.pop(call, None)
        documents[call] = StepDocument(
            path=call.path,
            function=call.function,
            state="succeeded" if outcome == "ok" else "cancelled" if outcome == "cancelled" else "failed",
            attempts=number,
            started=clock.at(first),
            ended=clock.at(ended),
            ms=round((ended - first) * 1000, 3),
            outcome=outcome,
            status=status,
            detail=detail[:DETAIL],
        )
    return list(documents.values())
