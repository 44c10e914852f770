"""Functions behind HTTP/1.1: requests are built from a prepared head, answers are classified by their status."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from legato import __version__
from legato.errors import DefinitionError
from legato.model.flow import CallStep
from legato.model.function import Function
from legato.model.outcome import Kind, Outcome, classify
from legato.model.payload import EMPTY, JSON, Payload
from legato.model.policy import IDEMPOTENT_METHODS
from legato.ports import Attempt
from legato.transport.client import HEAD, AnswerHead
from legato.transport.pool import Origin, Pool
from legato.transport.wheel import Wheel

COPY_LIMIT = 64 * 1024  # bytes; a smaller body goes out with its head in one write, a larger one is not copied
BODILESS = frozenset({b"GET", b"HEAD", b"DELETE"})  # contract 3: no body unless `input` is given


def _length(size: int) -> bytes:
    """The end of a head that has named the content's type."""
    return b"\r\ncontent-length: %d\r\n\r\n" % size


_LENGTHS = [_length(size) for size in range(2048)]  # of most bodies


class HttpConnector:
    """Binds functions that have a URL. Functions of one origin share a pool."""

    def __init__(self, wheel: Wheel, max_answer: int) -> None:
        self._wheel = wheel
        self._max_answer = max_answer
        # Held by who is bound to them and, as long as they have connections, by the wheel: functions come and go.
        self._pools = WeakValueDictionary[tuple[Origin, int], Pool]()

    def bind(self, function: Function, step: CallStep) -> HttpTarget:
        """Prepare calls. Raises DefinitionError for a URL or certificate file that cannot be used."""
        origin, host, path = parse_url(function)
        key = (origin, function.connections)
        pool = self._pools.get(key)
        if pool is None:
            try:
                pool = Pool(origin, self._wheel, function.connections, self._max_answer)
            except OSError as error:
                raise DefinitionError(f"function {function.name}: cannot read {function.ca}: {error}") from None
            self._pools[key] = pool
        return HttpTarget(pool, function, step, host, path)

    def connections(self) -> dict[str, float]:
        """How many upstream connections are idle, busy and connecting."""
        counts = [pool.counts for pool in list(self._pools.values())]
        totals = [sum(column) for column in zip(*counts, strict=True)] or [0, 0, 0]
        return dict(zip(("idle", "busy", "connecting"), totals, strict=True))

    async def close(self) -> None:
        """Close every pool."""
        for pool in list(self._pools.values()):
            await pool.close()


