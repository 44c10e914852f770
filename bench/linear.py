"""CPU of one step of a sequence, and of one item of a foreach, over flows of many sizes, in this process.

The inline host runs them over the built-in function `echo`, which answers on the spot: what is timed is the kernel and
the host alone. The cost of the same flow without steps, or without items, is taken off.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.plan import ITEMS, STEPS

ITEM = b'{"id":1234,"name":"an item of some bytes"}'
SECONDS = 0.1  # that each size is run in a round, at least once
ROUNDS = 5

Flow = Any  # of the product, which is imported only when it is measured
Micros = dict[int, list[float]]


@dataclass
class Linear:
    """Micros for one step or item by how many there are, a figure for each round."""

    what: str
    micros: Micros = field(default_factory=dict)

    def worst(self) -> float:
        """The dearest size over the cheapest."""
        each = [median(figures) for figures in self.micros.values()]
        return max(each) / min(each)


def costs(rounds: int = ROUNDS) -> list[Linear]:
    """The sequence, and the foreach. The collector is set as the gateway sets it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        return asyncio.run(_costs(rounds))
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _costs(rounds: int) -> list[Linear]:
    from legato.model.flow import Flow
    from legato.model.steps import CallStep, ForeachStep

    call = CallStep(function="echo")
    sequences = {n: Flow(name="f", steps=(call,) * n) for n in (0, *STEPS)}
    loop = Flow(name="f", steps=(ForeachStep(over="${input}", steps=(call,)),))
    bodies = {n: b"[" + b",".join([ITEM] * n) + b"]" for n in (0, *ITEMS)}
    each_step = {n: _runner(flow, ITEM) for n, flow in sequences.items()}
    each_item = {n: _runner(loop, body) for n, body in bodies.items()}
    found = [Linear("a step of a sequence"), Linear("an item of a foreach")]
    for _ in range(rounds):
        for linear, runners in zip(found, (each_step, each_item), strict=True):
            nothing = _micros(runners[0])
            for n, run in runners.items():
                if n:
                    linear.micros.setdefault(n, []).append((_micros(run) - nothing) / n)
    return found


def _runner(flow: Flow, body: bytes) -> Callable[[], None]:
    """Runs a flow once, to its end."""
    from legato.connectors.builtin import BuiltinConnector
    from legato.model.function import Function
    from legato.model.payload import JSON, Payload
    from legato.testing import Stage

    stage = Stage(BuiltinConnector(), {"echo": Function(name="echo", builtin="echo")})
    bound = stage.bind(flow)

    def run() -> None:
        stage.start(bound, Payload.of(JSON, body))
        assert stage.ends.pop().failure is None

    return run


def _micros(run: Callable[[], None]) -> float:
    """CPU time of a run."""
    run()
    count, start = 0, time.process_time()
    while (taken := time.process_time() - start) < SECONDS:
        run()
        count += 1
    return taken / count * 1e6
