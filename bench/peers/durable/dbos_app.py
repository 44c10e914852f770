"""The work of the durable benchmark on DBOS: a workflow of three steps, awaited by an HTTP front in its own process.

    FUNCTIONS_PORT=N DATABASE=sqlite:///FILE python -m uvicorn dbos_app:app --port PORT
DATABASE may be a Postgres as well. Whatever DBOS sets by default is left as it is.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from dbos import DBOS, DBOSConfig
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BASE = f"http://127.0.0.1:{os.environ['FUNCTIONS_PORT']}/"
HEADERS = {"content-type": "application/json"}
CONFIG: DBOSConfig = {"name": "bench", "system_database_url": os.environ["DATABASE"], "log_level": "WARNING"}
sessions: list[aiohttp.ClientSession] = []


@DBOS.step()
async def call(name: str, body: str) -> str:
    async with sessions[0].post(BASE + name, data=body, headers=HEADERS, raise_for_status=True) as response:
        return await response.text()


@DBOS.workflow()
async def seq(body: str) -> str:
    for name in ("a", "b", "c"):
        body = await call(name, body)
    return body


async def answer(request: Request) -> Response:
    handle = await DBOS.start_workflow_async(seq, (await request.body()).decode())
    return Response(await handle.get_result(), media_type="application/json")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        sessions.append(session)
        DBOS(config=CONFIG)
        DBOS.launch()
        yield
        DBOS.destroy()


app = Starlette(routes=[Route("/seq", answer, methods=["POST"])], lifespan=lifespan)
