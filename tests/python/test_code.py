"""Code-first flows on the kernel: what they issue, by which paths, and how they end. Every run is replayed."""

from __future__ import annotations

from typing import Any

import pytest

from legato import ComeAgain, Context, Payload, Refused, StepError, flow
from legato.model.outcome import Outcome
from tests.python.written import Driven, text


@flow
async def order(ctx: Context, given: Any) -> Any:
    """Check, then charge and reserve at once."""
    checked = await ctx.call("check", given)
    payment, stock = await ctx.gather(ctx.call("charge", checked), ctx.call("reserve", checked))
    return {"payment": payment, "stock": stock}


def test_calls_one_after_another_and_at_once() -> None:
    run = Driven(order, {"id": 1})
    assert run.open == ["check"]
    run.ok("check", {"id": 1, "ok": True})
    assert run.open == ["charge", "reserve"]
    run.ok("reserve", "s")
    assert run.open == ["charge"]
    run.ok("charge", "p")
    assert run.result == {"payment": "p", "stock": "s"}
    assert run.sent == {"check": {"id": 1}, "charge": {"id": 1, "ok": True}, "reserve": {"id": 1, "ok": True}}
    assert run.replayed().result == run.result


def test_calls_are_issued_when_they_are_made() -> None:
    @flow
    async def eager(ctx: Context) -> Any:
        first, second = ctx.call("a", 1), ctx.call("b", 2)
        return [await second, await first]

    run = Driven(eager)
    assert run.open == ["a", "b"]
    run.ok("a", "A").ok("b", "B")
    assert run.result == ["B", "A"]
    run.replayed()


def test_paths_say_where_and_the_how_manyth() -> None:
    @flow
    async def paths(ctx: Context) -> None:
        async def branch(n: int) -> None:
            await ctx.call("in")
            await ctx.call("in")
            await ctx.gather(inner(), ctx.call("deep"))

        async def inner() -> None:
            await ctx.call("in", id="named")
            await ctx.foreach("xy", lambda item: ctx.call("each", item))

        await ctx.call("a")
        await ctx.call("a")
        await ctx.call("b", id="a")
        await ctx.sleep(1)
        await ctx.sleep(1, id="pause")
        await ctx.gather(branch(1), branch(2))
        await ctx.gather(inner())
        await ctx.python("tests.python.code:later")

    run = Driven(paths)
    while run.open:
        run.ok(run.open[0])
    assert list(run.leaves) == [
        "a", "a#2", "a#3", "sleep", "pause",
        "gather[0].in", "gather[1].in", "gather[0].in#2", "gather[1].in#2",
        "gather[0].deep", "gather[0].gather[0].named", "gather[1].deep", "gather[1].gather[0].named",
        "gather[0].gather[0].foreach[0].each", "gather[0].gather[0].foreach[1].each",
        "gather[1].gather[0].foreach[0].each", "gather[1].gather[0].foreach[1].each",
        "gather#2[0].named", "gather#2[0].foreach[0].each", "gather#2[0].foreach[1].each", "later",
    ]  # fmt: skip
    run.replayed()


def test_paths_do_not_depend_on_who_comes_first() -> None:
    @flow
    async def racing(ctx: Context) -> Any:
        async def branch(name: str) -> Any:
            await ctx.call(name)
            return await ctx.call("same", name)

        return await ctx.gather(branch("a"), branch("b"))

    one, other = Driven(racing), Driven(racing)
    for run, order_of in ((one, "01"), (other, "10")):
        for n in order_of:
            run.ok(f"gather[{n}].{'ab'[int(n)]}")
        for n in order_of:
            run.ok(f"gather[{n}].same", n)
    assert one.sent == other.sent
    assert one.result == other.result == ["0", "1"]
    one.replayed()
    other.replayed()


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (Payload.of(b"application/json", b'{"a": [1, 2.5]}'), {"a": [1, 2.5]}),
        (text("hello"), "hello"),
        (Payload.of(b"image/png", b"\x89PNG\xff"), b"\x89PNG\xff"),
        (Payload.of(b""), None),
    ],
)
def test_what_a_call_leaves_is_decoded(answer: Payload, seen: Any) -> None:
    got: list[Any] = []

    @flow
    async def looks(ctx: Context) -> None:
        got.append(await ctx.call("a"))
        raw = await ctx.call_raw("b")
        got.append((raw.content_type, raw.body))

    run = Driven(looks).deliver("a", Outcome("ok", answer, 200)).deliver("b", Outcome("ok", answer, 200))
    assert run.result is None
    assert got == [seen, (answer.content_type, answer.body)]


