"""Random code, random deliveries: whatever it does, a run ends, and its record, replayed, issues the same again."""

from __future__ import annotations

from collections.abc import Awaitable
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from legato import Context, LegatoError, Refused, StepError, flow
from legato.kernel import Call
from legato.model.outcome import Outcome
from tests.python.written import Driven

KINDS = (
    "call",
    "undoable",
    "sleep",
    "wait",
    "pivot",
    "forgotten",
    "gather",
    "select",
    "race",
    "foreach",
    "saga",
    "spare",
    "raise",
    "eager",
)
COMPOSED = frozenset({"gather", "select", "race", "foreach", "saga", "spare"})


def shapes(depth: int) -> st.SearchStrategy[Any]:
    """A list of (kind, what is in it)."""
    inner = st.just([]) if depth == 0 else shapes(depth - 1)
    return st.lists(st.tuples(st.sampled_from(KINDS), inner), min_size=1, max_size=3)


async def play(ctx: Context, shape: list[tuple[str, Any]]) -> list[Any]:
    """Do what a shape says."""
    seen: list[Any] = []
    for kind, inner in shape:
        seen.append(await one(ctx, kind, inner))
    return seen


async def one(ctx: Context, kind: str, inner: Any) -> Any:
    match kind:
        case "undoable":
            return await ctx.call("work", undo="unwork", id="undoable")
        case "wait":
            return await ctx.wait("go", timeout=1)
        case "pivot":
            return await ctx.call("pay", pivot=True, undo="repay")
        case "sleep":
            return await ctx.sleep(1)
        case "forgotten":
            ctx.call("forgotten", undo="unforget")
            return None
        case "eager":
            first, second = ctx.call("a"), ctx.call("b", undo="unb")
            return [await second, await first, await second]
        case "raise":
            if not inner:
                raise Refused("enough")
            return await play(ctx, inner)
        case "spare":
            try:
                return await play(ctx, inner)
            except (StepError, Refused, LegatoError):
                return "spared"
        case "saga":
            async with ctx.saga():
                return await play(ctx, inner)
        case "foreach":
            return await ctx.foreach(inner, lambda each: one(ctx, *each), concurrency=2)
        case "gather" | "select" | "race" if inner:
            things: list[Awaitable[Any]] = [one(ctx, *each) for each in inner]
            return await getattr(ctx, kind)(ctx.call("beside", undo="unbeside"), *things)
        case _:
            return await ctx.call("work")


@given(shape=shapes(3), seed=st.integers(0, 2**32 - 1), trouble=st.sampled_from([0.0, 0.2, 0.6]), cancels=st.booleans())
def test_a_run_ends_and_replays(shape: Any, seed: int, trouble: float, cancels: bool) -> None:
    @flow(durable=True, version="1")
    async def random_code(ctx: Context) -> Any:
        return await play(ctx, shape)

    random, run = Random(seed), Driven(random_code)
    for _ in range(10_000):
        if run.run.state == "ended":
            break
        assert run.open, "it waits for nothing"
        if cancels and random.random() < 0.05:
            run.cancel("deadline")
            continue
        path = random.choice(run.open)
        run.deliver(path, outcome(random, run, path, trouble))
    assert run.run.state == "ended"
    assert not run.open
    assert not list(run.run.open_leaves())
    undone = [path for path, leaf in run.leaves.items() if isinstance(leaf, Call) and leaf.step.is_undo]
    assert len(set(undone)) == len(undone)
    if run.run.failure is not None:
        left = [path for path in done_for_good(run) if f"{path}/undo" not in undone]
        pivoted = any(path.startswith("pay") and given.kind == "ok" for path, given in run.delivered.items())
        assert pivoted or not left, f"{left} may have been done, and nobody undid it"
    again = run.replayed()
    assert (again.run.failure is None) == (run.run.failure is None)
    assert again.run.result.json() == run.run.result.json()


def outcome(random: Random, run: Driven, path: str, trouble: float) -> Outcome:
    """What becomes of a leaf: one that was cancelled has often ended unheard."""
    if path in run.cancelled and random.random() < 0.7:
        return Outcome(random.choice(["unknown", "cancelled"]))  # type: ignore[arg-type]
    if random.random() < trouble:
        return Outcome(random.choice(["refused", "retryable", "unknown"]), status=random.choice([0, 500]))  # type: ignore[arg-type]
    return Outcome("ok", status=200)


def done_for_good(run: Driven) -> list[str]:
    """The calls with an undo that were done, or may have been."""
    return [
        path
        for path, given in run.delivered.items()
        if given.effect_possible and isinstance(leaf := run.leaves[path], Call) and leaf.step.undo is not None
    ]
