"""`/api/runs`: what the last runs did. Inline runs are in this process' memory alone, the last ones of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from legato.admin.problems import Problematic, number
from legato.hosts.inline import InlineHost
from legato.hosts.journal.host import JournalHost
from legato.hosts.recent import Clock, Remembered, function_documents, run_document
from legato.telemetry.log import Log
from legato.transport.beside import Beside

PAGE = 50
JITTER = 0.0001  # seconds by which the two clocks may differ from one look to the next
STATES = ("running", "undoing", "succeeded", "failed", "undone", "cancelled")


class RunsAPI:
    """The routes."""

    def __init__(self, host: InlineHost, log: Log, durable: Callable[[], JournalHost | None] = lambda: None) -> None:
        self._durable = durable
        self._host = host
        self._log = log
        self._beside = Beside(1)
        self.routes = [
            Route("/api/runs", self.list, methods=["GET"]),
            Route("/api/runs/{id}", self.show, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """`?inline=true&flow=&state=&since=&limit=&cursor=`: newest first; `cursor` is the last id of the page before.

        With `inline=true` also per-function counters over the runs that are remembered, and the last events.
        """
        query = request.query_params
        limit, since = number(query, "limit", PAGE, 1, 1000), _since(query.get("since"))
        inline, state = query.get("inline", "false"), query.get("state")
        if inline not in ("true", "false"):
            raise Problematic(400, f"`inline` is `true` or `false`, not {inline!r}")
        if state is not None and state not in STATES:
            raise Problematic(400, f"`state` is one of {', '.join(STATES)}, not {state!r}")
        if inline == "false":
            return _json({"runs": []})  # of durable runs there are none
        known = self._all()
        found = [run for run in known if _matches(run, query.get("flow"), state, since)]
        if (cursor := query.get("cursor")) is not None:
            found = _after(found, cursor)
        # Documents of a thousand runs are made beside the event loop, of what it knew: it goes on to change it.
        return await self._beside.run(_page, found, [run for run in known if run.ended], list(self._log.events), limit)

    async def show(self, request: Request) -> Response:
        """A run that has not ended, or is remembered."""
        run_id = request.path_params["id"]
        for run in self._all():
            if run.id.decode() == run_id:
                return _json(run_document(run, Clock()))
        raise Problematic(404, f"there is no run {run_id!r}; of inline runs only the last are remembered", run=run_id)

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
    return _json(body)


def _matches(run: Remembered, flow: str | None, state: str | None, since: float) -> bool:
    return (flow is None or run.bound.name == flow) and (state is None or run.state == state) and run.started >= since


def _after(runs: Sequence[Remembered], cursor: str) -> Sequence[Remembered]:
    for place, run in enumerate(runs):
        if run.id.decode() == cursor:
            return runs[place + 1 :]
    raise Problematic(400, "the run in `cursor` is not remembered any more: begin again without one")


def _since(text: str | None) -> float:
    """A time as the runs have it: monotonic seconds."""
    if text is None:
        return float("-inf")
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + came as a blank
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.timestamp() - Clock().ahead - JITTER
    except (ValueError, OverflowError):
        raise Problematic(400, f"`since` is a time like 2026-01-31T12:00:00Z, not {text!r}") from None


def _json(body: object) -> Response:
    try:
        text = msgspec.json.encode(body, enc_hook=repr)
    except UnicodeEncodeError:  # what a function says may be no text that can be sent as it is
        text = json.dumps(msgspec.to_builtins(body, enc_hook=repr)).encode()
    return Response(text, media_type="application/json")
