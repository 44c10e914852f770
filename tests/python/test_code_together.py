"""`gather`, `select`, `race`, `foreach` and `saga`: what waits for several things, and what is undone when."""

from __future__ import annotations

from typing import Any

import pytest

from legato import Context, LegatoError, StepError, flow
from legato.model.outcome import Outcome
from tests.python.written import Driven

# Gather.


@flow
async def all_of(ctx: Context) -> Any:
    async def branch() -> Any:
        return [await ctx.call("b1"), await ctx.call("b2")]

    return await ctx.gather(ctx.call("a"), branch(), ctx.sleep(1))


def test_gather_gives_all_in_order() -> None:
    run = Driven(all_of).ok("sleep").ok("gather[1].b1", 1).ok("gather[1].b2", 2)
    assert run.open == ["a"]
    run.ok("a", 0)
    assert run.result == [0, [1, 2], None]
    run.replayed()


def test_the_first_failure_cancels_the_others() -> None:
    run = Driven(all_of).ok("gather[1].b1").fail("a")
    assert run.cancelled == ["gather[1].b2", "sleep"]
    assert run.run.state == "running"
    run.settle("gather[1].b2").deliver("sleep", Outcome("cancelled"))
    assert run.failure.path == "a"
    run.replayed()


def test_several_failures_are_all_told() -> None:
    @flow
    async def both(ctx: Context) -> None:
        await ctx.gather(ctx.call("a"), ctx.call("b"))

    run = Driven(both).fail("a")
    run.fail("b", "refused", 500)  # it had failed by itself before the cancel reached it
    assert [failure.path for failure in run.failure.siblings] == ["a", "b"]


def test_gathering_nothing_and_too_much() -> None:
    @flow
    async def nothing(ctx: Context) -> Any:
        return await ctx.gather()

    @flow
    async def much(ctx: Context) -> None:
        await ctx.gather(*[ctx.call("a", n) for n in range(300)])

    assert Driven(nothing).result == []
    failure = Driven(much).failure
    assert "ctx.gather takes up to 256 steps: use ctx.foreach for more" in failure.outcome.detail


def test_gather_takes_what_can_be_awaited() -> None:
    @flow
    async def wrong(ctx: Context) -> None:
        await ctx.gather(ctx.call("a"), 3)  # type: ignore[arg-type]

    run = Driven(wrong)
    assert run.failure.outcome.detail == "the flow's code raised TypeError"
    assert "this gives int, nothing that can be awaited: write it as `async def`" in run.failure.outcome.private
    assert run.log == ["start -> "]


def test_a_gather_that_is_spared_leaves_its_work_for_undo() -> None:
    @flow
    async def spares(ctx: Context) -> str:
        try:
            await ctx.gather(ctx.call("a", undo="una"), ctx.call("b"))
        except StepError:
            await ctx.call("c")
        return "spared"

    run = Driven(spares).ok("a").fail("b")
    assert run.open == ["c"]
    run.fail("c")
    assert run.open == ["a/undo"]
    run.ok("a/undo")
    assert run.failure.undo == [("a/undo", True)]
    run.replayed()


# Select and race.


@flow
async def first_of(ctx: Context) -> Any:
    async def branch() -> Any:
        await ctx.call("hold", undo="release")
        return await ctx.call("b")

    return await ctx.select(ctx.call("a", undo="una"), branch(), ctx.call("c"))


def test_select_takes_the_first_that_succeeds() -> None:
    run = Driven(first_of).fail("a").ok("select[1].hold", "h").ok("c", "C")
    assert run.cancelled == ["select[1].b"]
    run.settle("select[1].b")
    assert run.open == ["select[1].hold/undo"]
    run.ok("select[1].hold/undo")
    assert run.result == "C"
    run.replayed()


def test_losers_that_may_have_worked_are_undone() -> None:
    run = Driven(first_of).ok("c", "C")
    assert run.cancelled == ["a", "select[1].hold"]
    run.settle("a").deliver("select[1].hold", Outcome("cancelled"))
    assert run.open == ["a/undo"]
    assert run.sent["a/undo"] == {"sent": None, "result": None}
    run.fail("a/undo")  # that it could not be undone changes nothing
    assert run.result == "C"
    run.replayed()


def test_a_loser_that_answers_all_the_same_is_undone() -> None:
    run = Driven(first_of).ok("c", "C").ok("a", "late").deliver("select[1].hold", Outcome("cancelled"))
    assert run.sent["a/undo"] == {"sent": None, "result": "late"}
    run.ok("a/undo")
    assert run.result == "C"


def test_a_winner_stays_for_the_undo_of_the_flow() -> None:
    @flow
    async def then(ctx: Context) -> None:
        await ctx.select(ctx.call("a", undo="una"), ctx.call("b"))
        await ctx.call("end")

    run = Driven(then).ok("a").settle("b").fail("end")
    assert run.open == ["a/undo"]


