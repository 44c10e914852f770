"""One kept-alive HTTP/1.1 connection to a function: requests out, answers in, through httptools.

Facts about the parser that shape this file (contract 8, each with a test): an answer to HEAD and a body that ends with
the connection never complete by themselves; trailers arrive as headers; a 1xx looks like a whole message; a second
answer in the same read begins before `feed_data` returns. Parser callbacks must not raise, so they take notes and
`data_received` acts on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import httptools
import msgspec

if TYPE_CHECKING:
    from legato.transport.pool import Pool

# What is special about a request: it is a HEAD, whose answer ends with its head, or so large that its answer may come
# before all of it has been sent.
HEAD, LARGE = 1, 2

Headers = dict[bytes, bytes]
Data = bytes | Sequence[bytes]

MAX_HEADERS = 100  # contract 9
MAX_HEAD = 64 * 1024


class AnswerHead(msgspec.Struct, frozen=True, eq=False):
    """What is known of an answer by its head. `length` is that of the body where the head declares it, else -1."""

    status: int
    length: int
    content_type: bytes
    encoding: bytes  # of the content, empty for none
    retry_after: bytes

    @classmethod
    def of(cls, status: int, headers: Headers) -> AnswerHead:
        """The head of an answer whose framing the parser has judged."""
        encoding = headers.get(b"content-encoding", b"")
        return cls(
            status,
            int(headers.get(b"content-length", -1)),
            headers.get(b"content-type", b""),
            b"" if encoding.lower() == b"identity" else encoding,
            headers.get(b"retry-after", b""),
        )


class Token(Protocol):
    """What identifies an exchange to its sink; the pool keeps its own mark on it."""

    handle: object

    @property
    def sent(self) -> bool: ...

    @sent.setter
    def sent(self, sent: bool) -> None: ...


T_contra = TypeVar("T_contra", bound=Token, contravariant=True)


class Sink(Protocol[T_contra]):
    """Who takes the end of an exchange; exactly one of the two is called for each token sent."""

    def answered(self, token: T_contra, head: AnswerHead, chunks: list[bytes], size: int) -> None:
        """A complete answer came."""
        ...

    def broken(self, token: T_contra, sent: bool, detail: str, overloaded: bool = False) -> None:
        """No complete answer came; `sent` says whether anything may have reached the function."""
        ...


class Connection(asyncio.Protocol):
    """A connection of a pool. Idle while `token` is None."""

    __slots__ = (
        "_chunks", "_complete", "_extra", "_failure", "_headers", "_interim", "_keep", "_known_head",
        "_parser", "_received", "_size", "_special", "_status", "pool", "sink", "token", "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    sink: Any  # the Sink of the last exchange; None if there was none since the last sweep of the pool

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.token: Token | None = None
        self._received = 0
        self._special = 0
        self._known_head = pool.heads.find
        self._parser: httptools.HttpResponseParser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def start(self, sink: Sink[Any], token: Token, data: Data, special: int = 0) -> None:
        """Send a request on this idle connection."""
        self.sink = sink
        self.token = token
        self._special = special
        token.handle = self
        token.sent = True
        if isinstance(data, bytes):
            self.transport.write(data)
        else:
            self._special = LARGE
            self.transport.writelines(data)

    def abort(self) -> None:
        """Close at once. The exchange in flight, if any, is forgotten: who aborts knows."""
        self.token = None
        self.transport.abort()

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        token = self.token
        if token is None:
            self.transport.abort()  # a byte on an idle connection: whoever sent it is out of step
            return
        if self._received:
            self._parse(data)
        else:
            length = data.find(b"\r\n\r\n") + 4
            head = self._known_head(data[:length])
            if head is not None and head.length == len(data) - length and not self._special:
                self.token = None
                self.pool.release(self)
                self.sink.answered(token, head, [data[length:]], head.length)
                return
            self._begin()
            self._parse(data)
            if self._complete and self._keep and not self._extra and not self._special:
                self._learn(data, length)
        if self._complete:
            self._finish()
        elif self._failure or self._too_much():
            self._break(self._failure)

    def _begin(self) -> None:
        self._headers: Headers = {}
        self._chunks: list[bytes] = []
        self._size = self._status = 0
        self._complete = self._keep = self._extra = self._interim = False
        self._failure = ""

    def _learn(self, data: bytes, length: int) -> None:
        """Remember the head of a plain answer that one read brought whole."""
        head = AnswerHead.of(self._status, self._headers)
        if head.length == self._size == len(data) - length and b"transfer-encoding" not in self._headers:
            self.pool.heads.keep(data[:length], head)

    def _parse(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._failure = "the function switched protocols"
        except httptools.HttpParserError as error:
            if self._complete:
                self._extra = True
            else:
                self._failure = f"the function's answer is not HTTP/1.1: {error}"

    def eof_received(self) -> None:
        pass  # the transport closes itself, and connection_lost decides

    def connection_lost(self, exc: Exception | None) -> None:
        token = self.token
        if token is not None:
            if not self._received:
                self._break("the connection was lost before the answer")
            elif self._ends_with_connection() and exc is None:
                self._finish()
            elif self._status:
                self._break("the connection was lost in the middle of the answer")
            else:
                self._break("the connection was lost before the answer")
        del self._parser  # a cycle through the parser's bound methods
        self.pool.lost(self)

    # What the parser calls: notes only.

    def on_message_begin(self) -> None:
        if self._complete:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # else a trailer
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self._headers = {}
            return
        self._status = status
        headers = self._headers
        if len(headers) > MAX_HEADERS or (self._received > MAX_HEAD and _head_size(headers) > MAX_HEAD):
            self._failure = f"the answer has more than {MAX_HEADERS} headers or {MAX_HEAD} bytes of them"
        if self._special == HEAD:
            self._complete = True

    def on_body(self, body: bytes) -> None:
        if self._complete or self._failure:
            return
        self._size += len(body)
        if self._size > self.pool.max_answer:
            self._failure = f"the answer is larger than {self.pool.max_answer} bytes"
            self._chunks = []
            return
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self._complete:
            self._complete = not self._failure
            self._keep = self._parser.should_keep_alive()

    # What follows.

    def _too_much(self) -> bool:
        """Bytes without end that are neither headers nor body as far as the parser says: chunk heads, trailers."""
        limit = 2 * self.pool.max_answer + MAX_HEAD if self._status else MAX_HEAD
        if self._received <= limit:
            return False
        self._failure = "the answer's headers are without end" if not self._status else "the answer is without end"
        return True

    def _ends_with_connection(self) -> bool:
        """Whether the body is delimited by the end of the connection (RFC 9112, 6.3 rule 8)."""
        headers = self._headers
        return (
            self._status > 0
            and not self._failure
            and b"content-length" not in headers
            and b"transfer-encoding" not in headers
        )

    def _finish(self) -> None:
        token = self.token
        if token is None:
            return
        self.token = None
        self._received = 0
        sink, chunks, size = self.sink, self._chunks, self._size
        head = AnswerHead.of(self._status, self._headers)
        transport = self.transport
        unsent = self._special == LARGE and transport.get_write_buffer_size() > 0
        if self._keep and not self._extra and not unsent and not transport.is_closing():
            self.pool.release(self)
        else:
            transport.abort() if unsent else transport.close()
        sink.answered(token, head, chunks, size)

    def _break(self, detail: str) -> None:
        token = self.token
        assert token is not None
        self.token = None
        self.transport.abort()
        self.sink.broken(token, True, detail)


def _head_size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.items())
