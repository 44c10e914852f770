"""Starts of durable flows over HTTP (contract 5): the result if it comes within the wait, else 202 and where to look.

A start is acknowledged when it is on disk, and not before; the same `Idempotency-Key` gives the same run.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import time
from typing import Protocol

import msgspec

from legato.errors import LegatoError
from legato.gateway.problems import refusal
from legato.hosts.inline import InlineRun
from legato.hosts.journal.documents import run_document
from legato.hosts.journal.ended import EndedRun
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.replay import Unfit
from legato.hosts.journal.run import DurableRun
from legato.model.journal import ENDED, Event, RunRow
from legato.model.outcome import Failure
from legato.model.payload import Payload
from legato.ports import Caller
from legato.telemetry.ids import id_text
from legato.transport.request import Answer

KEY_LIFE = 24 * 3600.0  # seconds for which a start's key is remembered (contract 5)
LONGEST_KEY = 255  # characters
LONGEST_WAIT = 86_400.0  # seconds that a caller may ask to wait
STORED = b"legato-stored: fsync\r\n"  # how far the run is safe: on this machine's disk
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?")
_RETRY = b"retry-after: 1\r\n"


class Preference:
    """What a caller prefers (RFC 7240): seconds that it waits, and how we say that this was heeded."""

    def __init__(self, header: bytes | None, default: float) -> None:
        wishes = [] if header is None else [part.partition(";")[0].strip() for part in _text(header).split(",")]
        wait = next((float(match[1]) for wish in wishes if (match := _WAIT.fullmatch(wish))), None)
        applied = ["respond-async"] if "respond-async" in wishes else []
        self.wait = 0.0 if applied else default
        if wait is not None:  # with `respond-async`, too: RFC 7240, 4.3
            self.wait = min(wait, LONGEST_WAIT)
            applied.append(f"wait={self.wait:.0f}")
        self.applied = f"preference-applied: {', '.join(applied)}\r\n".encode() if applied else b""

    def shorten(self, seconds: float) -> None:
        """Wait no longer than this, whatever was preferred."""
        if seconds < self.wait:
            self.wait, self.applied = seconds, b""


def _text(header: bytes) -> str:
    return header.decode("latin-1").lower()


class Sender(Protocol):
    """How an answer is given: for a run that has ended (or has answered), and as it is."""

    def result(self, run: InlineRun | EndedRun, payload: Payload, failure: Failure | None, headers: bytes) -> None:
        """Answer with what the run leaves."""
        ...

    def plain(self, answer: Answer) -> None:
        """Answer with this."""
        ...


class Waiting:
    """One caller of a durable run. Answers once: with the result, with 202, or with a refusal."""

    def __init__(self, host: JournalHost, flow: str, sender: Sender, preference: Preference) -> None:
        self._host = host
        self._flow = flow
        self._sender = sender
        self._preference = preference
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        self._run: DurableRun | None = None
        self.is_answered = False

    def ended(self, run: InlineRun | EndedRun, payload: Payload, failure: Failure | None) -> None:
        """The run has ended, or has answered."""
        if not self.is_answered:
            self.leave()
            self._sender.result(run, payload, failure, STORED + self._preference.applied)

    def expect(self, run: DurableRun) -> None:
        """Begin to wait for a run that is not on disk yet."""
        if not self.is_answered:
            self._run = run

    def stored(self, run: DurableRun) -> None:
        """The run is on disk."""
        self._host.defined(run.row.program)
        if not self.is_answered:
            self.attach(run)

    def attach(self, run: DurableRun) -> None:
        """Wait for a run as long as the caller does."""
        self._run = run
        if self._preference.wait <= 0 or self._host.is_hurried:
            self._accepted()
        else:
            self._host.callers.add(self._accepted)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._preference.wait, self._late)

    def refused(self, why: str) -> None:
        """The run could not be stored, and will not be."""
        self.plain(refusal(503, f"the run could not be stored: {why}", _RETRY, flow=self._flow))

    def plain(self, answer: Answer) -> None:
        """Answer without a run."""
        if not self.is_answered:
            self.leave()
            self._sender.plain(answer)

    def _late(self) -> None:
        """The result will come later than the caller waits: tell what has been done until now."""
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        events: Sequence[Event] = ()
        if self._run is not None:
            with suppress(LegatoError):  # without its steps, the answer is as good
                events = await self._host.beside.run(self._host.journal.events, self._run.key, 0)
        self._accepted(events)

    def _accepted(self, events: Sequence[Event] = ()) -> None:
        """Tell where to look."""
        if self._run is not None and not self.is_answered:
            self.tell(self._run.row, events, self._run)

    def tell(self, row: RunRow, events: Sequence[Event], run: DurableRun | None) -> None:
        """Answer 202, with the run as it stands."""
        self.leave()
        run_id = id_text(row.id)
        headers = b"content-type: application/json\r\nlocation: /api/runs/%b\r\nlegato-run: %b\r\n" % (run_id, run_id)
        body = msgspec.json.encode(run_document(row, events, run), enc_hook=repr)
        self._sender.plain(Answer(202, headers + STORED + self._preference.applied, body))

    def leave(self) -> None:
        """Wait no more: the caller has been answered, or has left. The run goes on."""
        self.is_answered = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        run = self._run
        if run is not None:
            self._host.callers.discard(self._accepted)
            if self.ended in run.listeners:
                run.listeners.remove(self.ended)
                self._host.rest(run)


class Starts:
    """Starts runs, once for each key."""

    def __init__(self, most: int) -> None:
        self._most = most  # runs in memory at once
        self._starting: dict[bytes, tuple[bytes, asyncio.Future[bytes]]] = {}  # key: (digest of the body, the run)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        host: JournalHost,
        begin: Callable[..., DurableRun],
        payload: Payload,
        caller: Caller,
        traceparent: bytes | None,
        key: bytes | None,
        waiting: Waiting,
    ) -> None:
        """Start a run, or find the one that was started under this key; `waiting` is told."""
        if host.stopping:
            waiting.plain(refusal(503, "the gateway is stopping", _RETRY))
        elif len(host.live) >= self._most:
            waiting.plain(refusal(503, f"{self._most} durable runs are under way (`limits.durable_runs`)", _RETRY))
        elif host.journal.trouble:
            waiting.refused(host.journal.trouble)
        elif key is None:
            run = begin(payload, caller, traceparent, None, waiting.stored, waiting.refused, waiting.ended)
            waiting.expect(run)
        else:
            start = partial(begin, payload, caller, traceparent)
            body = hashlib.sha256(payload.content_type + b"\n" + payload.body).digest()[:16]
            task = asyncio.get_running_loop().create_task(self._start_once(host, start, key, body, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _start_once(
        self, host: JournalHost, start: Callable[..., DurableRun], key: bytes, body: bytes, waiting: Waiting
    ) -> None:
        """See `start`. Two of the same key at once are told apart by who comes first."""
        try:
            while (other := self._starting.get(key)) is not None:
                if other[0] != body:
                    waiting.plain(_other_body())
                    return
                await asyncio.wait((other[1],))
            stored: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._starting[key] = body, stored
            try:
                known = await host.beside.run(host.journal.started, key)
                if known is None:
                    self._begin(start, key, body, waiting, stored)
                    await asyncio.wait((stored,))
                    return
            finally:
                del self._starting[key]
                if not stored.done():
                    stored.set_result(b"")
            if known.body != body:
                waiting.plain(_other_body())
            else:
                await self._find(host, known.run, waiting)
        except (LegatoError, msgspec.MsgspecError) as error:
            waiting.plain(refusal(503, str(error), _RETRY))

    def _begin(
        self,
        start: Callable[..., DurableRun],
        key: bytes,
        body: bytes,
        waiting: Waiting,
        stored: asyncio.Future[bytes],
    ) -> None:
        def is_stored(run: DurableRun) -> None:
            stored.set_result(run.key)
            waiting.stored(run)

        def is_refused(why: str) -> None:
            stored.set_result(b"")
            waiting.refused(why)

        run = start((key, body, time() + KEY_LIFE), is_stored, is_refused, waiting.ended)
        waiting.expect(run)

    async def _find(self, host: JournalHost, run_key: bytes, waiting: Waiting) -> None:
        """Have the caller wait for a run that was started before."""
        try:
            run = await host.take_up(run_key)
        except Unfit:  # it is parked as a whole, and there all the same
            run = None
        if run is not None:
            if run.answered is not None:
                waiting.ended(run, run.answered.payload, run.answered.failure)
            else:
                run.listeners.append(waiting.ended)
                waiting.attach(run)
            return
        stored = await host.beside.run(host.journal.run, run_key)
        if stored is not None and stored.row.state == "parked":
            waiting.tell(stored.row, stored.events, None)
            return
        if stored is None or stored.row.state not in ENDED:
            waiting.plain(refusal(503, "the run of this key cannot be taken up at the moment", _RETRY))
            return
        ended = EndedRun(stored)
        waiting.ended(ended, ended.payload, ended.failure)


def _other_body() -> Answer:
    return refusal(422, "this Idempotency-Key was sent before with another body; send another key with this one")
