"""The rules of the scheduler that no flow of steps can break, but code of a user's own could (contract 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from legato.errors import HostStop
from legato.kernel import Call, Cancel, link
from legato.kernel.scheduler import Cancelled, Fiber, Join, Scheduler, StepFailed
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload
from tests.kernel.flows import INPUT, call, flow

A, B, C = link(flow(call("a"), call("b"), call("c"))).calls


class Bench:
    """A scheduler with one root fiber of the test's own code."""

    def __init__(self, code: Callable[[Scheduler, Fiber], Any]) -> None:
        self.scheduler = Scheduler()
        self.root = self.scheduler.spawn(None, lambda fiber: code(self.scheduler, fiber))
        self.calls: dict[str, Call] = {}

    def advance(self) -> list[str]:
        commands = self.scheduler.advance()
        self.calls |= {command.path: command for command in commands if isinstance(command, Call)}
        return [repr(command) for command in commands]

    def end(self, path: str, outcome: Outcome | None = None) -> list[str]:
        leaf = self.calls[path]
        if outcome is None:
            self.scheduler.end(leaf, INPUT, None)
        else:
            self.scheduler.fail_leaf(leaf, outcome)
        return self.advance()

    def cancel(self) -> list[str]:
        self.scheduler.cancel_nodes((self.root,), "deadline")
        return self.advance()


def test_leaves_that_nobody_waits_for_are_cancelled_when_their_scope_is_done() -> None:
    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        run.call(fiber, A, EMPTY, None)
        value = await run.call(fiber, B, EMPTY, None)
        run.call(fiber, C, EMPTY, None)
        return value

    bench = Bench(code)
    assert bench.advance() == ["Call('a')", "Call('b')"]
    assert bench.end("b") == ["Cancel('a')"]  # and `c` is never issued
    assert not bench.root.ended
    assert bench.end("a", Outcome("unknown")) == []
    assert (bench.root.ended, bench.root.error) == (True, None)
    assert bench.root.value is INPUT


def test_fibers_that_nobody_waits_for_are_cancelled_too() -> None:
    seen: list[str] = []

    async def child(run: Scheduler, fiber: Fiber) -> Payload:
        try:
            await run.call(fiber, A, EMPTY, None)
            return await run.call(fiber, C, EMPTY, None)
        except Cancelled as error:
            seen.append(error.reason)
            raise

    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        run.spawn(fiber, lambda own: child(run, own))
        return await run.call(fiber, B, EMPTY, None)

    bench = Bench(code)
    assert bench.advance() == ["Call('b')", "Call('a')"]
    assert bench.end("b") == ["Cancel('a')"]
    assert bench.end("a") == []  # it was answered, and yet nothing follows
    assert seen == ["cancelled"]
    assert (bench.root.ended, bench.root.error) == (True, None)


def test_cancelled_is_thrown_once_and_cleaning_up_gets_no_new_leaves() -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def tidy(run: Scheduler, fiber: Fiber) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for step in (B, C):
                try:
                    await run.call(fiber, step, EMPTY, None)
                except Cancelled as error:
                    seen.append(error.reason)
            child = run.spawn(fiber, lambda own: nothing(run, own))
            try:
                await child
            except Cancelled as error:
                seen.append("child" if error is child.error else "told a second time")

    async def nothing(run: Scheduler, fiber: Fiber) -> Payload:
        seen.append("never begun")
        return EMPTY

    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        async with tidy(run, fiber):
            return await run.call(fiber, A, EMPTY, None)

    bench = Bench(code)
    assert bench.advance() == ["Call('a')"]
    assert bench.cancel() == ["Cancel('a')"]
    assert bench.cancel() == []
    assert seen == []
    assert bench.end("a", Outcome("unknown")) == []
    assert isinstance(leaf_error := bench.calls["a"].error, Cancelled)
    assert leaf_error.reason == "deadline"
    assert seen == ["deadline", "deadline", "child"]
    assert bench.root.ended
    assert isinstance(bench.root.error, Cancelled)
    assert bench.root.error.reason == "deadline"


def test_a_handler_of_exceptions_does_not_take_a_cancel_for_data() -> None:
    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        try:
            return await run.call(fiber, A, EMPTY, None)
        except Exception:
            return INPUT

    bench = Bench(code)
    bench.advance()
    bench.cancel()
    bench.end("a", Outcome("unknown"))
    assert isinstance(bench.root.error, Cancelled)
    other = Bench(code)
    other.advance()
    other.end("a", Outcome("refused"))
    assert (other.root.error, other.root.value) == (None, INPUT)


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError(), GeneratorExit(), AssertionError()])
def test_whatever_code_raises_is_data(error: BaseException) -> None:
    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        raise error

    bench = Bench(code)
    assert bench.advance() == []
    assert isinstance(bench.root.error, StepFailed)
    failure = bench.root.error.failure
    assert failure.reason == "mistake"
    assert failure.outcome.detail == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_the_end_of_the_process_is_the_hosts_matter(error: BaseException) -> None:
    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        raise error

    with pytest.raises(HostStop) as told:
        Bench(code).advance()
    assert told.value.__cause__ is error


def test_waiting_for_something_foreign_is_a_mistake_and_no_hang() -> None:
    class Foreign:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        await Foreign()
        return EMPTY

    bench = Bench(code)
    bench.advance()
    assert isinstance(bench.root.error, StepFailed)
    assert bench.root.error.failure.reason == "mistake"


def test_an_eager_join_ends_with_the_first_failure_and_another_with_the_last_end() -> None:
    woken: list[str] = []

    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        nodes = [run.call(fiber, step, EMPTY, None) for step in (A, B, C)]
        eager = Join.of(nodes)
        await eager
        woken.append(f"eager {eager.failed}")
        assert Join.of(nodes).ended
        assert not Join.of(nodes, eager=False).ended
        patient = Join.of(nodes, eager=False)
        await patient
        woken.append(f"patient {patient.failed}")
        assert Join.of(nodes).ended
        assert Join.of([]).ended
        assert not Join.of([]).failed
        return EMPTY

    bench = Bench(code)
    assert bench.advance() == ["Call('a')", "Call('b')", "Call('c')"]
    bench.end("a")
    assert woken == []
    bench.end("b", Outcome("refused"))
    assert woken == ["eager True"]
    bench.end("c")
    assert woken == ["eager True", "patient True"]
    assert bench.root.ended


def test_commands_name_themselves() -> None:
    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        return await run.call(fiber, A, EMPTY, None)

    bench = Bench(code)
    bench.advance()
    (command,) = (bench.scheduler.cancel_nodes((bench.root,), "cancelled"), bench.scheduler.advance())[1]
    assert isinstance(command, Cancel)
    assert command.path == "a"
    assert command.leaf is bench.calls["a"]