def test_select_fails_when_all_do() -> None:
    run = Driven(first_of).fail("a").fail("c")
    assert run.open == ["select[1].hold"]
    run.fail("select[1].hold")
    assert run.failure.path == "a"
    assert [failure.path for failure in run.failure.siblings] == ["a", "select[1].hold", "c"]
    run.replayed()


def test_a_pause_bounds_a_step() -> None:
    @flow
    async def bounded(ctx: Context) -> Any:
        which, value = await ctx.race(ctx.call("a"), ctx.sleep("2s"))
        return ["in time", value] if which == 0 else "late"

    assert Driven(bounded).ok("a", 1).deliver("sleep", Outcome("cancelled")).result == ["in time", 1]
    run = Driven(bounded).ok("sleep")
    assert run.cancelled == ["a"]
    assert run.settle("a").result == "late"
    run.replayed()


def test_race_raises_what_the_first_one_does() -> None:
    @flow
    async def racing(ctx: Context) -> Any:
        try:
            return await ctx.race(ctx.call("a"), ctx.call("b"))
        except StepError as error:
            return error.path

    run = Driven(racing).fail("b")
    assert run.settle("a").result == "b"


@pytest.mark.parametrize("kind", ["select", "race"])
def test_of_nothing_there_is_no_first(kind: str) -> None:
    @flow
    async def nothing(ctx: Context) -> None:
        await getattr(ctx, kind)()

    assert f"ctx.{kind} has nothing to wait for" in Driven(nothing).failure.outcome.detail


def test_a_loser_that_is_awaited_later_says_so() -> None:
    @flow
    async def later(ctx: Context) -> Any:
        a, b = ctx.call("a"), ctx.call("b")
        await ctx.select(a, b)
        try:
            await b
        except StepError as error:
            return error.detail

    run = Driven(later).ok("a").settle("b")
    assert run.result == "b was cancelled, and awaited after that"


# Foreach.


@flow
async def each_of(ctx: Context, items: Any) -> Any:
    async def pack(item: Any) -> Any:
        await ctx.call("take", item, undo="put")
        return await ctx.call("wrap", item)

    return await ctx.foreach(items, pack, concurrency=2)


def test_foreach_holds_a_window() -> None:
    run = Driven(each_of, [10, 20, 30])
    assert run.open == ["foreach[0].take", "foreach[1].take"]
    run.ok("foreach[1].take").ok("foreach[1].wrap", "B")
    assert run.open == ["foreach[0].take", "foreach[2].take"]
    for n, value in ((2, "C"), (0, "A")):
        run.ok(f"foreach[{n}].take").ok(f"foreach[{n}].wrap", value)
    assert run.result == ["A", "B", "C"]
    assert run.sent["foreach[2].wrap"] == 30
    run.replayed()


def test_a_failed_item_cancels_the_others_and_all_are_undone() -> None:
    run = Driven(each_of, [1, 2, 3]).ok("foreach[0].take").ok("foreach[1].take").fail("foreach[1].wrap")
    assert run.cancelled == ["foreach[0].wrap"]
    run.settle("foreach[0].wrap")
    assert sorted(run.open) == ["foreach[0].take/undo", "foreach[1].take/undo"]
    assert "foreach[2].take" not in run.leaves
    run.ok("foreach[1].take/undo").ok("foreach[0].take/undo")
    assert run.failure.path == "foreach[1].wrap"
    run.replayed()


def test_foreach_over_nothing_and_anything() -> None:
    @flow
    async def over(ctx: Context, n: int) -> Any:
        return await ctx.foreach((each for each in range(n)), lambda item: ctx.call("a", item))

    assert Driven(over, 0).result == []
    run = Driven(over, 20)
    assert len(run.open) == 16
    while run.open:
        run.ok(run.open[-1], run.sent[run.open[-1]] * 2)
    assert run.result == [n * 2 for n in range(20)]


@pytest.mark.parametrize("concurrency", [0, -1, 1001])
def test_a_window_has_bounds(concurrency: int) -> None:
    @flow
    async def wide(ctx: Context) -> None:
        await ctx.foreach([1], lambda item: ctx.call("a"), concurrency=concurrency)

    assert "1 to 1000 of them at a time" in Driven(wide).failure.outcome.detail


def test_items_that_are_no_steps() -> None:
    @flow
    async def wrong(ctx: Context) -> None:
        await ctx.foreach([1], lambda item: item)

    assert "this gives int, nothing that can be awaited" in Driven(wrong).failure.outcome.private


# Saga.


@flow
async def booking(ctx: Context) -> Any:
    await ctx.call("order", undo="unorder")
    try:
        async with ctx.saga():
            await ctx.call("flight", undo="unflight")
            await ctx.gather(ctx.call("hotel", undo="unhotel"), ctx.call("car", undo="uncar"))
            await ctx.call("pay")
    except StepError as error:
        return await ctx.call("instead", error.path)
    return await ctx.call("done")


