"""Payloads: what counts as JSON, and what becomes of everything else when somebody must look inside."""

from __future__ import annotations

import base64
import json
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legato.errors import NotJSON
from legato.model.payload import EMPTY, JSON, MAX_DEPTH, Payload, json_payload

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def payload(body: bytes, content_type: bytes = JSON) -> Payload:
    return Payload.of(content_type, body)


def is_json(body: bytes) -> bool:
    try:
        payload(body).json()
    except NotJSON:
        return False
    return True


def python_says(body: bytes) -> bool:
    """Whether the standard library reads it as strict JSON in UTF-8, of bounded depth, that can be written again."""

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    try:
        value = json.loads(body.decode("utf-8"), parse_constant=refuse, parse_int=lambda text: 0)
        return depth(value) <= MAX_DEPTH and not LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return False


def depth(value: object) -> int:
    levels, nodes = 0, [value]
    while nodes := [n for n in nodes if isinstance(n, list | dict)]:
        levels += 1
        nodes = [inner for n in nodes for inner in (n.values() if isinstance(n, dict) else n)]
    return levels


SIMPLE = rb"""{ } [ ] , : " "a" "\ 0 01 - 1.5 1. e E+2 true null nul NaN Infinity /* ' 1e999""".split()
ESCAPES = rb"\u00e9 \ud83d\ude00 \ud800 \x \n".split()
ODD = [b" ", b"\n", b"\x0b", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf"]
pieces = st.sampled_from(SIMPLE + ESCAPES + ODD)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(pieces, max_size=9).map(b"".join))
@example(b"")
@example(b" ")
@example(b'"\\ud800"')
@example(b'"\xed\xa0\x80"')
@example(b"\xff\xfe1\x00")
@example(b"-0")
@example(b"1e999")
@example(b'{"a":1,"a":2}')
def test_json_is_what_the_standard_library_says_it_is(body: bytes) -> None:
    if body:
        assert is_json(body) == python_says(body)


@given(values, st.booleans(), st.none() | st.integers(0, 3))
def test_every_value_is_json_as_written(value: object, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert payload(body).json() == body


@given(values, st.binary(min_size=1, max_size=2), st.integers(0, 200))
def test_json_that_was_damaged(value: object, damage: bytes, place: int) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    place %= len(body)
    broken = body[:place] + damage + body[place + 1 :]
    assert is_json(broken) == python_says(broken)


@pytest.mark.parametrize("filler", [b"", b'"[[[",', b'"\\"[{",' * 40, b'"\\\\",' * 100, b'"]]]",' * 40])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"[a":', b"}")])
def test_depth_is_bounded_and_counted_outside_strings(opening: bytes, closing: bytes, filler: bytes) -> None:
    for levels, fine in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False), (5_000, False), (200_000, False)):
        assert is_json(b"[" + filler + opening * levels + b"1" + closing * levels + b"]") == fine


def test_width_is_not_depth() -> None:
    assert is_json(b"[" + b"[],{}," * 10_000 + b"[]]")


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        (b"application/json", True),
        (b"application/json;charset=utf-8", True),
        (b"Application/JSON ; charset=utf-8", True),
        (b" application/json ", True),
        (b"application/problem+json", True),
        (b"application/vnd.x+JSON; v=1", True),
        (b"text/json", False),
        (b"application/jsonp", False),
        (b"application/json-seq", False),
        (b"text/plain; x=application/json", False),
        (b"text/plain", False),
        (b"", False),
    ],
)
def test_which_media_types_say_json(content_type: bytes, answer: bool) -> None:
    assert payload(b"1", content_type).is_json == answer
    assert payload(b"[1]", content_type).json() == (b"[1]" if answer or not content_type else b'"[1]"')


def test_nothing_is_null_whatever_it_declares() -> None:
    for content_type in (b"", JSON, b"image/png"):
        assert Payload(content_type, (), 0).json() == b"null"
        assert Payload(content_type, (b"",), 0).value() is None


def test_what_is_neither_json_nor_text_says_so() -> None:
    with pytest.raises(NotJSON, match="image/png of 1 bytes is neither JSON nor text"):
        payload(b"\xff", b"image/png; q=1").json()
    with pytest.raises(NotJSON, match="bytes of no declared type of 2 bytes"):
        payload(b"\xff\xfe", b"").json()
    with pytest.raises(NotJSON, match="declared as JSON but"):
        payload(b"{").json()


def test_a_value_is_decoded_or_is_not_json() -> None:
    assert payload(b'{"a": 123456789012345678901234567890}').value() == {"a": 123456789012345678901234567890}
    for body in (b"1e999", b"9" * 5_000, b'["' + b"x" * 10 + b'", -1e999]'):
        with pytest.raises(NotJSON):
            payload(body).value()


@given(st.lists(st.binary(max_size=4), max_size=5))
def test_chunks_are_joined_once(chunks: list[bytes]) -> None:
    whole = Payload.of(b"x/y", *chunks)
    body = whole.body
    assert body == b"".join(chunks)
    assert whole.size == len(body)
    assert whole.body is body
    assert list(whole.chunks) == [body]


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(1, 20))
def test_an_excerpt_is_the_beginning(chunks: list[bytes], limit: int) -> None:
    whole = Payload.of(b"", *chunks)
    assert whole.excerpt(limit) == b"".join(chunks)[:limit].decode("utf-8", "replace")
    assert len(whole.chunks) == len(chunks)
    assert repr(whole)


def test_an_excerpt_has_a_limit_of_its_own() -> None:
    assert Payload.of(b"", b"x" * 5_000).excerpt() == "x" * 2048


@given(
    st.binary(max_size=20),
    st.sampled_from([b"", JSON, b"text/plain", b"image/png"]),
    st.sampled_from([b"", b"br", b"gzip"]),
)
def test_lenient_json_never_fails(body: bytes, content_type: bytes, encoding: bytes) -> None:
    part = Payload(content_type, (body,), len(body), encoding).lenient_json()
    value = msgspec.json.decode(part)
    assert is_json(part)
    if encoding:
        return
    if content_type == JSON and body and python_says(body):
        assert part == body
    else:
        try:
            assert value == body.decode()
        except UnicodeDecodeError:
            assert value == base64.b64encode(body).decode()


def test_lenient_json_of_nothing_is_an_empty_string() -> None:
    # fnkit's rule; a null would be a different answer to its users.
    assert EMPTY.lenient_json() == b'""'
    assert Payload(JSON, (), 0).lenient_json() == b'""'


@given(values)
def test_json_payload_reads_back(value: object) -> None:
    try:
        made = json_payload(value)
    except NotJSON:
        assert LONE_SURROGATE.search(str(value)) or any(abs(n) >= 2**63 for n in integers(value))
        return
    assert made.content_type == JSON
    assert made.size == len(made.body)
    assert json.loads(made.body) == value


def integers(value: object) -> list[int]:
    if isinstance(value, dict):
        return [n for inner in value.values() for n in integers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in integers(inner)]
    return [value] if isinstance(value, int) else []


def test_json_payload_of_what_json_cannot_hold() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value in (object(), loop, "\ud800", {(1, 2): 3}, {"a": range(3)}):
        with pytest.raises(NotJSON, match="cannot be written as JSON"):
            json_payload(value)
