"""The work of the durable benchmark on Temporal: a workflow of three local activities, with its HTTP front and worker.

    FUNCTIONS_PORT=N TEMPORAL=HOST:PORT python -m uvicorn temporal_app:app --port PORT
Front and worker share one process, so that the start is eager; without the sandbox, which would only cost it time.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

BASE = f"http://127.0.0.1:{os.environ['FUNCTIONS_PORT']}/"
HEADERS = {"content-type": "application/json"}
QUEUE = "bench"
LIMIT = timedelta(seconds=10)
sessions: list[aiohttp.ClientSession] = []
clients: list[Client] = []


@activity.defn
async def call(name: str, body: str) -> str:
    async with sessions[0].post(BASE + name, data=body, headers=HEADERS, raise_for_status=True) as response:
        return await response.text()


@workflow.defn
class Seq:
    @workflow.run
    async def run(self, body: str) -> str:
        for name in ("a", "b", "c"):
            body = await workflow.execute_local_activity(call, args=[name, body], start_to_close_timeout=LIMIT)
        return body


async def answer(request: Request) -> Response:
    body = (await request.body()).decode()
    result = await clients[0].execute_workflow(
        Seq.run, body, id=str(uuid4()), task_queue=QUEUE, request_eager_start=True
    )
    return Response(result, media_type="application/json")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    client = await Client.connect(os.environ["TEMPORAL"])
    clients.append(client)
    worker = Worker(
        client, task_queue=QUEUE, workflows=[Seq], activities=[call], workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, worker:
        sessions.append(session)
        yield


app = Starlette(routes=[Route("/seq", answer, methods=["POST"])], lifespan=lifespan)
