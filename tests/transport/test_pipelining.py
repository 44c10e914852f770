"""Many requests on one connection: answered one by one, in order, whoever answers them."""

from __future__ import annotations

import threading

import pytest

from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, chunked, of_head, request
from tests.support.wire import PATIENCE


def slowly(exchange: Exchange) -> None:
    exchange.pause(0.1)
    exchange.send(answer(200, exchange.request.body))


def numbered(number: int, flow: str = "echo") -> bytes:
    return request(f"/orchestrate/{flow}", b'{"n":%d}' % number)


def test_flows_admin_and_refusals_are_answered_in_order(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=slowly)
    kinds = [
        (lambda n: numbered(n, "one"), 200),
        (lambda _: request("/livez"), 200),
        (lambda _: request("/orchestrate/nothing", b"{}"), 404),
        (lambda n: numbered(n, "echo"), 200),
        (lambda _: request("/metrics", method="POST", content_length="0"), 405),
        (lambda _: request("/metrics"), 200),
        (lambda n: of_head(b"POST /orchestrate/one HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked",
                           b"Content-Type: application/json", body=chunked(b'{"n"', b":%d}" % n)), 200),
    ]  # fmt: skip
    order = [0, 1, 3, 0, 2, 4, 6, 5, 1, 1, 2, 2, 3, 3, 0, 0, 6, 2, 0]
    with live.connect() as wire:
        wire.send(b"".join(kinds[kind][0](number) for number, kind in enumerate(order)))
        for number, kind in enumerate(order):
            came = wire.answer()
            assert came.status == kinds[kind][1], f"number {number}: {came}"
            if kind in (0, 3, 6):
                assert came.json() == {"n": number}
            elif kind == 1:
                assert came.json() == {"status": "ok"}
            assert not came.closes
        assert wire.is_silent(0.05)
    assert [received.body for received in a.requests] == [
        b'{"n":%d}' % number for number, kind in enumerate(order) if kind in (0, 6)
    ]


@pytest.mark.parametrize("kind", ["echo", "one", "livez", "404", "mixed"])
def test_a_thousand_requests_in_one_write(kind: str, live: GatewayProcess) -> None:
    kinds = {"echo": numbered(7), "one": numbered(7, "one"), "livez": request("/livez"),
             "404": request("/orchestrate/nothing")}  # fmt: skip
    count = 1000
    wanted = list(kinds.values()) if kind == "mixed" else [kinds[kind]]
    statuses = [404 if b"nothing" in data else 200 for data in wanted]
    with live.connect() as wire:
        wire.send(b"".join(wanted[number % len(wanted)] for number in range(count)))
        for number in range(count):
            assert wire.answer().status == statuses[number % len(wanted)], number
        assert wire.is_silent(0.02)
        assert wire.ask(numbered(8)).json() == {"n": 8}


def test_many_bytes_of_pipelined_requests_are_no_large_head(live: GatewayProcess) -> None:
    """A read that ends within a head holds far more than that head."""
    one = [request(body=b'{"n":%d}' % number, x="v" * 900) for number in range(1000)]
    with live.connect() as wire:
        for start in range(0, 1000, 250):
            wire.send(b"".join(one[start : start + 250]))
            for number in range(start, start + 250):
                came = wire.answer()
                assert (came.status, came.body) == (200, b'{"n":%d}' % number)


def test_a_large_body_before_the_first_half_of_a_head_is_no_large_head(live: GatewayProcess, a: FunctionServer) -> None:
    large = b'"' + b"x" * 150_000 + b'"'
    second = numbered(2)
    a.does(always=slowly)
    for cut in (1, 20, len(second) - 9):
        with live.connect() as wire:
            # While two requests wait, the rest piles up in the socket, to be read at once.
            wire.send(numbered(1, "one") * 2)
            a.wait_for(len(a.requests) or 1)
            wire.send(request(body=large) + second[:cut])
            assert [wire.answer().body for _ in range(3)] == [b'{"n":1}', b'{"n":1}', large]
            assert wire.is_silent(0.02)
            assert wire.ask(second[cut:]).json() == {"n": 2}


def test_a_request_that_is_half_there_waits_for_its_rest(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=slowly)
    second = numbered(2, "one")
    for cut in range(1, len(second), 14):
        with live.connect() as wire:
            wire.send(numbered(1, "one") + second[:cut])
            assert wire.answer().json() == {"n": 1}
            assert wire.ask(second[cut:]).json() == {"n": 2}


def test_nothing_is_answered_after_a_request_that_closes(live: GatewayProcess, a: FunctionServer) -> None:
    for closing in (request("/orchestrate/one", b"1", connection="close"), request("/livez", connection="close")):
        a.reset()
        with live.connect() as wire:
            wire.send(request("/orchestrate/one", b"0") + closing + request("/orchestrate/one", b"2"))
            first = wire.answer()
            assert (first.body, first.closes) == (b"0", False)
            assert wire.last().closes
        assert b"2" not in [received.body for received in a.requests]


def test_only_one_run_of_a_connection_is_active_at_a_time(live: GatewayProcess, a: FunctionServer) -> None:
    """Else later requests would act on what earlier ones have not done yet."""
    a.does(always=slowly)
    with live.connect() as wire:
        wire.send(b"".join(numbered(number, "one") for number in range(5)))
        for number in range(5):
            assert wire.answer().json() == {"n": number}
            assert len(a.requests) <= number + 2
    assert a.peak == 1


def test_connections_do_not_wait_for_each_other(live: GatewayProcess, a: FunctionServer) -> None:
    go = threading.Event()

    def late(exchange: Exchange) -> None:
        go.wait(PATIENCE)
        exchange.send(answer(200, b'"late"'))

    a.does(late)
    with live.connect() as waiting, live.connect() as other:
        waiting.send(numbered(1, "one") + numbered(2, "one"))
        a.wait_for(1)
        for number in range(10):
            assert other.ask(numbered(number, "one")).json() == {"n": number}
        go.set()
        assert waiting.answer().json() == "late"
        assert waiting.answer().json() == {"n": 2}
