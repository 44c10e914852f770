"""The head of a request to a function: prepared when a call is bound, as far as it does not depend on the run.

Nothing is sent or received in here.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from legato import __version__
from legato.errors import DefinitionError, LegatoError
from legato.model.payload import Payload
from legato.model.steps import CallStep
from legato.ports import Caller, Parts
from legato.values import compile_query, compile_text, is_fixed


class Address(msgspec.Struct, frozen=True):
    """Where a function is on its origin: the value of the Host header, the path, and a query or none."""

    host: str
    path: str
    query: str = ""


class RequestHead:
    """What a call's requests begin with. `fixed` is the whole of it where nothing depends on the run, else None.

    Header lines that the step gives stand in the place of ours. Raises DefinitionError for what cannot be sent.
    """

    __slots__ = ("_encoded", "_headers", "_method", "_path", "_query", "_rest", "_typed", "fixed")

    def __init__(self, address: Address, step: CallStep) -> None:
        own = step.headers
        accept = "application/json" if step.forward == "pipeline" else "*/*"
        lines = [f" HTTP/1.1\r\nhost: {address.host}\r\n"]
        lines += [] if "user-agent" in own else [f"user-agent: legato/{__version__}\r\n"]
        lines += [] if "accept" in own else [f"accept: {accept}\r\n"]
        self._rest = "".join(lines).encode()
        self._typed = "content-type" in own
        self._encoded = "content-encoding" in own
        self._method = step.method.encode()
        path = "" if "${" in step.path else step.path
        self._path = (address.path.rstrip("/") + path if step.path else address.path).encode()
        self._query = address.query.encode()
        self._headers = b""
        self.fixed: bytes | None = None
        if is_fixed(step.path, step.query, own):
            try:
                self._query = _joined(self._query, compile_query(step.query).query(_NOWHERE) if step.query else b"")
                self._headers = b"".join(
                    [b"%b: %b\r\n" % (name.encode(), compile_text(text).header(_NOWHERE)) for name, text in own.items()]
                )
            except LegatoError as error:
                raise DefinitionError(f"function {step.function}: {error}") from None
            self.fixed = self._lines(self._method, self._path, self._query, self._headers)

    def of(self, parts: Parts) -> bytes:
        """The head with what the step says at this time."""
        return self._lines(self._method, self._path + parts.path, _joined(self._query, parts.query), parts.headers)

    def forwarded(self, method: bytes, caller: Caller) -> bytes:
        """The head with a caller's sub-path and query passed on."""
        path = self._path.rstrip(b"/") + caller.rest if caller.rest else self._path
        return self._lines(method, path, _joined(self._query, caller.query), self._headers)

    def about_body(self, payload: Payload, undeclared: bytes) -> bytes:
        """The header lines about a body, whose type is `undeclared` where none was given."""
        lines = b"content-length: %d\r\n" % payload.size
        if payload.size and not self._typed and (content_type := payload.content_type or undeclared):
            lines += b"content-type: %b\r\n" % content_type
        if payload.encoding and not self._encoded:
            lines += b"content-encoding: %b\r\n" % payload.encoding
        return lines

    @property
    def names_content(self) -> bool:
        """Whether the step itself says what its body is."""
        return self._typed or self._encoded

    def _lines(self, method: bytes, path: bytes, query: bytes, headers: bytes) -> bytes:
        if query:
            path = b"%b%b%b" % (path or b"/", b"&" if b"?" in path else b"?", query)
        return b"%b %b%b%b" % (method, path or b"/", self._rest, headers)


def _joined(query: bytes, more: bytes) -> bytes:
    return b"%b&%b" % (query, more) if query and more else query or more


class _Nowhere:
    """Where nothing can be looked at, and nothing is: the texts hold no expression."""

    def root(self, name: str) -> NoReturn:
        raise AssertionError(f"`{name}` is looked at before there is a run")

    step = root


_NOWHERE = _Nowhere()
