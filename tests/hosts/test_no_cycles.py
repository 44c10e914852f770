"""A run leaves nothing for the garbage collector, however it ends (docs/decisions/0008).

The collector comes by seldom, and what a run holds may be large.
"""

from __future__ import annotations

import asyncio
import gc

import pytest

from legato.connectors.builtin import BuiltinConnector
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.model.policy import Retry
from legato.testing import Stage
from tests.kernel.flows import call, flow, par, seq

GOOD = {
    "sequence": flow(call("echo"), call("echo"), call("echo")),
    "parallel": flow(par("p", a=call("echo"), b=call("echo"))),
    "undoable branches": flow(par("p", a=call("echo", undo="echo"), b=seq(call("echo", undo="echo"), id="s"))),
    "undoable": flow(call("echo", undo="echo"), par("p", a=call("echo"), b=call("echo"))),
}
BAD = {
    "failing": flow(call("echo"), call("fail")),
    "failing deep inside": flow(call("echo"), seq(seq(call("echo"), call("fail"), id="t"), id="s")),
    "undone": flow(call("echo", undo="echo"), call("fail")),
    "failing branch": flow(par("p", a=call("echo", undo="echo"), b=call("fail"), c=seq(call("fail"), id="s"))),
    "failing branches": flow(par("p", a=seq(call("fail"), id="s"), b=seq(call("fail"), id="t"))),
    "tried again": flow(call("fail", idempotent=True, retry=Retry(attempts=2, backoff=0.0))),
}
FUNCTIONS = {"echo": Function(name="echo", builtin="echo"), "fail": Function(name="fail", builtin="fail")}


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_a_run_leaves_no_cycle(name: str) -> None:
    definition = GOOD.get(name) or BAD[name]

    async def main() -> int:
        stage = Stage(BuiltinConnector(), FUNCTIONS)
        await run_all(stage, definition, 10)
        assert all((end.failure is None) == (name in GOOD) for end in stage.ends)
        stage.ends.clear()
        gc.collect()
        gc.disable()
        try:
            await run_all(stage, definition, 100)
            stage.ends.clear()
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(main()) < 10  # what asyncio itself leaves behind, not something of every run


@pytest.mark.parametrize("hard", [False, True])
def test_a_cancelled_run_leaves_no_cycle(hard: bool) -> None:
    slow = {"slow": Function(name="slow", builtin="slow"), **FUNCTIONS}
    definition = flow(call("echo", undo="echo"), par("p", a=seq(call("slow"), id="s"), b=call("slow")))

    async def main() -> int:
        stage = Stage(BuiltinConnector(), slow)
        for count in (10, 100):
            stage.ends.clear()
            gc.collect()
            gc.disable()
            for _ in range(count):
                stage.start(definition, json_payload({"seconds": 60})).cancel("cancelled", hard=hard)
            await until_ended(stage, count)
        stage.ends.clear()
        await asyncio.sleep(0)
        return gc.collect()

    try:
        assert asyncio.run(main()) < 10
    finally:
        gc.enable()


async def run_all(stage: Stage, definition: Flow, count: int) -> None:
    for _ in range(count):
        stage.start(definition, json_payload({"n": 1}))
    await until_ended(stage, count)


async def until_ended(stage: Stage, count: int) -> None:
    async with asyncio.timeout(20):
        while len(stage.ends) < count:  # noqa: ASYNC110 - who ends tells nobody
            await asyncio.sleep(0.001)
