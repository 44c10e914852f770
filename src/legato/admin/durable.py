"""`/api/runs` of the journal: the runs in it, one of them with its steps, and what can be asked of one (contract 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from legato.admin.answers import as_json
from legato.admin.durable_events import EventStreams
from legato.admin.problems import Problematic
from legato.errors import StoreUnavailable
from legato.hosts.journal.documents import Document, InFlight, document, in_flight, row_document
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.operate import NotPossible, Operator, Signal, Why
from legato.hosts.journal.records import Decided, PayloadRecord
from legato.hosts.journal.replay import Unfit
from legato.model.journal import STATES, RunQuery
from legato.model.payload import JSON, Payload
from legato.telemetry.ids import id_key

SIGNAL_BODY = 1024 * 1024  # bytes; a run may have a thousand of them waiting
RETRY_BODY = 1024 * 1024
LONGEST_KEY = 255  # characters of an Idempotency-Key
LONGEST_NAME = 255

STATUSES: dict[Why, int] = {
    "unknown": 404,
    "no_signal": 404,
    "ended": 409,
    "state": 409,
    "malformed": 400,
    "unfit": 422,
    "other_body": 422,
    "full": 429,
    "not_stored": 503,
}


class _Retry(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a retry."""

    path: str | None = None
    action: Literal["retry", "skip", "done"] = "retry"
    result: msgspec.Raw = msgspec.Raw()