@pytest.mark.parametrize("given", [None, 0, "", [], {"a": None}, "text"])
def test_what_the_flow_gets_and_gives(given: Any) -> None:
    @flow
    async def echo(ctx: Context, value: Any) -> Any:
        return value

    assert Driven(echo, given).result == given


def test_bytes_and_payloads_are_given_as_they_are() -> None:
    @flow
    async def image(ctx: Context) -> bytes:
        return b"\xff"

    @flow
    async def answer(ctx: Context) -> Payload:
        return await ctx.call_raw("a")

    run = Driven(image)
    assert (run.run.result.content_type, run.run.result.body) == (b"application/octet-stream", b"\xff")
    run = Driven(answer).ok("a", 1)
    assert run.run.result.body == b"1"


def test_what_json_cannot_hold_is_a_mistake() -> None:
    @flow
    async def odd(ctx: Context) -> Any:
        return {object()}

    failure = Driven(odd).failure
    assert failure.reason == "mistake"
    assert failure.outcome.detail.startswith("the flow's result: set cannot be written as JSON")


def test_a_value_that_cannot_be_sent_is_a_mistake_in_its_line() -> None:
    @flow
    async def odd(ctx: Context) -> None:
        await ctx.call("a", {object()})

    failure = Driven(odd).failure
    assert failure.reason == "mistake"
    assert "set cannot be written as JSON" in failure.outcome.detail
    assert "test_code.py:" in failure.outcome.detail


def test_failures_are_caught_or_end_the_run() -> None:
    @flow
    async def spares(ctx: Context) -> Any:
        try:
            return await ctx.call("a")
        except StepError as error:
            seen = [error.path, error.function, error.status, error.detail, error.body, error.outcome, error.reason]
        return await ctx.call("b", seen)

    run = Driven(spares).fail("a", "refused", 409, {"why": "sold out"})
    assert run.sent["b"] == ["a", "a", 409, "a said no", {"why": "sold out"}, "refused", "failed"]
    run.fail("b", "unknown", 500)
    assert (run.failure.reason, run.failure.path, run.failure.outcome.status) == ("failed", "b", 500)
    run.replayed()


@pytest.mark.parametrize(
    ("raised", "status", "detail"),
    [
        (Refused("sold out", 409), 409, "sold out"),
        (ComeAgain("later"), 503, "later"),
        (StepError("made up"), 500, "made up"),
    ],
)
def test_code_that_says_no(raised: Exception, status: int, detail: str) -> None:
    @flow
    async def refuses(ctx: Context) -> None:
        await ctx.call("a", undo="b")
        raise raised

    run = Driven(refuses).ok("a")
    assert run.open == ["a/undo"]
    run.ok("a/undo")
    assert (run.failure.reason, run.failure.answer, run.failure.outcome.detail) == ("stated", status, detail)


def test_what_code_raises_is_for_the_log() -> None:
    @flow
    async def breaks(ctx: Context) -> None:
        await ctx.call("a")
        raise ValueError("password: secret")

    failure = Driven(breaks).ok("a").failure
    assert failure.reason == "mistake"
    assert failure.outcome.detail == "the flow's code raised ValueError"
    assert failure.outcome.private.startswith("ValueError: password: secret (test_code.py:")
    assert failure.outcome.private.endswith("breaks)")


@pytest.mark.parametrize("raised", [GeneratorExit(), StopIteration(), StopAsyncIteration(), MemoryError()])
def test_odd_exceptions_end_the_run_and_nothing_else(raised: BaseException) -> None:
    @flow
    async def odd(ctx: Context) -> None:
        await ctx.call("a")
        raise raised

    assert Driven(odd).ok("a").failure.reason == "mistake"


