"""What functions answer, well-formed and not: delivered once, to the right call, or told as a failure."""

from __future__ import annotations

import itertools
import socket
import threading

import pytest

from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, chunked, of_head, request
from tests.support.wire import PATIENCE

OK = b"HTTP/1.1 200 OK"
TYPE = b"Content-Type: text/plain"

GOOD: dict[str, bytes] = {
    "with its length": answer(200, b"hello", b"text/plain"),
    "201": answer(201, b"hello", b"text/plain"),
    "chunked": of_head(OK, TYPE, b"Transfer-Encoding: chunked", body=chunked(b"he", b"llo")),
    "chunked with extensions and trailers": of_head(
        OK, TYPE, b"Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\nContent-Type: evil\r\nX: y\r\n\r\n"
    ),
    "after a 100": of_head(b"HTTP/1.1 100 Continue") + answer(200, b"hello", b"text/plain"),
    "after three 103": of_head(b"HTTP/1.1 103 Early Hints", b"Content-Type: evil", b"Link: </x>") * 3
    + answer(200, b"hello", b"text/plain"),
    "HTTP/1.0": of_head(b"HTTP/1.0 200 OK", TYPE, b"Content-Length: 5", body=b"hello"),
    "HTTP/1.0 kept alive": of_head(b"HTTP/1.0 200 OK", TYPE, b"Content-Length: 5", b"Connection: keep-alive",
                                   body=b"hello"),
    "connection: close": answer(200, b"hello", b"text/plain", b"Connection: close"),
    "names in odd case": of_head(OK, b"cOnTeNt-TyPe: text/plain", b"CONTENT-LENGTH: 5", body=b"hello"),
    "no blanks after colons": of_head(OK, b"Content-Type:text/plain", b"Content-Length:5", body=b"hello"),
    "no reason": of_head(b"HTTP/1.1 200 ", TYPE, b"Content-Length: 5", body=b"hello"),
    "a reason with eight bits": of_head(b"HTTP/1.1 200 \xfcber", TYPE, b"Content-Length: 5", body=b"hello"),
    "duplicate headers": of_head(OK, b"X: 1", b"Set-Cookie: a", b"Set-Cookie: b", b"X: 2", TYPE, b"Content-Length: 5",
                                 body=b"hello"),
    "identity": of_head(OK, TYPE, b"Content-Encoding: identity", b"Content-Length: 5", body=b"hello"),
}  # fmt: skip

