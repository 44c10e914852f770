"""Flows within another ASGI app: at `{mount}/{flow}`, and at `{mount}/orchestrate/{flow}`, as the gateway serves them.

The gateway itself serves here: its routes, problem documents, limits and tokens. Only the wire is somebody else's. It
takes nothing of the process: no signals, no executor, no log but its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from time import monotonic
from typing import Any, cast
from urllib.parse import quote

import msgspec

from legato.app import App
from legato.builder import CodeFlow, Flow
from legato.builder.code import PREFIX, Anything, importable_name
from legato.errors import DefinitionError
from legato.gateway.gateway import PREFIX as ORCHESTRATE
from legato.gateway.problems import refusal
from legato.model.definition import Definition
from legato.model.function import Function
from legato.model.settings import Settings
from legato.telemetry.log import Log
from legato.transport.request import Answer, Head, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FOLD_EVERY = 1.0  # seconds; bounds the memory of times that are noted and not yet sorted into buckets


def asgi(
    *flows: Flow | CodeFlow,
    settings: Settings | None = None,
    functions: Mapping[str, Anything | Function | str] | None = None,
) -> Mounted:
    """An ASGI app that serves these flows, to be mounted under any prefix. Raises DefinitionError.

    `functions` are those that they call, by name: Python code, a URL, or an entry as the settings have it; others are
    reached as the settings say. Without tokens in the settings, whoever reaches the app may start its flows.
    """
    settings = settings or Settings(access_log=False, store="files")
    entries, code = _entries(functions or {})
    settings = msgspec.structs.replace(settings, functions={**settings.functions, **entries})
    definitions: list[Definition] = []
    for flow in flows:
        definition = flow.definition()
        if definition.flow is None:
            raise DefinitionError("\n".join(map(str, definition.problems)))
        definitions.append(msgspec.structs.replace(definition, code={**code, **definition.code}))
    names = [definition.name for definition in definitions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DefinitionError(f"two flows are called {twice[0]!r} (rename one of them)")
    return Mounted(settings, definitions)


def _entries(functions: Mapping[str, Anything | Function | str]) -> tuple[dict[str, Function], dict[str, Anything]]:
    entries: dict[str, Function] = {}
    code: dict[str, Anything] = {}
    for name, given in functions.items():
        if isinstance(given, Function):
            entries[name] = given
        elif isinstance(given, str):
            entries[name] = Function(name=name, url=given)
        else:
            place = importable_name(given) or f"{PREFIX}functions:{name.replace('-', '_')}"
            entries[name] = Function(name=name, python=place)
            code[place] = given
    return entries, code


class Mounted:
    """See `asgi`. It starts with its first request; its lifespan, or `aclose`, ends it."""

    def __init__(self, settings: Settings, definitions: Sequence[Definition]) -> None:
        self._settings = settings
        self._definitions = definitions
        self._app: App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._folded = 0.0
        problems = self._new_app()[1]
        if problems:
            raise DefinitionError("\n".join(problems))

    def _new_app(self) -> tuple[App, list[str]]:
        app = App(self._settings, Log(sys.stdout), stores=[], given=self._definitions)
        app.orchestrator.no_durable = "what is mounted in another app has no journal", "serve it with `legato serve`"
        return app, [str(problem) for problem in app.load()]

    def _started(self) -> App:
        """The app of this event loop: connections and timers are of one loop."""
        loop = asyncio.get_running_loop()
        if self._app is None or self._loop is not loop:
            self._app, self._loop = self._new_app()[0], loop
        now = monotonic()
        if now - self._folded > FOLD_EVERY:
            self._folded = now
            self._app.metrics.fold()
        return self._app

    async def aclose(self) -> None:
        """Wait for the runs, as long as the settings' `limits.drain`, then give back connections and threads."""
        app, self._app = self._app, None
        if app is not None and self._loop is asyncio.get_running_loop():
            app.stop()
            await app.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._started()
        head = _head(scope)
        caller = _Caller(scope)
        request = Request(cast("Any", caller), head, [], 0, monotonic())
        refused = app.gateway.admit(head)
        if refused is None and head.route is None:
            refused = refusal(404, f"there is nothing at {_path(scope).decode('latin-1')!r}; flows are at /{{flow}}")
        if refused is None:
            refused = await _read(request, receive, app.settings.limits.request_body)
        if refused is not None:
            head.refusal = refused
            app.gateway.refused(request, refused.status)
            await _send(send, head, refused.status, refused.headers, [refused.body])
            return
        asyncio.get_running_loop().call_soon(_begin, app, request, caller.answered)  # in nobody's task
        status, headers, chunks = await _answer(app, request, caller, receive)
        await _send(send, head, status, headers, chunks)


