"""From a request to a run and back: route, credential, limits, start; then the answer, metrics and the access log.

`admit` decides by the head alone, before a body is read. Everything that can be prepared per flow is in its `Route`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from time import monotonic
from urllib.parse import unquote_to_bytes

from legato.gateway import fnkit
from legato.gateway.credentials import Credentials, digest, scope_of
from legato.gateway.durable import Preference, Starts, Waiting
from legato.gateway.problems import (
    CONTENT_TYPE,
    answered,
    detail_of,
    of_failure,
    of_input,
    passable,
    refusal,
    status_of,
)
from legato.gateway.routes import DirectRoutes, Route, route_of
from legato.gateway.timing import server_timing, step_times
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineRun
from legato.hosts.journal.ended import EndedRun
from legato.model.names import RESERVED
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, JSON, Payload
from legato.model.problem_document import problem_document
from legato.model.settings import Settings
from legato.orchestrator import Orchestrator
from legato.telemetry.log import Log
from legato.transport.memo import HeadMemo
from legato.transport.request import Answer, Head, Request

PREFIX = b"/orchestrate/"
SHOWN = 20  # names of flows that a 404 tells at most
_OURS = RESERVED | {"", "openapi.json"}  # first segments of paths that are no function's
_NULL = (b"null",)
_COMPLETED = b"legato-completed: true\r\n"
_NOT_COMPLETED = b"legato-completed: false\r\n"
_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")


class Entry:
    """What the head of a request says about a run: the route, and how the body and the caller's ids are meant."""

    __slots__ = ("content_type", "encoding", "key_root", "preference", "route", "timeout", "traceparent")

    def __init__(self, route: Route, fields: Mapping[bytes, bytes], credential: bytes) -> None:
        self.route = route
        self.content_type = fields.get(b"content-type", b"")
        self.encoding = fields.get(b"content-encoding", b"")
        self.traceparent = fields.get(b"traceparent")
        timeout = fields.get(b"legato-timeout")
        # Seconds. A caller's word can only shorten the run; what is no such word says nothing.
        self.timeout = float(timeout) if timeout is not None and _SECONDS.fullmatch(timeout) else None
        key = fields.get(b"idempotency-key")
        # So that the caller's own retry repeats our keys (contract 1).
        self.key_root = None if key is None else digest(route.name.encode(), credential, key)
        self.preference = fields.get(b"prefer")


class _Sender:
    """Answers one request; see durable.Sender."""

    __slots__ = ("_gateway", "_request", "_route")

    def __init__(self, gateway: Gateway, request: Request, route: Route) -> None:
        self._gateway = gateway
        self._request = request
        self._route = route

    def result(self, run: InlineRun | EndedRun, payload: Payload, failure: Failure | None, headers: bytes) -> None:
        """See Sender."""
        self._gateway.reply(self._request, self._route, run, payload, failure, headers)

    def plain(self, answer: Answer) -> None:
        """See Sender."""
        self._gateway.answer(self._request, answer)