class DurableRuns:
    """Answers for the runs of a journal, which `host` gives as soon as one is open."""

    def __init__(self, host: Callable[[], JournalHost | None], stopping: Callable[[], bool]) -> None:
        self._host = host
        self._operators: dict[JournalHost, Operator] = {}
        self._streams = EventStreams(stopping)

    async def list(self, query: RunQuery) -> Response:
        """A page of runs, newest first, by what their rows say."""
        if query.state is not None and query.state not in STATES:
            raise Problematic(400, f"`state` is one of {', '.join(STATES)}, not {query.state!r}")
        host = self._host()
        if host is None:
            return as_json({"runs": []})

        def page(host: JournalHost) -> Response:
            rows = host.journal.runs(msgspec.structs.replace(query, limit=query.limit + 1))
            runs = [row_document(row) for row in rows[: query.limit]]
            body: Document = {"runs": runs}
            if len(rows) > query.limit:
                body["cursor"] = runs[-1]["id"]
            return as_json(body)

        return await _read(host, page, host)

    async def show(self, request: Request) -> Response:
        """`?payloads=true&steps=all`: one run with its steps."""
        host, key = self._find(request)
        query = request.query_params
        payloads, all_steps = _flag(query.get("payloads"), "payloads"), query.get("steps") == "all"
        if query.get("steps", "all") != "all":
            raise Problematic(400, f"`steps` is `all`, or left out, not {query['steps']!r}")
        return await self._document(host, key, request, 200, payloads=payloads, all_steps=all_steps)

    async def events(self, request: Request) -> Response:
        """The events of a run as they come (SSE), or those so far as JSON."""
        host, key = self._find(request)
        payloads = _flag(request.query_params.get("payloads"), "payloads")
        stored = await _read(host, host.journal.run, key)
        if stored is None:
            raise self._unknown(request)
        return await self._streams.answer(request, host, stored, payloads)

    async def signal(self, request: Request) -> Response:
        """Have a run take a signal; with an `Idempotency-Key`, once."""
        host, key = self._find(request)
        name, fields = request.path_params["name"], request.headers
        idempotency = fields.get("idempotency-key", "")
        if len(name) > LONGEST_NAME or len(idempotency) > LONGEST_KEY:
            raise Problematic(400, f"a name and an Idempotency-Key have at most {LONGEST_KEY} characters")
        body = await body_of(request, SIGNAL_BODY, "a signal")
        content_type = fields.get("content-type", "").encode("latin-1")
        encoding = fields.get("content-encoding", "").encode("latin-1")
        payload = Payload(content_type, (body,), len(body), encoding)
        with _Refusals(request):
            is_new = await self._operator(host).signal(key, Signal(name, payload, idempotency))
        return as_json(
            {"run": request.path_params["id"], "signal": name, "repeated": not is_new}, 202 if is_new else 200
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel a run, with `hard=true`, in the query or the body, without undo."""
        host, key = self._find(request)
        hard = _flag(request.query_params.get("hard"), "hard")
        body = await body_of(request, RETRY_BODY, "a cancel")
        if body:
            hard = _decoded(body, _Hard).hard or hard
        with _Refusals(request):
            await self._operator(host).cancel(key, hard)
        return await self._document(host, key, request, 202)

    async def retry(self, request: Request) -> Response:
        """Have a run go on that is parked, or has failed: `{"path"?, "action"?, "result"?}`."""
        host, key = self._find(request)
        body = await body_of(request, RETRY_BODY, "a retry")
        asked = _decoded(body, _Retry) if body else _Retry()
        if asked.result and asked.action != "done":
            raise Problematic(400, f"`result` is that of a step which counts as `done`, and this is {asked.action!r}")
        result = PayloadRecord(JSON, bytes(asked.result)) if asked.result else None
        with _Refusals(request):
            await self._operator(host).retry(key, asked.path, Decided(asked.action, result))
        return await self._document(host, key, request, 202)

    def _find(self, request: Request) -> tuple[JournalHost, bytes]:
        host = self._host()
        try:
            key = id_key(request.path_params["id"].encode())
        except ValueError:
            raise self._unknown(request) from None
        if host is None or len(key) != 16:
            raise self._unknown(request)
        return host, key

    def _unknown(self, request: Request) -> Problematic:
        run = request.path_params["id"]
        return Problematic(404, f"there is no run {run!r}; of inline runs only the last are remembered", run=run)

    def _operator(self, host: JournalHost) -> Operator:
        operator = self._operators.get(host)
        if operator is None:
            operator = self._operators[host] = Operator(host)
        return operator

    async def _document(
        self,
        host: JournalHost,
        key: bytes,
        request: Request,
        status: int,
        *,
        payloads: bool = False,
        all_steps: bool = False,
    ) -> Response:
        """The document of a run as it is on disk, with what is in flight, made beside the event loop."""
        run = host.live.get(key)
        flight = () if run is None else in_flight(run)
        found = await _read(host, _answered, host, key, flight, status, payloads, all_steps)
        if found is None:
            raise self._unknown(request)
        return found


class _Hard(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a cancel."""

    hard: bool = False


class _Refusals:
    """Turns what cannot be done into problem documents."""

    def __init__(self, request: Request) -> None:
        self._run = request.path_params["id"]

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        retry = {"retry-after": "1"}
        if isinstance(error, NotPossible):
            status = STATUSES[error.why]
            headers = retry if status in (429, 503) else None
            raise Problematic(status, str(error), headers, run=self._run, **error.members) from None
        if isinstance(error, Unfit):
            detail = f"it is parked, because it cannot be taken up: {error}"
            raise Problematic(409, detail, run=self._run, state="parked") from None
        if isinstance(error, StoreUnavailable):
            raise Problematic(503, str(error), retry, run=self._run) from None


def _answered(
    host: JournalHost, key: bytes, flight: list[InFlight], status: int, payloads: bool, all_steps: bool
) -> Response | None:
    stored = host.journal.run(key)
    if stored is None:
        return None
    shown = document(stored.row, stored.events, flight, payloads=payloads, all_steps=all_steps)
    return as_json(shown, status)


async def _read(host: JournalHost, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return await host.beside.run(function, *args)
    except StoreUnavailable as error:
        raise Problematic(503, str(error), {"retry-after": "1"}) from None
    except msgspec.DecodeError as error:
        raise Problematic(500, f"an event of this run cannot be read: {error}; put a backup in its place") from None


def _flag(text: str | None, key: str) -> bool:
    if text not in (None, "true", "false"):
        raise Problematic(400, f"`{key}` is `true` or `false`, not {text!r}")
    return text == "true"


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Problematic(400, f"the body cannot be used: {error}") from None


async def body_of(request: Request, limit: int, what: str) -> bytes:
    """The whole body of a request, at most so many bytes."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise Problematic(413, f"{what} has at most {limit // 1024} KiB")
    except ClientDisconnect:
        raise Problematic(400, "the body ended early") from None
    return b"".join(chunks)
