"""The built-in functions: echo, fail, slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from legato.connectors.builtin import BuiltinConnector
from legato.model.function import Function
from legato.model.outcome import classify
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.steps import CallStep
from legato.testing import ManualClock, run_in_manual_time
from tests.connectors.test_python import Attempt
from tests.kernel.flows import BINARY, text

CONNECTOR = BuiltinConnector()


def bound(name: Any, **fields: Any) -> Any:
    return CONNECTOR.bind(Function(name="f", builtin=name, **fields), CallStep(function="f"))


def begun(name: str, payload: Payload) -> Attempt:
    attempt = Attempt(payload)
    bound(name).begin(attempt)
    assert attempt.sent
    return attempt


@pytest.mark.parametrize("payload", [EMPTY, BINARY, json_payload({"a": 1}), text("words")])
def test_echo_gives_back_what_it_got(payload: Payload) -> None:
    (outcome,) = begun("echo", payload).outcomes
    assert (outcome.kind, outcome.status) == ("ok", 200)
    assert outcome.payload is payload


@pytest.mark.parametrize(
    ("asked", "status"),
    [(400, 400), (404, 404), (503, 503), (599, 599), (200, 500), (399, 500), (600, 500), (-1, 500), ("404", 500),
     (404.9, 404), (None, 500), (True, 500), ([], 500)],
)  # fmt: skip
def test_fail_answers_with_the_status_it_is_asked_for(asked: object, status: int) -> None:
    (outcome,) = begun("fail", json_payload({"status": asked})).outcomes
    assert (outcome.status, outcome.kind) == (status, classify(status))
    assert outcome.payload.value() == {"error": "the built-in function `fail` was asked to", "status": status}


@pytest.mark.parametrize(
    "body",
    [b"1e999", b"[]", b"{", b"null", b'{"status": 1e308}', b'{"status": 1e999}', b'{"status": -1e308}', b"\xff",
     b'{"status": 99999999999999999999999}', b'{"status": -0.0}'],
)  # fmt: skip
def test_it_never_raises_because_of_data(body: bytes) -> None:
    (outcome,) = begun("fail", Payload.of(b"application/json", body)).outcomes
    assert outcome.status == 500


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(b'{"seconds": 2.5}', 2.5), (b'{"seconds": 0}', 0), (b'{"seconds": -3}', 0), (b'{"seconds": 1e9}', 3600), (b"", 1),
     (b'{"seconds": "x"}', 1), (b'{"seconds": 1e999}', 1), (b"{", 1)],
)  # fmt: skip
def test_slow_echoes_after_a_while(body: bytes, seconds: float) -> None:
    async def main(clock: ManualClock) -> None:
        start = clock.now
        attempt = begun("slow", Payload.of(b"application/json", body))
        assert attempt.outcomes == []
        done = asyncio.Event()
        attempt.settle = lambda outcome: (attempt.outcomes.append(outcome), done.set())  # type: ignore
        await done.wait()
        assert clock.now - start == pytest.approx(seconds, abs=0.001)
        assert attempt.outcomes[0].payload is attempt.payload

    run_in_manual_time(main)


def test_slow_can_be_aborted() -> None:
    async def main(_: ManualClock) -> None:
        attempt = begun("slow", EMPTY)
        bound("slow").abort(attempt)
        await asyncio.sleep(5)
        assert [(o.kind, o.detail) for o in attempt.outcomes] == [("unknown", "aborted")]

    run_in_manual_time(main)


def test_what_the_definition_says() -> None:
    assert bound("echo", timeout=3.0).timeout == 3.0
    step = CallStep(function="f", timeout=1.0, idempotent=True)
    target = CONNECTOR.bind(Function(name="f", builtin="echo", timeout=3.0), step)
    assert (target.timeout, target.safe) == (1.0, True)
    for fields in ({}, {"idempotent": True}, {"keyed": True}):
        assert bound("echo", **fields).safe == bool(fields)
        assert bound("echo", **fields).idempotent(Attempt(EMPTY)) == bool(fields)
    asyncio.run(CONNECTOR.close())


def test_slow_is_stopped_by_an_abort_on_uvloop_too() -> None:
    """uvloop's timer handles are not asyncio's: one that went on would settle the attempt a second time."""

    async def main() -> list[str]:
        attempt = begun("slow", json_payload({"seconds": 0.01}))
        bound("slow").abort(attempt)
        await asyncio.sleep(0.03)
        return [outcome.kind for outcome in attempt.outcomes]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == ["unknown"]
