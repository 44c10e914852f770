"""Flows within code, and code within flows: by name, as they are in Python, in files; and when one of them changes."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from legato import Context, Flow, flow
from legato.app import App
from legato.model.definition import Definition
from legato.model.payload import JSON, Payload
from legato.model.settings import Settings
from legato.telemetry.log import Log
from tests.python.written import Driven, from_yaml


def test_flows_within_are_steps_of_this_run() -> None:
    """Their paths begin with the step's; they fail as it does, and what they did is undone with the rest."""

    @flow
    async def inner(ctx: Context, value: Any) -> Any:
        return await ctx.call("deep", value, undo="undeep")

    built = (
        Flow("built")
        .call("one", undo="unone")
        .foreach("${value}", "each")
        .parallel(a="p", b="q")
        .flow("inner", id="in")
    )

    @flow
    async def outer(ctx: Context) -> Any:
        first = await ctx.flow("built", 1)
        await ctx.flow(inner, first, id="second")
        await ctx.flow("inner", 3)
        await ctx.call("end")

    run = Driven(outer, flows=[built, inner])
    run.ok("built.one", [1, 2]).ok("built.foreach[0].each").ok("built.foreach[1].each")
    run.ok("built.parallel.a", "A").ok("built.parallel.b", "B").ok("built.in.deep", "D")
    run.ok("second.deep", 2).ok("inner.deep", 3).fail("end")
    undone = []
    while run.open:
        undone.append(run.open[0])
        run.ok(run.open[0])
    assert undone == ["inner.deep/undo", "second.deep/undo", "built.in.deep/undo", "built.one/undo"]
    assert run.failure.path == "end"
    assert run.sent["built.in.deep"] == {"a": "A", "b": "B"}
    run.replayed()


def test_a_flow_of_a_file_may_use_one_that_is_code() -> None:
    @flow
    async def code(ctx: Context, value: Any) -> Any:
        return await ctx.call("a", value)

    outer = Flow("outer").parallel(p=Flow("x") and {"flow": "code"}, q="b").foreach([1, 2], {"flow": "code"})
    run = Driven(outer, 5, flows=[code])
    run.ok("parallel.p.a", "A").ok("parallel.q", "B")
    assert run.open == ["foreach[0].code.a", "foreach[1].code.a"]
    run.ok("foreach[1].code.a", 2).ok("foreach[0].code.a", 1)
    assert run.result == [1, 2]
    run.replayed()


def test_flows_that_call_themselves_end_somewhere() -> None:
    @flow
    async def endless(ctx: Context) -> None:
        await ctx.flow("endless")

    failure = Driven(endless).failure
    assert failure.reason == "mistake"
    assert "flows nested deeper than 50" in failure.outcome.detail


def test_a_flow_that_counts_down_by_itself() -> None:
    @flow
    async def down(ctx: Context, n: int) -> Any:
        return 0 if n == 0 else 1 + await ctx.flow("down", n - 1)

    assert Driven(down, 5).result == 5


def test_a_flow_that_is_not_there() -> None:
    @flow
    async def lost(ctx: Context) -> None:
        await ctx.flow("nowhere")

    failure = Driven(lost).failure
    assert failure.reason == "mistake"
    assert "there is no flow `nowhere` that can be run (define it, or mend it)" in failure.outcome.detail


def test_what_changes_while_it_is_served_is_linked_anew() -> None:
    """A flow within a flow within code: the code asks for it by name, each time."""

    @flow
    async def code(ctx: Context) -> Any:
        return [await ctx.flow("outer"), await ctx.flow("inner")]

    def file(name: str, text: str) -> Definition:
        return Definition(name=name, origin=name, flow=from_yaml(text, name))

    async def main() -> list[bytes]:
        app = App(Settings(), Log(io.StringIO()), stores=[], given=[code.definition()])
        app.load()
        seen: list[bytes] = []
        app.orchestrator.deploy(file("outer", "steps: [{flow: inner}]"))
        for version in (1, 2):
            app.orchestrator.deploy(file("inner", f"steps: [{{set: {version}}}]"))
            for _ in range(2):
                status, body = await app.run_once("code", Payload.of(JSON, b"null"))
                assert status == 200
                seen.append(body)
        app.orchestrator.remove("inner")
        status, body = await app.run_once("code", Payload.of(JSON, b"null"))
        assert status == 500
        assert b"there is no flow `inner` that can be run" in body
        await app.close()
        return seen

    assert asyncio.run(main()) == [b"[1,1]", b"[1,1]", b"[2,2]", b"[2,2]"]


def test_the_same_flow_is_linked_once() -> None:
    built = Flow("built").call("a").call("b")

    @flow
    async def code(ctx: Context) -> None:
        for _ in range(5):
            await ctx.flow(built)
        await ctx.foreach(range(5), lambda _: ctx.flow("built"))

    run = Driven(code, flows=[built])
    while run.open:
        run.ok(run.open[0])
    assert run.result is None
    assert [call.path for call in run.run.program.calls] == ["[*].a", "[*].b"]
    assert {path.rpartition(".")[0] for path in run.leaves} == {
        "built", "built#2", "built#3", "built#4", "built#5", *(f"foreach[{n}].built" for n in range(5)),
    }  # fmt: skip
