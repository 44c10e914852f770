"""The story of a run: one fold over its events, used while it lives and when it is taken up again.

It holds what the kernel does not know: when timers are due, which attempts have been made, which signals have come,
what waits for an operator. `steps` are kept only for those who look.
"""

from __future__ import annotations

import msgspec

from legato.hosts.journal.records import (
    Attempted,
    Cancelled,
    Decided,
    Delivered,
    Ended,
    Intent,
    Parked,
    PayloadRecord,
    Record,
    Responded,
    Retried,
    Signalled,
    Started,
    Timer,
)


class Calling(msgspec.Struct):
    """A call that is open: how often it has been tried, and when the next attempt is due."""

    attempts: int = 0
    due: float = 0.0
    maybe_done: bool = False
    began: float = 0.0
    intended: bool = False


class Pausing(msgspec.Struct):
    """A sleep, or a wait by its name, that is open."""

    name: str
    due: float | None
    began: float


class Signal(msgspec.Struct):
    """A signal that no wait has taken yet."""

    identity: str
    name: str
    payload: PayloadRecord | None


class StepStory(msgspec.Struct):
    """What is known of a step. Times are seconds since the epoch."""

    path: str
    function: str
    state: str
    attempts: int
    began: float
    ended: float | None = None
    outcome: str = ""
    status: int = 0
    detail: str = ""
    payload: PayloadRecord | None = None


class Story:
    """See above. `apply` takes events in order."""

    __slots__ = (
        "calls", "cancelled", "ended", "ended_at", "parked", "pauses", "responded", "rounds", "signal_count", "signals",
        "started", "started_at", "steps",
    )  # fmt: skip

    def __init__(self, detailed: bool = False) -> None:
        self.started: Started | None = None
        self.started_at = 0.0
        self.calls: dict[str, Calling] = {}
        self.pauses: dict[str, Pausing] = {}
        self.signals: list[Signal] = []
        self.signal_count = 0
        self.parked: dict[str, Parked] = {}
        self.cancelled: Cancelled | None = None
        self.responded: Responded | None = None
        self.ended: Ended | None = None
        self.ended_at = 0.0
        self.rounds = 0  # how often an end was taken back
        self.steps: dict[str, StepStory] | None = {} if detailed else None

    def apply(self, at: float, path: str, record: Record) -> None:
        """Take the next event."""
        match record:
            case Delivered():
                self._delivered(at, path, record)
            case Timer():
                self.pauses[path] = Pausing(record.name, record.due, at)
                if self.steps is not None:
                    self.steps[path] = StepStory(path, "", "waiting", 1, at, detail=record.name)
            case Attempted():
                self._attempted(path, record)
            case Intent():
                self.calls.setdefault(path, Calling()).intended = True
            case Signalled():
                self.signal_count += 1
                self.signals.append(Signal(path, record.name, record.payload))
            case Parked():
                self.parked[path] = record
                if self.steps is not None:
                    self.steps[path] = _step(at, path, "parked", record.delivered)
            case Decided():
                self._decided(path, record)
            case Cancelled():
                self.cancelled = record
            case Responded():
                self.responded = record
            case Started():
                self.started, self.started_at = record, at
            case Ended():
                self.ended, self.ended_at = record, at
            case Retried():
                self.ended = self.cancelled = None
                self.rounds += 1
            case _:
                raise AssertionError(record)

    def _delivered(self, at: float, path: str, record: Delivered) -> None:
        if record.function:
            self.calls.pop(path, None)
            self.parked.pop(path, None)
        else:
            self.pauses.pop(path, None)
            if record.signal:
                self.signals = [signal for signal in self.signals if signal.identity != record.signal]
        if self.steps is not None:
            ended = {"ok": "succeeded", "cancelled": "cancelled"}.get(record.kind, "failed")
            self.steps[path] = _step(at, path, ended, record)

    def _attempted(self, path: str, record: Attempted) -> None:
        call = self.calls.setdefault(path, Calling(began=record.began))
        call.attempts, call.due, call.maybe_done = record.number, record.due, record.maybe_done
        if self.steps is not None:
            step = StepStory(path, record.function, "running", record.number, record.began)
            step.outcome, step.status, step.detail = record.kind, record.status, record.detail
            self.steps[path] = step

    def _decided(self, path: str, record: Decided) -> None:
        parked = self.parked.pop(path, None)
        if record.action == "retry" and parked is not None:
            call = self.calls.setdefault(path, Calling())
            call.attempts, call.due = 0, 0.0  # a budget anew
            call.maybe_done = call.maybe_done or parked.delivered.outcome().effect_possible

    @property
    def due(self) -> float | None:
        """When the first of its pauses is over."""
        return min((pause.due for pause in self.pauses.values() if pause.due is not None), default=None)

    @property
    def is_signalled(self) -> bool:
        """Whether a signal has come that a wait is there for: if this process dies, the next has to see to it."""
        return bool(self.signals) and not {each.name for each in self.signals}.isdisjoint(
            pause.name for pause in self.pauses.values()
        )

    def take_signal(self, name: str) -> Signal | None:
        """The first signal of a name that no wait has taken, which is taken by that."""
        for place, signal in enumerate(self.signals):
            if signal.name == name:
                return self.signals.pop(place)
        return None


def _step(at: float, path: str, state: str, record: Delivered) -> StepStory:
    return StepStory(
        path,
        record.function,
        state,
        record.attempts,
        record.began or at,
        at,
        record.kind,
        record.status,
        record.detail,
        record.payload,
    )
