"""Answers that somebody looks into: a parallel join takes JSON and text, decodes gzip, and takes no garbage."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer

MIB = 1024 * 1024
JSON = b"application/json"


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


NOT_JSON: dict[str, tuple[bytes, bytes]] = {
    "cut short": (JSON, b'{"a":'),
    "something behind": (JSON, b"{} {}"),
    "two values": (JSON, b"1,2"),
    "a key that ends the object": (JSON, b'1},"evil":{"x":1'),
    "not a number": (JSON, b"NaN"),
    "single quotes": (JSON, b"{'a':1}"),
    "a control character": (JSON, b'"\x01"'),
    "a blank": (JSON, b" "),
    "invalid UTF-8": (JSON, b'{"a":"\xff\xfe"}'),
    "half a surrogate in UTF-8": (JSON, b'"\xed\xa0\x80"'),
    "an overlong slash": (JSON, b'"\xc0\xaf"'),
    "UTF-16": (JSON, '{"a":1}'.encode("utf-16")),
    "nested too deep": (JSON, nested(129)),
    "nested far too deep": (JSON, nested(200_000)),
    "nested too deep in objects": (JSON, b'{"a":' * 200 + b"1" + b"}" * 200),
    "by another name": (b"application/problem+json; charset=utf-8", b"{"),
    "bytes": (b"application/octet-stream", b"\xff\xfe\x00"),
    "text in Latin-1": (b"text/plain", "grüß".encode("latin-1")),
}

JOINED: dict[str, tuple[bytes, bytes, object]] = {
    "JSON": (JSON, b'{"a":[1,2.50,"x"]}', {"a": [1, 2.5, "x"]}),
    "JSON by another name": (b"Application/Problem+JSON;charset=utf-8", b' [1]\r\n', [1]),
    "a scalar": (JSON, b"null", None),
    "nested as deep as may be": (JSON, nested(128), json.loads(nested(128))),
    "brackets in a string": (JSON, json.dumps("[{\\\"" * 500).encode(), "[{\\\"" * 500),
    "text": (b"text/plain", 'say "grüß"\n\t\\ \x01'.encode(), 'say "grüß"\n\t\\ \x01'),
    "text that ends a string": (b"text/html", b'"},"evil":{"', '"},"evil":{"'),
    "nothing": (b"text/plain", b"", None),
    "JSON of no declared type": (b"", b'{"a":1}', {"a": 1}),
    "text of no declared type": (b"", b"{hello", "{hello"),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
def test_what_is_joined(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    media, body, value = JOINED[name]
    a.does(
        always=answer(200, body, media) if media else answer(200, body).replace(b"Content-Type: " + JSON + b"\r\n", b"")
    )
    came = live.post("join", b'{"in":1}')
    assert (came.status, came.json()) == (200, {"left": value, "right": {"in": 1}})
    assert list(came.json()) == ["left", "right"]


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not(name: str, live: GatewayProcess, a: FunctionServer) -> None:
    media, body = NOT_JSON[name]
    a.does(always=answer(200, body, media))
    came = live.post("join", b"1")
    assert (came.status, came.json()["step"], came.json()["outcome"]) == (502, "parallel.left", "unknown"), came
    in_sequence = live.post("one", b"1")
    assert (in_sequence.status, in_sequence.body) == (200, body), "a sequence passes bytes on"


def test_an_encoded_answer_passes_a_sequence_as_it_is(
    live: GatewayProcess, a: FunctionServer, b: FunctionServer
) -> None:
    packed = gzip.compress(b'{"a":1}', mtime=0)
    for encoding in (b"gzip", b"br", b"x-own"):
        b.reset()
        a.does(answer(200, packed, JSON, b"Content-Encoding: " + encoding))
        b.does(answer(200, packed, JSON, b"Content-Encoding: " + encoding))
        came = live.post("two", b"1")
        assert (came.status, came.get(b"content-encoding"), came.body) == (200, encoding, packed)
        assert (b.requests[0].get(b"content-encoding"), b.requests[0].body) == (encoding, packed)


@pytest.mark.parametrize("encoding", [b"gzip", b"x-gzip", b"GZIP", b"deflate"])
def test_an_encoded_answer_is_decoded_for_a_join(encoding: bytes, live: GatewayProcess, a: FunctionServer) -> None:
    plain = json.dumps({"a": list(range(1000))}).encode()
    packed = zlib.compress(plain) if encoding == b"deflate" else gzip.compress(plain, mtime=0)
    a.does(always=answer(200, packed, JSON, b"Content-Encoding: " + encoding))
    for _ in range(3):
        came = live.post("join", b"1")
        assert came.json() == {"left": json.loads(plain), "right": 1}
        assert came.get(b"content-encoding") == b""


@pytest.mark.parametrize("flow", ["join", "pipe-join"])
def test_a_gzip_bomb_is_refused_with_little_memory(flow: str, live: GatewayProcess, a: FunctionServer) -> None:
    packer = zlib.compressobj(1, wbits=31)
    piece = b"x" * MIB
    bomb = (
        packer.compress(b'"')
        + b"".join(packer.compress(piece) for _ in range(400))
        + packer.compress(b'"')
        + packer.flush()
    )
    assert len(bomb) < 3 * MIB
    before = live.memory()
    a.does(always=answer(200, bomb, JSON, b"Content-Encoding: gzip"))
    came = live.post(flow, b"1")
    assert live.memory() - before < 300 * MIB
    if flow == "join":
        assert (came.status, came.json()["step"]) == (502, "parallel.left")
    else:
        assert came.status == 200
    assert len(came.body) < 5 * MIB


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(b'{"a":1}', mtime=0)[:-9], gzip.compress(b'{"a":1}', mtime=0)[:-4] + b"\0\0\0\1",
     gzip.compress(b'{"a":1}', mtime=0) + b"trailing", gzip.compress(b'{"a":', mtime=0)],
)  # fmt: skip
def test_a_broken_encoding_is_refused_by_a_join(packed: bytes, live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=answer(200, packed, JSON, b"Content-Encoding: gzip"))
    came = live.post("join", b"1")
    assert (came.status, came.json().get("left")) in ((502, None), (200, {"a": 1}), (200, None))
    assert came.status == 502 or packed == b"" or packed.endswith(b"trailing")


def test_an_unknown_encoding_is_refused_by_a_join(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=answer(200, b'{"a":1}', JSON, b"Content-Encoding: br"))
    came = live.post("join", b"1")
    assert came.status == 502
    assert "br" in came.json()["detail"]


def test_a_request_of_the_caller_in_a_join(live: GatewayProcess) -> None:
    for media, body in (
        ("application/json", b'{"a":'),
        ("application/json", b'"\xff"'),
        ("application/json", nested(500)),
    ):
        came = live.post("join-echo", body, content_type=media)
        assert came.status in (400, 502), came
        assert came.get(b"content-type") == b"application/problem+json"
    packed = gzip.compress(b'{"a":1}', mtime=0)
    assert live.post("join-echo", packed, content_encoding="gzip").json() == {"only": {"a": 1}}
    assert live.post("join-echo", b'1},"evil":{"x":1').status == 502


def test_when_one_branch_fails_the_other_is_let_go(live: GatewayProcess, a: FunctionServer, b: FunctionServer) -> None:
    drops: list[bool] = []
    b.does(lambda exchange: drops.append(exchange.dropped()))
    a.does(answer(404, b"no such thing", b"text/plain"))
    came = live.post("join", b"1")
    assert (came.status, came.json()["step"], came.json()["outcome"]) == (502, "parallel.left", "refused")
    assert came.json()["upstream"] == {"status": 404, "body": "no such thing"}
    assert b.until(lambda: bool(drops))
    assert drops == [True]
    assert live.post("join", b"2").json() == {"left": 2, "right": 2}