def test_the_same_failure_goes_through() -> None:
    """Raised again, from another, or out of a branch: it is the step that failed."""

    @flow
    async def through(ctx: Context) -> None:
        try:
            await ctx.call("a")
        except StepError:
            await ctx.sleep(1)
            raise

    @flow
    async def branched(ctx: Context) -> None:
        async def branch() -> None:
            await ctx.call("a")

        await ctx.gather(branch(), branch())

    assert Driven(through).fail("a").ok("sleep").failure.path == "a"
    run = Driven(branched).fail("gather[1].a")
    assert run.cancelled == ["gather[0].a"]
    run.settle("gather[0].a")
    assert run.failure.path == "gather[1].a"
    run.replayed()


def test_what_nobody_awaits_is_cancelled_at_the_end() -> None:
    @flow
    async def forgets(ctx: Context) -> str:
        ctx.call("forgotten")
        ctx.sleep(60)
        return await ctx.call("a")

    run = Driven(forgets)
    assert run.open == ["forgotten", "sleep", "a"]
    run.ok("a", "done")
    assert run.cancelled == ["forgotten", "sleep"]
    assert run.run.state == "running"
    run.settle("forgotten").deliver("sleep", Outcome("cancelled"))
    assert run.result == "done"
    run.replayed()


def test_what_was_never_issued_is_not() -> None:
    """An advance that ends the code issues nothing of what it had begun in it."""

    @flow
    async def breaks(ctx: Context) -> None:
        ctx.call("a")
        raise Refused("no")

    run = Driven(breaks)
    assert run.log == ["start -> "]
    assert run.failure.reason == "stated"


def test_a_step_may_be_awaited_twice() -> None:
    @flow
    async def twice(ctx: Context) -> Any:
        step = ctx.call("a")
        failing = ctx.call("b")
        seen = [await step, await step]
        for _ in range(2):
            try:
                await failing
            except StepError as error:
                seen.append(error.detail)
        return seen

    run = Driven(twice).ok("a", [1]).fail("b")
    assert run.result == [[1], [1], "b said no", "b said no"]
    run.replayed()


def test_a_step_of_all_may_be_awaited_in_every_branch() -> None:
    """Whoever waits first, whoever comes later: all are told, and where it fails, of that."""

    @flow
    async def shares(ctx: Context) -> Any:
        first = ctx.call("first")

        async def branch(n: int) -> Any:
            if n == 2:
                await ctx.call("slow")
            return [n, await first]

        async def spared(n: int) -> Any:
            try:
                return await branch(n)
            except StepError:
                return "spared"

        return await ctx.gather(first, spared(0), spared(1), spared(2), ctx.gather(first, spared(3)))

    run = Driven(shares).ok("first", "x")
    run.ok("gather[3].slow")
    assert run.result == ["x", [0, "x"], [1, "x"], [2, "x"], ["x", [3, "x"]]]
    run.replayed()


def test_a_cancelled_run_ends_everybody_who_waits_for_one_step() -> None:
    @flow
    async def shares(ctx: Context) -> Any:
        first = ctx.call("first")

        async def branch() -> Any:
            return await first

        return await ctx.gather(branch(), branch())

    run = Driven(shares).cancel("deadline")
    assert run.cancelled == ["first"]
    run.settle("first")
    assert run.failure.reason == "deadline"
    run.replayed()


def test_a_cancelled_run_tells_its_code_once() -> None:
    told: list[str] = []

    @flow
    async def tidy(ctx: Context) -> None:
        try:
            await ctx.call("a", undo="b")
        except BaseException as error:
            told.append(type(error).__name__)
            raise
        finally:
            try:
                await ctx.call("late")
            except BaseException as error:
                told.append(type(error).__name__)

    run = Driven(tidy).cancel()
    run.deliver("a", Outcome("unknown"))
    assert told == ["Cancelled", "Cancelled"]
    assert "late" not in run.leaves
    assert run.open == ["a/undo"]
    run.ok("a/undo")
    assert run.failure.reason == "cancelled"
    run.replayed()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's own word about such code
