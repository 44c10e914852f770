"""A run that went well leaves nothing for the garbage collector (docs/decisions/0008)."""

from __future__ import annotations

import asyncio
import gc

import pytest

from legato.connectors.builtin import BuiltinConnector
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.testing import Stage
from tests.kernel.flows import call, flow, par

FLOWS = {
    "sequence": flow(call("echo"), call("echo"), call("echo")),
    "parallel": flow(par("p", a=call("echo"), b=call("echo"))),
    "undoable": flow(call("echo", undo="echo"), par("p", a=call("echo"), b=call("echo"))),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_run_leaves_no_cycle(name: str) -> None:
    async def main() -> int:
        stage = Stage(BuiltinConnector(), {"echo": Function(name="echo", builtin="echo")})
        return await found_after_runs(stage, FLOWS[name])

    assert asyncio.run(main()) == 0


async def found_after_runs(stage: Stage, definition: Flow) -> int:
    """How many objects only the collector can free after a hundred runs."""
    for _ in range(10):
        stage.start(definition, json_payload({"n": 1}))
    assert all(end.failure is None for end in stage.ends)
    stage.ends.clear()
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            stage.start(definition, json_payload({"n": 1}))
            stage.ends.clear()
        return gc.collect()
    finally:
        gc.enable()
