"""What code may do in durable flows alone: waits, pivots, `at_most_once`, going forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from legato import Context, DefinitionError, Flow, StepError, flow
from legato.builder import CodeFlow
from legato.kernel import Call, Wait
from legato.model.outcome import Outcome
from legato.model.payload import json_payload
from tests.python.written import Driven, from_yaml

durable = flow(durable=True, version="1")


def waiting(said: Callable[[Context], Any]) -> Driven:
    @durable
    async def waits(ctx: Context) -> Any:
        return await said(ctx)

    return Driven(waits)


def late(run: Driven, path: str) -> Driven:
    return run.deliver(path, Outcome("refused", status=504))


# Waits.


def test_a_wait_leaves_what_the_signal_brings() -> None:
    run = waiting(lambda ctx: ctx.wait("approval", timeout="2d"))
    leaf = run.leaves["approval"]
    assert isinstance(leaf, Wait)
    assert (leaf.name, leaf.seconds, leaf.schema) == ("approval", 172_800.0, None)
    assert run.ok("approval", {"by": "me"}).result == {"by": "me"}
    run.replayed()


def test_a_wait_may_take_as_long_as_it_takes() -> None:
    leaf = waiting(lambda ctx: ctx.wait("approval")).leaves["approval"]
    assert isinstance(leaf, Wait)
    assert leaf.seconds is None
    leaf = waiting(lambda ctx: ctx.wait("approval", timeout="3650d")).leaves["approval"]
    assert isinstance(leaf, Wait)
    assert leaf.seconds == 3650 * 86_400.0


@pytest.mark.parametrize("default", [None, 0, {"approved": False}, "no"])
def test_a_default_takes_the_place_of_a_signal_that_did_not_come(default: Any) -> None:
    run = waiting(lambda ctx: ctx.wait("approval", timeout=1, default=default))
    assert late(run, "approval").result == default


def test_without_one_awaiting_it_raises() -> None:
    @durable
    async def waits(ctx: Context) -> Any:
        try:
            await ctx.wait("approval", timeout=1)
        except StepError as error:
            return [error.reason, error.path, str(error)]

    reason, path, said = late(Driven(waits), "approval").result
    assert (reason, path) == ("deadline", "approval")
    assert "no signal `approval` came within 1 s" in said


def test_waits_side_by_side_have_paths_of_their_own() -> None:
    @durable
    async def waits(ctx: Context) -> Any:
        first = ctx.wait("go")
        second, third = ctx.wait("go"), ctx.wait("go", id="last")

        async def within() -> Any:
            return await ctx.wait("go")

        return await ctx.gather(first, second, third, within())

    run = Driven(waits)
    assert list(run.leaves) == ["go", "go#2", "last", "gather[3].go"]
    for n, path in enumerate(list(run.leaves)):
        run.ok(path, n)
    assert run.result == [0, 1, 2, 3]
    run.replayed()


def test_a_wait_that_nobody_awaits_is_cancelled_and_one_that_loses_too() -> None:
    @durable
    async def waits(ctx: Context) -> Any:
        ctx.wait("never")
        return await ctx.select(ctx.wait("go"), ctx.wait("other"))

    run = Driven(waits)
    run.ok("other", 1)
    assert run.cancelled == ["go"]
    run.deliver("go", Outcome("cancelled"))
    assert run.cancelled == ["go", "never"]
    assert run.deliver("never", Outcome("cancelled")).result == 1


def test_a_signal_that_does_not_fit_its_schema_is_never_taken() -> None:
    schema = {"type": "object", "required": ["by"]}
    run = waiting(lambda ctx: ctx.wait("go", schema=schema))
    leaf = run.leaves["go"]
    assert isinstance(leaf, Wait)
    assert leaf.schema is not None
    assert [problem.detail for problem in leaf.schema.problems(json_payload({}))] == ['"by" is a required property']
    assert '"by" is a required property' in run.ok("go", {}).failure.outcome.detail
    assert waiting(lambda ctx: ctx.wait("go", schema=schema)).ok("go", {"by": 1}).result == {"by": 1}


WRONG: dict[str, tuple[Callable[[Context], Any], str]] = {
    "a name that is none": (lambda ctx: ctx.wait("Go"), "'Go' is not a name"),
    "a default that is never used": (
        lambda ctx: ctx.wait("go", default=1),
        "`default` is never used without `timeout`",
    ),
    "a schema that is none": (lambda ctx: ctx.wait("go", schema={"type": 5}), "this is no type of JSON"),
    "a time that is none": (lambda ctx: ctx.wait("go", timeout="soon"), "`timeout` is not a duration: `soon`"),
    "an id that is none": (lambda ctx: ctx.wait("go", id="A"), "'A' is not a name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_wait(name: str) -> None:
    said, message = WRONG[name]
    failure = waiting(said).failure
    assert failure.reason == "mistake"
    assert message in failure.outcome.detail


NOT_DURABLE: dict[str, tuple[Callable[[Context], Any], str]] = {
    "wait": (lambda ctx: ctx.wait("go"), "ctx.wait('go') needs a run that can be stored"),
    "pivot": (lambda ctx: ctx.call("a", pivot=True), "ctx.call('a'): `pivot` needs a run that can be stored"),
    "at_most_once": (
        lambda ctx: ctx.python("json:loads", at_most_once=True),
        "ctx.python('json:loads'): `at_most_once` needs a run that can be stored",
    ),
}


@pytest.mark.parametrize("name", NOT_DURABLE)
def test_what_needs_to_be_durable(name: str) -> None:
    said, message = NOT_DURABLE[name]

    @flow
    async def plain(ctx: Context) -> Any:
        return await said(ctx)

    failure = Driven(plain).failure
    assert failure.reason == "mistake"
    assert message in failure.outcome.detail
    assert "@flow(durable=True, version=...)" in failure.outcome.detail

    @durable
    async def outer(ctx: Context) -> Any:
        return await ctx.flow("plain")

    within = Driven(outer, flows=[plain])
    assert within.open, "a flow within a durable one runs where that runs"


def test_a_durable_flow_is_not_within_one_that_is_not() -> None:
    @durable
    async def inner(ctx: Context) -> Any:
        return await ctx.wait("go")

    @flow
    async def outer(ctx: Context) -> Any:
        return await ctx.flow(inner)

    assert "the flow `inner` is durable and would not be here" in Driven(outer).failure.outcome.detail


def test_what_a_program_waits_for_is_not_known_where_there_is_code() -> None:
    @durable
    async def inner(ctx: Context) -> Any:
        return await ctx.wait("go")

    assert Driven(inner).run.program.waits is None
    outer = Flow("outer", durable=True).wait("mine").flow("inner")
    assert Driven(outer, flows=[inner]).run.program.waits is None
    assert Driven(Flow("outer", durable=True).wait("mine")).run.program.waits == {"mine": [None]}


# Pivots.


def opens(run: Driven) -> list[str]:
    return run.open


def test_after_a_pivot_nothing_is_undone() -> None:
    @durable
    async def pays(ctx: Context) -> Any:
        await ctx.call("hold", undo="free")
        await ctx.call("pay", pivot=True, undo="refund")
        await ctx.call("book", undo="unbook")
        await ctx.call("tell")

    run = Driven(pays).ok("hold").ok("pay").ok("book").fail("tell")
    assert run.failure.undo == []
    run.replayed()
    before = Driven(pays).ok("hold").fail("pay", "unknown", 500)
    assert before.open == ["pay/undo"]
    assert before.ok("pay/undo").open == ["hold/undo"]
    assert before.ok("hold/undo").failure.path == "pay"


def test_a_pivot_that_is_answered_after_the_cancel() -> None:
    @durable
    async def pays(ctx: Context) -> Any:
        await ctx.call("hold", undo="free")
        await ctx.call("pay", pivot=True)

    run = Driven(pays).ok("hold").cancel().ok("pay")
    assert run.failure.undo == []


def test_what_is_under_way_beside_a_pivot_undoes_itself_alone() -> None:
    inner = from_yaml("steps: [{call: a, undo: una}, b]\nfinally: [c]", "inner")

    @durable
    async def pays(ctx: Context) -> Any:
        within = ctx.flow("inner")
        await ctx.call("pay", pivot=True)
        try:
            await within
        except StepError:
            return "spared"

    class Inner:
        name = "inner"

        @staticmethod
        def definition() -> Any:
            return Flow("inner").definition().__class__(name="inner", origin="", flow=inner)

    run = Driven(pays, flows=[Inner()])  # type: ignore[list-item]
    run.ok("inner.a").ok("pay").fail("inner.b")
    assert run.open == ["inner.a/undo"]
    run.ok("inner.a/undo")
    assert run.open == ["inner/finally.c"]
    assert run.ok("inner/finally.c").result == "spared"


def test_a_pivot_is_of_the_flow_s_own_code() -> None:
    @durable
    async def branches(ctx: Context) -> Any:
        async def within() -> Any:
            return await ctx.call("pay", pivot=True)

        return await ctx.gather(within())

    @durable
    async def blocks(ctx: Context) -> Any:
        async with ctx.saga():
            await ctx.call("pay", pivot=True)

    for each in (branches, blocks):
        assert "not in a branch, nor in a saga's block" in Driven(each).failure.outcome.detail


# Going forward.


def forward(run: Driven) -> dict[str, bool]:
    return {path: leaf.step.forward for path, leaf in run.leaves.items() if isinstance(leaf, Call)}


def test_calls_after_a_pivot_go_forward_but_for_those_of_sagas() -> None:
    inner = Flow("inner").call("deep")

    @durable
    async def pays(ctx: Context) -> Any:
        await ctx.call("work", undo="unwork")
        await ctx.call("pay", pivot=True)
        await ctx.call("work")
        await ctx.python("json:loads", 1)
        await ctx.flow(inner)
        async with ctx.saga():
            await ctx.call("work", undo="unwork")

            async def within() -> Any:
                return await ctx.call("work", undo="unwork")

            await ctx.gather(within())
        await ctx.gather(ctx.call("work"))

    run = Driven(pays, flows=[inner])
    while run.open:
        run.ok(run.open[0])
    assert run.result is None
    assert forward(run) == {
        "work": False,
        "pay": False,
        "work#2": True,
        "loads": True,
        "inner.deep": True,
        "work#3": False,
        "gather[0].work": False,
        "work#4": True,
    }
    run.replayed()


def test_the_same_call_is_another_one_after_the_pivot() -> None:
    @durable
    async def pays(ctx: Context) -> Any:
        await ctx.call("work")
        await ctx.call("pay", pivot=True)
        await ctx.call("work")

    for _ in range(2):  # what the first run has linked is there for the second
        run = Driven(pays).ok("work").ok("pay")
        assert forward(run) == {"work": False, "pay": False, "work#2": True}


def test_a_strategy_is_the_flow_s() -> None:
    @flow(durable=True, version="1", strategy="forward")
    async def goes_on(ctx: Context) -> Any:
        await ctx.call("work", undo="unwork")
        await ctx.call("bad")

    run = Driven(goes_on).ok("work").fail("bad")
    assert forward(run) == {"work": True, "bad": True, "work/undo": False}
    assert goes_on.model.strategy == "forward"


def test_a_call_is_at_most_once_in_its_definition() -> None:
    @durable
    async def once(ctx: Context) -> Any:
        await ctx.call("a", at_most_once=True)
        await ctx.python("json:loads", at_most_once=True)
        await ctx.call("a")

    run = Driven(once).ok("a").ok("loads").ok("a#2")
    calls = [leaf.step.definition.at_most_once for leaf in run.leaves.values() if isinstance(leaf, Call)]
    assert calls == [True, True, False]


# What they say of themselves.


def made(**said: Any) -> CodeFlow:
    @flow(**said)
    async def place(ctx: Context) -> None: ...

    return place


def test_the_version_is_a_part_of_the_digest() -> None:
    one, other = made(durable=True, version="1"), made(durable=True, version="2")
    assert one.version != other.version
    assert one.version == made(durable=True, version=1).version
    assert one.model.code.endswith("@1")
    assert made(durable=True, version="1", strategy="forward").version != one.version


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"durable": True}, "a durable flow of code states its version (write @flow(version=1, ...))"),
        ({"strategy": "forward"}, "`strategy: forward` needs a run that can be stored"),
        ({"durable": True, "version": 1, "strategy": "sideways"}, "`strategy` cannot be `sideways`"),
        ({"durable": True, "version": 1, "timeout": "3651d"}, "`timeout` is `3651d`"),
        ({"timeout": "2d"}, "`timeout` is `2d`"),
    ],
)
def test_what_it_cannot_say(said: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        made(**said)
    assert message in str(refusal.value)


def test_a_durable_flow_may_take_years() -> None:
    assert made(durable=True, version=1, timeout="3650d").model.timeout == 3650 * 86_400.0
