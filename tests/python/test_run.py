"""`legato.run`: one flow, without a server, with functions that a test says."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

import legato
from legato import (
    ComeAgain,
    Context,
    DefinitionError,
    Flow,
    LegatoError,
    Refused,
    RunFailed,
    Steps,
    flow,
    run,
    run_sync,
)
from legato.model.payload import Payload
from tests.python.written import from_yaml

ORDER = Flow("order").call("check").call("pay", undo="refund", retry=3).call("ship")


def test_it_gives_the_result() -> None:
    functions = {"check": lambda order: {**order, "total": 10}, "pay": {"paid": True}, "ship": None, "refund": None}
    assert run_sync(ORDER, {"id": 1}, functions=functions) is None
    assert run_sync(Flow("f").call("check"), {"id": 1}, functions=functions) == {"id": 1, "total": 10}


@pytest.mark.parametrize("given", [None, 1, 2.5, "text", [1, None], {"a": {"b": []}}, True, ""])
def test_values_come_as_they_went(given: Any) -> None:
    seen: list[Any] = []

    def echo(value: Any) -> Any:
        seen.append(value)
        return value

    assert run_sync(Flow("f").call("echo"), given, functions={"echo": echo}) == given
    assert seen == [given]


def test_bytes_and_payloads() -> None:
    assert run_sync(Flow("f").call("image"), functions={"image": b"\x89PNG\xff"}) == b"\x89PNG\xff"
    answer = Payload.of(b"text/plain", b"hello")
    assert run_sync(Flow("f").call("a"), functions={"a": lambda _: answer}) == "hello"


def test_functions_may_be_coroutines() -> None:
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return value * 2

    assert run_sync(Flow("f").call("double").call("double"), 2, functions={"double": double}) == 8


def test_every_spelling_of_a_flow() -> None:
    functions = {"a": lambda value: value + 1}
    built = Flow("f").call("a")
    texts = [
        "flow: f\nsteps: [a]\n",
        "# comment\nsteps: [a]\nflow: f\n",
        '{"flow": "f", "steps": ["a"]}',
        "{flow: f, steps: [a]}",
    ]
    for each in (built, built.model, built.definition(), from_yaml("steps: [a]"), *texts):
        assert run_sync(each, 1, functions=functions) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("flow: f\nsteps: [{cal: a}]\n", "unknown kind of step `cal`"),
        ("", "the file is empty"),
        ("just words", "a flow must be a mapping"),
        (3, "int is no flow"),
    ],
)
def test_what_is_no_flow(given: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        run_sync(given)


def test_functions_that_are_not_given() -> None:
    flow = Flow("f").call("pay", undo="refund").call("ship")
    with pytest.raises(DefinitionError) as refusal:
        run_sync(flow, functions={"pay": 1, "shipp": 2})
    assert (
        str(refusal.value) == "the flow calls `refund`, `ship`, for which no function is given (given are pay, shipp)"
    )
    with pytest.raises(DefinitionError, match=r"for which no function is given \(given are none\)"):
        run_sync(flow)


def test_a_failure_says_everything() -> None:
    undone: list[Any] = []
    functions = {"check": {"total": 1}, "pay": {"id": 7}, "ship": Refused("no stock", 409), "refund": undone.append}
    with pytest.raises(RunFailed) as failed:
        run_sync(ORDER, 1, functions=functions)
    error = failed.value
    assert str(error) == "flow order: step ship: no stock (status 502)"
    assert (error.status, error.step, error.function, error.detail) == (502, "ship", "ship", "no stock")
    assert (error.outcome, error.reason, error.undone, error.not_undone) == ("refused", "failed", ["pay"], [])
    assert error.document["upstream"] == {"status": 409, "body": ""}
    assert error.document["run"] == error.run_id
    assert error.failure.outcome.status == 409
    assert undone == [{"sent": {"total": 1}, "result": {"id": 7}}]


def test_what_the_function_answered_is_in_the_failure() -> None:
    answer = Payload.of(b"application/json", b'{"code": 3}')

    def fails(value: Any) -> Any:
        raise Refused("no")

    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").call("a", on_response=lambda seen: 1 / 0), functions={"a": lambda _: answer})
    assert (failed.value.status, failed.value.step, failed.value.body) == (502, "a/response", None)
    assert failed.value.private == "ZeroDivisionError: division by zero"
    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").call("a").on_failure(Steps().set({"sorry": "${error.detail}"})), functions={"a": fails})
    assert failed.value.body == {"sorry": "no"}


def test_retries_and_exceptions() -> None:
    tries: list[int] = []

    def flaky(value: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise ComeAgain("later")
        return len(tries)

    assert run_sync(Flow("f").call("a", retry={"attempts": 3, "backoff": 0}), functions={"a": flaky}) == 3
    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").call("a", retry=2), functions={"a": ValueError("secret")})
    assert failed.value.status == 502
    assert failed.value.detail == "the function raised ValueError"
    assert failed.value.private == "ValueError: secret"
    assert "secret" not in str(failed.value)


def test_a_timeout_ends_the_run() -> None:
    async def hang(value: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").call("a"), functions={"a": hang}, timeout=0.05)
    assert (failed.value.status, failed.value.reason) == (504, "deadline")


def test_flows_within() -> None:
    inner = Flow("inner").modify(lambda value: value + 1)
    outer = Flow("outer").flow(inner).flow("inner").modify(lambda value: value * 10)
    assert run_sync(outer, 1, flows=[inner]) == 30
    with pytest.raises(DefinitionError, match="there is no flow `inner` that can be run"):
        run_sync(outer, 1)


def test_code_of_two_flows_by_one_name() -> None:
    """`a-b` and `a_b` would give their lambdas the same name: nobody shall call the other's."""
    inner, outer = Flow("a-b").modify(lambda value: "inner"), Flow("a_b").modify(lambda value: "outer").flow("a-b")
    with pytest.raises(DefinitionError, match=r"the code `code.a_b:lambda` is another one in another flow"):
        run_sync(outer, flows=[inner])


