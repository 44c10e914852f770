"""Code that awaits what is none of its own: it is told so where it awaits, and asyncio keeps nothing of it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from legato import Context, Flow, ForeignAwait, RunFailed, flow, run
from legato.kernel.pending import Pending


async def slow() -> None:
    await asyncio.sleep(30)


async def helper() -> None:
    await asyncio.sleep(0.01)


class Odd:
    def __await__(self) -> Any:
        yield "something"


FOREIGN: dict[str, tuple[Callable[[Context], Awaitable[Any]], str, str]] = {
    "sleep": (lambda ctx: asyncio.sleep(1), "asyncio.sleep", "await ctx.sleep(...)"),
    "no sleep": (lambda ctx: asyncio.sleep(0), "asyncio.sleep", "await ctx.sleep(...)"),
    "a helper": (lambda ctx: helper(), "asyncio.sleep", "await ctx.sleep(...)"),
    "gather": (lambda ctx: asyncio.gather(slow(), slow()), "asyncio.gather", "await ctx.gather(...)"),
    "gather of steps": (lambda ctx: asyncio.gather(ctx.call("a"), ctx.call("a")), "asyncio.gather", "ctx.gather"),
    "wait_for": (lambda ctx: asyncio.wait_for(slow(), 1), "asyncio.wait_for", "a step's `timeout`"),
    "wait": (
        lambda ctx: asyncio.wait([asyncio.ensure_future(slow())]),
        "asyncio.wait",
        "await ctx.gather(...) or ctx.select(...)",
    ),
    "a task": (lambda ctx: asyncio.create_task(slow()), "Task", "await ctx.call(...) for a function"),
    "a future": (lambda ctx: asyncio.get_running_loop().create_future(), "Future", "ctx.python(function, value)"),
    "a thread": (lambda ctx: asyncio.to_thread(int), "asyncio.to_thread", "await ctx.python(function, value)"),
    "an event": (lambda ctx: asyncio.Event().wait(), "Future", "await ctx.call(...)"),
    "a queue": (lambda ctx: asyncio.Queue().get(), "Future", "await ctx.call(...)"),
    "what is nobody's": (lambda ctx: Odd(), "builtins.str", "await ctx.call(...)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_it_is_told_where_it_awaits(name: str) -> None:
    awaited, what, instead = FOREIGN[name]
    said: list[str] = []
    lines: list[int] = []

    @flow
    async def foreign(ctx: Context) -> str:
        try:
            await awaited(ctx)
        except ForeignAwait as error:
            lines.append(error.__traceback__.tb_lineno if error.__traceback__ is not None else 0)
            said.append(str(error))
            return await ctx.call("a")
        return "nothing was raised"

    async def main() -> None:
        tasks = asyncio.all_tasks()
        troubles: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: troubles.append(context))
        assert await run(foreign, functions={"a": "goes on"}, timeout=5) == "goes on"
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        assert asyncio.all_tasks() == tasks
        assert not troubles

    asyncio.run(main())
    (message,) = said
    assert what in message
    assert instead in message
    assert inspect.getsourcelines(foreign._function)[1] < lines[0]


def test_nobody_who_does_not_listen_fails_with_file_line_and_remedy() -> None:
    @flow
    async def foreign(ctx: Context) -> None:
        await helper()

    with pytest.raises(RunFailed) as failed:
        asyncio.run(run(foreign))
    assert failed.value.status == 500
    assert re.fullmatch(
        r"a flow waits for its own steps only, not for asyncio\.sleep: write await ctx\.sleep\(\.\.\.\) "
        r"\(test_code_foreign\.py:\d+, in helper\)",
        failed.value.detail,
    )


def test_what_needs_a_task_is_told_what_to_do_instead() -> None:
    @flow
    async def bounded(ctx: Context) -> None:
        async with asyncio.timeout(1):
            await ctx.call("a")

    @flow
    async def grouped(ctx: Context) -> None:
        async with asyncio.TaskGroup():
            pass

    for each in (bounded, grouped):
        with pytest.raises(RunFailed) as failed:
            asyncio.run(run(each, functions={"a": 1}))
        assert "a flow runs in no task of asyncio" in failed.value.detail
        assert "test_code_foreign.py:" in failed.value.detail


def test_a_step_is_awaited_in_its_own_run_only() -> None:
    held: list[Pending] = []

    @flow
    async def first(ctx: Context) -> None:
        held.append(ctx.call("a"))
        await held[0]

    @flow
    async def second(ctx: Context) -> None:
        await held[0]

    async def main() -> None:
        await run(first, functions={"a": 1})
        with pytest.raises(RunFailed, match="was used outside of its own run"):
            await run(second)
        with pytest.raises(ForeignAwait, match="was used outside of its own run: use it in the flow's own code"):
            await held[0]

    asyncio.run(main())


def test_a_step_in_a_task_of_asyncio() -> None:
    """It begins in the flow, and is awaited in a task: that one is told, whether or not anybody listens."""
    told: list[str] = []

    @flow
    async def tasks(ctx: Context) -> Any:
        step = ctx.call("a")

        async def work() -> None:
            try:
                await step
            except ForeignAwait as error:
                told.append(str(error))

        task = asyncio.create_task(work())
        task.add_done_callback(lambda _: None)
        await ctx.sleep(0.01)
        return await step

    assert asyncio.run(run(tasks, functions={"a": 1})) == 1
    (message,) = told
    assert "the context of flow tasks was used outside of its own run" in message


def test_a_context_is_of_use_in_its_run_only() -> None:
    held: list[Context] = []

    @flow
    async def keeps(ctx: Context) -> None:
        held.append(ctx)

    asyncio.run(run(keeps))
    for use in (lambda ctx: ctx.call("a"), lambda ctx: ctx.sleep(1), lambda ctx: ctx.respond(1)):
        with pytest.raises(ForeignAwait):
            use(held[0])


def test_a_step_of_a_branch_beside() -> None:
    @flow
    async def beside(ctx: Context) -> Any:
        held: list[Pending] = []

        async def begins() -> None:
            held.append(ctx.call("a"))
            await ctx.sleep(0.02)

        async def awaits() -> Any:
            await ctx.sleep(0.001)
            return await held[0]

        return await ctx.gather(begins(), awaits())

    with pytest.raises(RunFailed) as failed:
        asyncio.run(run(beside, functions={"a": 1}))
    assert "gather[0].a was begun in another branch, which may end before it" in failed.value.detail


def test_what_never_begins_is_closed() -> None:
    """A branch that is cancelled before its turn leaves no coroutine that was never awaited (a warning is an error)."""

    @flow
    async def hasty(ctx: Context) -> None:
        async def never() -> None:
            raise AssertionError

        async def fails() -> None:
            raise KeyError

        await ctx.gather(fails(), never())

    async def main() -> None:
        with pytest.raises(RunFailed):
            await run(hasty)
        gc.collect()

    asyncio.run(main())


def test_functions_may_await_what_they_like() -> None:
    async def function(value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    @flow
    async def calls(ctx: Context) -> Any:
        return await ctx.call("f", 1)

    assert asyncio.run(run(calls, functions={"f": function})) == 1
    assert asyncio.run(run(Flow("g").modify(function), 2)) == 2
