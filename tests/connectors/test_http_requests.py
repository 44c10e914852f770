"""What a function behind HTTP gets, by what the step says: path, query, headers, body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from legato.connectors.http import HttpConnector
from legato.errors import DefinitionError
from legato.model.function import Function
from legato.model.mapping import AS_IT_IS
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.steps import CallStep
from legato.transport.wheel import Wheel
from tests.connectors.attempts import Attempt, Caller, Parts, called
from tests.support.function_server import FunctionServer, Received
from tests.support.texts import of_head

ONE = json_payload(1)


@pytest.fixture
def server() -> Iterator[FunctionServer]:
    server = FunctionServer()
    yield server
    server.stop()


def received(server: FunctionServer, attempt: Attempt, **fields: Any) -> Received:
    """What came of one call that went well; each header once."""
    outcome = called(server, attempt, **fields)
    assert outcome.kind == "ok", outcome
    assert len(server.requests) == 1
    request = server.requests[0]
    names = [name for name, _ in request.message.fields]
    assert len(names) == len(set(names)), names
    assert request.get(b"host") == f"127.0.0.1:{server.port}".encode()
    assert request.get(b"idempotency-key") == b"root/f"
    return request


@pytest.mark.parametrize(
    ("base", "path", "rendered", "target"),
    [
        ("/f", "", b"", "/f"),
        ("", "", b"", "/"),
        ("/f/", "", b"", "/f/"),
        ("/f", "/x", b"", "/f/x"),
        ("/f/", "/x/", b"", "/f/x/"),
        ("", "/x", b"", "/x"),
        ("/f", "/${input.id}", b"/a%2Fb", "/f/a%2Fb"),
        ("/f/", "/${input.id}", b"/7", "/f/7"),
        ("", "/${input.id}/x", b"/7/x", "/7/x"),
    ],
)
def test_a_path_is_appended(server: FunctionServer, base: str, path: str, rendered: bytes, target: str) -> None:
    parts = Parts(rendered) if rendered else None
    assert received(server, Attempt(ONE, parts), base=base, path=path).target == target


@pytest.mark.parametrize(
    ("url_query", "query", "parts", "target"),
    [
        ("", {"a": "1"}, None, "/f?a=1"),
        ("", {"a": ["x", "y"], "b": True}, None, "/f?a=x&a=y&b=true"),
        ("", {"a": "x y&z"}, None, "/f?a=x%20y%26z"),
        ("/x?y=1", {"a": "1"}, None, "/f/x?y=1&a=1"),
        ("", {"a": "${input.id}"}, Parts(query=b"a=7"), "/f?a=7"),
        ("", {"a": "${input.id}"}, Parts(query=b""), "/f"),
        ("?k=v", {}, None, "/f?k=v"),
        ("?k=v", {"a": "1"}, None, "/f?k=v&a=1"),
        ("?k=v", {"a": "${input.id}"}, Parts(query=b"a=7"), "/f?k=v&a=7"),
        ("?k=v", {"a": "${input.id}"}, Parts(query=b""), "/f?k=v"),
    ],
)
def test_a_query_is_joined(server: FunctionServer, url_query: str, query: Any, parts: Any, target: str) -> None:
    path = url_query if url_query.startswith("/") else ""
    url = f"http://127.0.0.1:{server.port}/f{url_query.removeprefix(path)}"
    assert received(server, Attempt(ONE, parts), url=url, path=path, query=query).target == target


def test_path_query_and_headers_of_the_run_together(server: FunctionServer) -> None:
    parts = Parts(b"/7/x", b"a=1", b"x-one: 1\r\nx-two: 2\r\n")
    request = received(
        server, Attempt(ONE, parts), path="/${input.id}/x", query={"a": 1}, headers={"x-one": "1", "x-two": "2"}
    )
    assert request.target == "/f/7/x?a=1"
    assert (request.get(b"x-one"), request.get(b"x-two"), request.body) == (b"1", b"2", b"1")


@pytest.mark.parametrize("encoding", [b"", b"gzip"])
@pytest.mark.parametrize("value", ["mine", "${input.own}"])
@pytest.mark.parametrize("name", ["accept", "user-agent", "content-type", "content-encoding", "x-own"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_headers_of_the_step_stand_in_the_place_of_ours(
    server: FunctionServer, name: str, value: str, method: str, encoding: bytes
) -> None:
    line = name.encode() + b": mine\r\n"
    parts = Parts(headers=line) if "${" in value else None
    payload = Payload(b"text/csv", (b"a,b",), 3, encoding)
    request = received(server, Attempt(payload, parts), headers={name: value}, method=method)
    given = {
        b"accept": b"*/*", b"content-type": b"text/csv", b"content-encoding": encoding, b"x-own": b"",
        b"user-agent": request.get(b"user-agent"), name.encode(): b"mine",
    }  # fmt: skip
    assert {key: request.get(key) for key in given} == given
    assert name == "user-agent" or request.get(b"user-agent").startswith(b"legato/")
    assert request.body == b"a,b"


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_no_body_unless_input_is_given(server: FunctionServer, method: str) -> None:
    request = received(server, Attempt(ONE), method=method)
    assert (request.method, request.body, request.get(b"content-type")) == (method, b"", b"")
    assert request.get(b"content-length") == b""


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "POST", "PATCH"])
@pytest.mark.parametrize("expression", ["", "/${input.id}"])
def test_an_input_is_sent_whatever_the_method(server: FunctionServer, method: str, expression: str) -> None:
    if method == "HEAD":
        server.does(of_head(b"HTTP/1.1 200 OK", b"Content-Length: 5"))
    parts = Parts(b"/7") if expression else None
    attempt = Attempt(json_payload({"a": 1}), parts)
    request = received(server, attempt, method=method, input=AS_IT_IS, path=expression)
    assert (request.method, request.body) == (method, b'{"a":1}')
    assert (request.get(b"content-type"), request.get(b"content-length")) == (b"application/json", b"7")


def test_an_input_of_nothing_is_no_body(server: FunctionServer) -> None:
    request = received(server, Attempt(EMPTY), method="GET", input=AS_IT_IS)
    assert (request.body, request.get(b"content-length")) == (b"", b"")


def test_large_bodies_go_with_parts_too(server: FunctionServer) -> None:
    body = b'"' + b"x" * 200_000 + b'"'
    payload = Payload.of(b"application/json", body[:70_000], body[70_000:])
    request = received(server, Attempt(payload, Parts(b"/7", b"", b"x: y\r\n")), path="/${input.id}")
    assert (request.body, request.get(b"x")) == (body, b"y")


@pytest.mark.parametrize("forward", ["pipeline", "request"])
def test_what_is_forwarded_joins_the_functions_own_query(server: FunctionServer, forward: str) -> None:
    url = f"http://127.0.0.1:{server.port}/f?k=v"
    attempt = Attempt(ONE, caller=Caller(b"PUT", b"/sub", b"a=1"))
    request = received(server, attempt, url=url, forward=forward)
    assert request.target == "/f/sub?k=v&a=1"
    assert request.method == ("POST" if forward == "pipeline" else "PUT")


# Bodies in other formats.


@pytest.mark.parametrize(
    ("encode", "value", "content_type", "body"),
    [
        ("form", {"a": "x y", "b": 1}, b"application/x-www-form-urlencoded", (b"a=x+y&b=1", b"a=x%20y&b=1")),
        ("text", "grüß", b"text/plain; charset=utf-8", ("grüß".encode(),)),
        ("json", {"a": 1}, b"application/json", (b'{"a":1}',)),
    ],
)
def test_bodies_are_encoded(
    server: FunctionServer, encode: str, value: object, content_type: bytes, body: tuple[bytes, ...]
) -> None:
    request = received(server, Attempt(json_payload(value)), encode=encode)
    assert request.get(b"content-type") == content_type
    assert request.body in body
    assert request.get(b"content-length") == str(len(request.body)).encode()


def test_an_encoded_body_with_a_type_of_its_own(server: FunctionServer) -> None:
    attempt = Attempt(json_payload("<a/>"))
    request = received(server, attempt, encode="text", headers={"content-type": "application/xml"})
    assert (request.get(b"content-type"), request.body) == (b"application/xml", b"<a/>")


@pytest.mark.parametrize(("encode", "value"), [("form", [1]), ("form", "x"), ("text", {"a": 1})])
def test_what_cannot_be_encoded_is_refused_unsent(server: FunctionServer, encode: str, value: object) -> None:
    attempt = Attempt(json_payload(value))
    outcome = called(server, attempt, encode=encode, idempotent=True)
    assert (outcome.kind, outcome.status, attempt.sent) == ("refused", 0, False)
    assert outcome.detail.startswith(f"the input cannot be sent as {encode}: ")
    assert not outcome.effect_possible


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_nothing_is_encoded_that_is_not_sent(server: FunctionServer, method: str) -> None:
    assert received(server, Attempt(json_payload([1])), method=method, encode="form").body == b""


def test_no_value_is_no_body_in_any_format(server: FunctionServer) -> None:
    request = received(server, Attempt(EMPTY), encode="form")
    assert (request.body, request.get(b"content-length")) == (b"", b"0")


def test_a_header_that_cannot_be_sent_is_refused_at_bind() -> None:
    connector = HttpConnector(Wheel(), 1024)
    with pytest.raises(DefinitionError, match="function f: "):
        connector.bind(Function(name="f", url="http://x"), CallStep(function="f", headers={"x": "a\r\nhost: evil"}))
