"""Hedges, breakers and concurrency limits over the running gateway, with functions that hang and fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import StartGateway
from tests.support.function_server import Exchange, FunctionServer, functions
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request

FLOWS: dict[str, object] = {
    "hedged": [{"call": "slow", "hedge": {"delay": "100ms", "attempts": 3}, "idempotent": True}],
    "hedged-get": [{"call": "slow", "method": "GET", "hedge": "100ms"}],
    "broken": ["failing"],
    "broken-too": [{"call": "failing", "id": "other"}],
    "one-by-one": ["narrow"],
    "one-by-one-too": [{"call": "narrow", "id": "other"}],
    "impatient": [{"call": "narrow", "timeout": "200ms"}],
}
POLICIES = {
    "slow": {"timeout": "5s"},
    "failing": {"timeout": "300ms", "breaker": {"failures": 3, "within": "30s", "open": "700ms"}},
    "narrow": {"timeout": "10s", "concurrency": 1},
}

Running = tuple[GatewayProcess, dict[str, FunctionServer]]


@pytest.fixture(scope="module")
def running(shared_gateway: StartGateway) -> Iterator[Running]:
    with functions(*POLICIES) as servers:
        entries = {
            name: {"url": f"http://127.0.0.1:{server.port}/{name}", **POLICIES[name]}
            for name, server in servers.items()
        }
        yield shared_gateway(FLOWS, functions=entries), servers


@pytest.fixture
def live(running: Running) -> Iterator[GatewayProcess]:
    yield running[0]
    assert running[0].is_idle(), "a run has not ended"
    running[0].check_errors()
    for server in running[1].values():
        server.reset()


@pytest.fixture
def slow(running: Running) -> FunctionServer:
    return running[1]["slow"]


@pytest.fixture
def failing(running: Running) -> FunctionServer:
    return running[1]["failing"]


@pytest.fixture
def narrow(running: Running) -> FunctionServer:
    return running[1]["narrow"]


@pytest.mark.parametrize("flow", ["hedged", "hedged-get"])
def test_a_call_that_hangs_is_started_beside_itself(flow: str, live: GatewayProcess, slow: FunctionServer) -> None:
    dropped = threading.Event()

    def hang(exchange: Exchange) -> None:
        if exchange.dropped():
            dropped.set()

    slow.does(hang, answer(200, b'"second"'))
    began = time.monotonic()
    assert live.post(flow, b"1").json() == "second"
    assert 0.09 < time.monotonic() - began < 3
    assert len({received.get(b"idempotency-key") for received in slow.wait_for(2)}) == 1
    assert len({received.connection for received in slow.requests}) == 2
    assert dropped.wait(5), "the connection of the call that lost is still open"


def test_a_hedge_that_all_lose(live: GatewayProcess, slow: FunctionServer) -> None:
    def fail_later(exchange: Exchange) -> None:
        exchange.pause(0.4)
        exchange.send(answer(500, b"down"))

    slow.does(always=fail_later)
    came = live.post("hedged", b"1").json()
    assert (came["status"], came["outcome"], came["upstream"]) == (502, "unknown", {"status": 500, "body": "down"})
    assert len(slow.requests) == 3


def test_a_hedge_of_what_must_not_be_repeated_is_told(gateway: StartGateway, slow: FunctionServer) -> None:
    live = gateway({"x": [{"call": "a", "hedge": "1s"}]}, functions={"a": f"http://127.0.0.1:{slow.port}"})
    came = live.post("x", b"1")
    assert came.status == 503
    assert "function a: `hedge` starts a call a second time" in came.json()["errors"][0]["detail"]


def test_a_breaker_opens_and_closes(live: GatewayProcess, failing: FunctionServer) -> None:
    failing.does(answer(500, b""), lambda exchange: exchange.close(), lambda exchange: exchange.dropped())
    for _ in range(3):
        assert live.post("broken", b"1").status == 502
    for flow, step in (("broken", "failing"), ("broken-too", "other")):
        came = live.post(flow, b"1")
        document = came.json()
        assert (came.status, document["step"], document["outcome"]) == (503, step, "retryable")
        assert "the breaker of failing is open: its last calls failed; it is tried again in 0." in document["detail"]
    assert len(failing.requests) == 3
    assert live.metric("legato_breaker_open", function="failing") == 1
    time.sleep(0.75)
    assert live.post("broken-too", b"1").body == b"1"
    assert live.metric("legato_breaker_open", function="failing") == 0
    assert live.post("broken", b"1").body == b"1"
    assert len(failing.requests) == 5


def test_callers_cannot_have_a_breaker_opened_by_impatience(live: GatewayProcess, failing: FunctionServer) -> None:
    failing.does(always=lambda exchange: (exchange.pause(0.1), exchange.send(answer(200, b"1")))[0])
    for _ in range(5):
        assert live.post("broken", b"1", legato_timeout="0.02").status == 504
    assert live.post("broken", b"1").status == 200


def test_calls_of_a_narrow_function_go_one_by_one(live: GatewayProcess, narrow: FunctionServer) -> None:
    at_once: list[int] = []
    busy = threading.Semaphore(1)

    def serve(exchange: Exchange) -> None:
        at_once.append(0 if busy.acquire(blocking=False) else 1)
        exchange.pause(0.02)
        busy.release()
        exchange.send(answer(200, exchange.request.body))

    narrow.does(always=serve)
    with ExitStack() as stack:
        wires = [stack.enter_context(live.connect()) for _ in range(12)]
        for number, wire in enumerate(wires):
            flow = "one-by-one" if number % 2 else "one-by-one-too"
            wire.send(request(f"/orchestrate/{flow}", b"%d" % number))
            assert narrow.until(lambda: bool(narrow.requests))
        assert [wire.answer().body for wire in wires] == [b"%d" % number for number in range(12)]
    assert at_once == [0] * 12


def test_a_wait_in_line_is_within_the_time_of_the_attempt(live: GatewayProcess, narrow: FunctionServer) -> None:
    release = threading.Event()

    def hold(exchange: Exchange) -> None:
        release.wait(8)
        exchange.send(answer(200, b'"held"'))

    narrow.does(hold)
    with live.connect() as wire:
        wire.send(request("/orchestrate/one-by-one", b"1"))
        narrow.wait_for(1)
        came = live.post("impatient", b"2")
        document = came.json()
        assert (came.status, document["outcome"]) == (503, "retryable")
        assert document["detail"] == "step narrow: no answer within 0.2 s: withdrawn while it waited for a place"
        release.set()
        assert wire.answer().body == b'"held"'
    assert live.post("one-by-one", b"3").body == b"3"
    assert [received.body for received in narrow.requests] == [b"1", b"3"]


def test_a_caller_that_leaves_the_line_leaves_no_gap(live: GatewayProcess, narrow: FunctionServer) -> None:
    release = threading.Event()

    def hold(exchange: Exchange) -> None:
        release.wait(8)
        exchange.send(answer(200, b"1"))

    narrow.does(hold)
    with live.connect() as first, live.connect() as third:
        first.send(request("/orchestrate/one-by-one", b"1"))
        narrow.wait_for(1)
        with live.connect() as second:
            second.send(request("/orchestrate/one-by-one", b"2"))
            assert live.until_metric(2, "legato_runs_active", flow="one-by-one")
            third.send(request("/orchestrate/one-by-one", b"3"))
            assert live.until_metric(3, "legato_runs_active", flow="one-by-one")
            second.reset()
        assert live.until_metric(2, "legato_runs_active", flow="one-by-one")
        release.set()
        assert (first.answer().body, third.answer().body) == (b"1", b"3")
    assert [received.body for received in narrow.requests] == [b"1", b"3"]