Answered = tuple[int, bytes, Sequence[bytes]]


class _Caller:
    """Stands for the connection of a request, which the gateway knows."""

    def __init__(self, scope: Scope) -> None:
        client = scope.get("client")
        self.client_host: str = client[0] if client else ""
        self.answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

    def answer(self, request: Request, status: int, headers: bytes, chunks: Sequence[bytes], size: int) -> None:
        """Take the answer; a caller that has left is not told."""
        if not self.answered.done():
            self.answered.set_result((status, headers, chunks))


def _begin(app: App, request: Request, answered: asyncio.Future[Answered]) -> None:
    try:
        app.gateway.serve(request)
    except Exception as error:
        if not answered.done():
            answered.set_exception(error)


async def _answer(app: App, request: Request, caller: _Caller, receive: Receive) -> Answered:
    """The answer; meanwhile the caller is watched, who may leave."""
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((caller.answered, gone), return_when=asyncio.FIRST_COMPLETED)
        if not caller.answered.done():
            app.gateway.gone(request)
        return await asyncio.shield(caller.answered)
    except asyncio.CancelledError:  # the server has ended the request
        if not caller.answered.done():
            app.gateway.gone(request)
        raise
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(request: Request, receive: Receive, limit: int) -> Answer | None:
    """Read the body into the request, or say why not."""
    if request.head.length > limit:
        return refusal(413, f"the body is larger than {limit} bytes")
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return refusal(400, "the body ended early")
        body = message.get("body", b"")
        request.size += len(body)
        if request.size > limit:
            return refusal(413, f"the body is larger than {limit} bytes")
        if body:
            request.chunks.append(body)
        if not message.get("more_body", False):
            return None


def _head(scope: Scope) -> Head:
    """The head of a request as the gateway knows it."""
    head = Head()
    head.method = scope["method"].encode("latin-1")
    path = _path(scope)
    head.path = path if path.startswith(ORCHESTRATE) else ORCHESTRATE[:-1] + path
    head.query = scope.get("query_string", b"")
    head.target = head.path + (b"?" + head.query if head.query else b"")
    for name, value in cast("Iterable[tuple[bytes, bytes]]", scope["headers"]):
        if name in head.fields:
            head.repeated = [*(head.repeated or ()), (name, value)]
        else:
            head.fields[name] = value
    length = head.fields.get(b"content-length", b"")
    head.length = int(length) if length.isdigit() else 0
    return head


def _path(scope: Scope) -> bytes:
    """The path below the mount, as on the wire where the server tells that."""
    root = scope.get("root_path", "")
    raw = scope.get("raw_path")
    path = raw.partition(b"?")[0] if isinstance(raw, bytes) else quote(scope["path"], safe="/%:@!$&'()*+,;=~").encode()
    for prefix in {root.encode("utf-8", "replace"), quote(root).encode()}:
        if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"/", b""):
            return path[len(prefix) :] or b"/"
    return path


async def _send(send: Send, head: Head, status: int, headers: bytes, chunks: Sequence[bytes]) -> None:
    lines = [line.partition(b": ") for line in headers.split(b"\r\n") if line]
    size = sum(map(len, chunks))
    pairs = [(name.lower(), value) for name, _, value in lines]
    pairs += [] if status == 204 else [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    body = b"" if head.method == b"HEAD" else b"".join(chunks)
    await send({"type": "http.response.body", "body": body})
