"""Limits on what callers send: bytes and counts, each told apart, each without harm to anybody else."""

from __future__ import annotations

import pytest

from tests.conftest import StartGateway
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import chunked, of_head, request
from tests.support.wire import Answer
from tests.transport.test_malformed_requests import refused

KIB = 1024
CHUNKED = (b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked")
ECHO = {"echo": {"builtin": "echo"}}


def ask(live: GatewayProcess, data: bytes) -> Answer:
    with live.connect() as wire:
        return wire.send_what_is_taken(data).last()


@pytest.mark.parametrize(
    ("url", "status"), [(8 * KIB, 200), (8 * KIB + 1, 414), (16 * KIB, 414), (70 * KIB, 414), (500 * KIB, 414)]
)
def test_the_length_of_the_url(url: int, status: int, live: GatewayProcess) -> None:
    start = "/orchestrate/echo?"
    data = request(start + "q" * (url - len(start)), b"{}")
    with live.connect() as wire:
        answer = wire.send_what_is_taken(data).answer()
    assert answer.status == status
    assert status == 200 or refused(answer, status)


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431), (2000, 431)])
def test_the_number_of_headers(count: int, status: int, live: GatewayProcess) -> None:
    for same in (False, True):  # of one name as well as of many
        lines = [b"X-%d: v" % (0 if same else number) for number in range(count - 2)]
        data = of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Content-Length: 2", *lines, body=b"{}")
        with live.connect() as wire:
            answer = wire.send_what_is_taken(data).answer()
        assert answer.status == status
        assert status == 200 or refused(answer, status)


@pytest.mark.parametrize(("size", "status"), [(63 * KIB, 200), (64 * KIB, 431), (100 * KIB, 431), (2000 * KIB, 431)])
def test_the_bytes_of_headers(size: int, status: int, live: GatewayProcess) -> None:
    for line in (b"X: " + b"v" * size, b"X" * size + b": v"):
        data = of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Content-Length: 2", line, body=b"{}")
        with live.connect() as wire:
            answer = wire.send_what_is_taken(data).answer()
        assert answer.status == status
        assert status == 200 or refused(answer, status)


@pytest.mark.parametrize("endless", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nX", b"\r\n"])
def test_a_head_without_end_is_refused_with_little_memory(endless: bytes, live: GatewayProcess) -> None:
    before = live.memory()
    piece = (b"\r\n" if endless == b"\r\n" else b"x") * 64 * KIB
    with live.connect() as wire:
        wire.send(endless)
        for _ in range(320):
            wire.send_what_is_taken(piece)
        if endless != b"\r\n":
            assert wire.answer().status in (414, 431)
    assert live.memory() - before < 16 * KIB * KIB
    assert live.post("echo").status == 200


def test_many_headers_without_end_are_refused(live: GatewayProcess) -> None:
    with live.connect() as wire:
        wire.send(b"GET /orchestrate/echo HTTP/1.1\r\nHost: x\r\n")
        for _ in range(1000):
            wire.send_what_is_taken(b"x-y: z\r\n" * 1000)
        assert refused(wire.last(), 431)


@pytest.fixture(scope="module")
def small(shared_gateway: StartGateway) -> GatewayProcess:
    limits = {"request_body": "1KiB", "header_bytes": "1KiB", "url": "256B"}
    return shared_gateway({"echo": ["echo"]}, functions=ECHO, limits=limits)


def test_a_declared_body_over_the_limit_is_refused_before_it_comes(small: GatewayProcess) -> None:
    assert small.post("echo", b"x" * KIB, content_type="text/plain").body == b"x" * KIB
    head = request(body=b"x" * (KIB + 1)).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert refused(ask(small, head), 413)
    assert refused(ask(small, head.replace(b"1025", b"18446744073709551615")), 413)
    assert refused(ask(small, head + b"x" * (KIB + 1)), 413)


def test_a_chunked_body_over_the_limit_is_refused(small: GatewayProcess) -> None:
    for chunks in ([b"x" * KIB], [b"x"] * KIB):
        assert small.ask(of_head(*CHUNKED, b"Content-Type: text/plain", body=chunked(*chunks))).body == b"x" * KIB
        assert refused(ask(small, of_head(*CHUNKED, body=chunked(*chunks, b"x"))), 413)
    assert refused(ask(small, of_head(*CHUNKED, body=b"ffffffffffffff\r\n" + b"x" * 4000)), 413)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"2\r\n{}\r\n0\r\n", b"x-trailer: v\r\n"),
        (b"2\r\n{}\r\n0\r\nx: ", b"v"),
        (b"2;", b"e"),
        (b"2;e=", b"v"),
        (b"", b"1;" + b"e" * 500 + b"\r\nx\r\n"),
        (b"", b"0" * 1000),
    ],
)
def test_what_is_around_a_chunked_body_has_limits_too(start: bytes, piece: bytes, small: GatewayProcess) -> None:
    with small.connect() as wire:
        wire.send(of_head(*CHUNKED, body=start))
        for _ in range(20):
            wire.send_what_is_taken(piece * (64 * KIB // len(piece)))
        assert refused(wire.last(), 413)


def test_a_refused_caller_that_goes_on_sending_reads_its_answer(small: GatewayProcess) -> None:
    """Closing with unread bytes would send a reset, which may overtake the answer."""
    for _ in range(5):
        with small.connect() as wire:
            wire.send(request(body=b"x" * 4 * KIB * KIB))
            assert refused(wire.last(), 413)
            assert wire.stream.ending == ""


def test_a_limit_of_nothing_allows_no_body(gateway: StartGateway) -> None:
    none = gateway({"echo": ["echo"]}, functions=ECHO, limits={"request_body": 0})
    assert none.post("echo", None).status == 200
    assert none.post("echo", b"").status == 200
    assert none.post("echo", b"1").status == 413
    assert none.ask(of_head(*CHUNKED, body=b"0\r\n\r\n")).status == 200
    assert none.ask(of_head(*CHUNKED, body=chunked(b"1"))).status == 413
