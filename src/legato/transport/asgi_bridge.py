"""A request that was read whole, as a cycle of uvicorn's: its scope, and the body all there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from legato.transport.request import Request

if TYPE_CHECKING:
    from legato.transport.server import ServerProtocol


def asgi_cycle(protocol: ServerProtocol, request: Request, keep_alive: bool) -> RequestResponseCycle:
    """The cycle that runs the ASGI app for `request` and tells the protocol when it has been answered."""
    cycle = RequestResponseCycle(
        scope=_scope(protocol, request),
        transport=protocol.transport,
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=False,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=protocol.on_response_complete,
    )
    cycle.body = bytearray(b"".join(request.chunks))
    cycle.more_body = False
    cycle.message_event.set()
    return cycle


def _scope(protocol: ServerProtocol, request: Request) -> Any:
    head = request.head
    return cast(
        "Any",
        {
            "type": "http",
            "asgi": {"version": protocol.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": protocol.server,
            "client": protocol.client,
            "scheme": protocol.scheme,
            "method": head.method.decode("latin-1"),
            "root_path": protocol.root_path,
            "path": protocol.root_path + unquote(head.path.decode("latin-1")),
            "raw_path": head.path,
            "query_string": head.query,
            "headers": [*head.fields.items(), *(head.repeated or ())],
            "state": protocol.app_state.copy(),
        },
    )