def booked() -> Driven:
    return Driven(booking).ok("order").ok("flight").ok("hotel").ok("car")


def test_a_saga_undoes_what_was_done_in_it_at_once() -> None:
    run = booked().fail("pay")
    assert run.open == ["car/undo"]
    run.ok("car/undo").ok("hotel/undo").ok("flight/undo")
    assert run.open == ["instead"]
    assert run.sent["instead"] == "pay"
    assert run.ok("instead", "bus").result == "bus"
    run.replayed()


def test_what_a_saga_has_undone_is_not_undone_again() -> None:
    run = booked().fail("pay").ok("car/undo").ok("hotel/undo").ok("flight/undo").fail("instead")
    assert run.open == ["order/undo"]
    run.ok("order/undo")
    assert run.failure.path == "instead"


def test_a_saga_that_went_well_is_undone_with_the_flow() -> None:
    run = booked().ok("pay").fail("done")
    undone = []
    while run.open:
        undone.append(run.open[0])
        run.ok(run.open[0])
    assert undone == ["car/undo", "hotel/undo", "flight/undo", "order/undo"]
    run.replayed()


def test_a_saga_withdraws_what_it_had_begun() -> None:
    @flow
    async def hasty(ctx: Context) -> Any:
        outside = ctx.call("outside")
        try:
            async with ctx.saga():
                ctx.call("slow", undo="unslow")
                await ctx.call("quick")
        except StepError:
            return await outside

    run = Driven(hasty).fail("quick")
    assert run.cancelled == ["slow"]
    run.settle("slow")
    assert run.open == ["outside", "slow/undo"]
    run.ok("slow/undo").ok("outside", "o")
    assert run.result == "o"
    run.replayed()


def test_a_saga_may_end_by_any_exception() -> None:
    @flow
    async def breaks(ctx: Context) -> None:
        async with ctx.saga():
            await ctx.call("a", undo="una")
            raise KeyError("x")

    run = Driven(breaks).ok("a")
    assert run.open == ["a/undo"]
    run.ok("a/undo")
    assert run.failure.outcome.detail == "the flow's code raised KeyError"
    assert run.failure.undo == [("a/undo", True)]


def test_a_cancelled_run_undoes_what_a_saga_did_not() -> None:
    run = booked().cancel("deadline")
    run.settle("pay")
    undone = []
    while run.open:
        undone.append(run.open[0])
        run.ok(run.open[0])
    assert undone == ["car/undo", "hotel/undo", "flight/undo", "order/undo"]
    assert run.failure.reason == "deadline"
    run.replayed()


def test_a_run_that_is_cancelled_amid_the_undo_of_a_saga_goes_on_with_it() -> None:
    run = booked().fail("pay").ok("car/undo").cancel()
    assert run.open == ["hotel/undo"]
    run.ok("hotel/undo")
    assert run.open == ["flight/undo"]
    run.ok("flight/undo").ok("order/undo")
    assert run.failure.reason == "cancelled"
    assert "instead" not in run.leaves
    run.replayed()


def test_sagas_within_sagas_and_branches() -> None:
    @flow
    async def nested(ctx: Context) -> Any:
        async def branch(n: int) -> Any:
            try:
                async with ctx.saga():
                    await ctx.call("a", n, undo="una")
                    async with ctx.saga():
                        await ctx.call("b", n, undo="unb")
                    await ctx.call("c", n)
            except StepError:
                return "undone"
            return "done"

        return await ctx.gather(branch(0), branch(1))

    run = Driven(nested)
    for n in (0, 1):
        run.ok(f"gather[{n}].a").ok(f"gather[{n}].b")
    run.ok("gather[0].c").fail("gather[1].c")
    run.ok("gather[1].b/undo").ok("gather[1].a/undo")
    assert run.result == ["done", "undone"]
    run.replayed()


def test_an_empty_saga() -> None:
    @flow
    async def empty(ctx: Context) -> str:
        async with ctx.saga():
            pass
        with pytest.raises(ValueError, match="x"):
            async with ctx.saga():
                raise ValueError("x")
        return "ok"

    assert Driven(empty).result == "ok"


def test_the_undo_of_a_flow_that_was_undone_in_part_is_told() -> None:
    @flow
    async def lets_go(ctx: Context) -> None:
        await ctx.call("order", undo="unorder")
        async with ctx.saga():
            await ctx.call("a", undo="una")
            await ctx.call("b")

    run = Driven(lets_go).ok("order").ok("a").fail("b").fail("a/undo").ok("order/undo")
    assert run.failure.undo == [("a/undo", False), ("order/undo", True)]


def test_an_error_of_ours_is_an_error_of_legato() -> None:
    assert issubclass(StepError, LegatoError)
