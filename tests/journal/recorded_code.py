"""The flows of code that journals were recorded with. They must stay as they are: a change of one is another flow."""

from __future__ import annotations

from typing import Any

from legato.builder.code_flow import flow
from legato.builder.context import Context
from legato.errors import StepError


@flow(durable=True, version=1)
async def code_orders(ctx: Context, order: Any) -> Any:
    """Loops, branches and a repeated name."""
    checked = await ctx.call("check", order)
    total = 0
    for n in range(3):
        left = await ctx.call("pick", {"n": n, "of": checked["by"]}, undo="unpick")
        total += len(left["by"])
    payment, stock = await ctx.gather(ctx.call("pay", total, undo="refund"), ctx.call("reserve", total))
    await ctx.sleep("2s")
    return {"payment": payment["by"], "stock": stock["by"], "total": total}


@flow(durable=True, version=1)
async def code_saga(ctx: Context, order: Any) -> Any:
    """A saga's block that fails, and what is done about that."""
    await ctx.call("outer", order, undo="unouter")
    try:
        async with ctx.saga():
            await ctx.call("inner", order, undo="uninner")
            await ctx.call("no", order)
    except StepError as error:
        await ctx.call("sorry", {"status": error.status})
    approved = await ctx.wait("approval", timeout="10s", default={"by": "nobody"})
    if approved["by"] == "nobody":
        await ctx.call("no-either", approved)
    return approved


@flow(durable=True, version=1)
async def code_items(ctx: Context, order: Any) -> Any:
    """Items in a window, and the first of two."""

    async def each(item: int) -> Any:
        first = await ctx.call("item", item, undo="unitem")
        return (await ctx.call("after", first["path"]))["path"]

    paths = await ctx.foreach([1, 2, 3, 4], each, concurrency=2)
    first = await ctx.select(ctx.call("no", 1), ctx.call("quick", 2))
    return [*paths, first["by"]]


FLOWS = (code_orders, code_saga, code_items)
