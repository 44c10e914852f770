"""Records journals: `python -m tests.journal.record` writes those of `recorded/` that are not there yet.

What is there is never written again: it stands for what users have on their disks. Each file holds a run of one of the
flows below: the pinned definition, the events, and what must come of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from legato.hosts.journal.records import Cancelled, Decided, Delivered, Retried, record_of
from legato.hosts.journal.replay import Replay
from legato.hosts.journal.run import DurableRun
from legato.kernel import VERSION
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.journal import Event, RunRow, StoredRun
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, json_payload
from legato.model.steps import CallStep
from legato.ports import Attempt
from legato.testing import ManualClock, run_in_manual_time
from tests.journal.plays import wall_clock
from tests.journal.recorded_code import FLOWS
from tests.journal.stage import MemoryJournal, Stage
from tests.language.play import flow_of

FOLDER = Path(__file__).parent / "recorded"
DAY = 1_790_000_000.0

Doing = Callable[[DurableRun], None]


def signal(name: str, value: object) -> Doing:
    return lambda run: run.signal(f"{name}#1", name, json_payload(value), lambda: None)


def decide(path: str, action: Any) -> Doing:
    return lambda run: run.decide(path, Decided(action), lambda: None)


def cancel(hard: bool = False) -> Doing:
    return lambda run: run.cancel("cancelled", hard=hard)


# name: (steps and head of a flow, what is done to the run at which second)
SCENES: Mapping[str, tuple[str, Mapping[float, Doing]]] = {
    "sequence": ("steps: [a, {set: {v: '${value.by}'}}, {call: b, input: {was: '${steps.a.path}'}}]", {}),
    "parallel": ("steps: [{parallel: {x: a, y: [b, c], z: {call: d, when: '${false}'}}}, e]", {}),
    "saga": (
        "steps: [{call: a, undo: ua}, {parallel: {x: {call: b, undo: ub}, y: [{call: c, undo: uc}, no]}}, d]",
        {},
    ),
    "saga-of-groups": (
        "steps: [{steps: [{call: a, undo: ua}, b], id: g, undo: ug}, {call: lost, undo: ul}]\n"
        "on_failure: [tell]\nfinally: [last]",
        {},
    ),
    "pivot": (
        "steps: [{call: a, undo: ua}, {call: b, pivot: true}, {call: flaky}, {call: c}]\noutput: {r: '${value.by}'}",
        {},
    ),
    "foreach": (
        "steps: [{foreach: '${[1, 2, 3, 4, 5]}', concurrency: 2, tolerate: 1, collect: outcomes, "
        "steps: [{call: a, undo: ua}, {call: b, when: '${item != 3}'}, {call: no, when: '${item == 4}'}]}]",
        {},
    ),
    "graph": (
        "steps: [{graph: {x: a, y: {call: b, after: x}, z: {call: c, after: [x]}, w: {call: d, after: [y, z]}}}]",
        {},
    ),
    "choose": (
        "steps: [a, {choose: [{when: '${value.by == \"a\"}', steps: [b, {sleep: 1s}]}, "
        "{otherwise: true, call: c}]}, d]",
        {},
    ),
    "on-error": (
        "steps: [{call: no, on_error: skip}, {call: lost, on_error: {value: {v: '${error.status}'}}}, "
        "{steps: [{call: a, undo: ua}, no], on_error: {steps: [b]}}, c]",
        {},
    ),
    "timeouts": ("steps: [{steps: [slow], timeout: 1s, on_error: skip}, {call: a, retry: {attempts: 3}}]", {}),
    "retries": ("steps: [{call: flaky, retry: {attempts: 5, backoff: 1s}, idempotent: true}, a]", {}),
    "respond": ("steps: [a, {respond: {early: '${value.by}'}, status: 202}, b]", {}),
    "waits": (
        "steps: [{wait: go, id: w1}, {wait: stop, id: w2, timeout: 5s, default: {none: true}}, {wait: early}, a]",
        {1.0: signal("early", 3), 2.0: signal("go", {"yes": 1})},
    ),
    "sleeps": ("steps: [{sleep: 1h}, a, {parallel: {x: {sleep: 1s}, y: {sleep: 3s}}}]", {}),
    "cancelled": ("steps: [{call: a, undo: ua}, {parallel: {x: slow, y: {wait: never}}}]", {3.0: cancel()}),
    "cancelled-hard": ("steps: [{call: a, undo: slow}, no]", {3.0: cancel(hard=True)}),
    "parked": (
        "steps: [{call: a, undo: no}, {call: b, undo: no}, no]",
        {200.0: decide("b/undo", "skip"), 300.0: decide("a/undo", "done")},
    ),
    "at-most-once": ("steps: [{call: a, at_most_once: true}, b]", {}),
    "subflows": ("steps: [{flow: inner, on_error: skip}, {flow: inner, id: again, on_error: {value: 1}}, a]", {}),
    "deadline": ("timeout: 2s\nsteps: [{call: a, undo: ua}, slow]", {}),
    "callback": ("callback: {url: 'http://there.example/x'}\nsteps: [a]", {}),
}  # fmt: skip
INNER = "steps: [{call: a, undo: ua}, {call: no}]\nfinally: [last]"


class Functions:
    """By their names: `no` refuses, `lost` never says, `flaky` does so at the third attempt, `slow` takes 100 s."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def bind(self, function: Function, step: CallStep) -> _Target:
        """See ports.Connector."""
        return _Target(self, function.name, step)

    async def close(self) -> None:
        """See ports.Connector."""

    def outcome(self, name: str, path: str) -> Outcome:
        number = self._numbers[path] = self._numbers.get(path, 0) + 1
        if name.startswith("no"):
            return Outcome("refused", json_payload({"no": path}), 409, "the function answered 409")
        if name == "lost" or (name == "flaky" and number < 3):
            return Outcome("unknown" if number % 2 else "retryable", EMPTY, 0 if number % 2 else 503, "no answer")
        return Outcome("ok", json_payload({"by": name, "path": path}), 200)


