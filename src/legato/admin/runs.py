"""`/api/runs`: what runs did and do. Inline runs are in this process' memory alone, the last ones of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from legato.admin.answers import as_json
from legato.admin.durable import DurableRuns
from legato.admin.problems import Problematic, number
from legato.hosts.inline import InlineHost
from legato.hosts.journal.host import JournalHost
from legato.hosts.recent import Clock, Remembered, function_documents, run_document
from legato.model.journal import RunQuery
from legato.telemetry.ids import id_key
from legato.telemetry.log import Log
from legato.transport.beside import Beside

PAGE = 50
JITTER = 0.0001  # seconds by which the two clocks may differ from one look to the next
STATES = ("running", "undoing", "succeeded", "failed", "undone", "cancelled")


class RunsAPI:
    """The routes. `durable` gives the host of durable runs, if there is one; `stopping` ends streams of events."""

    def __init__(
        self,
        host: InlineHost,
        log: Log,
        durable: Callable[[], JournalHost | None] = lambda: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._durable = DurableRuns(durable, stopping)
        self._host = host
        self._log = log
        self._beside = Beside(1)
        self.routes = [
            Route("/api/runs", self.list, methods=["GET"]),
            Route("/api/runs/{id}", self.show, methods=["GET"]),
            Route("/api/runs/{id}/events", self._durable.events, methods=["GET"]),
            Route("/api/runs/{id}/signals/{name}", self._durable.signal, methods=["POST"]),
            Route("/api/runs/{id}/cancel", self._durable.cancel, methods=["POST"]),
            Route("/api/runs/{id}/retry", self._durable.retry, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """`?inline=true&flow=&state=&since=&limit=&cursor=`: newest first; `cursor` is the last id of the page before.

        Durable runs, or with `inline=true` inline ones, then also per-function counters over the runs that are
        remembered, and the last events.
        """
        query = request.query_params
        limit, since = number(query, "limit", PAGE, 1, 1000), _since(query.get("since"))
        inline, flow, state, cursor = (query.get(key) for key in ("inline", "flow", "state", "cursor"))
        if inline not in (None, "true", "false"):
            raise Problematic(400, f"`inline` is `true` or `false`, not {inline!r}")
        if inline != "true":
            before = None if cursor is None else _before(cursor)
            return await self._durable.list(
                RunQuery(flow=flow, state=state, since=since, before=before, limit=limit),
            )
        if state is not None and state not in STATES:
            raise Problematic(400, f"`state` is one of {', '.join(STATES)}, not {state!r}")
        known = self._all()
        began = float("-inf") if since is None else since - Clock().ahead - JITTER
        found = [run for run in known if _matches(run, flow, state, began)]
        if cursor is not None:
            found = _after(found, cursor)
        # Documents of a thousand runs are made beside the event loop, of what it knew: it goes on to change it.
        return await self._beside.run(_page, found, [run for run in known if run.ended], list(self._log.events), limit)

    async def show(self, request: Request) -> Response:
        """One run: an inline one that has not ended, or is remembered, or any durable one."""
        run_id = request.path_params["id"]
        for run in self._all():
            if run.id.decode() == run_id:
                return as_json(run_document(run, Clock()))
        return await self._durable.show(request)

    def _all(self) -> list[Remembered]:
        return self._host.recent.all(self._host.runs())


def _page(
    found: Sequence[Remembered], ended: Sequence[Remembered], events: Sequence[dict[str, object]], limit: int
) -> Response:
    """A page of runs, with what all that have ended say of functions."""
    clock = Clock()
    runs = [run_document(run, clock) for run in found[:limit]]
    body: dict[str, object] = {"runs": runs}
    if len(found) > limit:
        body["cursor"] = runs[-1].id
    body["functions"] = function_documents(ended, clock)
    body["events"] = events[: -limit - 1 : -1]
    return as_json(body)


def _matches(run: Remembered, flow: str | None, state: str | None, since: float) -> bool:
    return (flow is None or run.bound.name == flow) and (state is None or run.state == state) and run.started >= since


def _after(runs: Sequence[Remembered], cursor: str) -> Sequence[Remembered]:
    for place, run in enumerate(runs):
        if run.id.decode() == cursor:
            return runs[place + 1 :]
    raise Problematic(400, "the run in `cursor` is not remembered any more: begin again without one")


def _before(cursor: str) -> bytes:
    try:
        return id_key(cursor.encode())
    except ValueError:
        raise Problematic(400, "`cursor` is the id of the last run of the page before") from None


def _since(text: str | None) -> float | None:
    """A time in seconds since the epoch."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + came as a blank
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, aware.timestamp())
    except (ValueError, OverflowError):
        raise Problematic(400, f"`since` is a time like 2026-01-31T12:00:00Z, not {text!r}") from None
