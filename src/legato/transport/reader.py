"""From bytes to requests: the reading half of a caller's connection. Knows the parser and the limits, writes nothing.

Requests are read whole, in order, into a queue. States of reading: IDLE between requests, HEAD from the first byte of
a request to its empty line, BODY from there to the last byte. Parser callbacks never raise: what they find wrong
becomes a refusal in the queue, after which the reader is deaf.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

import httptools

from legato.model.settings import Limits
from legato.transport.memo import HeadMemo
from legato.transport.request import Answer, Head, Request, Service

if TYPE_CHECKING:
    from legato.transport.server import ServerProtocol

IDLE, HEAD, BODY = 0, 1, 2

# Fields that say one thing; two of them are two opinions, and attacks live between them.
_SINGLE = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"expect", b"legato-hops"}
)
_VERSIONS = frozenset({"1.1", "1.0"})
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class RequestReader:
    """Reads the requests of one connection.

    `queue` holds those that nobody has begun to serve, `request` the one being read. `last` and `began` are when the
    last bytes and the current head came (seconds, monotonic). `unread` says that the caller may still be sending what
    nobody will read, `continue_due` that it waits for a `100 Continue`.
    """

    __slots__ = (
        "_connection", "_incoming", "_limits", "_memo", "_service", "_wire", "began", "continue_due", "deaf", "last",
        "parser", "queue", "reading", "request", "unread",
    )  # fmt: skip

    def __init__(self, connection: ServerProtocol, service: Service, limits: Limits, memo: HeadMemo[Head]) -> None:
        self._connection = connection
        self._service = service
        self._limits = limits
        self._memo = memo
        self.parser = httptools.HttpRequestParser(self)
        self.reading = HEAD  # the first head must come in time, too
        self.request: Request | None = None
        self.queue: list[Request] = []  # short: reading pauses while it holds anything
        self.deaf = self.unread = self.continue_due = False
        self.last = self.began = monotonic()
        self._incoming = 0  # bytes of the read that is being parsed, less those that were a body
        self._wire = 0  # bytes of the current head or body, or a little more

    def read(self, data: bytes, length: int) -> None:
        """Read bytes whose first empty line ends at `length`, and remember the head of what is plain."""
        waiting = len(self.queue)
        between = self.request is None
        self.parse(data)
        if between and len(self.queue) == waiting + 1:
            self._learn(self.queue[-1], data, length)
        if self.reading:
            self._check_wire(data)

    def parse(self, data: bytes) -> None:
        """Read on; whole requests and refusals are in the queue then."""
        self._incoming = incoming = len(data)
        self._wire += incoming
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._pass_over_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self.refuse(400, f"this is not HTTP/1.1: {error}")

    def _learn(self, request: Request, data: bytes, length: int) -> None:
        """Remember the head of a plain request that one read brought whole, and nothing else with it."""
        head = request.head
        if (
            not self.deaf
            and self.reading == IDLE
            and head.route is not None
            and head.refusal is None
            and head.length == request.size == len(data) - length
            and b"transfer-encoding" not in head.fields
            and b"expect" not in head.fields
        ):
            self._memo.keep(data[:length], head)

    # What the parser calls: notes only.

    def on_message_begin(self) -> None:
        if self.deaf:
            self.request = None
            return
        self.request = Request(self._connection, Head(), [], 0, self.last)
        if self.reading != HEAD:
            self.began = self.last
            self.reading = HEAD
        self._wire = self._incoming

    def on_url(self, url: bytes) -> None:
        if self.request is not None:
            self.request.head.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self.request
        if request is None or self.reading != HEAD:  # a trailer
            return
        head, name = request.head, name.lower()
        if name not in head.fields:
            head.fields[name] = value
        elif head.repeated is None:
            head.repeated = [(name, value)]
        else:
            head.repeated.append((name, value))

    def on_headers_complete(self) -> None:
        request = self.request
        if request is None:
            return
        self.reading = BODY
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
        request = self.request
        if request is None:
            return
        request.size += len(body)
        self._incoming -= len(body)
        if request.size > self._limits.request_body:
            self.refuse(413, f"the body is larger than {self._limits.request_body} bytes")
        elif request.head.refusal is None:
            request.chunks.append(body)

    def on_message_complete(self) -> None:
        request = self.request
        if request is None:
            return
        self.request = None
        self.reading = IDLE
        self.continue_due = False  # the body came without it
        self.queue.append(request)
        if not request.head.keep_alive:
            self.deaf = True

    # Checks of the head.

    def _is_sound(self, head: Head) -> bool:
        limits, fields = self._limits, head.fields
        count = len(fields) + (len(head.repeated) if head.repeated else 0)
        if len(head.target) > limits.url:
            self.refuse(414, f"the URL is longer than {limits.url} bytes")
        elif count > limits.header_count:
            self.refuse(431, f"more than {limits.header_count} headers")
        elif self._wire > limits.header_bytes and _size(head) > limits.header_bytes:
            self.refuse(431, f"the headers are larger than {limits.header_bytes} bytes")
        elif head.repeated and any(name in _SINGLE for name, _ in head.repeated):
            self.refuse(400, "a header that must be unique came twice")
        elif b"host" not in fields and self.parser.get_http_version() != "1.0":
            self.refuse(400, "HTTP/1.1 needs a Host header (RFC 9112, 3.2)")
        elif (not head.keep_alive or b"connection" in fields) and self.parser.get_http_version() not in _VERSIONS:
            self.refuse(400, "only HTTP/1.1 and HTTP/1.0 are spoken here")  # others do not keep alive by themselves
        elif head.method == b"CONNECT":
            self.refuse(400, "this is no proxy: CONNECT and authority-form targets are not served")
        elif head.length > limits.request_body:
            self.refuse(413, f"the body is larger than {limits.request_body} bytes")
        else:
            if b"connection" in fields and self.parser.get_http_version() == "1.0":
                head.keep_alive = False  # as uvicorn does: no keep-alive with HTTP/1.0
            return True
        return False

    def _check_wire(self, data: bytes) -> None:
        """Bytes without end that never become a head, or that are chunk heads and trailers rather than a body."""
        limits = self._limits
        if self.reading == HEAD:
            if self._wire == self._incoming:  # it began in this read, in which other requests may have come before it
                self._wire = min(self._wire, len(data) - data.rfind(b"\r\n\r\n") - 4)
            if self._wire > limits.url + limits.header_bytes:
                in_url = self.request is None or not self.request.head.fields
                self.refuse(414 if in_url else 431, f"the headers are larger than {limits.header_bytes} bytes")
        elif self._wire > 2 * limits.request_body + limits.header_bytes:
            self.refuse(413, f"the body is larger than {limits.request_body} bytes")

    def _expect(self, request: Request) -> None:
        head = request.head
        if self.parser.get_http_version() == "1.0":
            return  # knows no interim answers (RFC 9110, 10.1.1)
        if head.fields[b"expect"].lower() != b"100-continue":
            self.refuse(417, "the only expectation that is met is 100-continue")
        elif head.refusal is not None:
            # The caller has not sent the body and now never will: answer at once, and close.
            self._put_refusal(head.refusal, request)
        else:
            self.continue_due = True

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """An upgrade is an offer (RFC 9110, 7.8) that is not taken up; the connection ends with this request.

        The parser has skipped its body. So the request is read once more, without the offer.
        """
        if self.unread or not self.queue:
            return  # refused by its head
        head = self.queue[-1].head
        if b"transfer-encoding" not in head.fields and not head.length:
            head.keep_alive = False
            self.deaf = True
            return
        self.queue.pop()
        self.deaf = False
        fields = [*head.fields.items(), *(head.repeated or ())]
        lines = [b"%b: %b\r\n" % field for field in fields if field[0] not in (b"upgrade", b"connection")]
        again = b"%b %b HTTP/1.1\r\n%bconnection: close\r\n\r\n" % (head.method, head.target, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self.parse(again + rest)

    def refuse(self, status: int, detail: str) -> None:
        """Refuse the request being read, after which nothing more can be read from this connection."""
        if not self.deaf:
            request = self.request or Request(self._connection, Head(), [], 0, self.last)
            self._put_refusal(self._service.refuse(status, detail), request)

    def _put_refusal(self, answer: Answer, request: Request) -> None:
        request.head.refusal = answer
        request.head.keep_alive = False
        request.chunks = []
        self.deaf = self.unread = True
        self.reading = IDLE
        self.request = None
        self.queue.append(request)


def _size(head: Head) -> int:
    size = sum(len(name) + len(value) + 4 for name, value in head.fields.items())
    return size + sum(len(name) + len(value) + 4 for name, value in head.repeated or ())
