"""The ASGI app beside the flows (contract 5). Credentials have been checked by the gateway before it is reached."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from legato.admin.flows import FlowsAPI
from legato.admin.problems import as_problem
from legato.admin.runs import RunsAPI
from legato.catalog import Catalog
from legato.orchestrator import Orchestrator
from legato.telemetry.metrics import Metrics
from legato.transport.beside import Beside

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]

SHOWN = 100  # worries that /readyz lists: with thousands of broken flows nobody reads them there


def admin_app(
    orchestrator: Orchestrator,
    catalog: Catalog,
    metrics: Metrics,
    runs: RunsAPI,
    stopping: Callable[[], bool],
    lifespan: Lifespan,
) -> Starlette:
    """Build the app. `stopping` says whether the process is on its way out."""

    rendering = Beside(1)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        if stopping():
            return JSONResponse({"status": "stopping"}, 503)
        if unread := catalog.unread:
            detail = f"{unread} could not be read yet, so that flows are not known"
            return JSONResponse({"status": "starting", "detail": detail, "degraded": catalog.troubles}, 503)
        body: dict[str, object] = {"status": "ok"}
        if degraded := (catalog.troubles + orchestrator.journal_worries + orchestrator.worries)[:SHOWN]:
            body["degraded"] = degraded
        return JSONResponse(body)

    async def metrics_text(_: Request) -> Response:
        text = await rendering.run(metrics.render, metrics.read())
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
        *FlowsAPI(orchestrator, catalog).routes,
        *runs.routes,
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: as_problem})
    app.router.redirect_slashes = False  # to where the caller's own Host says: anything else is 404
    return app
