"""One request as it came over the wire, and the way to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from legato.transport.server import ServerProtocol


class Answer(msgspec.Struct, frozen=True):
    """An answer whose body is small and known: mostly refusals. `headers` are complete lines, each with CRLF."""

    status: int
    headers: bytes = b""
    body: bytes = b""


class Head:
    """What is known of a request by its head alone; requests with the same head share one.

    `fields` holds the headers by lower-case name (the first of each), `repeated` those that came again. `path` is the
    target without its query, as on the wire. `route`, `rest` and `hops` are the service's to set at `admit`.
    """

    __slots__ = (
        "fields", "hops", "keep_alive", "length", "method", "path", "query", "refusal", "repeated", "rest", "route",
        "target",
    )  # fmt: skip

    def __init__(self) -> None:
        self.target = b""
        self.method = b""
        self.path = b""
        self.query = b""
        self.rest = b""
        self.fields: dict[bytes, bytes] = {}
        self.repeated: list[tuple[bytes, bytes]] | None = None
        self.length = 0
        self.hops = 0
        self.keep_alive = True
        self.refusal: Answer | None = None
        self.route: object = None  # None hands the request to the ASGI app


class Request(msgspec.Struct, eq=False):
    """A request: its head, its body in chunks, and the connection that it came by."""

    connection: ServerProtocol
    head: Head
    chunks: list[bytes]
    size: int
    started: float  # seconds, monotonic: when it began to be served
    run: object = None  # the service's

    def answer(self, status: int, headers: bytes, chunks: Sequence[bytes], size: int) -> None:
        """Send the answer; to be called once. A caller that has left is not told."""
        self.connection.answer(self, status, headers, chunks, size)


class Service(Protocol):
    """Who serves the requests that are taken off before ASGI."""

    def admit(self, head: Head) -> Answer | None:
        """Decide by the head alone: set `route` to take the request, leave it for ASGI, or refuse."""
        ...

    def serve(self, request: Request) -> None:
        """Serve a complete request that was taken; its answer may come later."""
        ...

    def gone(self, request: Request) -> None:
        """The caller of a request that is being served has left."""
        ...

    def refuse(self, status: int, detail: str) -> Answer:
        """How a request that breaks the protocol or a limit is refused."""
        ...

    def refused(self, request: Request, status: int) -> None:
        """A request was answered with a refusal; for the log."""
        ...
