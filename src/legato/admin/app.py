"""The ASGI app beside the flows (contract 5). Credentials have been checked by the gateway before it is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from legato.model.problem_document import MEDIA_TYPE, problem_document
from legato.orchestrator import Orchestrator
from legato.telemetry.metrics import Metrics

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def admin_app(
    orchestrator: Orchestrator, metrics: Metrics, stopping: Callable[[], bool], lifespan: Lifespan
) -> Starlette:
    """Build the app. `stopping` says whether the process is on its way out."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        broken = sorted(name for name, flow in orchestrator.flows.items() if flow.bound is None)
        if stopping():
            return JSONResponse({"status": "stopping"}, 503)
        body: dict[str, object] = {"status": "ok"}
        if broken:
            body["degraded"] = [f"the definition of {name} is broken" for name in broken]
        return JSONResponse(body)

    async def metrics_text(_: Request) -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _as_problem})


async def _as_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers: Mapping[str, str] = error.headers or {}
    detail = error.detail if error.status_code != 404 else "there is nothing here; flows are at /orchestrate/{flow}"
    body = problem_document(error.status_code, detail)
    return Response(body, error.status_code, dict(headers), media_type=MEDIA_TYPE)
