"""What could exhaust a gateway, weighed in a child process with little memory: `python -m tests.language.weighed NAME`.

Prints one JSON line for each thing that was done: how it ended, its CPU seconds, the most memory so far.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from legato.connectors.builtin import BuiltinConnector
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import JSON, Payload
from legato.model.steps import CallStep
from legato.ports import Attempt
from legato.testing import Ended, Stage
from legato.values import EvaluationFailed, ExpressionError, compile_expression
from tests.language.play import flow_of
from tests.soak.bombs import BOMBS, DATA, UNREADABLE

ROOT = Path(__file__).resolve().parent.parent.parent
MEBIBYTE = 1024 * 1024
BOMB_ROOM = 1024 * MEBIBYTE  # address space beyond what the process has already
FOREACH_ROOM = 2048 * MEBIBYTE
PATIENCE = 240  # CPU seconds of one child: it hangs


class One:
    """Shows the same payload behind every root."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def root(self, name: str) -> Payload:
        """See values.Env."""
        return self._payload

    def step(self, name: str) -> Payload:
        """See values.Env."""
        return self._payload


class Soon:
    """Functions that echo in the next turn of the event loop, as those over a network do at the soonest."""

    timeout = 30.0
    safe = False

    def bind(self, function: Function, step: CallStep) -> Soon:
        """See ports.Connector."""
        return self

    async def close(self) -> None:
        """Nothing is held."""

    def idempotent(self, attempt: Attempt) -> bool:
        """See ports.Target."""
        return False

    def begin(self, attempt: Attempt) -> None:
        """See ports.Target."""
        attempt.sent = True
        asyncio.get_running_loop().call_soon(attempt.settle, Outcome("ok", attempt.payload, 200))

    def abort(self, attempt: Attempt) -> None:
        """See ports.Target."""
        raise AssertionError("nothing is ever late")


def memory() -> tuple[int, int]:
    """(resident bytes now, the most so far)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) * 1024, int(status["VmHWM"].split()[0]) * 1024


def limit(room: int) -> None:
    """Let this process have no more than so much address space beyond what it has, and end if it hangs."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))


def weigh(name: str, work: Callable[[], str], turns: list[float] | None = None) -> None:
    """Do it, and tell."""
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is what there is now (proc(5))
    before, since = memory()[0], time.process_time()
    end = work()
    seconds = time.process_time() - since
    told = {"name": name, "end": end, "cpu": seconds, "before": before, "most": memory()[1], "turns": len(turns or ())}
    print(json.dumps(told), flush=True)


def bomb(source: str, payload: Payload) -> str:
    """How an expression ends: `refused`, `failed: ...` or `value`."""
    try:
        document = compile_expression(source).evaluate(One(payload))
    except ExpressionError:
        return "refused"
    except EvaluationFailed as error:
        return f"failed: {error}"
    except MemoryError:
        return "MemoryError"
    return f"value of {len(document)} bytes"


def bombs(kind: str) -> None:
    """Every expression that goes with a kind of data."""
    payload = DATA[kind]() if kind in DATA else DATA["number"]()
    limit(BOMB_ROOM)
    for source in BOMBS.get(kind, UNREADABLE):
        weigh(source, lambda source=source: bomb(source, payload))


def document(items: int, size: int) -> bytes:
    """A list of so many objects of about so many bytes each."""
    return b"[" + b",".join(b'{"id":%d,"name":"%b"}' % (n, b"x" * (size - 24)) for n in range(items)) + b"]"


def foreach(steps: str, items: int, size: int, connector: Any) -> None:
    """A foreach over a large document; tells too for how many CPU seconds at a time nobody else had a turn."""
    body = document(items, size)
    payload = Payload.of(JSON, body)
    flow = flow_of(f"steps: [{{foreach: '${{input}}', steps: {steps}}}]")
    limit(FOREACH_ROOM)
    turns: list[float] = []

    async def main() -> Ended:
        stage = Stage(connector, {"echo": Function(name="echo", builtin="echo")}, timeout=3600.0)
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        stage.start(flow, payload)
        while not stage.ends:  # noqa: ASYNC110 - who ends tells nobody
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        ticking.cancel()
        return stage.ends[0]

    async def tick() -> None:
        while True:
            turns.append(time.process_time())
            await asyncio.sleep(0)

    def work() -> str:
        end = asyncio.run(main())
        assert end.failure is None, end.failure
        count = end.payload.body.count(b",") + 1  # not decoded: that would weigh more than all the rest
        longest = max(b - a for a, b in pairwise(turns))
        return f"{count} parts, {end.payload.size} bytes, {longest:.3f} s without a turn"

    weigh(steps, work, turns)


FOREACHES: dict[str, Callable[[], None]] = {
    "calls": lambda: foreach("[echo]", 250_000, 200, Soon()),
    "calls on the spot": lambda: foreach("[echo]", 250_000, 200, BuiltinConnector()),
    "no calls": lambda: foreach("[{set: '${item.id}'}]", 250_000, 200, Soon()),
    "a tenth of the calls": lambda: foreach("[echo]", 25_000, 200, Soon()),
    "large items": lambda: foreach("[echo]", 5_000, 10_000, Soon()),
}


def in_a_child(name: str) -> list[dict[str, Any]]:
    """What a child process tells of one of BOMBS, `unreadable`, or FOREACHES. Fails if it dies."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.language.weighed", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{name}: ended with {done.returncode} after {told[-1:]}: {done.stderr[-2000:]}"
    return told


if __name__ == "__main__":
    FOREACHES[sys.argv[1]]() if sys.argv[1] in FOREACHES else bombs(sys.argv[1])
