"""From a request to a run and back: route, credential, limits, start; then the answer, metrics and the access log.

`admit` decides by the head alone, before a body is read. Everything that can be prepared per flow is in its `Route`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from time import monotonic
from urllib.parse import unquote_to_bytes

from legato.gateway import fnkit
from legato.gateway.problems import CONTENT_TYPE, broken_definition, of_failure, refusal
from legato.hosts.inline import InlineRun
from legato.model.flow import ParallelStep
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, Payload
from legato.model.problem_document import problem_document
from legato.model.settings import Settings
from legato.orchestrator import Deployed, Orchestrator
from legato.telemetry.log import Log
from legato.transport.memo import HeadMemo
from legato.transport.request import Answer, Head, Request

PREFIX = b"/orchestrate/"
SHOWN = 20  # names of flows that a 404 tells at most
_PUBLIC = frozenset({b"/livez", b"/readyz"})
_UNAUTHORIZED = b'www-authenticate: Bearer realm="legato"\r\n'
_NULL = (b"null",)
_COMPLETED = b"legato-completed: true\r\n"


class Route:
    """A flow as the gateway serves it."""

    __slots__ = ("bound", "broken", "fnkit", "name", "parallel")

    def __init__(self, name: str, deployed: Deployed) -> None:
        self.name = name
        self.bound = deployed.bound
        self.broken = broken_definition(name, deployed.problems) if deployed.bound is None else None
        flow = deployed.definition.flow
        self.fnkit = flow is not None and flow.dialect == "fnkit"
        self.parallel = flow is not None and self.fnkit and isinstance(flow.steps[0], ParallelStep)


class Entry:
    """What the head of a request says about a run: the route, and how the body and the caller's ids are meant."""

    __slots__ = ("content_type", "encoding", "key_root", "route", "traceparent")

    def __init__(self, route: Route, fields: Mapping[bytes, bytes], credential: bytes) -> None:
        self.route = route
        self.content_type = fields.get(b"content-type", b"")
        self.encoding = fields.get(b"content-encoding", b"")
        self.traceparent = fields.get(b"traceparent")
        key = fields.get(b"idempotency-key")
        # So that the caller's own retry repeats our keys (contract 1).
        self.key_root = None if key is None else _digest(route.name.encode(), credential, key)


