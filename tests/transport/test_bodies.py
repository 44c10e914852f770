"""Bodies of every size, kind and framing, intact both ways."""

from __future__ import annotations

import random

import pytest

from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, chunked, of_head, request

MIB = 1024 * 1024
BINARY = "application/octet-stream"


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("flow", ["one", "two", "pipe", "echo"])
@pytest.mark.parametrize("size", [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, MIB, 10 * MIB])
def test_binary_bodies_arrive_as_they_were_sent(flow: str, size: int, live: GatewayProcess, a: FunctionServer) -> None:
    body = noise(size)
    came = live.ask(request(f"/orchestrate/{flow}", body, content_type=BINARY))
    assert came.status == 200
    if size:
        assert came.body == body
        assert came.get(b"content-type") == BINARY.encode()
    if flow != "echo":
        assert [received.body for received in a.requests] == [body]
        assert not size or a.requests[0].get(b"content-type") == BINARY.encode()


def test_large_answers_to_small_requests_and_the_other_way_round(live: GatewayProcess, a: FunctionServer) -> None:
    body = noise(10 * MIB, 2)
    with live.connect() as wire:
        for _ in range(2):
            a.does(answer(200, body, BINARY.encode()), answer(200, b'"small"'))
            assert wire.ask(request("/orchestrate/one", b"1")).body == body
            assert wire.ask(request("/orchestrate/one", body)).body == b'"small"'


def test_a_large_body_is_joined(live: GatewayProcess) -> None:
    body = b'"' + b"x" * 5 * MIB + b'"'
    assert live.post("join", body).body == b'{"left":' + body + b',"right":' + body + b"}"


@pytest.mark.parametrize("sizes", [[7], [1] * 50, [1000, 1, 65536, 3], [MIB, MIB]])
def test_chunked_bodies(sizes: list[int], live: GatewayProcess, a: FunctionServer) -> None:
    chunks = [noise(size, size) for size in sizes]
    start = (b"POST /orchestrate/one HTTP/1.1", b"Host: x", b"Content-Type: " + BINARY.encode())
    with live.connect() as wire:
        for framing in (b"Transfer-Encoding: chunked", b"TRANSFER-ENCODING:  Chunked"):
            assert wire.ask(of_head(*start, framing, body=chunked(*chunks))).body == b"".join(chunks)
    received = a.requests[0]
    assert (received.body, received.get(b"transfer-encoding")) == (b"".join(chunks), b"")


def test_chunk_extensions_and_trailers_are_passed_over(live: GatewayProcess, a: FunctionServer) -> None:
    start = (b"POST /orchestrate/one HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked", b"Trailer: X-Sum")
    body = b'3;name=value;other="quo;ted"\r\n123\r\n2;x\r\n45\r\n000;last\r\nX-Sum: 15\r\nHost: evil\r\n\r\n'
    with live.connect() as wire:
        for _ in range(2):
            assert wire.ask(of_head(*start, body=body)).body == b"12345"
    assert b"evil" not in a.requests[0].raw
    assert a.requests[0].get(b"x-sum") == b""


def test_a_body_in_many_small_writes(live: GatewayProcess) -> None:
    body = noise(2000)
    for data in (
        request("/orchestrate/one", body, content_type=BINARY),
        of_head(b"POST /orchestrate/one HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked",
                body=chunked(*[body[at : at + 100] for at in range(0, 2000, 100)])),
    ):  # fmt: skip
        with live.connect() as wire:
            wire.send_slowly(data[at : at + 1] for at in range(len(data)))
            assert wire.answer().body == body


@pytest.mark.parametrize("cut", range(1, 105, 8))
def test_a_known_request_in_two_pieces(cut: int, live: GatewayProcess) -> None:
    """Whatever is remembered of a head must not depend on how it was cut."""
    one, two = request(body=b'{"n":1}'), request(body=b'{"n":2}')
    with live.connect() as wire:
        for _ in range(2):
            assert wire.ask(one).json() == {"n": 1}
        wire.send(two[:cut])
        assert wire.is_silent(0.01)
        assert wire.ask(two[cut:]).json() == {"n": 2}
        assert wire.ask(one).json() == {"n": 1}
        wire.send(one + two[:cut])
        assert wire.answer().json() == {"n": 1}
        assert wire.ask(two[cut:]).json() == {"n": 2}