class HttpTarget:
    """One function as one call step calls it."""

    __slots__ = (
        "_forward", "_head", "_host", "_method", "_path", "_plain", "_send", "_withdraw", "safe", "timeout",
    )  # fmt: skip

    def __init__(self, pool: Pool, function: Function, step: CallStep, host: str, path: str) -> None:
        self._send = pool.send
        self._withdraw = pool.withdraw
        self.timeout = step.timeout or function.timeout
        self._forward = step.forward
        self._method = step.method.encode()
        self._plain = not step.forward and self._method not in BODILESS
        accept = "application/json" if step.forward == "pipeline" else "*/*"
        self._host = f" HTTP/1.1\r\nhost: {host}\r\nuser-agent: legato/{__version__}\r\naccept: {accept}\r\n".encode()
        self._path = ((path.rstrip("/") + step.path if step.path else path) or "/").encode()
        self._head = self._method + b" " + self._path + self._host
        self.safe = function.idempotent or function.keyed or step.idempotent
        if not step.forward:
            self.safe = self.safe or step.method in IDEMPOTENT_METHODS

    def idempotent(self, attempt: Attempt) -> bool:
        """Whether calling twice does no harm, by the function's word or the method's (RFC 9110, 9.2.2)."""
        if self.safe or not self._forward:
            return self.safe
        becomes_post = attempt.payload.size and self._forward == "pipeline"
        return not becomes_post and attempt.caller.method.decode("ascii") in IDEMPOTENT_METHODS

    def begin(self, attempt: Attempt) -> None:
        """Send the request on a pooled connection."""
        payload = attempt.payload
        size = payload.size
        if self._plain and 0 < size <= COPY_LIMIT and payload.content_type and not payload.encoding:
            chunks = payload.chunks
            body = chunks[0] if len(chunks) == 1 else payload.body
            length = _LENGTHS[size] if size < len(_LENGTHS) else _length(size)
            data = b"".join((self._head, attempt.identity, b"content-type: ", payload.content_type, length, body))
            self._send(self, attempt, data)
            return
        method, head = self._forwarded(attempt) if self._forward else (self._method, self._head)
        bodiless = method in BODILESS and (not size or not self._forward)
        if bodiless:
            payload, size = EMPTY, 0
        # A pipeline's body is JSON where nobody says what it is, as in fnkit: its functions look for that.
        undeclared = JSON if self._forward == "pipeline" else b""
        head = b"".join((head, attempt.identity, b"" if bodiless else _body_fields(payload, undeclared), b"\r\n"))
        data = [head, *payload.chunks] if size > COPY_LIMIT else head + payload.body
        self._send(self, attempt, data, HEAD if method == b"HEAD" else 0)

    def _forwarded(self, attempt: Attempt) -> tuple[bytes, bytes]:
        """In a pipeline POST when there is a body, which is fnkit's rule, else the caller's method."""
        caller = attempt.caller
        method = b"POST" if attempt.payload.size and self._forward == "pipeline" else caller.method
        path = self._path.rstrip(b"/") + caller.rest if caller.rest else self._path
        query = b"?" + caller.query if caller.query else b""
        return method, b"%b %b%b%b" % (method, path, query, self._host)

    def abort(self, attempt: Attempt) -> None:
        """Close the attempt's connection, or take it out of the queue, and settle."""
        self._withdraw(attempt)
        kind: Kind = "unknown" if attempt.sent else "cancelled"
        attempt.settle(Outcome(kind, detail="aborted"))

    # What the pool calls.

    def answered(self, token: Attempt, head: AnswerHead, chunks: list[bytes], size: int) -> None:
        """Classify a complete answer."""
        payload = Payload(head.content_type, chunks, size, head.encoding) if size else EMPTY
        if not head.content_type and size and self._forward == "pipeline":
            # fnkit's rule: it has the type of what was sent. What a parallel makes of it does not change by that.
            payload = Payload(token.payload.content_type, chunks, size, head.encoding, assumed=True)
        status = head.status
        if 200 <= status < 300:
            token.settle(Outcome("ok", payload, status))
            return
        kind = classify(status)
        retry_after = _seconds(head.retry_after) if kind == "retryable" else None
        token.settle(Outcome(kind, payload, status, f"the function answered {status}", retry_after))

    def broken(self, token: Attempt, sent: bool, detail: str, overloaded: bool = False) -> None:
        """Classify a missing answer by whether anything was sent."""
        kind: Kind = "unknown" if sent else "retryable"
        token.settle(Outcome(kind, detail=detail, overloaded=overloaded))


def _body_fields(payload: Payload, undeclared: bytes) -> bytes:
    """The header lines about a body, whose type is `undeclared` where none was given."""
    lines = b"content-length: %d\r\n" % payload.size
    if payload.size and (content_type := payload.content_type or undeclared):
        lines += b"content-type: %b\r\n" % content_type
    if payload.encoding:
        lines += b"content-encoding: %b\r\n" % payload.encoding
    return lines


def parse_url(function: Function) -> tuple[Origin, str, str]:
    """(origin, value of the Host header, path) of a function's URL. Raises DefinitionError when it has none."""
    try:
        return _parse_url(function.url, function.ca)
    except ValueError as error:
        raise DefinitionError(f"function {function.name}: {function.url!r} {error}") from None


@lru_cache(4096)  # ten thousand flows call the same few functions
def _parse_url(url: str, ca: str) -> tuple[Origin, str, str]:
    parts = urlsplit(url)
    if parts.scheme == "http+unix":
        return Origin(socket=unquote(parts.netloc)), "localhost", parts.path
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not an http, https or http+unix URL")
    tls = parts.scheme == "https"
    origin = Origin(host=host, port=port or (443 if tls else 80), tls=tls, ca=ca)
    return origin, parts.netloc.rpartition("@")[2], parts.path


def _seconds(retry_after: bytes) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds or a date; anything else counts as absent."""
    text = retry_after.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None
