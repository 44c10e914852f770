"""Functions that are Python code: values in, answers out, exceptions as outcomes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from legato.connectors.python import PythonConnector
from legato.connectors.python_code import load_code
from legato.errors import DefinitionError
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.steps import CallStep
from tests.connectors import shop

HERE = "tests.connectors.shop"


class Attempt:
    """What the host would be."""

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self.sent = False
        self.handle: object = None
        self.identity = b""
        self.caller: Any = None
        self.outcomes: list[Outcome] = []

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def function(code: str, **fields: Any) -> Function:
    return Function(name="f", python=f"{HERE}:{code}", **fields)


def outcome_of(code: str, value: object, payload: Payload | None = None) -> Outcome:
    async def main() -> Outcome:
        connector = PythonConnector()
        target = connector.bind(function(code), CallStep(function="f"))
        attempt = Attempt(json_payload(value) if payload is None else payload)
        target.begin(attempt)
        async with asyncio.timeout(5):
            while not attempt.outcomes:  # noqa: ASYNC110 - the port has a callback and nothing to wait for
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        await connector.close()
        assert len(attempt.outcomes) == 1
        return attempt.outcomes[0]

    return asyncio.run(main())


def test_plain_code_runs_in_a_thread_and_a_coroutine_on_the_loop() -> None:
    thread = outcome_of("price", {"amount": 4})
    loop = outcome_of("price_soon", {"amount": 4})
    assert (thread.kind, thread.status, loop.kind, loop.status) == ("ok", 200, "ok", 200)
    in_thread: Any = thread.payload.value()
    on_loop: Any = loop.payload.value()
    assert in_thread["total"] == on_loop["total"] == 8
    assert in_thread["thread"].startswith("legato-function")
    assert on_loop["thread"] == "MainThread"


@pytest.mark.parametrize(
    ("what", "content_type", "body"),
    [
        ("none", b"", b""),
        ("bytes", b"application/octet-stream", b"\x00\xff"),
        ("payload", b"text/csv", b"a,b"),
        ("text", b"application/json", b'"words"'),
        ("list", b"application/json", b"[1,null]"),
    ],
)
def test_answers(what: str, content_type: bytes, body: bytes) -> None:
    outcome = outcome_of("give", what)
    assert outcome.kind == "ok"
    assert (outcome.payload.content_type, outcome.payload.body) == (content_type, body)
    assert outcome.payload.size == len(body)


def test_an_answer_that_json_cannot_hold_is_unknown_because_the_work_was_done() -> None:
    outcome = outcome_of("give", "object")
    assert outcome.kind == "unknown"
    assert "object cannot be written as JSON" in outcome.detail


@pytest.mark.parametrize("code", ["fail", "fail_soon"])
def test_exceptions(code: str) -> None:
    refused = outcome_of(code, "refused")
    assert (refused.kind, refused.status, refused.detail) == ("refused", 404, "no such order")
    again = outcome_of(code, "again")
    assert (again.kind, again.status, again.detail, again.retry_after) == ("retryable", 503, "busy", 2.5)
    other = outcome_of(code, "x")
    assert (other.kind, other.status, other.detail) == ("unknown", 500, "the function raised KeyError")
    assert other.private == "KeyError: 'x'"  # what an exception says may be meant for nobody outside


def test_a_function_that_runs_out_of_an_iterator_does_not_hang() -> None:
    # asyncio cannot put a StopIteration into a future: the call would wait for its timeout.
    outcome = outcome_of("fail", "stop")
    assert outcome.kind == "unknown"
    assert "StopIteration" in outcome.detail


def test_a_function_that_cancels_itself() -> None:
    outcome = outcome_of("cancel_itself", None)
    assert (outcome.kind, outcome.detail) == ("unknown", "the function was cancelled")


@pytest.mark.parametrize("body", [b"{", b"1e999"])
def test_what_cannot_be_decoded_is_refused_before_the_code_runs(body: bytes) -> None:
    outcome = outcome_of("hang", None, Payload.of(b"application/json", body))
    assert (outcome.kind, outcome.status) == ("refused", 415)
    assert outcome_of("give", None, Payload.of(b"text/plain", b"text")).payload.value() == "words"
    assert outcome_of("hang", None, Payload.of(b"image/png", b"\xff")).status == 415


def test_abort_cancels_a_coroutine_and_settles_at_once() -> None:
    async def main() -> None:
        connector = PythonConnector()
        target = connector.bind(function("hang"), CallStep(function="f"))
        attempt = Attempt(json_payload("x"))
        shop.seen.clear()
        target.begin(attempt)
        assert attempt.sent
        await asyncio.sleep(0.01)
        target.abort(attempt)
        assert [(o.kind, o.detail) for o in attempt.outcomes] == [("unknown", "aborted")]
        target.begin(attempt)  # the next attempt reuses the object, and the first must not settle it
        await asyncio.sleep(0.01)
        assert len(attempt.outcomes) == 1
        assert shop.seen == ["x", "cancelled", "x"]
        target.abort(attempt)
        await asyncio.sleep(0.01)
        assert len(attempt.outcomes) == 2
        await connector.close()

    asyncio.run(main())


def test_abort_of_a_thread_does_not_wait_for_it() -> None:
    async def main() -> None:
        connector = PythonConnector()
        target = connector.bind(function("sleep"), CallStep(function="f"))
        attempt = Attempt(json_payload(0.3))
        target.begin(attempt)
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        target.abort(attempt)
        await connector.close()
        assert time.perf_counter() - started < 0.2
        await asyncio.sleep(0.4)
        assert [o.detail for o in attempt.outcomes] == ["aborted"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "step", "safe"),
    [({}, {}, False), ({"idempotent": True}, {}, True), ({"keyed": True}, {}, True), ({}, {"idempotent": True}, True),
     ({}, {"method": "PUT"}, False)],
)  # fmt: skip
def test_whether_it_may_be_repeated(fields: dict[str, Any], step: dict[str, Any], safe: bool) -> None:
    target = PythonConnector().bind(function("price", **fields), CallStep(function="f", **step))
    assert target.safe == safe
    assert target.idempotent(Attempt(EMPTY)) == safe


def test_whose_timeout_counts() -> None:
    connector = PythonConnector()
    assert connector.bind(function("price", timeout=3.0), CallStep(function="f")).timeout == 3.0
    assert connector.bind(function("price", timeout=3.0), CallStep(function="f", timeout=1.5)).timeout == 1.5


def test_dotted_names_are_found() -> None:
    assert load_code(function("Inner.double")).function(4) == 8


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (f"{HERE}:missing", "missing"),
        (f"{HERE}:Inner.missing", "missing"),
        (f"{HERE}:NOT_CALLABLE", "is a int, which cannot be called"),
        ("tests.connectors.nowhere:f", "cannot import tests.connectors.nowhere: ModuleNotFoundError"),
        ("tests.connectors.broken:f", "cannot import tests.connectors.broken: SystemExit: 3"),
        ("no_colon", "cannot import no_colon"),
        (f"{HERE}:", "function f"),
    ],
)
def test_code_that_is_not_there_is_told_at_load(python: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=r"function f: python: ") as told:
        load_code(Function(name="f", python=python))
    assert message in str(told.value)
