"""The server's protocol: uvicorn's own httptools protocol with a bypass for flows.

Requests are read whole, in order, into one queue per connection; each is answered before the next begins, whether a
flow answers it or the ASGI app, so pipelined answers cannot change places. What uvicorn leaves open is ours here
(contract 8): limits on headers, their time, half-closed callers, and a graceful stop that knows about flows.

States of reading: IDLE between requests, HEAD from the first byte of a request to its empty line, BODY from there to
the last byte. Parser callbacks never raise: what they find wrong becomes a refusal in the queue.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from socket import SO_ERROR, SOL_SOCKET
from time import monotonic
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from legato.model.settings import Limits
from legato.transport.asgi_bridge import asgi_cycle
from legato.transport.memo import HeadMemo
from legato.transport.request import Answer, Head, Request, Service
from legato.transport.wheel import Timer, Wheel

IDLE, HEAD, BODY = 0, 1, 2
COPY_LIMIT = 64 * 1024  # a smaller body is written with its head at once, a larger one is not copied
LINGER = 2.0  # seconds in which what a refused caller still sends is read and dropped, so that it can read the answer
PROBE = 0.5  # seconds after a half-close until an interim answer finds out whether anybody is still there
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Fields that say one thing; two of them are two opinions, and attacks live between them.
_SINGLE = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"expect", b"legato-hops"}
)
_VERSIONS = frozenset({"1.1", "1.0"})
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)

_NO_PIPELINE: deque[Any] = deque()


class ServerProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    # What stands here is not in the dict of each connection, which thereby stays small enough to share its keys.
    __slots__ = (
        "_active", "_asgi", "_began", "_continue_due", "_deaf", "_half_closed", "_incoming", "_known_head", "_last",
        "_limits", "_memo", "_probed", "_queue", "_reading", "_reading_request", "_service", "_serving", "_stalled",
        "_stopping", "_timer", "_unread", "_wheel", "_wire",
    )  # fmt: skip

    parser: httptools.HttpRequestParser  # pyright: ignore[reportIncompatibleVariableOverride]

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
        self._memo = memo
        self._known_head = memo.find
        self._timer = _ConnectionTimer(connection=self)
        self._reading = IDLE
        self._reading_request: Request | None = None
        self._active: Request | None = None  # being answered
        self._queue: list[Request] = []  # short: reading pauses while it holds anything
        self._deaf = False  # nothing more is read from this connection
        self._last = self._began = monotonic()
        self._incoming = 0  # bytes of the read that is being parsed, less those that were a body
        self._wire = 0  # bytes of the current head or body, or a little more
        self._continue_due = self._half_closed = self._probed = self._stopping = self._unread = self._serving = False
        self._stalled = 0

    @property
    def client_host(self) -> str:
        """The caller's address, empty on a unix socket."""
        return self.client[0] if self.client else ""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", transport))
        self._reading = HEAD  # the first head must come in time, too
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wheel.forget(self._timer)
        super().connection_lost(exc)
        self._deaf = True
        self._queue.clear()
        active, self._active, self._reading_request = self._active, None, None
        if active is not None and active.head.route is not None:
            self._service.gone(active)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A caller that has shut its sending side is still answered; one without a request is let go."""
        self._deaf = True
        if self._active is None and not self._queue:
            return None
        self._half_closed = self._stopping = True
        if self.scheme == "https":
            return None  # TLS has no half-close
        self._timer.due = monotonic() + PROBE
        self._wheel.watch(self._timer)
        return True

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._last = monotonic()
        if self._reading_request is None:
            length = data.find(b"\r\n\r\n") + 4
            head = self._known_head(data[:length])
            if head is not None and head.length == len(data) - length:
                self._reading = IDLE
                self._take(Request(self, head, [data[length:]], head.length, self._last))
                return
            waiting = len(self._queue)
            self._parse(data)
            if len(self._queue) == waiting + 1:
                self._learn(self._queue[-1], data, length)
        else:
            self._parse(data)
        if self._reading:
            self._check_wire(data)
        if self._reading:
            self._watch()
        if self._queue:
            if self._active is None:
                self._next()
            else:
                self.flow.pause_reading()

    def _parse(self, data: bytes) -> None:
        self._incoming = incoming = len(data)
        self._wire += incoming
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._pass_over_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(400, f"this is not HTTP/1.1: {error}")

    def _learn(self, request: Request, data: bytes, length: int) -> None:
        """Remember the head of a plain request that one read brought whole, and nothing else with it."""
        head = request.head
        if (
            not self._deaf
            and self._reading == IDLE
            and head.route is not None
            and head.refusal is None
            and head.length == request.size == len(data) - length
            and b"transfer-encoding" not in head.fields
            and b"expect" not in head.fields
        ):
            self._memo.keep(data[:length], head)

    # What the parser calls: notes only.

    def on_message_begin(self) -> None:
        if self._deaf:
            self._reading_request = None
            return
        self._reading_request = Request(self, Head(), [], 0, self._last)
        if self._reading != HEAD:
            self._began = self._last
            self._reading = HEAD
        self._wire = self._incoming

    def on_url(self, url: bytes) -> None:
        if self._reading_request is not None:
            self._reading_request.head.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._reading_request
        if request is None or self._reading != HEAD:  # a trailer
            return
        head, name = request.head, name.lower()
        if name not in head.fields:
            head.fields[name] = value
        elif head.repeated is None:
            head.repeated = [(name, value)]
        else:
            head.repeated.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._reading_request
        if request is None:
            return
        self._reading = BODY
        head = request.head
        head.method = self.parser.get_method()
        head.keep_alive = self.parser.should_keep_alive()
        head.length = int(head.fields.get(b"content-length", b"0"))
        if not self._is_sound(head):
            return
        self._wire = 0
        path, _, head.query = head.target.partition(b"?")
        if path[:1] != b"/" and (match := _ABSOLUTE.match(path)):  # absolute-form (RFC 9112, 3.2.2)
            path = path[match.end() :] or b"/"
        head.path = path
        head.refusal = self._service.admit(head)
        if b"expect" in head.fields:
            self._expect(request)

    def on_body(self, body: bytes) -> None:
        request = self._reading_request
        if request is None:
            return
        request.size += len(body)
        self._incoming -= len(body)
        if request.size > self._limits.request_body:
            self._refuse(413, f"the body is larger than {self._limits.request_body} bytes")
        elif request.head.refusal is None:
            request.chunks.append(body)

    def on_message_complete(self) -> None:
        request = self._reading_request
        if request is None:
            return
        self._reading_request = None
        self._reading = IDLE
        self._continue_due = False  # the body came without it
        self._queue.append(request)
        if not request.head.keep_alive:
            self._deaf = True

    # Checks of the head.

    def _is_sound(self, head: Head) -> bool:
        limits, fields = self._limits, head.fields
        count = len(fields) + (len(head.repeated) if head.repeated else 0)
        if len(head.target) > limits.url:
            self._refuse(414, f"the URL is longer than {limits.url} bytes")
        elif count > limits.header_count:
            self._refuse(431, f"more than {limits.header_count} headers")
        elif self._wire > limits.header_bytes and _size(head) > limits.header_bytes:
            self._refuse(431, f"the headers are larger than {limits.header_bytes} bytes")
        elif head.repeated and any(name in _SINGLE for name, _ in head.repeated):
            self._refuse(400, "a header that must be unique came twice")
        elif b"host" not in fields and self.parser.get_http_version() != "1.0":
            self._refuse(400, "HTTP/1.1 needs a Host header (RFC 9112, 3.2)")
        elif (not head.keep_alive or b"connection" in fields) and self.parser.get_http_version() not in _VERSIONS:
            self._refuse(400, "only HTTP/1.1 and HTTP/1.0 are spoken here")  # others do not keep alive by themselves
        elif head.method == b"CONNECT":
            self._refuse(400, "this is no proxy: CONNECT and authority-form targets are not served")
        elif head.length > limits.request_body:
            self._refuse(413, f"the body is larger than {limits.request_body} bytes")
        else:
            if b"connection" in fields and self.parser.get_http_version() == "1.0":
                head.keep_alive = False  # as uvicorn does: no keep-alive with HTTP/1.0
            return True
        return False

    def _check_wire(self, data: bytes) -> None:
        """Bytes without end that never become a head, or that are chunk heads and trailers rather than a body."""
        limits = self._limits
        if self._reading == HEAD:
            if self._wire == self._incoming:  # it began in this read, in which other requests may have come before it
                self._wire = min(self._wire, len(data) - data.rfind(b"\r\n\r\n") - 4)
            if self._wire > limits.url + limits.header_bytes:
                in_url = self._reading_request is None or not self._reading_request.head.fields
                self._refuse(414 if in_url else 431, f"the headers are larger than {limits.header_bytes} bytes")
        elif self._wire > 2 * limits.request_body + limits.header_bytes:
            self._refuse(413, f"the body is larger than {limits.request_body} bytes")

    def _expect(self, request: Request) -> None:
        head = request.head
        if self.parser.get_http_version() == "1.0":
            return  # knows no interim answers (RFC 9110, 10.1.1)
        if head.fields[b"expect"].lower() != b"100-continue":
            self._refuse(417, "the only expectation that is met is 100-continue")
        elif head.refusal is not None:
            # The caller has not sent the body and now never will: answer at once, and close.
            self._put_refusal(head.refusal, request)
        elif self._active is None and not self._queue:
            self.transport.write(CONTINUE)
        else:
            self._continue_due = True

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """An upgrade is an offer (RFC 9110, 7.8) that is not taken up; the connection ends with this request.

        The parser has skipped its body. So the request is read once more, without the offer.
        """
        if self._unread or not self._queue:
            return  # refused by its head
        head = self._queue[-1].head
        if b"transfer-encoding" not in head.fields and not head.length:
            head.keep_alive = False
            self._deaf = True
            return
        self._queue.pop()
        self._deaf = False
        fields = [*head.fields.items(), *(head.repeated or ())]
        lines = [b"%b: %b\r\n" % field for field in fields if field[0] not in (b"upgrade", b"connection")]
        again = b"%b %b HTTP/1.1\r\n%bconnection: close\r\n\r\n" % (head.method, head.target, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self._parse(again + rest)

    def _refuse(self, status: int, detail: str) -> None:
        """Refuse the request being read, after which nothing more can be read from this connection."""
        if not self._deaf:
            request = self._reading_request or Request(self, Head(), [], 0, self._last)
            self._put_refusal(self._service.refuse(status, detail), request)

    def _put_refusal(self, answer: Answer, request: Request) -> None:
        request.head.refusal = answer
        request.head.keep_alive = False
        request.chunks = []
        self._deaf = self._unread = True
        self._reading = IDLE
        self._reading_request = None
        self._queue.append(request)

    # One request after another.

    def _take(self, request: Request) -> None:
        """Serve a request now, or when those before it have been answered."""
        if self._active is None:
            self._active = request
            self._service.serve(request)
        else:
            self._queue.append(request)
            self.flow.pause_reading()

    def _next(self) -> None:
        """Serve what waits for as long as answers come on the spot: a loop, not a recursion."""
        if self._serving:
            return
        self._serving = True
        while self._active is None and self._queue:
            request = self._queue.pop(0)
            self._active = request
            request.started = self._last
            refusal = request.head.refusal
            if refusal is not None:
                self._service.refused(request, refusal.status)
                self.answer(request, refusal.status, refusal.headers, (refusal.body,), len(refusal.body))
            elif request.head.route is not None:
                self._service.serve(request)
            else:
                self._hand_to_asgi(request)
        self._serving = False
        if not self._queue:
            self.flow.resume_reading()  # to see the caller leave

    def answer(self, request: Request, status: int, headers: bytes, chunks: Sequence[bytes], size: int) -> None:
        """Write the answer of the active request and begin the next; for one whose caller has left, nothing."""
        if request is not self._active:
            return
        transport = self.transport
        close = not request.head.keep_alive or (self._stopping and not self._queue)
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
        self._last = monotonic()
        if close:
            self._close()
            return
        if self._queue:
            self._next()
        elif self._half_closed:
            self.transport.close()
        else:
            if self.flow.read_paused:
                self.flow.resume_reading()
            if self._continue_due:
                self._continue_due = False
                self.transport.write(CONTINUE)

    def _close(self) -> None:
        """Close so that the caller can read the answer although it may still be sending (RFC 9112, 9.6)."""
        self._queue.clear()
        self._deaf = True
        if not self._unread or self._half_closed or self.scheme == "https" or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._half_closed = True
        self._timer.due = monotonic() + LINGER
        self._wheel.watch(self._timer)

    # The ASGI app: everything that is no flow.

    def _hand_to_asgi(self, request: Request) -> None:
        stops = self._stopping and not self._queue
        self.cycle = asgi_cycle(self, request, request.head.keep_alive and not stops)
        self._start_asgi_task(self.cycle, self._asgi)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._answered(close=False)

    # Time, and the end.

    def shutdown(self) -> None:
        """Stop gracefully: answer what has come, then close."""
        self._stopping = True
        if self._active is None and not self._queue and self._reading_request is None:
            self.transport.close()
        elif self._active is not None and self._active.head.route is None:
            self.cycle.keep_alive = False

    def _watch(self) -> None:
        limits = self._limits
        self._timer.due = self._began + limits.header_time if self._reading == HEAD else self._last + limits.body_time
        self._wheel.watch(self._timer)

    def timer_expired(self, now: float) -> None:
        """What is due: a head or body that does not come, an idle connection, a reader that does not read."""
        if self.transport.is_closing():
            return
        if self._half_closed:
            self._check_half_closed(now)
        elif self._reading:
            self._check_slow(now)
        elif self._active is not None or self._queue:
            self._timer.due = now + self._limits.keep_alive
            self._wheel.watch(self._timer)
        elif now - self._last < self._limits.keep_alive:
            self._timer.due = self._last + self._limits.keep_alive
            self._wheel.watch(self._timer)
        else:
            self._check_stalled(now)

    def _check_slow(self, now: float) -> None:
        limits = self._limits
        if self.flow.read_paused or self._continue_due:
            self._began = self._last = now  # it is us for whom the rest waits
        limit = self._began + limits.header_time if self._reading == HEAD else self._last + limits.body_time
        if now < limit:
            self._watch()
        elif self._reading_request is None:
            self.transport.close()  # not one byte of a request
        else:
            what = "headers" if self._reading == HEAD else "body"
            self._refuse(408, f"the {what} did not come in time")
            if self._active is None:
                self._next()

    def _check_half_closed(self, now: float) -> None:
        if self._active is None:
            self.transport.abort()
        elif not self._probed and self._active.head.route is not None and self.parser.get_http_version() != "1.0":
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
            self._last = now
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


def _size(head: Head) -> int:
    size = sum(len(name) + len(value) + 4 for name, value in head.fields.items())
    return size + sum(len(name) + len(value) + 4 for name, value in head.repeated or ())
