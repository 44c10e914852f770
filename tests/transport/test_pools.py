"""Connections to functions: few, kept, and never more than allowed; what finds none waits for a time."""

from __future__ import annotations

import threading
import time

from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request
from tests.support.wire import PATIENCE, Wire


def slowly(exchange: Exchange) -> None:
    exchange.pause(0.02)
    exchange.send(answer(200, exchange.request.body))


def start(gateway: StartGateway, a: FunctionServer, connections: int, **entry: object) -> GatewayProcess:
    return gateway(
        {"one": ["a"], "get": [{"call": "a", "method": "GET"}]},
        functions={"a": {"url": f"http://127.0.0.1:{a.port}", "connections": connections, **entry}},
    )


def ask_many(live: GatewayProcess, count: int) -> list[Wire]:
    return [live.connect().send(request("/orchestrate/one", b'{"n":%d}' % number)) for number in range(count)]


def test_never_more_connections_than_allowed(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    a.does(always=slowly)
    live = start(gateway, a, 2)
    for number, wire in enumerate(ask_many(live, 100)):
        assert wire.answer().json() == {"n": number}
        wire.close()
    assert len(a.requests) == 100
    assert (a.peak, a.accepted) == (2, 2)
    assert live.metric("legato_upstream_connections", state="busy") == 0
    assert live.metric("legato_upstream_connections", state="idle") == 2


def test_the_limit_holds_when_connections_break(gateway: StartGateway, function: StartFunction) -> None:
    def sometimes(exchange: Exchange) -> None:
        exchange.pause(0.005)
        match hash(exchange.request.body) % 4:
            case 0:
                exchange.close()
            case 1:
                exchange.reset()
            case 2:
                exchange.send(answer(200, exchange.request.body))
                exchange.close()
            case _:
                exchange.send(answer(200, exchange.request.body))

    a = function()
    a.does(always=sometimes)
    live = start(gateway, a, 3)
    for _ in range(3):
        for number, wire in enumerate(ask_many(live, 60)):
            came = wire.answer()
            assert (came.status == 200 and came.json() == {"n": number}) or came.status == 502
            wire.close()
    assert a.until(lambda: a.peak <= 4)  # one may be closing while its successor is already there
    a.does()
    for number in range(10):
        assert live.post("one", b"%d" % number).body == b"%d" % number
    assert live.metric("legato_upstream_connections", state="busy") == 0


def test_connections_are_kept_and_used_again(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    live = start(gateway, a, 256)
    for number in range(50):
        assert live.post("one", b"%d" % number).body == b"%d" % number
    assert a.accepted == 1


def test_who_waits_too_long_is_told_503(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    go = threading.Event()
    a.does(always=lambda exchange: (go.wait(PATIENCE), exchange.send(answer()))[0])
    live = start(gateway, a, 1)
    began = time.monotonic()
    with live.connect() as holder, live.connect() as waiter:
        holder.send(request("/orchestrate/one", b"1"))
        a.wait_for(1)
        waiter.send(request("/orchestrate/one", b"2"))
        came = waiter.answer()
        assert 4 < time.monotonic() - began < 8
        assert (came.status, came.json()["outcome"]) == (503, "retryable")
        go.set()
        assert holder.answer().status == 200
    assert [received.body for received in a.requests] == [b"1"]


def test_a_queue_that_is_full_is_told_503_at_once(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    go = threading.Event()
    a.does(always=lambda exchange: (go.wait(PATIENCE), exchange.send(answer()))[0])
    live = start(gateway, a, 1)
    wires = [live.connect().send(request("/orchestrate/one", b"1")) for _ in range(1025)]
    deadline = time.monotonic() + PATIENCE
    while live.metric("legato_runs_active", flow="one") < 1025:
        assert time.monotonic() < deadline
    began = time.monotonic()
    came = live.post("one", b"2")
    assert time.monotonic() - began < 3
    assert (came.status, came.json()["status"]) == (503, 503)
    assert "wait" in came.json()["detail"]
    go.set()
    statuses = [wire.answer().status for wire in wires]
    assert set(statuses) <= {200, 503}
    assert statuses[0] == 200
    for wire in wires:
        wire.close()


def test_a_timeout_in_the_queue_sends_nothing(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    go = threading.Event()
    a.does(lambda exchange: (go.wait(PATIENCE), exchange.send(answer()))[0])
    live = start(gateway, a, 1, timeout="400ms")
    with live.connect() as holder, live.connect() as waiter:
        holder.send(request("/orchestrate/one", b"1"))
        a.wait_for(1)
        time.sleep(0.1)
        waiter.send(request("/orchestrate/get"))
        first, second = holder.answer(), waiter.answer()
        assert (first.status, first.json()["outcome"]) == (502, "unknown")
        assert second.status in (200, 502)  # the connection that the first gave up may have come in time
        assert second.status == 200 or second.json()["outcome"] == "retryable"
        go.set()
    assert live.post("one", b"3").body == b"3"


def test_a_caller_that_leaves_the_queue_is_forgotten(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    go = threading.Event()
    a.does(lambda exchange: (go.wait(PATIENCE), exchange.send(answer()))[0])
    live = start(gateway, a, 1)
    with live.connect() as holder:
        holder.send(request("/orchestrate/one", b"1"))
        a.wait_for(1)
        for _ in range(20):
            live.connect().send(request("/orchestrate/one", b"2")).reset()
        assert live.until_metric(1, "legato_runs_active", flow="one")
        go.set()
        assert holder.answer().status == 200
    assert [received.body for received in a.requests] == [b"1"]


def test_functions_of_one_origin_share_connections(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    url = f"http://127.0.0.1:{a.port}"
    live = gateway({"both": ["x", "y"]}, functions={"x": f"{url}/x", "y": f"{url}/y"})
    for _ in range(5):
        assert live.post("both", b"1").body == b"1"
    assert a.accepted == 1
    assert [received.target for received in a.requests] == ["/x", "/y"] * 5
