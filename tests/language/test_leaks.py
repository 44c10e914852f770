"""A run of any kind of step leaves nothing for the garbage collector, however it ends (docs/decisions/0008).

And while it goes on it lets go of what nobody will look at any more.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

from legato.hosts.bound import BoundProgram
from legato.kernel import link
from legato.model.payload import Payload, json_payload
from legato.telemetry.metrics import Metrics
from legato.testing import ManualClock, Stage, ok, refused, run_in_manual_time
from tests.language.play import Functions, flow_of, play
from tests.language.random_flows import Drawn

HANDLED = "on_failure: [f]\nfinally: [f]\ntimeout: 9s"
FLOWS = {"inner": f"steps: [{{call: f, undo: u}}, {{call: bad, when: '${{input == 2}}'}}]\n{HANDLED}"}
GOOD = [
    "{set: '${value}'}, {call: f, input: '${value}', output: '${value}', when: '${true}'}",
    "{steps: [f, f], timeout: 9s}",
    "{parallel: {a: f, b: [f, {call: bad, on_error: skip}]}}",
    "{parallel: {a: {call: f, undo: u}, b: [f, {call: hang, undo: u}]}, join: any, merge: first}",
    "{graph: {a: {call: f, undo: u}, b: {call: f, after: a}, c: {call: f, after: [a, b]}}}",
    "{graph: {a: f, b: {call: bad, after: a, on_error: {value: '${error}'}}}}",
    "{foreach: [1, 2, 3], concurrency: 2, steps: [{call: f, undo: u}, {set: '${[item, index]}'}]}",
    "{foreach: [1, 2, 3], tolerate: 3, steps: [{call: f, undo: u}, bad]}",
    "{choose: [{when: '${value == 1}', steps: [{call: f, undo: u}]}]}",
    "{choose: {all: true, cases: [{name: a, when: '${true}', call: f}, {name: b, when: '${true}', call: f}]}}",
    "{flow: inner}, {set: 2}, {flow: inner, on_error: {value: '${error}'}}",
    "{call: bad, on_error: {steps: [{call: f, undo: u}]}}, {respond: '${value}'}, f",
    "{steps: [{call: hang, undo: u}], timeout: 10ms, on_error: skip}",
    "{call: f, id: a}, {call: f, id: b, input: ['${steps.a}', '${errors}', '${run}']}",
]
BAD = [
    "{call: f, undo: u}, bad",
    "{set: '${value.none}'}",
    "{foreach: [1, 2, 3], concurrency: 2, steps: [{call: f, undo: u}, bad]}",
    "{graph: {a: {call: f, undo: u}, b: {call: bad, after: a}, c: {call: hang, undo: u}}}",
    "{parallel: {a: [{call: f, undo: u}, hang], b: [f, bad], c: {flow: inner, input: 2}}}",
    "{choose: {all: true, cases: [{name: a, when: '${true}', call: bad}, {name: b, when: '${true}', call: bad}]}}",
    "{set: 2}, {flow: inner}",
    "{steps: [{call: hang, undo: u}], timeout: 10ms}",
    "{respond: 1}, {fail: no}",
    "{call: f, undo: {call: u, input: '${result.none.at.all}'}}, bad",
]
FUNCTIONS: dict[str, Any] = {"f": ok(), "bad": refused(409, {"why": "x"}), "hang": ok().held(), "u": ok()}


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("steps", [*GOOD, *BAD])
def test_a_run_leaves_no_cycle(steps: str, handled: bool) -> None:
    text = f"steps: [{steps}]" + ("\non_failure: [f]\nfinally: [f]" if handled else "")
    assert collected(text, cancel=False) < 10  # what asyncio itself leaves behind, not something of every run


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("steps", ["{call: f, undo: u}, hang", "{foreach: [1, 2], steps: [{call: f, undo: u}, hang]}",
                                   "{graph: {a: {call: f, undo: u}, b: {call: hang, after: a}}}", "{sleep: 1h}",
                                   "{flow: slow, timeout: 1h, on_error: skip}"])  # fmt: skip
def test_a_cancelled_run_leaves_no_cycle(steps: str, hard: bool) -> None:
    assert collected(f"steps: [{steps}]\nfinally: [f]", cancel=True, hard=hard) < 10


def collected(text: str, cancel: bool, hard: bool = False) -> int:
    """How many objects the collector finds after fifty runs."""
    flows = {name: flow_of(flow, name) for name, flow in {**FLOWS, "slow": "steps: [f, hang]\nfinally: [f]"}.items()}
    program = link(flow_of(text), flows.get)

    async def main() -> int:
        stage = Stage(None, None)  # type: ignore[arg-type]
        found = 0
        for count in (5, 50):
            connector = Functions(FUNCTIONS, notes=False)
            bound = BoundProgram(program, connector.bind, Metrics(), 60.0)
            gc.collect()
            gc.disable()
            runs = [stage.start(bound, json_payload(1)) for _ in range(count)]
            for run in runs if cancel else ():
                run.cancel("cancelled", hard=hard)
            async with asyncio.timeout(30):
                while any(run.kernel.state != "ended" for run in runs):  # noqa: ASYNC110 - who ends tells nobody
                    await asyncio.sleep(0.001)
            run = None
            runs.clear()
            stage.ends.clear()
            await asyncio.sleep(0)
            found = gc.collect()
            gc.enable()
        stage.wheel.close()
        return found

    gc.collect()
    gc.freeze()  # what is there already is not looked at each time
    try:
        return asyncio.run(main())
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize("first", range(0, 200, 100))
def test_no_random_run_leaves_a_cycle(first: int) -> None:
    async def main(clock: ManualClock) -> list[int]:
        stage = Stage(None, None)  # type: ignore[arg-type]
        left: list[int] = []
        for seed in range(first, first + 100):
            drawn = Drawn(seed, may_wait=False)  # this stage sends no signals
            connector = Functions(drawn.functions(), notes=False)
            bound = BoundProgram(link(drawn.main, drawn.flows.get), connector.bind, Metrics(), 60.0)
            gc.collect()
            gc.disable()
            run = stage.start(bound, json_payload({"n": 1}))
            if seed % 3 == 0:
                await asyncio.sleep(0.5)
                run.cancel("cancelled", hard=seed % 2 == 0)
            while run.kernel.state != "ended":  # noqa: ASYNC110 - who ends tells nobody
                await asyncio.sleep(1)
            run = None
            stage.ends.clear()
            await asyncio.sleep(0)
            if gc.collect() > 10:
                left.append(seed)
            gc.enable()
        stage.wheel.close()
        return left

    gc.collect()
    gc.freeze()  # what is there already is not looked at each time
    try:
        assert run_in_manual_time(main) == []
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize(
    "steps",
    [
        ", ".join(["f"] * 60),
        "{graph: {n0: f, " + ", ".join(f"n{n}: {{call: f, after: n{n - 1}}}" for n in range(1, 60)) + "}}",
        "{foreach: '${[" + ", ".join(["1"] * 60) + "]}', concurrency: 2, steps: [f, f, {set: small}]}",
        ", ".join([f"{{parallel: {{a: f, b: {{set: {n}}}}}}}, {{set: '${{value.a}}'}}" for n in range(30)]),
        ", ".join(["{choose: [{when: '${true}', steps: [f]}]}"] * 60),
        ", ".join(["{flow: small}"] * 60),
    ],
    ids=["steps", "graph", "foreach", "parallel", "choose", "flow"],
)
def test_what_nobody_will_look_at_any_more_is_let_go(steps: str) -> None:
    """Sixty answers of a megabyte each, of which one at a time is the value."""

    def answer(_: Any) -> Payload:
        return Payload.of(b"application/json", b'"' + b"x" * 1_000_000 + b'"')

    tracemalloc.start()
    try:
        flows = {"small": "steps: [f]"}
        played = play(f"steps: [{steps}, {{set: done}}]", {"f": answer}, 1, flows=flows, record=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert played.value == "done"
    assert peak < 20_000_000