class Gateway:
    """Serves `/orchestrate/{flow}[/rest]`, and functions directly (contract 5); the rest of HTTP is the ASGI app's.

    `unread` names the stores that have not been read yet, so that a flow which is not known may still exist.
    """

    def __init__(
        self, settings: Settings, orchestrator: Orchestrator, log: Log, unread: Callable[[], str] = str
    ) -> None:
        self._orchestrator = orchestrator
        self._log = log
        self._unread = unread
        self._credentials = Credentials(settings)
        self._access_log = settings.access_log
        self._dev = settings.dev
        self._answer_within = settings.answer_within
        self._starts = Starts(settings.limits.durable_runs)
        self._hops = settings.limits.hops
        self._routes: dict[bytes, Route] = {}
        self._known: list[str] | None = None  # names that a 404 tells
        self._direct = DirectRoutes(settings, orchestrator)
        self.heads = HeadMemo[Head]()

    def serve_flows(self, names: Iterable[str]) -> None:
        """Take over what the orchestrator has deployed, or removed, under these names."""
        flows = self._orchestrator.flows
        for name in names:
            if name in flows:
                self._routes[PREFIX + name.encode()] = route_of(flows[name])
            else:
                self._routes.pop(PREFIX + name.encode(), None)
        self._known = None
        self.heads.forget()

    # What the server's protocol asks.

    def admit(self, head: Head) -> Answer | None:
        """See Service."""
        is_flow = head.path.startswith(PREFIX)
        is_direct = not is_flow and self._direct.enabled and _first_segment(head.path).lower() not in _OURS
        credential = self._credentials.check(head, "run" if is_flow or is_direct else scope_of(head))
        if isinstance(credential, Answer):
            return credential
        if not (is_flow or is_direct):
            return None
        route = self._routes.get(head.path)
        if route is None:
            found = self._find(head) if is_flow else self._find_function(head)
            if isinstance(found, Answer):
                return found
            route = found
        if route.broken is not None:
            return route.broken
        if b"legato-hops" in head.fields:
            hops = head.fields[b"legato-hops"]
            head.hops = int(hops) if hops.isdigit() and len(hops) < 4 else self._hops
            if head.hops >= self._hops:
                return refusal(508, f"the request has come through {self._hops} gateways: a flow calls itself")
        head.route = Entry(route, head.fields, credential)
        return None

    def serve(self, request: Request) -> None:
        """See Service."""
        entry = request.head.route
        assert isinstance(entry, Entry)
        bound = entry.route.bound
        assert bound is not None
        size = request.size
        payload = Payload(entry.content_type, request.chunks, size, entry.encoding) if size else EMPTY
        schema = bound.program.schema
        if schema is not None and (unfit := of_input(schema, payload, entry.route.name)) is not None:
            request.answer(unfit.status, unfit.headers, (unfit.body,), len(unfit.body))
            if self._access_log:
                self._log_access(request, unfit.status, None, unfit)
            return
        if bound.pin is not None:
            self._start_durable(request, entry, bound, payload)
            return
        reply = partial(self.reply, request, entry.route)
        run = self._orchestrator.start(
            bound, payload, request.head, reply, entry.traceparent, entry.key_root, entry.timeout
        )
        if run.kernel.state != "ended" and run.answered is None:
            request.run = run

    def gone(self, request: Request) -> None:
        """See Service."""
        run = request.run
        if isinstance(run, InlineRun):
            run.caller_left()
        elif isinstance(run, Waiting):
            run.leave()

    def refuse(self, status: int, detail: str) -> Answer:
        """See Service."""
        return refusal(status, detail)

    def refused(self, request: Request, status: int) -> None:
        """See Service."""
        if self._access_log:
            self._log_access(request, status, None, request.head.refusal)

    # How it is done.

    def _start_durable(self, request: Request, entry: Entry, bound: BoundProgram, payload: Payload) -> None:
        """Start a run that outlives its caller; how long that waits is its own wish, or the flow's."""
        host = self._orchestrator.journal
        sender = _Sender(self, request, entry.route)
        if host is None:
            sender.plain(refusal(503, f"durable flows cannot be run here: {self._orchestrator.no_journal}"))
            return
        within = bound.program.flow.answer_within
        preference = Preference(entry.preference, self._answer_within if within is None else within)
        if entry.timeout is not None:
            preference.shorten(entry.timeout * 0.9)  # the answer is to come before it gives up
        request.run = waiting = Waiting(host, entry.route.name, sender, preference)
        begin = partial(host.begin, bound)
        self._starts.start(host, begin, payload, request.head, entry.traceparent, entry.key_root, waiting)

    def answer(self, request: Request, answer: Answer) -> None:
        """Answer a request without a run's result."""
        request.run = None
        request.answer(answer.status, answer.headers, (answer.body,), len(answer.body))
        if self._access_log:
            self._log_access(request, answer.status, None, None if answer.status < 400 else answer)

    def _find(self, head: Head) -> Route | Answer:
        """A flow with a sub-path, or with its name percent-encoded."""
        name, slash, rest = head.path[len(PREFIX) :].partition(b"/")
        decoded = unquote_to_bytes(name)
        route = self._routes.get(PREFIX + decoded)
        if route is None:
            shown = decoded.decode("utf-8", "replace")
            if unread := self._unread():
                detail = f"whether there is a flow {shown!r} is not known: {unread} could not be read yet"
                return refusal(503, detail, b"retry-after: 1\r\n", flow=shown)
            if self._known is None:
                self._known = nsmallest(SHOWN, (route.name for route in self._routes.values()))
            return refusal(404, f"there is no flow {shown!r}", flow=shown, flows=self._known)
        return self._with_rest(head, route, slash + rest)

    def _find_function(self, head: Head) -> Route | Answer:
        name, slash, rest = head.path[1:].partition(b"/")
        function = unquote_to_bytes(name).decode("utf-8", "replace")
        route = self._direct.find(function)
        if route is None:
            return refusal(404, f"there is no function {function!r}; flows are at /orchestrate/{{flow}}")
        return self._with_rest(head, route, slash + rest)

    def _with_rest(self, head: Head, route: Route, rest: bytes) -> Route | Answer:
        """A route whose functions may get the sub-path."""
        parts = re.split(rb"[/\\]", unquote_to_bytes(rest))
        if b"#" in rest or any(part.partition(b";")[0] in (b"..", b".") for part in parts):
            return refusal(400, "a path with . or .. segments, or with #, is not passed on")
        head.rest = rest
        return route

    def reply(
        self,
        request: Request,
        route: Route,
        run: InlineRun | EndedRun,
        payload: Payload,
        failure: Failure | None,
        more: bytes = b"",
    ) -> None:
        """Answer with what a run leaves; `more` are header lines."""
        request.run = None  # the two would keep each other alive
        run_id, trace = run.id, run.trace
        ids = b"legato-run: %b\r\ntraceparent: 00-%b-%b-%b\r\n" % (run_id, trace, trace[16:], run.trace_flags)
        if more:
            ids += more
        if self._dev:
            ids += server_timing(run)
        if failure is None:
            ids += _COMPLETED if run.completed else _NOT_COMPLETED
            status = run.status if route.keeps_status and run.status else 200
            headers, chunks, size = _ok(payload, ids, route.dialect)
            if run.answered is not None:
                status, headers = run.answered.status, _with_own(headers, run.answered.headers)
        else:
            status, headers, chunks, size = self._failed(run, route, failure, ids)
        request.answer(status, headers, chunks, size)
        if self._access_log:
            self._log_access(request, status, run)

    def _failed(
        self, run: InlineRun | EndedRun, route: Route, failure: Failure, ids: bytes
    ) -> tuple[int, bytes, Sequence[bytes], int]:
        """(status, headers, chunks, size) for a failed run."""
        content_type = CONTENT_TYPE
        try:
            if route.dialect == "direct" and (outcome := answered(failure)):
                headers, chunks, size = _ok(outcome.payload, ids, route.dialect)
                return passable(outcome.status), headers, chunks, size
            if route.dialect == "fnkit":
                content_type = fnkit.JSON
                status, body = fnkit.of_failure(failure, route.parallel)
            elif failure.said is not None:
                headers, chunks, size = _ok(failure.said, ids, route.dialect)
                return status_of(failure), headers, chunks, size
            else:
                status, body = of_failure(failure, route.name, run.id.decode())
        except Exception as error:  # whatever a function said, its caller must not wait for ever
            self._log.write("unanswerable", run=run.id.decode(), error=repr(error))
            status, body = 500, problem_document(500, "the failure could not be described", run=run.id.decode())
        return status, content_type + ids, (body,), len(body)

    def _log_access(
        self, request: Request, status: int, run: InlineRun | EndedRun | None, refused: Answer | None = None
    ) -> None:
        fields: dict[str, object] = {
            "method": request.head.method.decode("latin-1"),
            "path": request.head.path.decode("latin-1"),
            "status": status,
            "bytes_in": request.size,
            "ms": round((monotonic() - request.started) * 1000, 3),
            "client": request.connection.client_host,
        }
        if run is not None:
            fields |= {"run": run.id.decode(), "flow": run.flow, "trace": run.trace.decode()}
            if run.failure is not None:
                failure = run.failure
                detail = failure.outcome.private or failure.outcome.detail
                fields |= {"reason": failure.reason, "step": failure.path, "detail": detail}
            if self._dev:
                fields["steps"] = step_times(run)
        elif refused is not None:
            fields["detail"] = detail_of(refused)
        self._log.write("request", **fields)


def _ok(payload: Payload, ids: bytes, dialect: str) -> tuple[bytes, Sequence[bytes], int]:
    """(headers, chunks, size) of a result. No value is `null`, or, where the answer is a function's own, nothing."""
    if payload.size:
        content_type = payload.content_type or (JSON if dialect == "fnkit" else b"application/octet-stream")
        encoding = b"content-encoding: %b\r\n" % payload.encoding if payload.encoding else b""
        headers = (b"content-type: ", content_type, b"\r\n", ids, encoding)
        return b"".join(headers), payload.chunks, payload.size
    if dialect != "native":
        return ids, (), 0
    return fnkit.JSON + ids, _NULL, len(_NULL[0])


def _with_own(headers: bytes, own: bytes) -> bytes:
    """Header lines with a flow's own; a content type among those replaces ours, which is the first line."""
    if own.startswith(b"content-type:") or b"\r\ncontent-type:" in own:
        headers = headers.partition(b"\r\n")[2]
    return own + headers


def _first_segment(path: bytes) -> str:
    return path[1:].partition(b"/")[0].decode("latin-1")