BROKEN: dict[str, bytes] = {
    "garbage": b"\0\1\2 nothing like HTTP\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9\r\n",
    "a request": request(),
    "HTTP/2": b"\0\0\x12\x04\0\0\0\0\0",
    "two lengths": of_head(OK, b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "a negative length": of_head(OK, b"Content-Length: -5", body=b"hello"),
    "length and chunked": of_head(OK, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunked(b"hello")),
    "a bad chunk size": of_head(OK, b"Transfer-Encoding: chunked", body=b"xyz\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than its size": of_head(OK, b"Transfer-Encoding: chunked", body=b"3\r\nhello\r\n0\r\n\r\n"),
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a folded header": of_head(OK, b"X: one", b" two", b"Content-Length: 5", body=b"hello"),
    "NUL in a header": of_head(OK, b"X: a\0b", b"Content-Length: 5", body=b"hello"),
    "a status of two digits": of_head(b"HTTP/1.1 20 OK", b"Content-Length: 5", body=b"hello"),
    "a status of four digits": of_head(b"HTTP/1.1 2000 OK", b"Content-Length: 5", body=b"hello"),
    "101": of_head(b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: x", body=b"bytes"),
    "101 without an upgrade": of_head(b"HTTP/1.1 101 Switching Protocols"),
    "300 headers": answer(200, b"hello", b"text/plain", *(b"X-%d: y" % number for number in range(300))),
}


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("name", GOOD)
def test_good_answers(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=GOOD[name])
    for _ in range(3):
        came = live.post("one")
        assert (came.status, came.get(b"content-type"), came.body) == (200, b"text/plain", b"hello")
        assert came.get(b"x") == came.get(b"set-cookie") == came.get(b"content-encoding") == b""


def test_good_answers_byte_by_byte_on_one_connection(live: GatewayProcess, a: FunctionServer) -> None:
    def slowly(exchange: Exchange) -> None:
        for piece in pieces(next(turn), 1):
            exchange.send(piece)

    turn = iter([*GOOD.values(), *GOOD.values()])
    a.does(always=slowly)
    for _ in range(2 * len(GOOD)):
        assert live.post("one").body == b"hello"
    assert a.peak <= 1 or a.now_open <= 1


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers_are_502_and_their_connection_is_not_used_again(
    name: str, live: GatewayProcess, a: FunctionServer
) -> None:
    a.does(BROKEN[name])
    came = live.post("short-call", b"1")
    document = came.json()
    assert (came.status, document["status"], document["outcome"]) == (502, 502, "unknown"), document
    assert (document["flow"], document["step"], document["function"]) == ("short-call", "a", "a")
    assert "hello" not in came.body.decode().replace("b'hello'", "")
    assert live.post("one", b"2").body == b"2"
    assert [received.connection for received in a.requests] == [1, 2]


@pytest.mark.parametrize("statuses", [(204, b""), (304, b"")])
def test_answers_without_a_body(statuses: tuple[int, bytes], live: GatewayProcess, a: FunctionServer) -> None:
    status, _ = statuses
    for lines in ((), (b"Content-Length: 5",), (b"Transfer-Encoding: chunked",)):
        a.does(of_head(b"HTTP/1.1 %d X" % status, TYPE, *lines))
        came = live.post("one", b"1")
        assert came.status == (200 if status == 204 else 502)
        assert status != 204 or came.json() is None
        assert live.post("one", b"2").body == b"2"
    assert {received.get(b"content-length") for received in a.requests} == {b"1"}


def test_an_empty_answer_is_null(live: GatewayProcess, a: FunctionServer) -> None:
    for data in (answer(200, b""), of_head(OK, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")):
        a.does(data)
        came = live.post("one", b"1")
        assert (came.status, came.get(b"content-type"), came.body) == (200, b"application/json", b"null")


def test_answers_to_head_have_a_length_and_no_body(live: GatewayProcess, a: FunctionServer) -> None:
    for lines in ((b"Content-Length: 5000",), (b"Transfer-Encoding: chunked",), ()):
        a.does(always=of_head(OK, TYPE, *lines))
        for _ in range(3):
            came = live.post("head", b"1")
            assert (came.status, came.body) == (200, b"null")
    assert {received.method for received in a.requests} == {"HEAD"}
    a.does()
    assert live.post("one", b"2").body == b"2"


def test_a_body_that_ends_with_the_connection(live: GatewayProcess, a: FunctionServer) -> None:
    def script(exchange: Exchange) -> None:
        for piece in sent:
            exchange.send(piece)
            exchange.pause(0.01)
        exchange.close()

    for version, body in itertools.product((b"1.1", b"1.0"), (b"", b"hello", b"x" * 1_000_000)):
        sent = [of_head(b"HTTP/%b 200 OK" % version, TYPE), *pieces(body, 300_000)]
        a.does(script)
        came = live.post("one", b"1")
        assert (came.status, came.body) == (200, body or b"null")


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HT",
        OK + b"\r\nContent-Le",
        of_head(OK, b"Content-Length: 5"),
        of_head(OK, b"Content-Length: 5", body=b"hell"),
        of_head(OK, b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"),
        of_head(OK, b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"),
        of_head(b"HTTP/1.1 100 Continue"),
    ],
)
def test_an_answer_cut_short_is_no_answer(how: str, start: bytes, live: GatewayProcess, a: FunctionServer) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(start)
        exchange.pause(0.02)
        getattr(exchange, how)()

    a.does(script)
    came = live.post("one", b"1")
    assert (came.status, came.json()["outcome"]) == (502, "unknown")
    assert b"hell" not in came.body
    assert live.post("one", b"2").body == b"2"


def test_a_reset_is_no_end_of_a_body_that_ends_with_the_connection(live: GatewayProcess, a: FunctionServer) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(of_head(OK, TYPE, body=b"hel"))
        exchange.pause(0.05)
        exchange.reset()

    a.does(script)
    assert live.post("one", b"1").status == 502


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("extra", [answer(200, b'"evil"'), b"H", b"x", b"\0", of_head(b"HTTP/1.1 100 Continue"), OK])
def test_what_follows_an_answer_is_nobodys(known: bool, extra: bytes, live: GatewayProcess, a: FunctionServer) -> None:
    good = answer(200, b'"good"')
    if known:
        a.does(good, good)
        assert [live.post("one", b"0").json() for _ in range(2)] == ["good", "good"]
    before = len(a.requests)
    a.does(good + extra)
    assert live.post("one", b"1").json() == "good"
    for number in range(3):
        assert live.post("one", b"%d" % number).json() == number
    assert a.requests[before].connection < a.requests[before + 1].connection


def test_a_byte_on_an_idle_connection_closes_it(live: GatewayProcess, a: FunctionServer) -> None:
    held: list[Exchange] = []
    for extra in (b"x", answer(200, b'"evil"'), answer(408, b"")):
        a.does(lambda exchange: (held.append(exchange), exchange.send(answer(200, b'"good"')))[0])
        assert live.post("one", b"1").json() == "good"
        held[-1].send(extra)
        assert a.until(lambda: a.now_open == 0)
        assert live.post("one", b"2").body == b"2"


@pytest.mark.parametrize("known", [False, True])
def test_a_known_head_with_another_length_behind_it(known: bool, live: GatewayProcess, a: FunctionServer) -> None:
    """Whatever is remembered of a head says nothing about the bytes that follow."""
    good = answer(200, b'"good"')
    if known:
        a.does(good, good)
        assert [live.post("one", b"0").json() for _ in range(2)] == ["good", "good"]
    a.does(lambda exchange: (exchange.send(good[:-2]), exchange.pause(0.1), exchange.send(good[-2:]))[0])
    assert live.post("one", b"1").json() == "good"
    a.does(lambda exchange: (exchange.send(good[:-2]), exchange.pause(0.05), exchange.close())[0])
    assert live.post("one", b"1").status == 502
    a.does(good + b"x")
    assert live.post("one", b"1").json() == "good"
    assert live.post("one", b"2").body == b"2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int, live: GatewayProcess, a: FunctionServer, b: FunctionServer) -> None:
    a.does(answer(status, b"moved", b"text/plain", b"Location: http://127.0.0.1:%d/b" % b.port))
    came = live.post("one", b"1")
    assert (came.status, came.json()["upstream"]) == (502, {"status": status, "body": "moved"})
    assert (len(a.requests), len(b.requests)) == (1, 0)


@pytest.mark.parametrize("status", [300, 304, 400, 404, 418, 500, 599, 600, 999])
def test_any_status_is_told(status: int, live: GatewayProcess, a: FunctionServer) -> None:
    body = b"" if status == 304 else b"no"
    a.does(always=answer(status, body, b"text/plain"))
    assert live.post("one", b"1").json()["upstream"]["status"] == status
    with live.connect() as wire:
        came = wire.ask(request("/orchestrate/pipe-one", b"1"))
        assert came.status in (status, 502)
        assert came.status == status or not 400 <= status < 600
        assert wire.is_silent(0.02)
        assert wire.ask(request(body=b"2")).body == b"2"


def test_fnkit_pipelines_answer_204_as_it_came(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(of_head(b"HTTP/1.1 204 No Content"))
    with live.connect() as wire:
        came = wire.ask(request("/orchestrate/pipe-one", b"1"))
        assert (came.status, came.message.all(b"content-length")) == (204, [])
        assert wire.ask(request(body=b"2")).body == b"2"


@pytest.mark.parametrize("known", [False, True])
def test_an_answer_before_the_body_is_read(known: bool, live: GatewayProcess, a: FunctionServer) -> None:
    too_much = answer(413, b"too much", b"text/plain")
    if known:
        a.does(too_much, too_much)
        assert [live.post("one", b"1").json()["upstream"]["status"] for _ in range(2)] == [413, 413]
        a.reset()
    answered = threading.Event()

    def small_buffer(connection: socket.socket) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        return True

    def script(exchange: Exchange) -> None:
        exchange.send(too_much)
        answered.wait(PATIENCE)
        exchange.close()

    a.on_accept = small_buffer
    a.does(script, before_body=True)
    came = live.ask(request("/orchestrate/one", b"x" * 10_000_000))
    assert came.json()["upstream"] == {"status": 413, "body": "too much"}
    assert came.json()["outcome"] == "refused"
    a.does()
    assert live.post("one", b"2").body == b"2", "the connection with the rest of the body was used again"
    answered.set()
