"""Retries, keys and traces as functions see them (contract 1)."""

from __future__ import annotations

import re
import time

import pytest

from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess, free_port
from tests.support.texts import answer, request

KEY = b"idempotency-key"


def vanish(exchange: Exchange) -> None:
    exchange.close()


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_come_again_is_tried_again(status: int, live: GatewayProcess, a: FunctionServer) -> None:
    a.does(answer(status, b"later"), answer(status, b"later"), answer(200, b'"done"'))
    assert live.post("again", b"1").json() == "done"
    assert [received.body for received in a.requests] == [b"1"] * 3
    a.reset()
    a.does(always=answer(status, b"later", b"text/plain"))
    came = live.post("again", b"1")
    assert (came.status, came.json()["outcome"], came.json()["upstream"]["body"]) == (502, "retryable", "later")
    assert len(a.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_a_definite_no_is_not_tried_again(status: int, live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=answer(status, b"no"))
    for flow in ("again", "again-get", "again-safe"):
        assert live.post(flow, b"1").json()["outcome"] == "refused"
    assert len(a.requests) == 3


@pytest.mark.parametrize("how", [vanish, answer(500, b"broken"), answer(502, b"broken"), b"garbage\r\n\r\n"])
@pytest.mark.parametrize(("flow", "tries"), [("again", 1), ("again-get", 3), ("again-safe", 3), ("one", 1), ("get", 1)])
def test_an_unknown_end_is_tried_again_only_where_that_does_no_harm(
    how: bytes, flow: str, tries: int, live: GatewayProcess, a: FunctionServer
) -> None:
    a.does(always=how)
    came = live.post(flow, b"1")
    assert (came.status, came.json()["outcome"]) == (502, "unknown")
    assert len(a.requests) == tries


@pytest.mark.parametrize("word", ["idempotent", "keyed"])
def test_the_functions_word_counts(word: str, gateway: StartGateway, function: StartFunction) -> None:
    a: FunctionServer = function()
    retry = {"attempts": 3, "backoff": "1ms"}
    entry = {"url": f"http://127.0.0.1:{a.port}", word: True}
    live: GatewayProcess = gateway({"one": [{"call": "a", "retry": retry}]}, functions={"a": entry})
    a.does(vanish, answer(500, b""), answer(200, b'"done"'))
    assert live.post("one", b"1").json() == "done"
    keys = [received.get(KEY) for received in a.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_connection_that_fails_is_tried_again(gateway: StartGateway, function: StartFunction) -> None:
    port = free_port()
    retry = {"attempts": 50, "backoff": "50ms", "max_backoff": "50ms"}
    live: GatewayProcess = gateway(
        {"one": [{"call": "a", "retry": retry}]}, functions={"a": f"http://127.0.0.1:{port}"}
    )
    with live.connect() as wire:
        wire.send(request("/orchestrate/one", b"1"))
        assert wire.is_silent(0.2)
        a: FunctionServer = function(("127.0.0.1", port))
        assert wire.answer().body == b"1"
    assert len(a.requests) == 1


def test_retry_after_is_honoured_and_bounded(gateway: StartGateway, function: StartFunction) -> None:
    a: FunctionServer = function()
    flows = {name: [{"call": "a", "retry": {"attempts": 2, "backoff": "1ms", "max_backoff": limit}}]
             for name, limit in (("long", "10s"), ("short", "100ms"))}  # fmt: skip
    live: GatewayProcess = gateway(flows, functions={"a": f"http://127.0.0.1:{a.port}"})
    for flow, value, least, most in (
        ("long", b"1", 0.95, 6), ("short", b"3600", 0.09, 3), ("short", b"Fri, 31 Dec 2100 23:59:59 GMT", 0.09, 3),
        ("long", b"Fri, 31 Dec 1999 23:59:59 GMT", 0, 3), ("long", b"-1", 0, 3), ("long", b"soon", 0, 3),
        ("short", b"9" * 400, 0.09, 3), ("long", b"Fri, 99 Foo", 0, 3), ("long", b"", 0, 3),
    ):  # fmt: skip
        a.does(answer(503, b"", b"", b"Retry-After: " + value))
        began = time.monotonic()
        assert live.post(flow, b"1").body == b"1", value
        assert least <= time.monotonic() - began < most, value


def test_keys_are_one_per_step_and_run(live: GatewayProcess, a: FunctionServer, b: FunctionServer) -> None:
    a.does(answer(503, b""), answer(503, b""), answer(200, b"1"))
    b.does(answer(503, b""), answer(200, b"1"))
    came = live.post("again-two", b"1")
    run = came.get(b"legato-run")
    assert [received.get(KEY) for received in a.requests] == [run + b"/a"] * 3
    assert [received.get(KEY) for received in b.requests] == [run + b"/b"] * 2
    second = live.post("again-two", b"1").get(b"legato-run")
    assert second != run
    assert a.requests[3].get(KEY) == second + b"/a"


def test_the_callers_key_makes_ours(gateway: StartGateway, function: StartFunction) -> None:
    a: FunctionServer = function()
    live: GatewayProcess = gateway(
        {"one": ["a"], "other": ["a"]}, functions={"a": f"http://127.0.0.1:{a.port}"}, auth={"tokens": ["x", "y"]}
    )

    def key(flow: str, token: str, **fields: str) -> bytes:
        count = len(a.requests)
        assert live.post(flow, b"1", authorization=f"Bearer {token}", **fields).status == 200
        return a.requests[count].get(KEY)

    first = key("one", "x", idempotency_key="k")
    assert first == key("one", "x", idempotency_key="k")
    others = {key("one", "x", idempotency_key="K"), key("one", "y", idempotency_key="k"), key("one", "x"),
              key("other", "x", idempotency_key="k"), key("one", "x", idempotency_key=""), key("one", "x")}  # fmt: skip
    assert len(others) == 6
    assert first not in others
    assert all(re.fullmatch(rb"[0-9a-f-]+/a", one) for one in {first, *others})


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_trace_is_continued(live: GatewayProcess, a: FunctionServer, b: FunctionServer) -> None:
    for flags in ("01", "00"):
        a.reset()
        b.reset()
        came = live.post("two", b"1", traceparent=f"00-{TRACE}-00f067aa0ba902b7-{flags}")
        seen = [server.requests[0].get(b"traceparent") for server in (a, b)]
        pattern = rf"00-{TRACE}-[0-9a-f]{{16}}-{flags}".encode()
        assert all(re.fullmatch(pattern, one) for one in seen)
        assert len({*seen}) == 2
        assert re.fullmatch(pattern, came.get(b"traceparent"))


@pytest.mark.parametrize(
    "bad",
    ["", "nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01",
     f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
     f"00-{TRACE}-00f067aa0ba902b7-01-more",
     f"00-{TRACE}-00f067aa0ba902b7"],
)  # fmt: skip
def test_a_bad_trace_is_replaced(bad: str, live: GatewayProcess, a: FunctionServer) -> None:
    came = live.post("one", b"1", traceparent=bad)
    match = re.fullmatch(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", a.requests[0].get(b"traceparent"))
    assert match
    assert match[1] != TRACE.encode()
    assert match[1] in came.get(b"traceparent")


def test_a_gateway_that_calls_itself_stops(gateway: StartGateway) -> None:
    port = free_port()
    itself = f"http://127.0.0.1:{port}/orchestrate"
    live: GatewayProcess = gateway(
        {"loop": ["loop"], "other": ["loop"]}, listen=f"127.0.0.1:{port}", limits={"hops": 5},
        functions={"loop": f"{itself}/loop"},
    )  # fmt: skip
    came = live.post("loop", b"1")
    assert came.status == 508  # all the way back, and tried again at no turn
    assert live.metric("legato_calls_total", function="loop") == 5
    assert live.metric("legato_calls_total", function="loop", outcome="unknown") == 5
    for hops, status in (("4", 508), ("5", 508), ("6", 508), ("-1", 508), ("x", 508), ("99999", 508), ("", 508)):
        assert live.post("loop", b"1", legato_hops=hops).status == status, hops
