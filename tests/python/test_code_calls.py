"""How code calls: what is said of a call is kept by the host as for files, bound once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from legato import Context, DefinitionError, Payload, Refused, RunFailed, StepError, flow, run_sync
from legato.app import App
from legato.builder import CodeFlow
from legato.connectors.builtin import BuiltinConnector
from legato.hosts.bound import BoundProgram
from legato.model.function import Function
from legato.model.payload import JSON, json_payload
from legato.model.settings import Settings
from legato.telemetry.log import Log
from legato.testing import ManualClock, ScriptedConnector, Stage, ok, refused, retryable, run_in_manual_time, unknown
from tests.conftest import StartFunction
from tests.python.written import program_of
from tests.support.function_server import FunctionServer
from tests.support.texts import answer

Scene = Callable[[Stage, ScriptedConnector, ManualClock], Coroutine[Any, Any, None]]


def bound(stage: Stage, code: CodeFlow) -> BoundProgram:
    """A code-first flow, ready to be started."""
    return BoundProgram(
        program_of({code.name: code.definition()}, code.name), stage._bind, stage.metrics, stage.timeout
    )


def play(scene: Scene, **functions: Function) -> None:
    """Play a scene on a host, in time that the test moves."""

    async def main(clock: ManualClock) -> None:
        script = ScriptedConnector()
        stage = Stage(script, functions)
        await scene(stage, script, clock)
        assert not list(stage.host.runs())
        assert not script.pending

    run_in_manual_time(main)


def test_attempts_timeouts_and_keys() -> None:
    @flow
    async def calls(ctx: Context) -> Any:
        first = await ctx.call("a", 1, retry={"attempts": 3, "backoff": 1}, idempotent=True, timeout=0.5)
        return [first, await ctx.call("a", 2, timeout=0.5)]

    async def scene(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        script.script("a", unknown().held(), retryable(), ok("third"))
        script.script("a#2", ok().held())
        stage.start(bound(stage, calls))
        await asyncio.sleep(10)
        (end,) = stage.ends
        assert [(each.path, each.number, each.aborted) for each in script.attempts] == [
            ("a", 1, True), ("a", 2, False), ("a", 3, False), ("a#2", 1, True),
        ]  # fmt: skip
        assert end.failure is not None
        assert end.failure.path == "a#2"
        assert end.failure.outcome.detail == "no answer within 0.5 s"
        assert len({each.key for each in script.attempts}) == 2

    play(scene)


def test_a_short_timeout_of_a_late_call_is_kept() -> None:
    """When a run starts, nobody knows that it will call something with so little patience."""

    @flow
    async def late(ctx: Context) -> Any:
        await ctx.sleep(20)
        try:
            await ctx.call("a", timeout=0.1)
        except StepError:
            return "in time"

    async def scene(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        script.script("a", ok().held())
        program = bound(stage, late)
        for _ in range(2):
            began = clock.now
            stage.start(program)
            while not stage.ends:  # noqa: ASYNC110 - who ends tells nobody
                await asyncio.sleep(0.01)
            assert 20.1 <= clock.now - began < 20.2
            assert stage.ends.pop().payload.value() == "in time"

    play(scene)


def test_an_undo_gets_through() -> None:
    @flow
    async def undoes(ctx: Context) -> None:
        await ctx.call("a", undo={"call": "b", "input": {"id": "${result.id}", "was": "${sent}"}, "method": "DELETE"})
        await ctx.call("c")

    async def scene(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        script.script("a", ok({"id": 7}))
        script.script("b", retryable(), unknown(), ok())
        script.script("c", refused(409))
        stage.start(bound(stage, undoes))
        await asyncio.sleep(60)
        assert [each.path for each in script.attempts] == ["a", "c", "a/undo", "a/undo", "a/undo"]
        assert script.attempts[-1].payload.value() == {"id": 7, "was": None}
        assert stage.ends[0].failure is not None
        assert stage.ends[0].failure.undo == [("a/undo", True)]

    play(scene)


def test_the_same_calls_are_bound_once() -> None:
    @flow
    async def loops(ctx: Context, n: int) -> None:
        for item in range(n):
            await ctx.call(
                "a", item, retry=2, undo="b", path=["x", item], query={"n": item}, headers={"x-n": str(item)}
            )
            await ctx.call("a", item)

    async def scene(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        program = bound(stage, loops)
        for _ in range(3):
            stage.start(program, json_payload(10))
        assert [call.function for call in program.calls] == ["b", "a", "a"]
        assert [call.function for call in program.program.calls] == ["b", "a", "a"]
        assert len(script.attempts) == 60

    play(scene)


def test_what_differs_each_time_does_not_grow_for_ever() -> None:
    @flow
    async def grows(ctx: Context) -> None:
        for n in range(20_000):
            await ctx.call("a", timeout=1 + n / 1000)

    with pytest.raises(RunFailed) as failed:
        run_sync(grows, functions={"a": 1})
    assert "more than 10000 different calls" in failed.value.detail


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ctx: ctx.call("a", retrys=1), "ctx.call('a'): unknown key `retrys`"),
        (lambda ctx: ctx.call("a", timeout="1 s"), "ctx.call('a'): `timeout` is not a duration"),
        (lambda ctx: ctx.call("A"), "'A' is not a name"),
        (lambda ctx: ctx.call("b"), "for which no function is given (given are a)"),
        (lambda ctx: ctx.call("a", undo="b"), "for which no function is given (given are a)"),
        (lambda ctx: ctx.call("a", hedge=True), "`hedge` starts a call a second time, which may do harm twice"),
        (lambda ctx: ctx.call("a", id="A"), "id: 'A' is not a name"),
        (lambda ctx: ctx.call("a", path="x"), "the path 'x' is none"),
        (lambda ctx: ctx.call("a", path="/a b"), "the path '/a b' is none"),
        (lambda ctx: ctx.call("a", path="/a?b=c"), "the path '/a?b=c' is none"),
        (lambda ctx: ctx.call("a", path="/a/%2e%2e/b"), "has a way up"),
        (lambda ctx: ctx.call("a", path=["a", ".."]), "has a segment that is empty, or a way up"),
        (lambda ctx: ctx.call("a", path=["a", ""]), "has a segment that is empty, or a way up"),
        (lambda ctx: ctx.call("a", path=["x" * 5000]), "the path is longer than 4096 characters"),
        (lambda ctx: ctx.call("a", query={"a": {"b": 1}}), "`a` in the query is a dict"),
        (lambda ctx: ctx.call("a", headers={"x": "a\r\nb: c"}), "the header `x` is 'a\\r\\nb: c'"),
        (lambda ctx: ctx.call("a", headers={"host": "x"}), "the header `host` is not for flows to set"),
        (lambda ctx: ctx.call("a", headers={"x y": "x"}), "`x y` is not a header's name"),
        (lambda ctx: ctx.python(lambda value: value), "`<lambda>` cannot be found by its name"),
        (lambda ctx: ctx.python("nowhere.at:all"), "cannot import nowhere.at"),
        (lambda ctx: ctx.sleep("x"), "ctx.sleep: `sleep` is not a duration"),
        (lambda ctx: ctx.respond(1, status=99), "ctx.respond: `status` is `99`"),
        (lambda ctx: ctx.respond(1, headers={"x": "\n"}), "the header `x` is '\\n'"),
    ],
)
def test_what_cannot_be_called_is_a_mistake_in_its_line(call: Callable[[Any], Any], message: str) -> None:
    @flow
    async def mistaken(ctx: Context) -> None:
        call(ctx)

    with pytest.raises(RunFailed) as failed:
        run_sync(mistaken, functions={"a": 1})
    assert failed.value.status == 500
    assert message in failed.value.detail
    assert "test_code_calls.py:" in failed.value.detail


def test_a_mistake_can_be_spared() -> None:
    @flow
    async def careful(ctx: Context) -> Any:
        try:
            return await ctx.call("b")
        except DefinitionError:
            return await ctx.call("a")

    assert run_sync(careful, functions={"a": 1}) == 1


def test_python_code_beside_the_loop() -> None:
    @flow
    async def scores(ctx: Context, value: Any) -> Any:
        from tests.python import code

        return [
            await ctx.python(code.add_vat, value),
            await ctx.python("tests.python.code:later", 2, timeout="5s", retry=2),
            await ctx.python(code.Shop.price, 3, id="price"),
        ]

    assert run_sync(scores, {"total": 1}) == [{"total": 2}, 2, 3]


# Over the wire.


def listen(server: FunctionServer) -> str:
    return f"127.0.0.1:{server.port}"


async def ask(code: CodeFlow, given: Any, **urls: str) -> tuple[int, Any]:
    """Run it in a gateway without a server, with functions at these URLs."""
    functions = {name: Function(name=name, url=url) for name, url in urls.items()}
    app = App(Settings(functions=functions), Log(io.StringIO()), stores=[], given=[code.definition()])
    assert not app.load()
    try:
        status, body = await app.run_once(code.name, Payload.of(JSON, json_payload(given).body))
    finally:
        await app.close()
    return status, body


def test_what_goes_over_the_wire(function: StartFunction) -> None:
    server = function()

    @flow
    async def asks(ctx: Context, given: Any) -> Any:
        await ctx.call("shop", path=["orders", "a/b ?#%"], query={"q": "x&y=z", "n": [1, None, True], "no": None})
        await ctx.call("shop", {"a": 1}, method="PUT", path="/v1/x", headers={"X-Tenant": "ä", "accept": "text/plain"})
        await ctx.call("shop", {"a": [1, 2], "b": "c d"}, encode="form")
        await ctx.call("shop", method="GET", query={"a": 1})
        await ctx.call("shop", {"filter": 1}, method="GET")
        return "done"

    status, body = asyncio.run(ask(asks, None, shop=f"http://{listen(server)}/base"))
    assert (status, body) == (200, b'"done"'), body
    lines = [request.message.start.decode() for request in server.requests]
    assert lines == [
        "POST /base/orders/a%2Fb%20%3F%23%25?q=x%26y%3Dz&n=1&n=true HTTP/1.1",
        "PUT /base/v1/x HTTP/1.1",
        "POST /base HTTP/1.1",
        "GET /base?a=1 HTTP/1.1",
        "GET /base HTTP/1.1",
    ]
    first, second, third, fourth, fifth = server.requests
    assert (first.body, first.get(b"content-length")) == (b"", b"0")
    assert (second.get(b"x-tenant"), second.get(b"accept"), second.body) == (
        "ä".encode("latin-1"),
        b"text/plain",
        b'{"a":1}',
    )
    assert (third.get(b"content-type"), third.body) == (b"application/x-www-form-urlencoded", b"a=1&a=2&b=c+d")
    assert fourth.body == b""
    assert fifth.body == b'{"filter":1}'
    keys = [request.get(b"idempotency-key").decode().partition("/")[2] for request in server.requests]
    assert keys == ["shop", "shop#2", "shop#3", "shop#4", "shop#5"]


def test_answers_are_read_as_the_call_says(function: StartFunction) -> None:
    server = function()
    server.does(always=answer(404, b'{"why": "none"}'))

    @flow
    async def reads(ctx: Context) -> Any:
        found = await ctx.call("shop", success=[200, 404])
        as_text = await ctx.call("shop", success="4xx", decode="text")
        try:
            await ctx.call("shop")
        except StepError as error:
            return [found, as_text, error.status, error.body, error.outcome]

    status, body = asyncio.run(ask(reads, None, shop=f"http://{listen(server)}"))
    assert (status, body) == (200, b'[{"why":"none"},"{\\"why\\": \\"none\\"}",404,{"why":"none"},"refused"]')


def test_garbage_is_unknown(function: StartFunction) -> None:
    """What declares JSON and is none, as for every call whose answer is looked into: the work may have been done."""
    server = function()
    server.does(always=answer(200, b'{"broken'))

    @flow
    async def reads(ctx: Context) -> None:
        await ctx.call("shop", undo="undo")

    status, body = asyncio.run(ask(reads, None, shop=f"http://{listen(server)}", undo=f"http://{listen(server)}"))
    assert status == 502
    assert b"declared as JSON" in body
    assert b'"outcome":"unknown"' in body
    assert len(server.requests) > 1


def test_an_input_that_is_not_what_it_declares() -> None:
    @flow
    async def looks(ctx: Context, value: Any) -> Any:
        return value

    async def main() -> tuple[int, bytes]:
        app = App(Settings(), Log(io.StringIO()), stores=[], given=[looks.definition()])
        app.load()
        return await app.run_once("looks", Payload.of(JSON, b"{broken"))

    status, body = asyncio.run(main())
    assert status == 400
    assert b"the input is declared as JSON but" in body


# What it leaves behind.


@flow
async def busy(ctx: Context, value: Any) -> Any:
    async def branch() -> Any:
        return await ctx.call("echo", 1, undo="echo")

    await ctx.gather(branch(), ctx.call("echo"), ctx.sleep("1ms"))
    async with ctx.saga():
        await ctx.call("echo", undo="echo")
    await ctx.foreach([1, 2], lambda item: ctx.call("echo", item))
    await ctx.select(ctx.call("echo"), ctx.call("echo"))
    if value == "fails":
        try:
            await ctx.call("fail")
        finally:
            ctx.call("echo")
    if value == "raises":
        raise KeyError("x")
    if value == "refuses":
        raise Refused("no")
    if value == "foreign":
        await asyncio.sleep(0)
    return value


@pytest.mark.parametrize("how", ["ends", "fails", "raises", "refuses", "foreign", "cancelled"])
def test_a_run_leaves_no_cycle(how: str) -> None:
    functions = {"echo": Function(name="echo", builtin="echo"), "fail": Function(name="fail", builtin="fail")}

    async def main() -> int:
        stage = Stage(BuiltinConnector(), functions)
        program = bound(stage, busy)

        async def runs(count: int) -> None:
            for _ in range(count):
                started = stage.start(program, json_payload(how))
                if how == "cancelled":
                    started.cancel("cancelled")
            async with asyncio.timeout(20):
                while len(stage.ends) < count:  # noqa: ASYNC110 - who ends tells nobody
                    await asyncio.sleep(0.001)
            assert all((end.failure is None) == (how == "ends") for end in stage.ends)
            stage.ends.clear()

        await runs(10)
        gc.collect()
        gc.disable()
        try:
            await runs(100)
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(main()) < 20
