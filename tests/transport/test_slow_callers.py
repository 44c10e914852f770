"""Callers that take their time: bounded for heads and bodies, free for answers; and nobody waits for them."""

from __future__ import annotations

import time

import pytest

from tests.conftest import StartFunction, StartGateway
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, chunked, of_head, request
from tests.transport.test_malformed_requests import refused

HEAD = b"POST /orchestrate/echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
def strict(shared_gateway: StartGateway) -> GatewayProcess:
    limits = {"header_time": "400ms", "body_time": "400ms", "keep_alive": "600ms"}
    flows = {"echo": ["echo"], "slow": ["slow"]}
    return shared_gateway(flows, functions={"echo": {"builtin": "echo"}, "slow": {"builtin": "slow"}}, limits=limits)


@pytest.mark.parametrize("start", [b"P", b"POST /orchestrate/echo", HEAD, HEAD + b"X: y\r\n", HEAD + b"X"])
def test_a_head_that_stops_is_answered_408(start: bytes, strict: GatewayProcess) -> None:
    with strict.connect() as wire:
        began = time.monotonic()
        assert refused(wire.send(start).last(), 408)
        assert 0.3 < time.monotonic() - began < 5


def test_a_head_in_drops_is_answered_408(strict: GatewayProcess) -> None:
    """Each byte is in time; the head is not."""
    with strict.connect() as wire:
        began = time.monotonic()
        wire.send(HEAD)
        while wire.is_silent(0.05):
            wire.send_what_is_taken(b"X")
            assert time.monotonic() - began < 5
        assert refused(wire.last(), 408)
        assert time.monotonic() - began > 0.3


def test_a_connection_without_a_byte_is_closed(strict: GatewayProcess) -> None:
    for start in (b"", b"\r\n"):
        with strict.connect() as wire:
            assert wire.send(start).has_ended(5)


@pytest.mark.parametrize(
    "start", [HEAD + b"Content-Length: 5\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\n{", CHUNKED, CHUNKED + b"5\r\n{}",
              CHUNKED + b"2\r\n{}\r\n0\r\n", CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n"]
)  # fmt: skip
def test_a_body_that_stops_is_answered_408(start: bytes, strict: GatewayProcess) -> None:
    with strict.connect() as wire:
        assert refused(wire.send(start).last(), 408)


def test_a_body_that_keeps_coming_may_take_longer(strict: GatewayProcess) -> None:
    data = b'"' + b"x" * 10 + b'"'
    with strict.connect() as wire:
        wire.send(HEAD + b"Content-Length: 12\r\n\r\n")
        for at in range(12):
            time.sleep(0.1)
            wire.send(data[at : at + 1])
        assert wire.answer().body == data


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(strict: GatewayProcess) -> None:
    with strict.connect() as wire:
        for _ in range(5):
            assert wire.ask(request(body=b"1")).body == b"1"
            time.sleep(0.3)
        assert wire.ask(request("/orchestrate/slow", b'{"seconds":1.5}')).status == 200
        assert wire.ask(request("/livez")).status == 200
        began = time.monotonic()
        assert wire.has_ended(5)
        assert time.monotonic() - began > 0.3


def test_the_time_in_which_we_do_not_read_is_not_the_callers(strict: GatewayProcess) -> None:
    """Behind a slow flow, a request waits in the socket: not because its caller is slow."""
    slow, echo = request("/orchestrate/slow", b'{"seconds":1.2}'), request(body=b'{"n":1}')
    for cut in (20, len(echo) - 3):
        with strict.connect() as wire:
            wire.send(slow + echo + echo[:cut])
            wire.send(echo[cut:])
            assert [wire.answer().status for _ in range(3)] == [200, 200, 200]


def test_an_answer_may_be_read_slowly(gateway: StartGateway, function: StartFunction) -> None:
    body = b"x" * 24_000_000
    source = function()
    source.does(always=answer(200, body, b"text/plain"))
    limits = {"keep_alive": "500ms", "header_time": "500ms"}
    live = gateway({"one": ["a"]}, functions={"a": f"http://127.0.0.1:{source.port}"}, limits=limits)
    with live.connect() as wire:
        wire.send(request("/orchestrate/one", b"1"))
        head = wire.stream.head()
        while len(wire.stream.buffer) < len(body):
            time.sleep(0.005)
            wire.stream.fill()
        wire.stream.body(head)
        assert head.body == body
    with live.connect() as wire:  # one who does not read at all is let go
        wire.send(request("/orchestrate/one", b"1"))
        source.wait_for(2)
        time.sleep(3)
        assert len(wire.rest()) < len(body)
    assert live.is_idle()


def test_slow_callers_are_in_nobodys_way(strict: GatewayProcess) -> None:
    slow = [strict.connect().send(HEAD) for _ in range(200)]
    for number in range(20):
        assert strict.post("echo", b"%d" % number).body == b"%d" % number
    for wire in slow:
        assert refused(wire.last(), 408)
        wire.close()
    assert strict.ask(of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked",
                              body=chunked(b"1"))).body == b"1"  # fmt: skip
