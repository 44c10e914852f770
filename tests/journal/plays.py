"""Plays a random flow on the inline host and on the journal, in manual time, and crashes it where a test says.

What a call comes to depends on its path and number alone, and no two things happen at the same moment: else the order
in which they do would be the hosts' own.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import msgspec

from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost, InlineRun
from legato.hosts.journal.records import Decided
from legato.hosts.journal.run import DurableRun
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import Payload, json_payload
from legato.model.steps import CallStep, WaitStep
from legato.model.walk import every_step
from legato.ports import Attempt
from legato.telemetry.log import Log
from legato.testing import Act, ManualClock, run_in_manual_time
from legato.testing.scripted import refused, retryable, unknown
from legato.testing.stage import Caller
from legato.transport.wheel import Wheel
from tests.journal.stage import MemoryJournal, Stage
from tests.kernel.strategies import some_answer
from tests.language.random_flows import Drawn
from tests.language.recorded import Recorded, recording

HORIZON = 1e4  # seconds
DAY = 1_790_000_000.0  # some moment
DOWN = 0.1  # seconds between two processes


class Functions:
    """Every function, by a seed; notes what was called in which life."""

    def __init__(self, seed: int, trouble: float, hair: float = 0.0, parks: bool = False) -> None:
        self.seed = seed
        self.parks = parks  # whether an undo may be refused: then a journal parks its run, and nothing else does
        self.trouble = trouble
        self.hair = hair
        self.life = 0
        self.calls: list[tuple[int, str, bytes]] = []  # (life, path, what was sent)
        self._numbers: dict[str, int] = {}

    def bind(self, function: Function, step: CallStep) -> _Target:
        """See ports.Connector."""
        return _Target(self, function.name, step)

    async def close(self) -> None:
        """See ports.Connector."""

    def act(self, function: str, path: str) -> Act:
        """What the next attempt of a call does."""
        number = self._numbers[path] = self._numbers.get(path, 0) + 1
        random = Random(f"{self.seed}/{path}/{number}")
        after = random.uniform(0.001, random.choice((0.01, 1.0, 3.0))) + self.hair * random.random()
        trouble = 0.1 * self.parks if function == "undo" else self.trouble
        if random.random() >= trouble:
            return Act(payload=some_answer(random), after=after)
        if function == "undo":
            return refused(410).later(after)
        return random.choice([refused(409), retryable(503), unknown(500), unknown()]).later(after)

    def begin_life(self) -> None:
        """A new process: attempts are counted anew by nobody but the journal."""
        self.life += 1


class _Target:
    def __init__(self, functions: Functions, name: str, step: CallStep) -> None:
        self._functions = functions
        self._name = name
        self._step = step
        self.safe = step.idempotent
        self.timeout = (step.timeout or 30.0) + 0.0137  # not just when a timeout around it ends

    def idempotent(self, attempt: Attempt) -> bool:
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        functions = self._functions
        key = attempt.identity.split(b"\r\n", 1)[0].decode()
        assert key.partition("/")[2] == attempt.path, f"{key} is not the key of {attempt.path}"
        functions.calls.append((functions.life, attempt.path, attempt.payload.body))
        attempt.sent = True
        act = functions.act(self._name, attempt.path)
        loop = asyncio.get_running_loop()
        attempt.handle = loop.call_later(act.after or 0.0, self._settle, attempt, act, functions.life)

    def _settle(self, attempt: Attempt, act: Act, life: int) -> None:
        if life == self._functions.life:
            attempt.handle = None
            attempt.settle(act.outcome(attempt.payload))

    def abort(self, attempt: Attempt) -> None:
        assert isinstance(attempt.handle, asyncio.TimerHandle)
        attempt.handle.cancel()
        attempt.settle(Outcome("unknown", detail="aborted"))


class End(msgspec.Struct):
    """How a run went: its deliveries in order, `(path, kind, status, body)`, and what it came to."""

    deliveries: list[tuple[str, str, int, bytes]]
    state: str
    result: bytes
    failure: tuple[str, str] | None
    undone: list[tuple[str, bool]]
    answers: list[tuple[bytes, bool]]


def drawn(seed: int, size: int = 9) -> tuple[Drawn, list[Flow]]:
    """A random flow and those that it uses; the last one is the flow, which is durable."""
    found = Drawn(seed, size)
    main = msgspec.structs.replace(found.main, durable=True)
    hairs = itertools.count(1)
    return found, [_without_ties(flow, hairs) for flow in (*found.flows.values(), main)]


def _without_ties(flow: Flow, hairs: Iterator[int]) -> Flow:
    """The flow with times that differ a little each: two timers that are due at once may end in any order."""

    def changed(tree: Any) -> Any:
        if isinstance(tree, list | tuple):
            return [changed(each) for each in tree]
        if not isinstance(tree, dict):
            return tree
        return {
            name: value + next(hairs) * 0.000_731
            if name in ("timeout", "sleep") and isinstance(value, float)
            else changed(value)
            for name, value in tree.items()
        }

    return msgspec.convert(changed(msgspec.to_builtins(flow)), Flow)


class Case(NamedTuple):
    """A random flow that does something, and what the inline host makes of it."""

    seed: int
    trouble: float
    flows: list[Flow]
    there: End


def cases(first: int, count: int, least: int = 6) -> Iterator[Case]:
    """The first flows from a seed on of which so many leaves end.

    None that waits for a signal, which nobody sends here, or has a pivot, after which only a journal tries for ever.
    """
    for seed in itertools.count(first):
        plan, flows = drawn(seed, 25)
        if any(isinstance(step, WaitStep) or step.pivot for flow in flows for step in every_step(flow)):
            continue
        there = inline(seed, plan.trouble, flows)
        if len(there.deliveries) >= least:
            yield Case(seed, plan.trouble, flows, there)
            count -= 1
        if not count:
            return


def inline(seed: int, trouble: float, flows: Sequence[Flow], hair: float = 0.0) -> End:
    """The run on the inline host."""
    functions = Functions(seed, trouble, hair)
    answers: list[tuple[bytes, bool]] = []

    async def main(clock: ManualClock) -> InlineRun:
        stage = Stage(functions, MemoryJournal(), flows)
        wheel = Wheel()
        host = InlineHost(wheel, Log(io.StringIO()))
        bound: BoundProgram = stage.bound("main")

        def reply(_: InlineRun, payload: Payload, failure: Any) -> None:
            answers.append((payload.body, failure is None))

        run = host.start(bound, json_payload({"n": 1}), Caller(), reply)
        async with asyncio.timeout(HORIZON):
            while run.kernel.state != "ended":  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        wheel.close()
        stage.stop()
        assert not stage.troubles, stage.troubles
        return run

    with recording():
        kernel = run_in_manual_time(main).kernel
    assert isinstance(kernel, Recorded)
    told = [
        (what, outcome.kind, outcome.status, outcome.payload.body if outcome.kind == "ok" else b"")
        for kind, what, outcome in kernel.record
        if kind == "deliver"
    ]
    return _end(told, kernel, answers)


def _end(told: list[tuple[str, str, int, bytes]], kernel: Any, answers: list[tuple[bytes, bool]]) -> End:
    failure = kernel.failure
    return End(
        told,
        kernel.outward_state if failure is not None else "succeeded",
        kernel.result.body,
        None if failure is None else (failure.path, failure.reason),
        [] if failure is None else failure.undo,
        answers,
    )


@contextmanager
def wall_clock(now: Callable[[], float]) -> Generator[None]:
    """Have the journal host read the time of day from here."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("legato.hosts.journal") and vars(module).get("time") is time.time
    ]
    for module in modules:
        module.time = now  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.time = time.time  # type: ignore[attr-defined]


