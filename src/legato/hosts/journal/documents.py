"""The document of a durable run (contract 5): a pure function of its row, its events, and what of it is in memory."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING

import msgspec

from legato.errors import NotJSON
from legato.hosts.attempts import Attempts
from legato.hosts.journal.records import FailureRecord, Parked, PayloadRecord, Record, Retried, record_of
from legato.hosts.journal.story import StepStory, Story
from legato.kernel import Call
from legato.model.failure_document import detail_of_failure, failure_members, status_of
from legato.model.journal import ENDED, Event, RunRow
from legato.model.payload import JSON, Payload
from legato.telemetry.ids import id_text

if TYPE_CHECKING:
    from legato.hosts.journal.run import DurableRun

STEPS = 256  # steps that a document shows unless all are asked for: the last ones
LARGE = 256 * 1024  # bytes of a step's result that are shown; there may be many in one document
CHOICES = ("retry", "skip", "done")  # an operator's, of a step that is parked

Document = dict[str, object]


class InFlight(msgspec.Struct, frozen=True):
    """A call of a run in memory that has not ended; `began` is seconds since the epoch."""

    path: str
    function: str
    attempts: int
    began: float


def in_flight(run: DurableRun) -> list[InFlight]:
    """The calls of a run that are being made, or are about to be made again."""
    parked, calls = run.story.parked, run.story.calls
    found: list[InFlight] = []
    for leaf in run.kernel.open_leaves():
        if isinstance(leaf, Call) and leaf.path not in parked:
            calling = calls.get(leaf.path)
            number = 1 if calling is None else calling.attempts + 1
            if isinstance(leaf.handle, Attempts):
                number = leaf.handle.number
            found.append(InFlight(leaf.path, leaf.function, number, run.issued.get(leaf.path, run.row.created)))
    return found


def run_document(row: RunRow, events: Iterable[Event], run: DurableRun | None = None) -> Document:
    """A run as the API shows it; `run` is it in memory, if it is there. Raises as `document`."""
    return document(row, events, () if run is None else in_flight(run))


def document(
    row: RunRow,
    events: Iterable[Event],
    flight: Sequence[InFlight] = (),
    *,
    payloads: bool = False,
    all_steps: bool = False,
) -> Document:
    """A run as the API shows it, with the calls that are in flight.

    `payloads` adds its input and the steps' results. Raises msgspec.DecodeError for an event that is damaged.
    """
    story = told(events)
    shown = row_document(row)
    started = story.started
    if started is not None:
        shown["trace"] = started.trace.decode("ascii", "replace")
        if started.deadline is not None:
            shown["deadline"] = moment(started.deadline)
        if payloads:
            shown |= payload_members("input", started.input)
    if story.ended is not None and row.state in ENDED:
        if story.ended.failure is not None:
            shown["error"] = error_members(story.ended.failure)
        else:
            shown |= payload_members("result", story.ended.result)
            shown["completed"] = story.ended.completed
    if story.cancelled is not None:
        shown["cancelled"] = story.cancelled.reason
    if story.pauses:
        shown["waiting_for"] = [_waiting(path, pause.name, pause.due) for path, pause in story.pauses.items()]
    if story.parked:
        shown["parked"] = [_parked(path, parked) for path, parked in story.parked.items()]
    if story.signals:
        shown["signals"] = [signal.name for signal in story.signals]
    steps = _steps(story, flight, row.state in ENDED)
    if len(steps) > STEPS and not all_steps:
        steps, shown["truncated"] = steps[-STEPS:], True
    shown["steps"] = [_step_document(step, payloads) for step in steps]
    return shown


def row_document(row: RunRow) -> Document:
    """What a list says of a run."""
    return {
        "id": id_text(row.id).decode(),
        "flow": row.flow,
        "version": row.version,
        "state": row.state,
        "created": moment(row.created),
        "started": moment(row.created),
        "ended": None if row.ended is None else moment(row.ended),
        "ms": round(((time() if row.ended is None else row.ended) - row.created) * 1000, 3),
    }


def told(events: Iterable[Event]) -> Story:
    """The story of events, in detail, without those that count no more."""
    records = [(event, record_of(event.kind, event.body)) for event in events]
    void = void_of(record for _, record in records)
    story = Story(detailed=True)
    for event, record in records:
        if event.seq not in void:
            story.apply(event.at, event.path, record)
    return story


def void_of(records: Iterable[Record]) -> set[int]:
    """The numbers of the events that count no more, because an end was taken back."""
    return {seq for record in records if isinstance(record, Retried) for seq in record.void}


def _steps(story: Story, flight: Sequence[InFlight], has_ended: bool) -> list[StepStory]:
    """The steps in the order in which they are first heard of, what is in flight last."""
    steps = dict(story.steps or {})
    for call in () if has_ended else flight:
        before = steps.get(call.path)
        if before is not None and before.state not in ("running", "parked"):
            continue  # it has ended since, and that is on disk already
        step = StepStory(call.path, call.function, "running", call.attempts, call.began)
        if before is not None and before.state == "running":
            step.began, step.outcome, step.status, step.detail = (
                before.began,
                before.outcome,
                before.status,
                before.detail,
            )
        steps[call.path] = step
    return list(steps.values())


def _step_document(step: StepStory, payloads: bool) -> Document:
    until = time() if step.ended is None else step.ended
    shown: Document = {
        "path": step.path,
        "state": step.state,
        "attempts": step.attempts,
        "started": moment(step.began),
        "ended": None if step.ended is None or step.state == "parked" else moment(step.ended),
        "ms": round(max(0.0, until - step.began) * 1000, 3),
    }
    said = "signal" if step.state == "waiting" else "detail"
    members = ("function", step.function), ("outcome", step.outcome), ("status", step.status), (said, step.detail)
    for name, value in members:
        if value:
            shown[name] = value
    if payloads and step.ended is not None:
        shown |= payload_members("result", step.payload, LARGE)
    return shown


def _waiting(path: str, signal: str, due: float | None) -> Document:
    waiting: Document = {"path": path}
    if signal:
        waiting["signal"] = signal
    if due is not None:
        waiting["until"] = moment(due)
    return waiting


def _parked(path: str, parked: Parked) -> Document:
    """A run that is parked as a whole can only be tried again."""
    return {"path": path, "why": parked.why, "choices": list(CHOICES if path else CHOICES[:1])}


def error_members(record: FailureRecord) -> Document:
    """Why a run failed, as the problem document that its caller gets says it."""
    failure = record.failure()
    members = {
        "reason": failure.reason,
        "status": status_of(failure),
        "detail": detail_of_failure(failure),
        **failure_members(failure),
    }
    return {name: value for name, value in members.items() if value not in (None, "", [])}


def payload_members(name: str, record: PayloadRecord | None, limit: int | None = None) -> Document:
    """A payload under a name: JSON as it is, anything else with `<name>_type`, and `<name>_encoding` for base64.

    One over `limit` bytes is told by its size alone.
    """
    if record is None:
        return {name: None}
    payload = record.payload()
    if limit is not None and payload.size > limit:
        return {f"{name}_type": _media(payload), f"{name}_size": payload.size}
    if payload.is_json or payload.is_undeclared:
        try:
            return {name: msgspec.Raw(Payload(JSON, (payload.plain_body(),), payload.size).json())}
        except NotJSON:
            pass  # it says JSON, and is none
    try:
        plain = payload.plain_body()
    except NotJSON:
        return _as_base64(name, payload, payload.body)
    try:
        return {name: plain.decode(), f"{name}_type": _media(payload)}
    except UnicodeDecodeError:
        return _as_base64(name, payload, plain)


def _as_base64(name: str, payload: Payload, body: bytes) -> Document:
    text = base64.b64encode(body).decode("ascii")
    return {name: text, f"{name}_type": _media(payload), f"{name}_encoding": "base64"}


def _media(payload: Payload) -> str:
    return payload.content_type.decode("latin-1")


def moment(at: float) -> str:
    """A time as the API shows it: ISO 8601, UTC. One that no calendar has is the last that it has."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC).isoformat(timespec="milliseconds")