def test_a_known_head_with_another_body_behind_it(live: GatewayProcess) -> None:
    one = request(body=b'{"n":1}')
    with live.connect() as wire, live.connect() as other:
        for _ in range(2):
            assert wire.ask(one).json() == {"n": 1}
        short = one[:-1]
        assert other.send(short).is_silent(0.02)
        assert wire.ask(one).json() == {"n": 1}
        assert other.ask(b"}").json() == {"n": 1}
        wire.send(one + b"GARBAGE\r\n\r\n")
        assert wire.answer().json() == {"n": 1}
        assert wire.last().status == 400


def test_known_heads_do_not_lend_their_fields(live: GatewayProcess, a: FunctionServer) -> None:
    """Requests that differ in one field are different requests, however often one of them has come."""
    keyed = [request("/orchestrate/one", b"1", idempotency_key=key) for key in ("x", "y")]
    with live.connect() as wire:
        for number in (0, 0, 1, 1, 0):
            assert wire.ask(keyed[number]).status == 200
    keys = [received.get(b"idempotency-key") for received in a.requests]
    assert keys[0] == keys[1] == keys[4] != keys[2] == keys[3]


def test_head_is_answered_without_a_body(live: GatewayProcess) -> None:
    with live.connect() as wire:
        for target in ("/orchestrate/one", "/livez", "/orchestrate/nothing"):
            like = wire.ask(request(target, method="POST" if "one" in target else "GET", content_length="0"))
            came = wire.ask(request(target, method="HEAD"), "HEAD")
            assert came.status == like.status
            assert int(came.get(b"content-length")) == len(like.body) > 0
        assert wire.ask(request(body=b"1")).body == b"1"


@pytest.mark.parametrize("fields", [{}, {"connection": "keep-alive"}, {"connection": "close"}])
def test_http_1_0(fields: dict[str, str], live: GatewayProcess) -> None:
    for target in ("/orchestrate/echo", "/livez", "/orchestrate/nothing"):
        with live.connect() as wire:
            wire.send(request(target, version="1.0", **fields))
            assert wire.last().closes
    with live.connect() as wire:
        wire.send(b"POST /orchestrate/echo HTTP/1.0\r\nContent-Length: 1\r\n\r\n7")
        assert wire.last().body == b"7"


def test_connection_close(live: GatewayProcess) -> None:
    for target in ("/orchestrate/echo", "/orchestrate/one", "/livez", "/orchestrate/nothing"):
        for value in ("close", "Close", "x, close"):
            with live.connect() as wire:
                wire.send(request(target, connection=value))
                assert wire.last().closes


def test_no_field_of_a_caller_passes_unless_it_is_named(live: GatewayProcess, a: FunctionServer) -> None:
    fields = {"authorization": "Bearer x", "cookie": "c=1", "x_secret": "s", "te": "trailers",
              "proxy_authorization": "p", "keep_alive": "timeout=5", "forwarded": "for=1.2.3.4",
              "accept_encoding": "gzip"}  # fmt: skip
    live.ask(request("/orchestrate/one", b"1", **fields))
    live.ask(request("/orchestrate/pipe-one", b"1", **fields))
    assert len(a.requests) == 2
    for received in a.requests:
        names = {name for name, _ in received.message.fields}
        assert names == {b"host", b"user-agent", b"accept", b"legato-hops", b"legato-timeout",
                         b"idempotency-key", b"traceparent", b"content-type", b"content-length"}  # fmt: skip


def test_what_a_caller_encoded_stays_encoded(live: GatewayProcess, a: FunctionServer) -> None:
    live.ask(request("/orchestrate/one", noise(100), content_type=BINARY, content_encoding="gzip"))
    live.ask(request("/orchestrate/one", noise(100_000), content_type=BINARY, content_encoding="br"))
    assert [received.get(b"content-encoding") for received in a.requests] == [b"gzip", b"br"]
    assert [received.body for received in a.requests] == [noise(100), noise(100_000)]


def test_fnkit_pipelines_forward_method_path_and_query(live: GatewayProcess, a: FunctionServer) -> None:
    for data, line in {
        request("/orchestrate/pipe-one/x%20y/z?q=%41&r", method="DELETE"): "DELETE /a/x%20y/z?q=%41&r",
        request("/orchestrate/pipe-one?q", method="GET"): "GET /a?q",
        request("/orchestrate/pipe-one/", b"1", method="PUT"): "POST /a/",
        request("/orchestrate/pipe-one//x", b"", method="PATCH"): "PATCH /a//x",
    }.items():
        a.reset()
        assert live.ask(data).status == 200
        assert f"{a.requests[0].method} {a.requests[0].target}" == line
    a.reset()
    assert live.ask(request("/orchestrate/pipe-one", method="HEAD"), "HEAD").status == 200
    assert a.requests[0].method == "HEAD"