class Lives:
    """A run on a journal, which may be cut off and taken up."""

    def __init__(self, seed: int, trouble: float, flows: Sequence[Flow | Any], parks: bool = False) -> None:
        self.flows = flows
        self.functions = Functions(seed, trouble, parks=parks)
        self.journal = MemoryJournal()
        self.answers: list[tuple[bytes, bool]] = []
        self._day = DAY

    def begin(self, most: int | None = None) -> None:
        """Start the run; the process ends after so many writes."""
        self._live(MemoryJournal(most), begins=True)

    def go_on(self, writes: int, most: int | None = None) -> None:
        """The process after one that had come so far."""
        self._live(self.journal.copy(writes, None if most is None else writes + most), begins=False)

    def _live(self, journal: MemoryJournal, begins: bool) -> None:
        self.journal = journal
        self.functions.begin_life()

        async def main(clock: ManualClock) -> None:
            began = clock.now
            with wall_clock(lambda: self._day + clock.now - began):
                await live()
            self._day += clock.now - began + DOWN

        async def live() -> None:
            journal.crashed = asyncio.Event()
            stage = Stage(self.functions, journal, self.flows)
            await stage.host.recover()
            if begins:
                stage.start("main", json_payload({"n": 1}))
            async with asyncio.timeout(HORIZON):
                while not journal.crashed.is_set() and not await self._is_over(stage):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            self.answers += [(payload.body, failure is None) for _, payload, failure in stage.ends]
            stage.stop()
            assert not stage.troubles, stage.troubles

        run_in_manual_time(main)

    async def _is_over(self, stage: Stage) -> bool:
        """Whether the run has ended; one that is parked goes on as an operator might have it."""
        for key, row in self.journal.rows.items():
            if row.state == "parked" and (run := await stage.host.take_up(key)) is not None:
                _decide(run)
        return all(row.ended is not None for row in self.journal.rows.values()) and not stage.host.live


def _decide(run: DurableRun) -> None:
    if not run.pending:
        for path in list(run.story.parked):
            run.decide(path, Decided("skip"), lambda: None)