def test_answering_early_does_not_end_it() -> None:
    done: list[Any] = []
    assert run_sync(Flow("f").respond("soon", status=202).call("a"), 1, functions={"a": done.append}) is None
    assert done == [1]


async def _inside() -> Any:
    with pytest.raises(LegatoError, match=r"there is an event loop already: write `await legato.run\(\.\.\.\)`"):
        run_sync(Flow("f").call("a"), functions={"a": 1})
    return await run(Flow("f").call("a"), functions={"a": 1})


def test_in_an_event_loop() -> None:
    assert asyncio.run(_inside()) == 1


def test_many_at_once() -> None:
    async def main() -> list[Any]:
        flows = [run(Flow("f").sleep(0.001).modify(lambda value: value + 1), n) for n in range(50)]
        return await asyncio.gather(*flows)

    assert asyncio.run(main()) == list(range(1, 51))


def test_nothing_is_left_behind() -> None:
    async def main() -> None:
        before = threading.active_count()
        tasks = asyncio.all_tasks()

        async def slow(value: Any) -> Any:
            await asyncio.sleep(0.001)
            return value

        flow = Flow("f").parallel(a="slow", b=lambda value: value, c=Steps().sleep(0.001))
        await run(flow, 1, functions={"slow": slow})
        with pytest.raises(RunFailed):
            await run(flow, 1, functions={"slow": Refused("no")})
        assert asyncio.all_tasks() == tasks
        assert threading.active_count() == before
        assert not asyncio.get_running_loop()._scheduled or all(  # type: ignore[attr-defined]
            handle.cancelled()
            for handle in asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        )

    asyncio.run(main())
    gc.collect()


def test_who_stops_waiting_cancels_the_run_and_it_undoes() -> None:
    undone: list[Any] = []
    begun = asyncio.Event()

    async def hang(value: Any) -> None:
        begun.set()
        await asyncio.sleep(60)

    async def main() -> None:
        work = asyncio.create_task(
            run(ORDER, 1, functions={"check": 1, "pay": {"id": 1}, "ship": hang, "refund": undone.append})
        )
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())
    assert undone == [{"sent": 1, "result": {"id": 1}}]


def test_the_tasks_of_the_caller_are_none_of_the_flow() -> None:
    """Code that asks asyncio for its task must not get that of whoever waits for the run."""
    seen: list[Any] = []

    @flow
    async def asks(ctx: Context) -> None:
        seen.append(asyncio.current_task())
        await ctx.call("a")
        seen.append(asyncio.current_task())

    run_sync(asks, functions={"a": 1})
    assert seen == [None, None]


def test_what_there_is_to_import() -> None:
    assert set(legato.__all__) <= set(dir(legato))
    for name in legato.__all__:
        assert getattr(legato, name) is not None
    with pytest.raises(AttributeError, match="module 'legato' has no attribute 'Flw'; it has"):
        _ = legato.Flw  # type: ignore[attr-defined]
