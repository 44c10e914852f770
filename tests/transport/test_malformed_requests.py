"""What is not HTTP/1.1, or is it twice: refused with a problem document, and the connection closed."""

from __future__ import annotations

import pytest

from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import JSON, of_head, request
from tests.support.wire import Answer

POST = b"POST /orchestrate/one HTTP/1.1"
HOST = b"Host: gateway"
SMUGGLED = b"GET /orchestrate/one HTTP/1.1\r\nHost: smuggled\r\n\r\n"

MALFORMED: dict[str, bytes] = {
    "length and chunked": of_head(POST, HOST, b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked and length": of_head(POST, HOST, b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"0\r\n\r\n"),
    "two lengths": of_head(POST, HOST, b"Content-Length: 2", b"Content-Length: 4", body=b"{}{}"),
    "the same length twice": of_head(POST, HOST, b"Content-Length: 2", b"Content-Length: 2", body=b"{}"),
    "a list of lengths": of_head(POST, HOST, b"Content-Length: 2, 2", body=b"{}"),
    "a signed length": of_head(POST, HOST, b"Content-Length: +2", body=b"{}"),
    "a negative length": of_head(POST, HOST, b"Content-Length: -2", body=b"{}"),
    "a length in hexadecimal": of_head(POST, HOST, b"Content-Length: 0x2", body=b"{}"),
    "a length with an underscore": of_head(POST, HOST, b"Content-Length: 1_0", body=b"0123456789"),
    "a length with a blank inside": of_head(POST, HOST, b"Content-Length: 1 0", body=b"0123456789"),
    "an empty length": of_head(POST, HOST, b"Content-Length: ", body=b"{}"),
    "a length beyond 64 bits": of_head(POST, HOST, b"Content-Length: 99999999999999999999999", body=b"{}"),
    "blank before the colon": of_head(POST, HOST, b"Content-Length : 2", body=b"{}"),
    "chunked is not last": of_head(POST, HOST, b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "an unknown transfer encoding": of_head(POST, HOST, b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a chunk size of letters": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "a signed chunk size": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size with 0x": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"0x2\r\n{}\r\n0\r\n\r\n"),
    "no chunk size": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": of_head(
        POST, HOST, b"Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n"
    ),
    "a chunk longer than its size": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"1\r\n{}\r\n0\r\n\r\n"),
    "chunk ended by a bare LF": of_head(POST, HOST, b"Transfer-Encoding: chunked", body=b"2\n{}\n0\n\n"),
    "a folded field": of_head(POST, HOST, b"X-Folded: one", b" two", b"Content-Length: 0"),
    "a folded length": of_head(POST, HOST, b"Content-Length:", b" 2", body=b"{}"),
    "NUL in a value": of_head(POST, HOST, b"X-Nul: a\0b", b"Content-Length: 0"),
    "NUL in a name": of_head(POST, HOST, b"X\0Nul: ab", b"Content-Length: 0"),
    "a CR in a value": of_head(POST, HOST, b"X-CR: a\rb", b"Content-Length: 0"),
    "a name with a blank": of_head(POST, HOST, b"X Y: a", b"Content-Length: 0"),
    "no name": of_head(POST, HOST, b": a", b"Content-Length: 0"),
    "no colon": of_head(POST, HOST, b"nothing", b"Content-Length: 0"),
    "a blank before the first field": b"POST /orchestrate/one HTTP/1.1\r\n Host: gateway\r\nContent-Length: 0\r\n\r\n",
    "no host": of_head(POST, b"Content-Length: 0"),
    "two hosts": of_head(POST, HOST, b"Host: other", b"Content-Length: 0"),
    "two keys": of_head(POST, HOST, b"Idempotency-Key: a", b"Idempotency-Key: b", b"Content-Length: 0"),
    "two credentials": of_head(POST, HOST, b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "bare LF for line ends": b"POST /orchestrate/one HTTP/1.1\nHost: gateway\nContent-Length: 0\n\n",
    "a bare LF in the head": b"POST /orchestrate/one HTTP/1.1\r\nHost: gateway\nContent-Length: 0\r\n\r\n",
    "a bare CR as line end": b"POST /orchestrate/one HTTP/1.1\rHost: gateway\r\n\r\n",
    "an unknown method": of_head(b"FROB /orchestrate/one HTTP/1.1", HOST),
    "a method in small letters": of_head(b"post /orchestrate/one HTTP/1.1", HOST, b"Content-Length: 0"),
    "CONNECT": of_head(b"CONNECT example.com:443 HTTP/1.1", HOST),
    "CONNECT with a body": of_head(b"CONNECT example.com:443 HTTP/1.1", HOST, b"Content-Length: 2", body=b"{}"),
    "authority-form": of_head(b"POST example.com:443 HTTP/1.1", HOST, b"Content-Length: 0"),
    "no target": of_head(b"POST HTTP/1.1", HOST),
    "a blank in the target": of_head(b"POST /orchestrate/ one HTTP/1.1", HOST, b"Content-Length: 0"),
    "a control character in the target": of_head(b"POST /orchestrate/o\x01ne HTTP/1.1", HOST, b"Content-Length: 0"),
    "no version": of_head(b"POST /orchestrate/one", HOST),
    "HTTP/0.9": of_head(b"POST /orchestrate/one HTTP/0.9", HOST, b"Content-Length: 0"),
    "HTTP/2.0": of_head(b"POST /orchestrate/one HTTP/2.0", HOST, b"Content-Length: 0"),
    "HTTP/3.1": of_head(b"POST /orchestrate/one HTTP/3.1", HOST, b"Content-Length: 0"),
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2,
    "an answer": of_head(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"{}"),
    "noise": bytes(range(1, 256)),
}


def refused(answer: Answer, status: int) -> bool:
    """Whether an answer is a refusal as contract 5 wants it, on a connection that ends."""
    document = answer.json()
    return (
        answer.status == document["status"] == status
        and answer.get(b"content-type") == b"application/problem+json"
        and answer.closes
        and bool(document["detail"])
    )


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    with live.connect() as wire:
        wire.send_what_is_taken(MALFORMED[name] + SMUGGLED)
        answer = wire.last()
    assert refused(answer, 400), answer
    assert a.requests == [], "something was taken for a request"


@pytest.mark.parametrize("name", ["length and chunked", "no host", "two hosts", "NUL in a value", "CONNECT"])
def test_one_byte_at_a_time_makes_no_difference(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    with live.connect() as wire:
        for at in range(len(MALFORMED[name])):
            wire.send_what_is_taken(MALFORMED[name][at : at + 1])
        assert refused(wire.last(), 400)
    assert a.requests == []


@pytest.mark.parametrize("name", ["no host", "two lengths", "a chunk size of letters", "noise", "CONNECT with a body"])
def test_a_malformed_request_does_not_harm_the_one_before(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    with live.connect() as wire:
        wire.send_what_is_taken(request("/orchestrate/one", b'{"n":1}') + MALFORMED[name] + SMUGGLED)
        first = wire.answer()
        assert (first.status, first.json()) == (200, {"n": 1})
        assert refused(wire.last(), 400)
    assert len(a.requests) == 1


def test_absolute_form_is_accepted(live: GatewayProcess) -> None:
    for target in ("http://other.example/orchestrate/echo", "HTTPS://u@h:1/orchestrate/echo?q=1"):
        answer = live.ask(request(target, b'{"n":1}'))
        assert (answer.status, answer.json()) == (200, {"n": 1})
    assert live.ask(request("http://gateway/livez")).status == 200
    assert live.ask(request("http://gateway?x=/livez")).status == 404
    assert live.ask(request("ftp://gateway/livez")).status in (400, 404)


def test_empty_lines_before_a_request_are_passed_over(live: GatewayProcess) -> None:
    with live.connect() as wire:
        for _ in range(2):
            assert wire.ask(b"\r\n\r\n" + request(body=b'{"n":1}')).json() == {"n": 1}


def test_odd_but_valid_requests_are_served(live: GatewayProcess) -> None:
    odd = {
        "no blank after the colon": of_head(
            b"POST /orchestrate/echo HTTP/1.1", b"hOsT:x", b"CONTENT-LENGTH:2", body=b"[]"
        ),
        "blanks and tabs around values": of_head(
            b"POST /orchestrate/echo HTTP/1.1", b"Host: \t x \t ", b"Content-Length: \t2\t ", body=b"[]"
        ),
        "an empty host": of_head(b"POST /orchestrate/echo HTTP/1.1", b"Host:", b"Content-Length: 2", body=b"[]"),
        "leading zeros in the length": of_head(
            b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"Content-Length: 0002", body=b"[]"
        ),
        "eight bits in a value": of_head(
            b"POST /orchestrate/echo HTTP/1.1", b"Host: x", b"X: \xff\xe4", b"Content-Length: 2", body=b"[]"
        ),
        "fields that may come twice": of_head(
            b"POST /orchestrate/echo HTTP/1.1",
            b"Host: x",
            b"X: 1",
            b"X: 2",
            b"Cookie: a",
            b"Content-Length: 2",
            body=b"[]",
        ),
        "a name in percents": of_head(
            b"POST /orchestrate/%65cho HTTP/1.1", b"Host: x", b"Content-Length: 2", body=b"[]"
        ),
    }
    for name, data in odd.items():
        answer = live.ask(data)
        assert (answer.status, answer.body) == (200, b"[]"), name


@pytest.mark.parametrize(
    "target", ["*", "/", "/orchestrate", "/orchestrate/", "/orchestrate/nothing", "/%00", "/%ff", "//x"]
)
def test_unknown_targets_get_404(target: str, live: GatewayProcess) -> None:
    with live.connect() as wire:
        answer = wire.ask(request(target, method="OPTIONS"))
        assert (answer.status, answer.json()["status"]) == (404, 404)
        assert wire.ask(request(body=b"{}")).status == 200, "the connection goes on"


@pytest.mark.parametrize("rest", ["/..", "/x/../y", "/%2e%2e/x", "/.%2E", "/."])
def test_dot_segments_are_not_passed_on(rest: str, live: GatewayProcess, a: FunctionServer) -> None:
    answer = live.ask(request(f"/orchestrate/pipe-one{rest}", b"{}"))
    assert answer.status == 400
    assert a.requests == []


def test_fields_and_media_types_are_answered_as_they_came(live: GatewayProcess) -> None:
    assert JSON in live.ask(request(body=b"{}")).get(b"content-type")
    text = live.ask(request(body="grüß".encode(), content_type="text/plain; charset=utf-8"))
    assert (text.get(b"content-type"), text.body) == (b"text/plain; charset=utf-8", "grüß".encode())
