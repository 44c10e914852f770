"""What the events of a run hold, and how they are written: MessagePack arrays, to which fields are only ever added.

Old journals are read for ever: no field is removed, moved or given another meaning; a new one has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from legato.model.outcome import Failure, Kind, Outcome, Reason
from legato.model.payload import EMPTY, Payload

_encode = msgspec.msgpack.Encoder().encode


class Record(msgspec.Struct, array_like=True, omit_defaults=True, gc=False):
    """The body of an event."""

    def encoded(self) -> bytes:
        """As it lies in the journal."""
        return _encode(self)


class PayloadRecord(Record):
    """A payload."""

    content_type: bytes = b""
    body: bytes = b""
    encoding: bytes = b""
    assumed: bool = False

    @classmethod
    def of(cls, payload: Payload) -> PayloadRecord | None:
        """None for nothing."""
        return cls(payload.content_type, payload.body, payload.encoding, payload.assumed) if payload.size else None

    def payload(self) -> Payload:
        """The payload again."""
        return Payload(self.content_type, (self.body,), len(self.body), self.encoding, None, self.assumed)


def payload_of(record: PayloadRecord | None) -> Payload:
    """The payload of a record that may be none."""
    return EMPTY if record is None else record.payload()


class Started(Record):
    """A run begins: its input, the request, and under which ids it makes itself known."""

    input: PayloadRecord | None
    method: bytes
    rest: bytes
    query: bytes
    hops: int
    fields: dict[bytes, bytes]
    trace: bytes
    trace_flags: bytes
    deadline: float | None


class Intent(Record):
    """A call that must not be made twice is about to be made."""


class Attempted(Record):
    """An attempt has failed, and another one follows at `due`. `number` counts from 1."""

    number: int
    kind: Kind
    status: int
    detail: str
    maybe_done: bool
    began: float
    due: float
    function: str = ""


class Delivered(Record):
    """A leaf has ended, with this outcome. `function` is empty for a pause; `signal` is the one that a wait took."""

    kind: Kind
    payload: PayloadRecord | None
    status: int
    detail: str
    function: str
    attempts: int
    began: float
    retry_after: float | None = None
    overloaded: bool = False
    maybe_done: bool = False
    private: str = ""
    shared: dict[str, bytes | None] | None = None
    signal: str = ""

    @classmethod
    def of(cls, outcome: Outcome, function: str, attempts: int, began: float, signal: str = "") -> Delivered:
        """The record of an outcome."""
        return cls(
            outcome.kind,
            PayloadRecord.of(outcome.payload),
            outcome.status,
            outcome.detail,
            function,
            attempts,
            began,
            outcome.retry_after,
            outcome.overloaded,
            outcome.maybe_done,
            outcome.private,
            outcome.shared,
            signal,
        )

    def outcome(self) -> Outcome:
        """The outcome again."""
        return Outcome(
            self.kind,
            payload_of(self.payload),
            self.status,
            self.detail,
            self.retry_after,
            self.overloaded,
            self.maybe_done,
            self.private,
            self.shared,
        )


class Timer(Record):
    """A sleep, or a wait for the signal `name`, has begun; it is over at `due`, None for a wait without a timeout."""

    due: float | None
    name: str = ""


class Signalled(Record):
    """A signal has come. The event's path is its identity."""

    name: str
    payload: PayloadRecord | None


class Cancelled(Record):
    """The run was cancelled."""

    reason: Reason
    hard: bool


class Parked(Record):
    """A leaf is not to end without an operator's choice: what is known of it, and why."""

    why: str
    delivered: Delivered


class Decided(Record):
    """An operator's choice: the leaf is tried again, ends as it would have, or counts as done with this result."""

    action: Literal["retry", "skip", "done"]
    payload: PayloadRecord | None = None


class Retried(Record):
    """A run that had failed goes on: the events with these numbers count no more."""

    void: list[int]


class FailureRecord(Record):
    """Why a run failed."""

    reason: Reason
    delivered: Delivered
    path: str
    answer: int
    undo: list[tuple[str, bool]]
    siblings: list[FailureRecord] = []
    said: PayloadRecord | None = None

    @classmethod
    def of(cls, failure: Failure) -> FailureRecord:
        """The record of a failure."""
        return cls(
            failure.reason,
            Delivered.of(failure.outcome, failure.function, 0, 0.0),
            failure.path,
            failure.answer,
            failure.undo,
            [cls.of(sibling) for sibling in failure.siblings if sibling is not failure],
            None if failure.said is None else PayloadRecord.of(failure.said),
        )

    def failure(self) -> Failure:
        """The failure again."""
        siblings = tuple(sibling.failure() for sibling in self.siblings)
        failure = Failure(self.reason, self.delivered.outcome(), self.path, self.delivered.function, siblings)
        failure.undo, failure.answer = [(path, done) for path, done in self.undo], self.answer
        failure.said = None if self.said is None else self.said.payload()
        return failure


class Responded(Record):
    """The caller was answered before the end, with this."""

    status: int
    headers: bytes
    payload: PayloadRecord | None
    failure: FailureRecord | None = None


class Ended(Record):
    """The run has ended: with a result, or a failure."""

    state: str
    result: PayloadRecord | None
    failure: FailureRecord | None
    completed: bool


RECORDS: Mapping[str, type[Record]] = {
    "started": Started,
    "intent": Intent,
    "attempt": Attempted,
    "outcome": Delivered,
    "timer": Timer,
    "signal": Signalled,
    "cancel": Cancelled,
    "respond": Responded,
    "parked": Parked,
    "decided": Decided,
    "retried": Retried,
    "ended": Ended,
}
_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(record) for kind, record in RECORDS.items()
}


def kind_of(kind: str) -> str:
    """The kind of an event without its number: the second attempt of a call is `attempt 2`."""
    return kind.partition(" ")[0]


def record_of(kind: str, body: bytes) -> Record:
    """The record of an event. Raises msgspec.DecodeError for one that is damaged."""
    return _decoders[kind_of(kind)].decode(body)