class Gateway:
    """Serves `/orchestrate/{flow}[/rest]` (contract 5); the rest of HTTP is the ASGI app's."""

    def __init__(self, settings: Settings, orchestrator: Orchestrator, log: Log) -> None:
        self._settings = settings
        self._orchestrator = orchestrator
        self._log = log
        # Looked up by keyed hash (SipHash), so the time it takes tells nothing about how much of a guess is right.
        self._credentials = {b"Bearer " + token.encode(): _digest(token.encode()) for token in settings.tokens}
        self._open = not settings.tokens
        self._access_log = settings.access_log
        self._hops = settings.limits.hops
        self._routes: dict[bytes, Route] = {}
        self.heads = HeadMemo[Head]()

    def serve_flows(self) -> None:
        """Take over what the orchestrator has deployed."""
        flows = self._orchestrator.flows
        self._routes = {PREFIX + name.encode(): Route(name, deployed) for name, deployed in flows.items()}
        self.heads.forget()

    # What the server's protocol asks.

    def admit(self, head: Head) -> Answer | None:
        """See Service."""
        fields = head.fields
        credential = self._credential(fields)
        if credential is None and not self._open and head.path not in _PUBLIC:
            return refusal(401, "send a configured token as `Authorization: Bearer <token>`", _UNAUTHORIZED)
        route = self._routes.get(head.path)
        if route is None:
            if not head.path.startswith(PREFIX):
                return None
            found = self._find(head)
            if isinstance(found, Answer):
                return found
            route = found
        if route.broken is not None:
            return route.broken
        if b"legato-hops" in fields:
            hops = fields[b"legato-hops"]
            head.hops = int(hops) if hops.isdigit() and len(hops) < 4 else self._hops
            if head.hops >= self._hops:
                return refusal(508, f"the request has come through {self._hops} gateways: a flow calls itself")
        head.route = Entry(route, fields, credential or b"")
        return None

    def serve(self, request: Request) -> None:
        """See Service."""
        entry = request.head.route
        assert isinstance(entry, Entry)
        bound = entry.route.bound
        assert bound is not None
        size = request.size
        payload = Payload(entry.content_type, request.chunks, size, entry.encoding) if size else EMPTY
        reply = partial(self._reply, request, entry.route)
        run = self._orchestrator.start(bound, payload, request.head, reply, entry.traceparent, entry.key_root)
        if run.kernel.state != "ended":
            request.run = run

    def gone(self, request: Request) -> None:
        """See Service."""
        run = request.run
        if isinstance(run, InlineRun):
            run.caller_left()

    def refuse(self, status: int, detail: str) -> Answer:
        """See Service."""
        return refusal(status, detail)

    def refused(self, request: Request, status: int) -> None:
        """See Service."""
        if self._access_log:
            self._log_access(request, status, None)

    # How it is done.

    def _credential(self, fields: Mapping[bytes, bytes]) -> bytes | None:
        """What stands for the caller's token, None for an unknown one."""
        authorization = fields.get(b"authorization", b"")
        known = self._credentials.get(authorization)
        if known is not None or not authorization:
            return known
        # The scheme's name is case-insensitive (RFC 9110, 11.1), and more than one space may follow it.
        scheme, _, token = authorization.partition(b" ")
        return self._credentials.get(b"Bearer " + token.strip()) if scheme.lower() == b"bearer" else None

    def _find(self, head: Head) -> Route | Answer:
        """A flow with a sub-path, or with its name percent-encoded."""
        name, slash, rest = head.path[len(PREFIX) :].partition(b"/")
        decoded = unquote_to_bytes(name)
        route = self._routes.get(PREFIX + decoded)
        if route is None:
            shown = decoded.decode("utf-8", "replace")
            known = sorted(route.name for route in self._routes.values())[:SHOWN]
            return refusal(404, f"there is no flow {shown!r}", flow=shown, flows=known)
        parts = re.split(rb"[/\\]", unquote_to_bytes(rest))
        if b"#" in rest or any(part.partition(b";")[0] in (b"..", b".") for part in parts):
            return refusal(400, "a path with . or .. segments, or with #, is not passed on")
        head.rest = slash + rest
        return route

    def _reply(self, request: Request, route: Route, run: InlineRun, payload: Payload, failure: Failure | None) -> None:
        request.run = None  # the two would keep each other alive
        run_id, trace = run.id, run.trace
        ids = b"legato-run: %b\r\ntraceparent: 00-%b-%b-%b\r\n" % (run_id, trace, trace[16:], run.trace_flags)
        if failure is not None:
            try:
                status, body = self._failed(run, route, failure)
            except Exception as error:  # whatever a function said, its caller must not wait for ever
                self._log.write("unanswerable", run=run_id.decode(), error=repr(error))
                status, body = 500, problem_document(500, "the failure could not be described", run=run_id.decode())
            content_type = fnkit.JSON if route.fnkit else CONTENT_TYPE
            request.answer(status, content_type + ids, (body,), len(body))
        else:
            status = run.status if route.fnkit and not route.parallel and run.status else 200
            headers, chunks, size = _ok(payload, ids, route.fnkit)
            request.answer(status, headers, chunks, size)
        if self._access_log:
            self._log_access(request, status, run)

    def _failed(self, run: InlineRun, route: Route, failure: Failure) -> tuple[int, bytes]:
        if route.fnkit:
            return fnkit.of_failure(failure, route.parallel)
        return of_failure(failure, route.name, run.id.decode())

    def _log_access(self, request: Request, status: int, run: InlineRun | None) -> None:
        fields: dict[str, object] = {
            "method": request.head.method.decode("latin-1"),
            "path": request.head.path.decode("latin-1"),
            "status": status,
            "bytes_in": request.size,
            "ms": round((monotonic() - request.started) * 1000, 3),
            "client": request.connection.client_host,
        }
        if run is not None:
            fields |= {"run": run.id.decode(), "flow": run.bound.name, "trace": run.trace.decode()}
            if run.kernel.failure is not None:
                failure = run.kernel.failure
                detail = failure.outcome.private or failure.outcome.detail
                fields |= {"reason": failure.reason, "step": failure.path, "detail": detail}
        self._log.write("request", **fields)


def _ok(payload: Payload, ids: bytes, is_fnkit: bool) -> tuple[bytes, Sequence[bytes], int]:
    """(headers, chunks, size) of a result. No value is `null` for a native flow, and nothing at all for fnkit."""
    if payload.size:
        content_type = payload.content_type or b"application/octet-stream"
        encoding = b"content-encoding: %b\r\n" % payload.encoding if payload.encoding else b""
        headers = (b"content-type: ", content_type, b"\r\n", ids, encoding, _COMPLETED)
        return b"".join(headers), payload.chunks, payload.size
    if is_fnkit:
        return ids + _COMPLETED, (), 0
    return fnkit.JSON + ids + _COMPLETED, _NULL, len(_NULL[0])


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest().encode()