class _Target:
    timeout = 1000.0

    def __init__(self, functions: Functions, name: str, step: CallStep) -> None:
        self._functions = functions
        self._name = name
        self.safe = step.idempotent

    def idempotent(self, attempt: Attempt) -> bool:
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        attempt.sent = True
        path = attempt.path
        after = 100.0 if self._name == "slow" else 0.01 * (1 + zlib.crc32(path.encode()) % 13)
        loop = asyncio.get_running_loop()
        attempt.handle = loop.call_later(after, lambda: attempt.settle(self._functions.outcome(self._name, path)))

    def abort(self, attempt: Attempt) -> None:
        assert isinstance(attempt.handle, asyncio.TimerHandle)
        attempt.handle.cancel()
        attempt.settle(Outcome("unknown", detail="aborted"))


def flows_of(name: str) -> list[Flow | Definition]:
    """The flows of a scene; the last one is its own."""
    for each in FLOWS:
        if each.name == name:
            return [each.definition("test")]
    return [flow_of(INNER, "inner"), flow_of(f"durable: true\n{SCENES[name][0]}", name)]


CODE: Mapping[str, Mapping[float, Doing]] = {"code-saga": {4.0: signal("approval", {"by": "me"})}}


def recorded(name: str, doings: Mapping[float, Doing]) -> dict[str, Any]:
    """Run a scene, and give what its file holds."""
    journal = MemoryJournal()

    async def main(clock: ManualClock) -> dict[str, Any]:
        began = clock.now
        with wall_clock(lambda: DAY + clock.now - began):
            stage = Stage(Functions(), journal, flows_of(name))
            await stage.host.recover()
            run = stage.start(name, json_payload({"n": 1}))
            loop = asyncio.get_running_loop()
            left = len(doings)

            async def do(doing: Doing) -> None:
                nonlocal left
                live = await stage.host.take_up(run.key)
                assert live is not None
                doing(live)
                left -= 1

            tasks: list[Any] = []
            for at, doing in doings.items():
                loop.call_later(at, lambda doing=doing: tasks.append(loop.create_task(do(doing))))
            async with asyncio.timeout(1e6):
                while left or not journal.rows or any(row.ended is None for row in journal.rows.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            for task in tasks:
                task.result()
            stage.stop()
            assert not stage.troubles, stage.troubles
            [row], [events] = journal.rows.values(), journal.stored.values()
            definition = journal.definitions[row.program]
            return written(name, row, events, definition, come_to(stage, row, events, definition))

    return run_in_manual_time(main)


def come_to(stage: Stage, row: RunRow, events: list[Event], definition: bytes) -> dict[str, Any]:
    """What a replay comes to: its end, and which leaves are open after each event."""
    bound = stage.orchestrator.pinned(definition)
    replay = Replay(bound, StoredRun(row, events))
    kernel, failure = replay.kernel, replay.kernel.failure
    return {
        "state": kernel.state,
        "outward": "succeeded" if failure is None else kernel.outward_state,
        "result": kernel.result.body.decode(),
        "failure": None if failure is None else [failure.path, failure.reason, failure.undo],
        "answered": None if replay.answered is None else replay.answered.payload.body.decode(),
        "open": [
            sorted(Replay(bound, StoredRun(row, events[:count])).open)
            for count in range(1, len(events) + 1)
            if count == len(events) or _matters(events[count - 1])
        ],
    }


def _matters(event: Event) -> bool:
    return isinstance(record_of(event.kind, event.body), Delivered | Cancelled | Retried)


def written(name: str, row: RunRow, events: list[Event], definition: bytes, come: dict[str, Any]) -> dict[str, Any]:
    """As it lies in a file."""
    return {
        "name": name,
        "kernel": VERSION,
        "definition": json.loads(definition),
        "row": {**row._asdict(), "id": row.id.hex(), "program": row.program.hex()},
        "events": [
            [event.seq, event.at, event.kind, event.path, base64.b64encode(event.body).decode()] for event in events
        ],
        "comes_to": come,
    }


def read(path: Path) -> tuple[RunRow, list[Event], bytes, dict[str, Any]]:
    """(row, events, definition, what must come of them) of a file."""
    document = json.loads(path.read_text())
    row = document["row"]
    key = bytes.fromhex(row["id"])
    row = RunRow(**{**row, "id": key, "program": bytes.fromhex(row["program"])})
    events = [
        Event(key, seq, at, kind, place, base64.b64decode(body)) for seq, at, kind, place, body in document["events"]
    ]
    return row, events, msgspec.json.encode(document["definition"]), document["comes_to"]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    scenes = {name: doings for name, (_, doings) in SCENES.items()}
    scenes |= {flow.name: CODE.get(flow.name, {}) for flow in FLOWS}
    for name, doings in scenes.items():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(recorded(name, doings), indent=1) + "\n")
            print(f"recorded {name}")


if __name__ == "__main__":
    main()
