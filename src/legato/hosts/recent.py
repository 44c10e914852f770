"""What the last inline runs did, step by step, for whoever looks; noted in passing, written out only when asked for.

fnkit kept as much in Valkey, at four round trips a step. Bodies are not kept: they hold what is nobody else's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic, time
from typing import TYPE_CHECKING

import msgspec

from legato.hosts.bound import BoundCall, BoundProgram
from legato.model.outcome import Failure

if TYPE_CHECKING:
    from legato.hosts.inline import InlineRun

NOTED = 256  # attempts of one run that are kept: its first ones
USUAL = 20  # attempts of a run on average, beyond which fewer runs are kept: memory is for many, not for large ones
SET = 0.01  # seconds between two clocks that are more than what measuring them makes
DETAIL = 500  # characters of what a function, or a failure, says

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


class Remembered(msgspec.Struct, frozen=True):
    """What is known of a run; `ended` is None for one that has not. Times are monotonic seconds."""

    id: bytes
    bound: BoundProgram
    started: float
    ended: float | None
    state: str
    error: dict[str, object] | None
    noted: Sequence[Noted]
    truncated: bool


# A run that has ended, as it is kept: id, program, start, end, (state, error) if it failed, attempts and their number.
_Ended = tuple[bytes, BoundProgram, float, float, tuple[str, dict[str, object]] | None, list[Noted], int]


class RecentRuns:
    """The last runs that ended, at most `capacity` of them, and fewer where they had very many steps."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ended = deque[_Ended]()
        self._attempts = 0

    def note(self, run: InlineRun) -> None:
        """Keep what is known of a run that has ended. Every run pays for this: a tuple, and no more thought."""
        noted, failure = run.noted, run.kernel.failure
        count = len(noted)
        if count > NOTED:
            noted = noted[:NOTED]
        ended = self._ended
        ended.append((run.id, run.bound, run.started, run.now, failure and _failed(failure), noted, count))
        self._attempts += len(noted)
        while len(ended) > self._capacity or (self._attempts > self._capacity * USUAL and len(ended) > 1):
            self._attempts -= len(ended.popleft()[5])

    def all(self, active: Iterable[InlineRun]) -> list[Remembered]:
        """Runs, newest first: those that have not ended, then those that have."""
        runs: list[Remembered] = []
        for run in sorted(active, key=lambda run: run.started, reverse=True):
            state = "undoing" if run.undoing else "running"
            truncated = len(run.noted) > NOTED
            runs.append(Remembered(run.id, run.bound, run.started, None, state, None, run.noted[:NOTED], truncated))
        for run_id, bound, started, ended, failed, noted, count in reversed(self._ended):
            state, error = failed or ("succeeded", None)
            runs.append(Remembered(run_id, bound, started, ended, state, error, noted, count > NOTED))
        return runs


def function_documents(runs: Iterable[Remembered], clock: Clock) -> dict[str, FunctionDocument]:
    """What runs say of each function, by name."""
    last: dict[str, float] = {}
    functions: dict[str, FunctionDocument] = {}
    for run in runs:
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


class Clock:
    """Turns monotonic seconds into times of day; the same moment is shown alike until the system's clock is set."""

    _measured = time() - monotonic()

    def __init__(self) -> None:
        ahead = time() - monotonic()
        if abs(ahead - Clock._measured) > SET:
            Clock._measured = ahead
        self.ahead = Clock._measured  # of the one by which runs are timed: seconds to the epoch

    def at(self, moment: float) -> str:
        """ISO 8601, UTC."""
        return datetime.fromtimestamp(moment + self.ahead, UTC).isoformat(timespec="milliseconds")


def run_document(run: Remembered, clock: Clock) -> RunDocument:
    """A run as the API shows it."""
    began = clock.at(run.started)
    return RunDocument(
        id=run.id.decode(),
        flow=run.bound.name,
        version=run.bound.version,
        state=run.state,
        created=began,
        started=began,
        ended=None if run.ended is None else clock.at(run.ended),
        ms=round(((monotonic() if run.ended is None else run.ended) - run.started) * 1000, 3),
        inline=True,
        error=run.error,
        steps=step_documents(run.noted, clock),
        truncated=run.truncated,
    )


def _failed(failure: Failure) -> tuple[str, dict[str, object]]:
    """(state, error) of a run that failed."""
    undone = bool(failure.undo) and all(succeeded for _, succeeded in failure.undo)
    state = "undone" if undone else "cancelled" if failure.reason in ("cancelled", "disconnect") else "failed"
    outcome = failure.outcome
    return state, {
        "reason": failure.reason,
        "step": failure.path,
        "function": failure.function,
        "status": outcome.status,
        "detail": outcome.detail[:DETAIL],
    }


def step_documents(noted: Sequence[Noted], clock: Clock | None = None) -> list[StepDocument]:
    """The attempts of each call together, in the order of their ends."""
    clock = clock or Clock()
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
            detail=detail,
        )
    return list(documents.values())
