"""What an event of a durable run says, as the API shows it; bodies only where they are asked for."""

from __future__ import annotations

from legato.hosts.journal.documents import Document, error_members, moment, payload_members
from legato.hosts.journal.records import (
    Attempted,
    Cancelled,
    Decided,
    Delivered,
    Ended,
    Parked,
    Record,
    Responded,
    Retried,
    Signalled,
    Started,
    Timer,
    kind_of,
    record_of,
)
from legato.model.journal import Event


def event_document(event: Event, payloads: bool = False) -> Document:
    """An event by its number, time, kind and path. Raises msgspec.DecodeError for one that is damaged."""
    shown: Document = {"seq": event.seq, "at": moment(event.at), "kind": kind_of(event.kind)}
    if event.path:
        shown["path"] = event.path
    said = _said(record_of(event.kind, event.body), payloads)
    return shown | {name: value for name, value in said.items() if value not in (None, "", [])}


def _said(record: Record, payloads: bool) -> Document:
    match record:
        case Started():
            said: Document = {
                "method": record.method.decode("latin-1"),
                "trace": record.trace.decode("ascii", "replace"),
            }
            if record.deadline is not None:
                said["deadline"] = moment(record.deadline)
            return said | (payload_members("input", record.input) if payloads else {})
        case Attempted():
            return {
                "function": record.function,
                "attempt": record.number,
                "outcome": record.kind,
                "status": record.status or None,
                "detail": record.detail,
                "next": moment(record.due),
            }
        case Delivered():
            return _outcome(record) | (payload_members("result", record.payload) if payloads else {})
        case Timer():
            return {"signal": record.name, "until": None if record.due is None else moment(record.due)}
        case Signalled():
            return {"signal": record.name} | (payload_members("payload", record.payload) if payloads else {})
        case Cancelled():
            return {"reason": record.reason, "hard": record.hard}
        case Parked():
            return {"why": record.why} | _outcome(record.delivered)
        case Decided():
            return {"action": record.action} | (payload_members("result", record.payload) if payloads else {})
        case Responded():
            return {"status": record.status} | (payload_members("payload", record.payload) if payloads else {})
        case Retried():
            return {"void": record.void}
        case Ended():
            said = {"state": record.state, "completed": record.completed}
            if record.failure is not None:
                return said | {"error": error_members(record.failure)}
            return said | (payload_members("result", record.result) if payloads else {})
        case _:
            return {}


def _outcome(record: Delivered) -> Document:
    return {
        "function": record.function,
        "outcome": record.kind,
        "status": record.status or None,
        "detail": record.detail,
        "attempts": record.attempts,
        "began": moment(record.began) if record.began else None,
        "signal": record.signal,
    }
