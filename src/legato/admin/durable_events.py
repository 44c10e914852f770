"""The events of a durable run as they come, over HTTP: server-sent events, or a JSON array of those so far.

What is not in memory moves nowhere, so a look at the run there says whether the journal is worth reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from legato.admin.answers import as_json, encoded
from legato.admin.problems import Problematic
from legato.errors import StoreUnavailable
from legato.hosts.journal.documents import InFlight, in_flight, moment
from legato.hosts.journal.event_documents import event_document
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.records import kind_of
from legato.model.journal import ENDED, Event, StoredRun

STREAMS = 100  # at once: each looks for news some times a second
LOOK = 0.2  # seconds between two looks at a run that is in memory
READ = 1.0  # seconds after which the journal is read whatever memory says
ALIVE = 5.0  # seconds of silence after which a comment is sent: a reader that has left is known by the second one
PART = 500  # events that are made into text at a time
IN_FLIGHT = 100  # calls in flight that are shown

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStreams:
    """Streams of events, a bounded number of them at once."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._open = 0

    async def answer(self, request: Request, host: JournalHost, stored: StoredRun, payloads: bool) -> Response:
        """`Last-Event-ID` is the number of the last event that is known already."""
        since = _since(request.headers.get("last-event-id", ""))
        if _wants_json(request.headers.get("accept", "")):
            return await host.beside.run(_all_events, stored.events[since:], payloads)
        if self._open >= STREAMS:
            raise Problematic(503, f"{STREAMS} streams of events are open: end one, or ask later", {"retry-after": "5"})
        stream = _Stream(request, host, stored, payloads, since, self._stopping)
        return StreamingResponse(self._counted(stream), headers=_HEADERS, media_type="text/event-stream")

    async def _counted(self, stream: _Stream) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            async for text in stream.texts():
                yield text
        finally:
            self._open -= 1


class _Stream:
    def __init__(
        self,
        request: Request,
        host: JournalHost,
        stored: StoredRun,
        payloads: bool,
        since: int,
        stopping: Callable[[], bool],
    ) -> None:
        self._request = request
        self._host = host
        self._run = stored.row.id
        self._payloads = payloads
        self._next = since
        self._stopping = stopping
        self._has_ended = stored.row.state in ENDED and since >= len(stored.events)
        self._flight: Sequence[InFlight] = ()

    async def texts(self) -> AsyncIterator[bytes]:
        """What is sent: past events, then those that come, until the run has ended or the reader has left."""
        yield b"retry: 1000\n\n"
        spoke, read = monotonic(), 0.0
        while not self._stopping():
            sent, now = False, monotonic()
            if now - read >= READ or self._has_moved():
                read = now
                async for text in self._news():
                    sent = True
                    yield text
            if self._has_ended or await self._request.is_disconnected():
                return
            if text := self._in_flight():
                sent = True
                yield text
            if sent:
                spoke = now
            elif now - spoke > ALIVE:
                spoke = now
                yield b": still here\n\n"
            await asyncio.sleep(LOOK)

    def _has_moved(self) -> bool:
        run = self._host.live.get(self._run)
        return run is not None and run.seq > self._next

    async def _news(self) -> AsyncIterator[bytes]:
        try:
            events = await self._host.beside.run(self._host.journal.events, self._run, self._next)
        except StoreUnavailable as error:
            yield f": the journal cannot be read: {' '.join(str(error).split())}\n\n".encode()
            return
        for start in range(0, len(events), PART):
            part = events[start : start + PART]
            yield await self._host.beside.run(_texts, part, self._payloads)
            self._next = part[-1].seq + 1
            for event in part:
                if (kind := kind_of(event.kind)) in ("ended", "retried"):
                    self._has_ended = kind == "ended"

    def _in_flight(self) -> bytes:
        """The calls that are being made, if they have changed: they are no events, and have no number."""
        run = self._host.live.get(self._run)
        flight = () if run is None else in_flight(run)[:IN_FLIGHT]
        if (not self._flight and not flight) or list(flight) == list(self._flight):
            return b""
        self._flight = flight
        calls = [
            {"path": call.path, "function": call.function, "attempt": call.attempts, "began": moment(call.began)}
            for call in flight
        ]
        return b"event: in_flight\ndata: %b\n\n" % encoded({"calls": calls})


def _texts(events: Sequence[Event], payloads: bool) -> bytes:
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n"
        % (event.seq, kind_of(event.kind).encode(), encoded(event_document(event, payloads)))
        for event in events
    )


def _all_events(events: Sequence[Event], payloads: bool) -> Response:
    return as_json([event_document(event, payloads) for event in events])


def _wants_json(accept: str) -> bool:
    return "application/json" in accept and "text/event-stream" not in accept


def _since(last: str) -> int:
    """The number of the first event that is not known yet."""
    if not last:
        return 0
    if not (last.isascii() and last.isdigit() and len(last) < 10):
        raise Problematic(400, f"`Last-Event-ID` is the number of an event, not {last!r}")
    return int(last) + 1