def test_code_that_does_not_want_to_end_is_ended() -> None:
    @flow
    async def stubborn(ctx: Context) -> None:
        while True:
            try:
                await ctx.call("a")
            except BaseException:
                continue

    run = Driven(stubborn).cancel()
    run.settle("a")
    assert run.failure.reason == "cancelled"


def test_an_answer_that_is_there_counts_in_spite_of_a_cancel() -> None:
    @flow
    async def books(ctx: Context) -> None:
        await ctx.call("a", undo="b")

    run = Driven(books).cancel().ok("a", 1)
    assert run.sent["a/undo"] == {"sent": None, "result": 1}
    run.ok("a/undo")
    assert run.failure.undo == [("a/undo", True)]


def test_pauses() -> None:
    @flow
    async def pauses(ctx: Context) -> str:
        assert await ctx.sleep("150ms") is None
        await ctx.sleep(2)
        return "awake"

    run = Driven(pauses)
    assert run.run.open_leaves
    seconds = []
    for path in ("sleep", "sleep#2"):
        seconds.append(run.leaves[path].seconds)  # type: ignore[union-attr]
        run.ok(path)
    assert seconds == [0.15, 2.0]
    assert run.result == "awake"


def test_answering_before_the_end() -> None:
    @flow
    async def answers(ctx: Context) -> str:
        ctx.respond({"id": 1}, 202, {"X-Id": "1"})
        await ctx.call("a")
        ctx.respond("again")
        return "never"

    run = Driven(answers)
    assert run.log == ["start -> respond 202, a"]
    (answer,) = run.responded
    assert (answer.payload.body, answer.status, answer.headers) == (b'{"id":1}', 202, b"x-id: 1\r\n")
    run.ok("a")
    assert run.failure.reason == "mistake"
    assert "the caller has been answered already" in run.failure.outcome.detail


def test_values_that_are_shared() -> None:
    @flow
    async def shares(ctx: Context) -> Any:
        ctx.shared.set("a", {"n": 1})
        ctx.shared.set("b", 2)
        await ctx.call("x")
        ctx.shared.delete("b")
        return [ctx.shared.get("a"), ctx.shared.get("b"), ctx.shared.get("c", "none"), ctx.shared.get("by-x")]

    shared = Outcome("ok", Payload.of(b""), 200, shared={"by-x": b"3"})
    assert Driven(shares).deliver("x", shared).result == [{"n": 1}, None, "none", 3]


def test_too_much_is_not_shared() -> None:
    @flow
    async def shares(ctx: Context) -> None:
        for n in range(300):
            ctx.shared.set(str(n), n)

    failure = Driven(shares).failure
    assert failure.reason == "mistake"
    assert "more than 256 values or 1048576 bytes are shared in this run: delete some" in failure.outcome.detail


def test_what_the_code_knows_of_its_run() -> None:
    @flow(name="knowing")
    async def knows(ctx: Context, value: Any) -> Any:
        return [ctx.run_id, ctx.flow_name, ctx.payload.body.decode(), ctx.request, repr(ctx)]

    assert Driven(knows, 1).result == ["run-1", "knowing", "1", {}, "Context('knowing', run='run-1')"]


def test_other_python_control_flow() -> None:
    """Loops, generators, context managers, exceptions: whatever the code does between its steps."""

    @flow
    async def pages(ctx: Context) -> Any:
        async def every() -> Any:
            cursor = None
            while True:
                page = await ctx.call("page", cursor)
                for item in page["items"]:
                    yield item
                cursor = page["next"]
                if cursor is None:
                    return

        return [item async for item in every()]

    run = Driven(pages)
    run.ok("page", {"items": [1, 2], "next": "x"}).ok("page#2", {"items": [3], "next": None})
    assert run.result == [1, 2, 3]
    assert run.sent["page#2"] == "x"
    run.replayed()


def test_code_is_called_as_a_part_of_other_code() -> None:
    @flow
    async def part(ctx: Context, value: Any) -> Any:
        return await ctx.call("a", value)

    @flow
    async def whole(ctx: Context) -> Any:
        return [await part(ctx, 1), await part(ctx, 2)]

    assert Driven(whole).ok("a", "x").ok("a#2", "y").result == ["x", "y"]
