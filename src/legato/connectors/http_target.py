"""One function behind HTTP as one call step calls it: requests out, answers classified by their status."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from time import time

from legato.connectors.http_head import Address, RequestHead
from legato.errors import LegatoError
from legato.model.function import Function
from legato.model.outcome import Kind, Outcome, classify
from legato.model.payload import EMPTY, JSON, Payload
from legato.model.policy import IDEMPOTENT_METHODS
from legato.model.steps import CallStep
from legato.ports import Attempt
from legato.transport.client import HEAD, AnswerHead
from legato.transport.pool import Pool
from legato.values import ENCODERS

COPY_LIMIT = 64 * 1024  # bytes; a smaller body goes out with its head in one write, a larger one is not copied
BODILESS = frozenset({b"GET", b"HEAD", b"DELETE"})  # contract 3: no body unless `input` is given
_SUCCESS = frozenset(range(200, 300))


def _length(size: int) -> bytes:
    """The end of a head that has named the content's type."""
    return b"\r\ncontent-length: %d\r\n\r\n" % size


_LENGTHS = [_length(size) for size in range(2048)]  # of most bodies


class HttpTarget:
    """See ports.Target; and who takes the answers of its pool."""

    __slots__ = (
        "_encode", "_encoder", "_fixed", "_forward", "_head", "_method", "_plain", "_send", "_sends_body", "_success",
        "_withdraw", "safe", "timeout",
    )  # fmt: skip

    def __init__(self, pool: Pool, function: Function, step: CallStep, address: Address) -> None:
        self._send = pool.send
        self._withdraw = pool.withdraw
        self.timeout = step.timeout or function.timeout
        self._forward = step.forward
        self._method = step.method.encode()
        self._head = RequestHead(address, step)
        self._fixed = self._head.fixed or b""
        self._encode = step.encode
        self._encoder = None if step.encode == "json" else ENCODERS[step.encode]
        self._success = success_statuses(step.success) if step.success else _SUCCESS
        self._sends_body = self._method not in BODILESS or step.input is not None
        self._plain = bool(
            self._fixed
            and self._sends_body
            and not (step.forward or self._encoder or self._head.names_content or self._method == b"HEAD")
        )
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
            data = b"".join((self._fixed, attempt.identity, b"content-type: ", payload.content_type, length, body))
            self._send(self, attempt, data)
            return
        method, head = self._method_and_head(attempt)
        bodiless = method in BODILESS and (not size or not (self._forward or self._sends_body))
        if bodiless:
            payload = EMPTY
        elif self._encoder is not None and size:
            try:
                payload = self._encoder(payload)
            except LegatoError as error:  # ours, and without a status: nothing was sent, nor would it be another time
                attempt.settle(Outcome("refused", detail=f"the input cannot be sent as {self._encode}: {error}"))
                return
        self._begin(attempt, method, head, payload, bodiless)

    def _method_and_head(self, attempt: Attempt) -> tuple[bytes, bytes]:
        if self._forward:  # in a pipeline POST when there is a body, which is fnkit's rule, else the caller's method
            method = b"POST" if attempt.payload.size and self._forward == "pipeline" else attempt.caller.method
            return method, self._head.forwarded(method, attempt.caller)
        if self._fixed:
            return self._method, self._fixed
        parts = attempt.parts
        assert parts is not None, "a step with expressions comes with its parts"
        return self._method, self._head.of(parts)

    def _begin(self, attempt: Attempt, method: bytes, head: bytes, payload: Payload, bodiless: bool) -> None:
        # A pipeline's body is JSON where nobody says what it is, as in fnkit: its functions look for that.
        undeclared = JSON if self._forward == "pipeline" else b""
        about = b"" if bodiless else self._head.about_body(payload, undeclared)
        head = b"".join((head, attempt.identity, about, b"\r\n"))
        data = [head, *payload.chunks] if payload.size > COPY_LIMIT else head + payload.body
        self._send(self, attempt, data, HEAD if method == b"HEAD" else 0)

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
        if status in self._success:
            token.settle(Outcome("ok", payload, status))
            return
        kind = classify(status)
        detail = f"the function answered {status}"
        if kind == "ok":  # the work is done, though not as the flow wants it
            kind, detail = "unknown", f"{detail}, which is not among the statuses in `success`"
        retry_after = _seconds(head.retry_after) if kind == "retryable" else None
        token.settle(Outcome(kind, payload, status, detail, retry_after))

    def broken(self, token: Attempt, sent: bool, detail: str, overloaded: bool = False) -> None:
        """Classify a missing answer by whether anything was sent."""
        kind: Kind = "unknown" if sent else "retryable"
        token.settle(Outcome(kind, detail=detail, overloaded=overloaded))


def success_statuses(texts: tuple[str, ...]) -> frozenset[int]:
    """The statuses that `200` and `2xx` stand for."""
    statuses: set[int] = set()
    for text in texts:
        first = int(text[0]) * 100
        statuses |= set(range(first, first + 100)) if text.endswith("xx") else {int(text)}
    return frozenset(statuses)


def _seconds(retry_after: bytes) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds or a date; anything else counts as absent."""
    text = retry_after.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None
