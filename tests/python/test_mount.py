"""`legato.asgi`: flows within another app, as the gateway serves them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from legato import Context, DefinitionError, Flow, Refused, asgi, flow
from legato.model.function import Function
from legato.model.settings import Limits, Settings
from tests.conftest import StartFunction
from tests.support.gateway_process import free_port

ORDER = (
    Flow("order", input={"type": "object", "required": ["id"]}).call("check").modify(lambda order: {**order, "vat": 20})
)


@flow
async def both(ctx: Context, value: Any) -> Any:
    return await ctx.gather(ctx.call("check", value), ctx.flow("order", {"id": 2}))


def echo(value: Any) -> Any:
    return value


class Answer:
    """What an app answered."""

    def __init__(self, messages: list[Any]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body: bytes = b"".join(message["body"] for message in messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    path: str,
    body: bytes = b"",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    leaves: asyncio.Event | None = None,
    **scope: Any,
) -> Answer:
    """Send a request as a server does; with `leaves`, the caller goes when that is set."""
    sent: list[Any] = []
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Any:
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
        await (leaves or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    plain, _, query = path.partition("?")
    whole: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": plain, "raw_path": plain.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("1.2.3.4", 5), "server": ("h", 80), **scope,
    }  # fmt: skip
    await app(whole, receive, send)
    return Answer(sent)


def runs(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_flows_are_served_below_the_mount_and_as_the_gateway_does() -> None:
    async def main() -> None:
        app = asgi(ORDER, both, functions={"check": echo})
        for path in ("/order", "/orchestrate/order"):
            answer = await ask(app, path, b'{"id": 1}')
            assert (answer.status, answer.json) == (200, {"id": 1, "vat": 20})
            assert answer.headers["legato-completed"] == "true"
            assert len(answer.headers["legato-run"]) == 36
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["content-length"] == str(len(answer.body))
        answer = await ask(app, "/both", b"[1]")
        assert answer.json == [[1], {"id": 2, "vat": 20}]
        await app.aclose()

    runs(main)


def test_below_any_prefix() -> None:
    async def main() -> None:
        inner = asgi(ORDER, functions={"check": echo})
        outer = Starlette(
            routes=[
                Mount("/shop/flows", app=inner),
                Route("/other", lambda _: PlainTextResponse("other")),
                Mount("/a b", app=inner),
            ]
        )
        assert (await ask(outer, "/shop/flows/order", b'{"id": 1}')).status == 200
        assert (await ask(outer, "/shop/flows/orchestrate/order", b'{"id": 1}')).status == 200
        assert (await ask(outer, "/a b/order", b'{"id": 1}', raw_path=b"/a%20b/order")).status == 200
        assert (await ask(outer, "/other", method="GET")).body == b"other"
        # Behind a proxy that takes a prefix away, and servers that do not tell the path as it came.
        assert (await ask(outer, "/x/shop/flows/order", b'{"id": 1}', root_path="/x")).status == 200
        bare = await ask(inner, "/order", b'{"id": 1}', raw_path=None)
        assert bare.status == 200
        await inner.aclose()

    runs(main)


def test_the_rest_of_the_path_and_the_query() -> None:
    async def main() -> None:
        shown = Flow("shown").set({"path": "${request.path}", "query": "${request.query}", "m": "${request.method}"})
        app = Starlette(routes=[Mount("/f", app=asgi(shown))])
        answer = await ask(app, "/f/shown/a%20b/c?x=1&x=2", method="PUT")
        assert answer.json == {"path": "/a%20b/c", "query": {"x": ["1", "2"]}, "m": "PUT"}
        assert (await ask(app, "/f/shown/../b")).status == 400

    runs(main)


def test_refusals_of_the_gateway() -> None:
    async def main() -> None:
        limits = Limits(request_body=100)
        app = asgi(ORDER, functions={"check": refuse}, settings=Settings(access_log=False, limits=limits))
        unknown = await ask(app, "/ordr")
        assert (unknown.status, unknown.json["flows"]) == (404, ["order"])
        assert unknown.headers["content-type"] == "application/problem+json"
        for path in ("/", "", "/api/flows", "/metrics"):
            assert (await ask(app, path)).status == 404
        assert (await ask(app, "/order", b"{}")).status == 422
        assert (await ask(app, "/order", b"{broken")).status == 400
        assert (await ask(app, "/order", b" " * 101)).status == 413
        assert (await ask(app, "/order", b" " * 101, headers={"content-length": "x"})).status == 413
        assert (await ask(app, "/order", b'{"id": 1}', headers={"legato-hops": "8"})).status == 508
        failed = await ask(app, "/order", b'{"id": 1}')
        assert (failed.status, failed.json["step"], failed.json["upstream"]["status"]) == (502, "check", 409)
        await app.aclose()

    runs(main)


def refuse(value: Any) -> Any:
    raise Refused("no", 409)


def test_tokens_are_enforced_where_there_are_any() -> None:
    async def main() -> None:
        app = asgi(
            Flow("f").set(1), settings=Settings(access_log=False, tokens={"secret": ("run",), "look": ("observe",)})
        )
        assert (await ask(app, "/f")).status == 401
        assert (await ask(app, "/f", headers={"authorization": "Bearer look"})).status == 403
        assert (await ask(app, "/f", headers={"authorization": "Bearer secret"})).status == 200

    runs(main)


def test_functions_are_code_urls_and_entries(function: StartFunction) -> None:
    async def later(value: Any) -> Any:
        await asyncio.sleep(0)
        return [*value, "later"]

    server = function()

    async def main() -> None:
        functions: dict[str, Any] = {
            "code": lambda value: [value, "code"],
            "later": later,
            "web": f"http://127.0.0.1:{server.port}/web",
            "slow": Function(name="slow", builtin="echo", timeout=1.0),
        }
        app = asgi(Flow("f").call("code").call("later").call("web").call("slow"), functions=functions)
        assert (await ask(app, "/f", b"1")).json == [1, "code", "later"]
        await app.aclose()

    runs(main)
    assert server.requests[0].target == "/web"


@pytest.mark.parametrize(
    ("flows", "message"),
    [
        ([Flow("f").call("a").set("${steps.nowhere}")], "there is no step `nowhere` here"),
        ([Flow("f").flow("nowhere")], "there is no flow `nowhere` that can be run"),
        ([Flow("f").call("a"), Flow("f").call("b")], "two flows are called 'f'"),
        ([Flow("f").modify("nowhere.at:all")], "cannot import nowhere.at"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(flows: list[Flow], message: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        asgi(*flows)
    assert message in str(refusal.value)


@pytest.mark.parametrize(("policy", "ends"), [("cancel", ["cancelled"]), ("finish", ["done"])])
def test_a_caller_that_leaves(policy: str, ends: list[str]) -> None:
    seen: list[str] = []

    async def main() -> None:
        begun, left, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def work(value: Any) -> None:
            begun.set()
            try:
                await go_on.wait()
                seen.append("done")
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        app = asgi(Flow("f", on_disconnect=policy).call("work"), functions={"work": work})
        asking = asyncio.create_task(ask(app, "/f", leaves=left))
        await begun.wait()
        left.set()
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        await asking
        await app.aclose()

    runs(main)
    assert seen == ends


def test_a_request_that_the_server_ends() -> None:
    """Its task is cancelled: the same as a caller that leaves."""
    seen: list[str] = []

    async def main() -> None:
        begun = asyncio.Event()

        async def work(value: Any) -> None:
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                seen.append("ended")

        app = asgi(Flow("f", on_disconnect="cancel").call("work"), functions={"work": work})
        asking = asyncio.create_task(ask(app, "/f"))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await app.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    runs(main)
    assert seen == ["ended"]


def test_the_code_of_flows_runs_in_no_task() -> None:
    tasks: list[Any] = []

    @flow
    async def asks(ctx: Context) -> None:
        tasks.append(asyncio.current_task())

    async def main() -> None:
        assert (await ask(asgi(asks), "/asks")).status == 200

    runs(main)
    assert tasks == [None]


def test_its_lifespan() -> None:
    async def main() -> None:
        app, messages = asgi(Flow("f").sleep("20ms").set(1)), asyncio.Queue[Any]()
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await messages.put({"type": "lifespan.startup"})
        living = asyncio.create_task(app({"type": "lifespan"}, messages.get, send))
        asking = asyncio.create_task(ask(app, "/f"))
        await asyncio.sleep(0.001)
        await messages.put({"type": "lifespan.shutdown"})
        await living
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert asking.done() or (await asking).status == 200  # it waited for the run
        assert (await asking).body == b"1"

    runs(main)


def test_websockets_are_closed() -> None:
    async def main() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await asgi(Flow("f").set(1))({"type": "websocket"}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1000}]

    runs(main)


def test_another_event_loop_is_another_start() -> None:
    """As test clients do it, one for each request: timers and connections of the first are of no use to the second."""

    async def hang(value: Any) -> None:
        await asyncio.sleep(60)

    app = asgi(Flow("f", timeout="50ms").call("hang"), functions={"hang": hang})
    for _ in range(3):
        assert asyncio.run(ask(app, "/f")).status == 504


def test_a_head_request_has_no_body() -> None:
    async def main() -> None:
        answer = await ask(asgi(Flow("f").set("long")), "/f", method="HEAD")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "6")

    runs(main)


MODULE = """
from starlette.applications import Starlette
from starlette.routing import Mount
from legato import Context, Flow, asgi, flow

@flow
async def pages(ctx: Context, n: int):
    return await ctx.foreach(range(n), lambda item: ctx.call("double", item))

async def double(n: int):
    return n * 2

flows = asgi(Flow("one").call("double"), pages, functions={"double": double})
app = Starlette(routes=[Mount("/flows", app=flows)])
"""


def test_in_a_real_server(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(MODULE)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        assert post(port, "/flows/one", 3) == (200, 6)
        assert post(port, "/flows/pages", 4) == (200, [0, 2, 4, 6])
        assert post(port, "/flows/orchestrate/one", 1) == (200, 2)
        status, problem = post(port, "/flows/nothing", 1)
        assert (status, problem["detail"]) == (404, "there is no flow 'nothing'")
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert b"Traceback" not in errors


def post(port: int, path: str, value: object) -> tuple[int, Any]:
    """Ask a server that may still be starting."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", msgspec.json.encode(value), method="POST")
    until = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.05)
