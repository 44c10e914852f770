"""Functions that hang, never end, or are not there: bounded in time and bytes, with the right problem document."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess, free_port
from tests.support.texts import answer, of_head, request
from tests.transport.stage import Stage

MIB = 1024 * 1024
CHUNKED = of_head(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")


def hang(exchange: Exchange) -> None:
    exchange.dropped()


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        of_head(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"x"),
        CHUNKED,
        of_head(b"HTTP/1.1 103 Early Hints"),
    ],
)
def test_a_function_that_hangs(start: bytes, live: GatewayProcess, a: FunctionServer) -> None:
    dropped = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.send(start)
        if exchange.dropped():
            dropped.set()

    a.does(script)
    began = time.monotonic()
    came = live.post("short-call", b"1")
    assert 0.25 < time.monotonic() - began < 5
    document = came.json()
    assert (came.status, document["outcome"], document["step"]) == (502, "unknown", "a")
    assert "0.3 s" in document["detail"]
    assert "upstream" not in document
    assert dropped.wait(5), "the connection of a call that timed out is still open"
    assert live.post("one", b"2").body == b"2"


def test_the_deadline_of_the_run(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(hang)
    began = time.monotonic()
    came = live.post("short-run", b"1")
    assert 0.25 < time.monotonic() - began < 5
    assert (came.status, came.json()["status"], came.json()["step"]) == (504, 504, "a")
    assert "deadline" in came.json()["detail"]
    assert live.metric("legato_runs_total", flow="short-run", outcome="deadline") == 1


def test_a_deadline_spans_the_calls(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=lambda exchange: (exchange.pause(0.2), exchange.send(answer()))[0])
    assert live.post("short-run-of-three", b"1").status == 504
    assert len(a.requests) == 2


def test_answers_that_drip_are_bounded_by_the_attempt(live: GatewayProcess, a: FunctionServer) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.send(of_head(b"HTTP/1.1 200 OK", b"Content-Length: 1000"))
        for _ in range(100):
            exchange.stream.socket.sendall(b"x")  # ends this when the gateway has let go
            exchange.pause(0.02)

    a.does(drip)
    began = time.monotonic()
    assert live.post("short-call", b"1").status == 502
    assert time.monotonic() - began < 1.5


@pytest.fixture(scope="module")
def bounded_gateway(shared_gateway: StartGateway, shared_function: FunctionServer) -> GatewayProcess:
    entry = f"http://127.0.0.1:{shared_function.port}"
    return shared_gateway({"one": ["a"]}, functions={"a": entry}, limits={"answer_body": "100KiB"})


@pytest.fixture
def bounded(bounded_gateway: GatewayProcess, shared_function: FunctionServer) -> tuple[GatewayProcess, FunctionServer]:
    shared_function.reset()
    return bounded_gateway, shared_function


def test_an_answer_up_to_the_limit(bounded: tuple[GatewayProcess, FunctionServer]) -> None:
    live, a = bounded
    for size, status in ((100 * 1024, 200), (100 * 1024 + 1, 502), (MIB, 502)):
        body = b"x" * size
        chunks = [body[at : at + 1000] for at in range(0, size, 1000)]
        for data in (
            answer(200, body, b"text/plain"),
            CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n",
        ):
            a.does(data)
            came = live.post("one", b"1")
            assert (came.status, came.body == body) == (status, status == 200)
            assert status == 200 or "larger than 102400 bytes" in came.json()["detail"]
    assert live.post("one", b"2").body == b"2"


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "status line": (b"HTTP/1.1 200 ", b"x" * 1000),
    "header name": (b"HTTP/1.1 200 OK\r\nX", b"x" * 1000),
    "header value": (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100),
    "interim answers": (b"", of_head(b"HTTP/1.1 102 Processing") * 30),
    "interim headers": (b"HTTP/1.1 103 Early Hints\r\n", b"X: y\r\n" * 100),
    "body to the end of the connection": (of_head(b"HTTP/1.1 200 OK"), b"x" * 1000),
    "chunks": (CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    "small chunks": (CHUNKED, b"1\r\nx\r\n" * 200),
    "chunk extension": (CHUNKED + b"1;", b"x" * 1000),
    "chunk size": (CHUNKED, b"0" * 1000),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    "trailer": (CHUNKED + b"0\r\nX: ", b"y" * 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_answers_without_end(name: str, bounded: tuple[GatewayProcess, FunctionServer]) -> None:
    live, a = bounded
    start, more = ENDLESS[name]
    sent = [0]

    def pour(exchange: Exchange) -> None:
        exchange.send(start)
        data = more * 10
        try:
            while sent[0] < 64 * MIB:
                exchange.stream.socket.sendall(data)
                sent[0] += len(data)
        except OSError:
            return

    a.does(pour)
    before = live.memory()
    came = live.post("one", b"1")
    assert (came.status, came.json()["outcome"]) == (502, "unknown")
    assert sent[0] < 48 * MIB, "it was read on and on"
    assert live.memory() - before < 16 * MIB
    assert live.post("one", b"2").body == b"2"


def test_nobody_there(gateway: StartGateway) -> None:
    live = gateway(
        {"refused": ["r"], "unknown": ["u"], "socket": ["s"]},
        functions={
            "r": f"http://127.0.0.1:{free_port()}",
            "u": "http://no-such-host.invalid",
            "s": "http+unix://%2Fnone",
        },
    )
    for flow, function in (("refused", "r"), ("unknown", "u"), ("socket", "s")):
        came = live.post(flow, b"1")
        document = came.json()
        assert (came.status, document["outcome"], document["function"]) == (502, "retryable", function)
        assert "cannot connect" in document["detail"]


def test_a_function_that_closes_each_connection_at_once(gateway: StartGateway, function: StartFunction) -> None:
    def on_accept(connection: socket.socket) -> bool:
        return False

    a = function()
    live = gateway({"one": ["a"]}, functions={"a": {"url": f"http://127.0.0.1:{a.port}", "connections": 2}})
    a.on_accept = on_accept
    for _ in range(60):
        began = time.monotonic()
        assert live.post("one", b"1").status == 502
        assert time.monotonic() - began < 4, "a connection was lost from the pool's count"
    a.on_accept = lambda _: True
    for number in range(5):
        assert live.post("one", b"%d" % number).body == b"%d" % number


def test_a_connection_closed_while_idle_is_passed_over(live: GatewayProcess, a: FunctionServer) -> None:
    for number in range(20):
        a.does(lambda exchange: (exchange.send(answer(200, exchange.request.body)), exchange.close())[0])
        assert live.post("one", b"%d" % number).body == b"%d" % number
        assert a.until(lambda: a.now_open == 0)


def test_a_connection_closed_as_it_is_reused_gives_no_wrong_answer(live: GatewayProcess, a: FunctionServer) -> None:
    """A race that HTTP/1.1 cannot win: a POST is told as unknown, a GET is done again; no answer belongs to another."""

    def close_soon(exchange: Exchange) -> None:
        exchange.send(answer(200, exchange.request.body))
        exchange.close()

    a.does(always=close_soon)
    statuses: list[int] = []
    with live.connect() as wire:
        for number in range(300):
            came = wire.ask(request("/orchestrate/one", b'{"n":%d}' % number))
            statuses.append(came.status)
            assert came.json() == {"n": number} if came.status == 200 else came.json()["outcome"] == "unknown"
    assert statuses.count(200) > 10
    assert len(a.requests) <= 300, "a POST was sent twice"
    assert len([received for received in a.requests if received.body]) >= statuses.count(200)


def test_undo_after_a_failure(stage: Stage) -> None:
    a, b, c = (stage.functions[name] for name in "abc")
    a.does(answer(200, b'{"done":1}'), answer(200, b'{"done":2}'))
    b.does(answer(400, b"no"))
    came = stage.gateway.post("undo", b'{"sent":0}')
    document = came.json()
    assert (came.status, document["step"], document["undone"]) == (502, "b", ["second", "first"])
    assert [received.message.body for received in c.requests] == [
        b'{"sent":{"done":1},"result":{"done":2}}',
        b'{"sent":{"sent":0},"result":{"done":1}}',
    ]
    keys = [received.get(b"idempotency-key").partition(b"/") for received in [*a.requests, *c.requests]]
    assert [path for _, _, path in keys] == [b"first", b"second", b"second/undo", b"first/undo"]
    assert len({root for root, _, _ in keys}) == 1


def test_undo_of_a_call_whose_end_is_unknown(stage: Stage) -> None:
    a, b, c = (stage.functions[name] for name in "abc")
    a.does(answer(200, b'{"done":1}'), lambda exchange: exchange.close())
    c.does(answer(500, b"not now"), lambda exchange: exchange.reset(), answer(409, b"never"), answer(200))
    document = stage.gateway.post("undo", b"0").json()
    assert (document["step"], document["undone"], document["not_undone"]) == ("second", ["first"], ["second"])
    assert [received.message.body for received in c.requests] == [
        *[b'{"sent":{"done":1},"result":null}'] * 3,
        b'{"sent":0,"result":{"done":1}}',
    ]
    assert b.requests == []
