"""The server's protocol: uvicorn's own httptools protocol with a bypass for flows.

Requests are answered one after another, each before the next begins, whether a flow answers it or the ASGI app, so
pipelined answers cannot change places. What uvicorn leaves open is ours here (contract 8): the time of headers, bodies
and readers, half-closed callers, and a graceful stop that knows about flows. Reading is in `reader`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from socket import SO_ERROR, SOL_SOCKET
from time import monotonic
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from legato.model.settings import Limits
from legato.transport.asgi_bridge import asgi_cycle
from legato.transport.memo import HeadMemo
from legato.transport.reader import HEAD, IDLE, RequestReader
from legato.transport.request import Head, Request, Service
from legato.transport.wheel import Timer, Wheel

COPY_LIMIT = 64 * 1024  # a smaller body is written with its head at once, a larger one is not copied
LINGER = 2.0  # seconds in which what a refused caller still sends is read and dropped, so that it can read the answer
PROBE = 0.5  # seconds after a half-close until an interim answer finds out whether anybody is still there
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NO_PIPELINE: deque[Any] = deque()


class ServerProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    # What stands here is not in the dict of each connection, which thereby stays small enough to share its keys.
    __slots__ = (
        "_active", "_asgi", "_half_closed", "_known_head", "_limits", "_probed", "_reader", "_service", "_serving",
        "_stalled", "_stopping", "_timer", "_wheel",
    )  # fmt: skip

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        service: Service,
        limits: Limits,
        wheel: Wheel,
        memo: HeadMemo[Head],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.pipeline = _NO_PIPELINE  # uvicorn's own queue, which is never used
        self._asgi: Any = config.loaded_app  # pyright: ignore[reportUnknownMemberType]
        self._service = service
        self._limits = limits
        self._wheel = wheel
        self._known_head = memo.find
        self._reader = RequestReader(self, service, limits, memo)
        self.parser = None  # pyright: ignore[reportAttributeAccessIssue] - the reader has its own
        self._timer = _ConnectionTimer(connection=self)
        self._active: Request | None = None  # being answered
        self._half_closed = self._probed = self._stopping = self._serving = False
        self._stalled = 0

    @property
    def client_host(self) -> str:
        """The caller's address, empty on a unix socket."""
        return self.client[0] if self.client else ""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", transport))
        self._timer.due = self._reader.began + min(self._limits.header_time, self._limits.keep_alive)
        self._wheel.watch(self._timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wheel.forget(self._timer)
        super().connection_lost(exc)
        self._reader.deaf = True
        self._reader.queue.clear()
        active, self._active, self._reader.request = self._active, None, None
        del self._reader.parser  # a cycle through its bound methods
        if active is not None and active.head.route is not None:
            self._service.gone(active)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A caller that has shut its sending side is still answered; one without a request is let go."""
        self._reader.deaf = True
        if self._active is None and not self._reader.queue:
            return None
        self._half_closed = self._stopping = True
        if self.scheme == "https":
            return None  # TLS has no half-close
        self._timer.due = monotonic() + PROBE
        self._wheel.watch(self._timer)
        return True

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader.deaf:
            return
        reader.last = monotonic()
        length = data.find(b"\r\n\r\n") + 4
        if reader.request is None:
            head = self._known_head(data[:length])
            if head is not None and head.length == len(data) - length:
                reader.reading = IDLE
                request = Request(self, head, [data[length:]], head.length, reader.last)
                if self._active is None and not self.flow.write_paused:
                    self._active = request
                    self._service.serve(request)
                else:
                    reader.queue.append(request)
                    self.flow.pause_reading()
                return
        reader.read(data, length)
        if reader.reading:
            self._watch()
        if not reader.queue:
            if reader.continue_due and self._active is None:
                self._continue()
        elif self._active is None:
            self._next()
        else:
            self.flow.pause_reading()

    def _continue(self) -> None:
        """Let the caller send the body that it holds back: everything before it has been answered."""
        self._reader.continue_due = False
        self.transport.write(CONTINUE)

    # One request after another.

    def _next(self) -> None:
        """Serve what waits for as long as answers come on the spot: a loop, not a recursion."""
        if self._serving:
            return
        self._serving = True
        while self._active is None and self._reader.queue and not self.flow.write_paused:
            request = self._reader.queue.pop(0)
            self._active = request
            request.started = self._reader.last
            refusal = request.head.refusal
            if refusal is not None:
                self._service.refused(request, refusal.status)
                self.answer(request, refusal.status, refusal.headers, (refusal.body,), len(refusal.body))
            elif request.head.route is not None:
                self._service.serve(request)
            else:
                self._hand_to_asgi(request)
        self._serving = False
        if not self._reader.queue and not self.flow.write_paused:
            self.flow.resume_reading()  # to see the caller leave

    def answer(self, request: Request, status: int, headers: bytes, chunks: Sequence[bytes], size: int) -> None:
        """Write the answer of the active request and begin the next; for one whose caller has left, nothing."""
        if request is not self._active:
            return
        transport = self.transport
        close = not request.head.keep_alive or (self._stopping and not self._reader.queue)
        defaults = self.server_state.default_headers
        date = _date.line if defaults is _date.defaults else _date.renew(defaults)
        head = b"%b%b%bcontent-length: %d\r\n%b" % (
            STATUS_LINE[status],
            date,
            headers,
            size,
            b"connection: close\r\n\r\n" if close else b"\r\n",
        )
        if not size or request.head.method == b"HEAD":
            if status == 204:
                head = head.replace(b"content-length: 0\r\n", b"")  # must not have one (RFC 9110, 8.6)
            transport.write(head)
        elif size <= COPY_LIMIT:
            transport.write(head + (chunks[0] if len(chunks) == 1 else b"".join(chunks)))
        else:
            transport.writelines([head, *chunks])
        self.server_state.total_requests += 1
        self._answered(close)

    def _answered(self, close: bool) -> None:
        self._active = None
        self._reader.last = monotonic()
        if close:
            self._close()
            return
        if self.flow.write_paused:  # the caller does not read its answers: nothing more is done for it until it does
            self.flow.pause_reading()
            self._timer.due = self._reader.last + self._limits.keep_alive
            self._wheel.watch(self._timer)
            return
        self._go_on()

    def _go_on(self) -> None:
        """Begin with what has come, or read on."""
        if self._reader.queue:
            self._next()
        elif self._half_closed:
            self.transport.close()
        else:
            if self.flow.read_paused:
                self.flow.resume_reading()
            if self._reader.continue_due:
                self._continue()

    def _close(self) -> None:
        """Close so that the caller can read the answer although it may still be sending (RFC 9112, 9.6)."""
        self._reader.queue.clear()
        self._reader.deaf = True
        if not self._reader.unread or self._half_closed or self.scheme == "https" or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._half_closed = True
        self._timer.due = monotonic() + LINGER
        self._wheel.watch(self._timer)

    # The ASGI app: everything that is no flow.

    def _hand_to_asgi(self, request: Request) -> None:
        stops = self._stopping and not self._reader.queue
        self.cycle = asgi_cycle(self, request, request.head.keep_alive and not stops)
        self._start_asgi_task(self.cycle, self._asgi)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._answered(close=False)

    def resume_writing(self) -> None:
        """The caller has read: go on with what waits."""
        super().resume_writing()
        if self._active is None:
            self._go_on()

    # Time, and the end.

    def shutdown(self) -> None:
        """Stop gracefully: answer what has come, then close."""
        self._stopping = True
        if self._active is None and not self._reader.queue and self._reader.request is None:
            self.transport.close()
        elif self._active is not None and self._active.head.route is None:
            self.cycle.keep_alive = False

    def _watch(self) -> None:
        limits = self._limits
        self._timer.due = (
            self._reader.began + limits.header_time
            if self._reader.reading == HEAD
            else self._reader.last + limits.body_time
        )
        self._wheel.watch(self._timer)

    def timer_expired(self, now: float) -> None:
        """What is due: a head or body that does not come, an idle connection, a reader that does not read."""
        if self.transport.is_closing():
            return
        if self.flow.write_paused and self._active is None:
            self._check_stalled(now)
        elif self._half_closed:
            self._check_half_closed(now)
        elif self._reader.reading:
            self._check_slow(now)
        elif self._active is not None or self._reader.queue:
            self._timer.due = now + self._limits.keep_alive
            self._wheel.watch(self._timer)
        elif now - self._reader.last < self._limits.keep_alive:
            self._timer.due = self._reader.last + self._limits.keep_alive
            self._wheel.watch(self._timer)
        else:
            self._check_stalled(now)

    def _check_slow(self, now: float) -> None:
        limits = self._limits
        if self.flow.read_paused or self._reader.continue_due:
            self._reader.began = self._reader.last = now  # it is us for whom the rest waits
        limit = (
            self._reader.began + limits.header_time
            if self._reader.reading == HEAD
            else self._reader.last + limits.body_time
        )
        if now < limit:
            self._watch()
        elif self._reader.request is None:
            self.transport.close()  # not one byte of a request
        else:
            what = "headers" if self._reader.reading == HEAD else "body"
            self._reader.refuse(408, f"the {what} did not come in time")
            if self._active is None:
                self._next()

    def _check_half_closed(self, now: float) -> None:
        if self._active is None:
            self.transport.abort()
        elif (
            not self._probed and self._active.head.route is not None and self._reader.parser.get_http_version() != "1.0"
        ):
            # A caller that has closed for good answers this with a reset, one that only half-closed passes it over.
            self._probed = True
            self.transport.write(CONTINUE)
            self._timer.due = now + PROBE
            self._wheel.watch(self._timer)
        elif self._probed:
            # Nobody reads from a half-closed socket, so nobody is told of the reset.
            if self.transport.get_extra_info("socket").getsockopt(SOL_SOCKET, SO_ERROR):
                self.transport.abort()
            self._timer.due = now + PROBE
            self._wheel.watch(self._timer)

    def _check_stalled(self, now: float) -> None:
        """An idle connection is closed; one whose answer is still being read only if nothing moves."""
        unread = self.transport.get_write_buffer_size()
        if unread and unread != self._stalled:
            self._stalled = unread
            self._reader.last = now
            self._timer.due = now + self._limits.keep_alive
            self._wheel.watch(self._timer)
        else:
            self.transport.abort() if unread else self.transport.close()


class _ConnectionTimer(Timer, eq=False, kw_only=True):
    """One timer per connection; it moves with what is due next."""

    connection: ServerProtocol

    def expired(self, now: float) -> None:
        self.connection.timer_expired(now)


class _Date:
    """The Date header; uvicorn renews its default headers once a second, and they are joined as often."""

    __slots__ = ("defaults", "line")

    def __init__(self) -> None:
        self.defaults: list[tuple[bytes, bytes]] = []
        self.line = b""

    def renew(self, defaults: list[tuple[bytes, bytes]]) -> bytes:
        self.defaults = defaults
        self.line = b"".join([b"%b: %b\r\n" % pair for pair in defaults])
        return self.line


_date = _Date()
