"""`Expect: 100-continue` and offers to upgrade."""

from __future__ import annotations

import pytest

from tests.conftest import StartGateway
from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, chunked, of_head, request
from tests.transport.test_malformed_requests import refused

EXPECT = b"Expect: 100-continue"


def head(flow: str = "echo", length: int = 7, *more: bytes) -> bytes:
    return of_head(b"POST /orchestrate/%b HTTP/1.1" % flow.encode(), b"Host: x", b"Content-Type: application/json",
                   EXPECT, b"Content-Length: %d" % length, *more)  # fmt: skip


def slowly(exchange: Exchange) -> None:
    exchange.pause(0.3)
    exchange.send(answer(200, exchange.request.body))


def test_the_body_is_asked_for_and_answered(live: GatewayProcess) -> None:
    with live.connect() as wire:
        for number in range(3):
            interim = wire.send(head()).next()
            assert (interim.status, interim.message.fields) == (100, [])
            assert wire.is_silent(0.02)
            assert wire.ask(b'{"n":%d}' % number).json() == {"n": number}
        assert wire.send(head().replace(b"100-continue", b"100-CONTINUE")).next().status == 100
        assert wire.ask(b'{"n":9}').json() == {"n": 9}


def test_a_chunked_body_is_asked_for(live: GatewayProcess) -> None:
    with live.connect() as wire:
        wire.send(of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", EXPECT, b"Transfer-Encoding: chunked"))
        assert wire.next().status == 100
        assert wire.ask(chunked(b"12", b"34")).body == b"1234"


def test_a_caller_that_does_not_wait_is_answered_once(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=slowly)
    with live.connect() as wire:
        assert wire.ask(head("one") + b'{"n":1}').json() == {"n": 1}
        assert wire.is_silent(0.05)
        wire.send(request("/orchestrate/one", b'{"n":2}') + head("one") + b'{"n":3}' + head("one") + b'{"n":4}')
        assert [wire.answer().json() for _ in range(3)] == [{"n": 2}, {"n": 3}, {"n": 4}]
        assert wire.is_silent(0.05), "an interim answer after the last one"


def test_behind_another_request_it_waits_for_its_turn(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=slowly)
    with live.connect() as wire:
        wire.send(request("/orchestrate/one", b'{"n":1}') + head("one"))
        assert wire.next().json() == {"n": 1}
        assert wire.next().status == 100
        assert wire.ask(b'{"n":2}').json() == {"n": 2}


def test_waiting_for_our_own_interim_answer_is_not_slow(gateway: StartGateway) -> None:
    live = gateway({"slow": ["slow"]}, functions={"slow": {"builtin": "slow"}}, limits={"body_time": "300ms"})
    with live.connect() as wire:
        wire.send(request("/orchestrate/slow", b'{"seconds":1}') + head("slow", 13))
        assert wire.next().status == 200
        assert wire.next().status == 100
        assert wire.ask(b'{"seconds":0}').status == 200
        assert wire.send(head("slow", 13)).next().status == 100
        assert refused(wire.last(), 408)


def test_a_refusal_comes_instead_of_the_interim_answer(gateway: StartGateway) -> None:
    live = gateway(
        {"echo": ["echo"]}, functions={"echo": {"builtin": "echo"}}, auth={"tokens": ["secret"]},
        limits={"request_body": "1KiB"},
    )  # fmt: skip
    token = b"Authorization: Bearer secret"
    refusals = {401: head(), 413: head("echo", 5000, token), 404: head("nothing", 7, token),
                417: head("echo", 7, token).replace(b"100-continue", b"101-dalmatians")}  # fmt: skip
    for status, data in refusals.items():
        with live.connect() as wire:
            assert refused(wire.send(data).next(), status)
            assert wire.rest() == b""
        with live.connect() as wire:  # behind another, and with the body following at once
            wire.send(request(body=b"1", authorization="Bearer secret") + data + b'{"n":1}')
            assert wire.next().body == b"1"
            assert refused(wire.last(), status)
    with live.connect() as wire:
        assert wire.send(head("echo", 7, token)).next().status == 100


def test_http_1_0_gets_no_interim_answer(live: GatewayProcess) -> None:
    with live.connect() as wire:
        wire.send(head().replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert wire.is_silent(0.2)
        assert wire.send(b'{"n":1}').next().json() == {"n": 1}


def test_the_admin_routes_are_asked_likewise(live: GatewayProcess) -> None:
    with live.connect() as wire:
        wire.send(of_head(b"POST /livez HTTP/1.1", b"Host: x", EXPECT, b"Content-Length: 2"))
        assert wire.next().status == 100
        assert wire.ask(b"{}").status == 405


UPGRADES = {
    "websocket": [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==",
                  b"Sec-WebSocket-Version: 13"],
    "h2c": [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
}  # fmt: skip


@pytest.mark.parametrize("kind", UPGRADES)
def test_an_upgrade_is_an_offer_that_is_passed_over(kind: str, live: GatewayProcess) -> None:
    for target in ("/orchestrate/echo", "/livez"):
        with live.connect() as wire:
            came = wire.ask(of_head(b"GET %b HTTP/1.1" % target.encode(), b"Host: x", *UPGRADES[kind]))
            assert came.status == 200
            assert came.closes or wire.ask(request(body=b"1")).body == b"1"
        with live.connect() as wire:
            lines = of_head(b"GET %b HTTP/1.1" % target.encode(), b"Host: x", *UPGRADES[kind])
            assert wire.send(lines + lines).answer().status == 200
            wire.rest()


@pytest.mark.parametrize("kind", UPGRADES)
@pytest.mark.parametrize("pieces", [1, 2])
def test_an_upgrade_is_passed_over_with_a_body_too(kind: str, pieces: int, live: GatewayProcess) -> None:
    """Some clients offer HTTP/2 with the first request of every connection."""
    start = (b"POST /orchestrate/echo HTTP/1.1", b"Host: x", *UPGRADES[kind])
    for first, body in (
        (of_head(*start, b"Content-Length: 7"), b'{"n":1}'),
        (of_head(*start, b"Transfer-Encoding: chunked"), chunked(b'{"n"', b":1}")),
    ):
        with live.connect() as wire:
            wire.send(first + body if pieces == 1 else first)
            if pieces == 2:
                assert wire.is_silent(0.05)
                wire.send(body)
            came = wire.answer()
            assert (came.status, came.body) == (200, b'{"n":1}')
            assert came.closes or wire.ask(request(body=b"1")).body == b"1"


def test_an_upgrade_with_a_large_declared_body_is_refused_once(live: GatewayProcess) -> None:
    for lines in UPGRADES.values():
        with live.connect() as wire:
            wire.send(of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", *lines, b"Content-Length: 99999999"))
            assert refused(wire.last(), 413)
        with live.connect() as wire:
            wire.send(of_head(b"POST /orchestrate/nothing HTTP/1.1", b"Host: x", *lines, b"Content-Length: 2",
                              body=b"{}"))  # fmt: skip
            assert wire.last().status == 404
