"""Python code that asks for a context, in every way that there is, and some that there are not."""

from __future__ import annotations

import asyncio
from typing import Any

from legato.connectors import python_context
from legato.connectors.python_context import PythonContext
from legato.errors import Refused


def by_name(value: Any, context: Any) -> Any:
    return [value, type(context).__name__]


def by_keyword(value: Any, *, context: Any) -> Any:
    return [value, type(context).__name__]


def by_default(value: Any, context: Any = None) -> Any:
    return [value, type(context).__name__]


def by_annotation(value: Any, ctx: PythonContext) -> Any:
    return [value, type(ctx).__name__]


def by_dotted_annotation(value: Any, ctx: python_context.PythonContext) -> Any:
    return [value, type(ctx).__name__]


async def soon(value: Any, context: Any) -> Any:
    await asyncio.sleep(0)
    return [value, type(context).__name__]


class Called:
    def __call__(self, value: Any, context: Any) -> Any:
        return [value, type(context).__name__]


class CalledSoon:
    async def __call__(self, value: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        return [value, type(context).__name__]


called = Called()
called_soon = CalledSoon()


def first(context: Any) -> Any:
    """The first parameter is the value, whatever it is called."""
    return [context, "none"]


def others(value: Any, other: int = 5, *more: Any, context_of: Any = 1) -> Any:
    return [value, "none", other, len(more), context_of]


def nothing() -> None: ...


def two(value: Any, other: Any) -> None: ...


def only_context(*, context: Any) -> None: ...


def facts(value: Any, context: PythonContext) -> Any:
    return {
        "run_id": context.run_id, "flow": context.flow, "node": context.node, "state": context.state,
        "query": dict(context.query), "headers": dict(context.headers),
        "request": [context.request.method, context.request.path],
    }  # fmt: skip


def count(value: Any, context: PythonContext) -> Any:
    context.set("count", context.get("count", 0) + 1)
    context.set("last", {"value": value})
    context.delete("old")
    context.delete("never there")
    return [context.get("count"), context.get("old", "gone"), context.get("absent")]


def changes_what_it_got(value: Any, context: PythonContext) -> Any:
    context.get("list").append(1)
    return context.get("list")


def share_and_fail(value: Any, context: PythonContext) -> Any:
    context.set("key", 1)
    raise Refused("no") if value == "refused" else KeyError("x")


def set_and_delete(value: Any, context: PythonContext) -> Any:
    context.set("new", 1)
    context.delete("new")
    return context.get("new", "gone")


def forgotten_await(value: Any) -> Any:
    return soon(value, None)
