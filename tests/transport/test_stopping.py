"""SIGTERM: what has come is answered, runs end, then the process does."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request
from tests.support.wire import PATIENCE, Wire

ENDED = 0


class Held:
    """A function that answers when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        self.go.wait(PATIENCE)
        exchange.send(answer(200, exchange.request.body))


@pytest.fixture
def a(function: StartFunction) -> FunctionServer:
    return function()


@pytest.fixture
def live(gateway: StartGateway, a: FunctionServer) -> GatewayProcess:
    functions = {"a": f"http://127.0.0.1:{a.port}", "echo": {"builtin": "echo"}}
    return gateway({"one": ["a"], "two": ["a", "a"], "echo": ["echo"]}, functions=functions)


def comes_to_refuse(live: GatewayProcess) -> bool:
    """Whether new connections are refused, at the latest after some time."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            live.connect().close()
        except ConnectionError:
            return True
        time.sleep(0.02)
    return False


def test_an_idle_gateway_stops(live: GatewayProcess) -> None:
    with live.connect() as used, live.connect() as fresh:
        assert used.ask(request(body=b"1")).body == b"1"
        live.terminate()
        assert used.has_ended()
        assert fresh.has_ended()
    assert live.wait() == ENDED


def test_a_request_in_flight_is_answered_and_its_connection_closed(live: GatewayProcess, a: FunctionServer) -> None:
    held = Held()
    a.does(held)
    with live.connect() as busy, live.connect() as idle:
        assert idle.ask(request(body=b"1")).status == 200
        busy.send(request("/orchestrate/two", b'{"n":1}'))
        a.wait_for(1)
        live.terminate()
        assert idle.has_ended()
        assert comes_to_refuse(live)
        held.go.set()
        last = busy.last()
        assert (last.status, last.json(), last.closes) == (200, {"n": 1}, True)
    assert live.wait() == ENDED
    assert len(a.requests) == 2


def test_pipelined_requests_that_have_come_are_answered(live: GatewayProcess, a: FunctionServer) -> None:
    held = Held()
    a.does(held)
    with live.connect() as wire:
        one = request("/orchestrate/one", b'{"n":1}')
        wire.send(one + request("/livez") + request("/orchestrate/one", b'{"n":2}'))
        a.wait_for(1)
        live.terminate()
        assert comes_to_refuse(live)
        held.go.set()
        answers = [wire.answer(), wire.answer(), wire.last()]
        assert [came.status for came in answers] == [200, 200, 200]
        assert [came.closes for came in answers] == [False, False, True]
    assert live.wait() == ENDED


def test_a_request_that_is_half_there_is_read_and_answered(live: GatewayProcess) -> None:
    data = request(body=b'{"n":1}')
    with live.connect() as wire:
        wire.send(data[:-3])
        assert wire.is_silent(0.1)
        live.terminate()
        assert wire.is_silent(0.5)
        last = wire.send(data[-3:]).last()
        assert (last.json(), last.closes) == ({"n": 1}, True)
    assert live.wait() == ENDED


def test_a_run_whose_caller_has_left_is_finished(live: GatewayProcess, a: FunctionServer) -> None:
    held = Held()
    a.does(held)
    wire: Wire = live.connect().send(request("/orchestrate/two", b'{"n":1}'))
    a.wait_for(1)
    wire.reset()
    live.terminate()
    assert comes_to_refuse(live)
    held.go.set()
    assert live.wait() == ENDED
    assert len(a.requests) == 2


def test_patience_ends_with_the_drain_time(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    a.does(always=Held())
    live = gateway({"one": ["a"]}, functions={"a": f"http://127.0.0.1:{a.port}"}, limits={"drain": "1s"})
    with live.connect() as wire:
        wire.send(request("/orchestrate/one", b"1"))
        a.wait_for(1)
        live.terminate()
        assert live.wait(6) == ENDED


def test_a_slow_caller_does_not_keep_it_alive(gateway: StartGateway) -> None:
    live = gateway({"echo": ["echo"]}, functions={"echo": {"builtin": "echo"}}, limits={"drain": "1s"})
    with live.connect() as wire:
        wire.send(request(body=b'{"n":1}')[:-3])
        assert wire.is_silent(0.1)
        live.terminate()
        assert live.wait(6) == ENDED


def test_an_interrupt_stops_it_too(live: GatewayProcess) -> None:
    live.process.send_signal(signal.SIGINT)
    assert live.wait() in (0, 1, 130, -signal.SIGINT)
