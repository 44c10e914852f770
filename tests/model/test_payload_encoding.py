"""Encoded payloads: read when somebody looks inside, refused when they lie or explode."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.errors import NotJSON
from legato.model.payload import JSON, MAX_EXPANDED, Payload

ENCODERS = {b"gzip": gzip.compress, b"x-gzip": gzip.compress, b"GZIP": gzip.compress, b" deflate ": zlib.compress}


def encoded(body: bytes, encoding: bytes, content_type: bytes = JSON) -> Payload:
    return Payload(content_type, (body,), len(body), encoding)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encoded_json_is_read_and_passed_on_as_it_is(encoding: bytes) -> None:
    body = ENCODERS[encoding](b'{"a": [1, 2]}')
    payload = encoded(body, encoding)
    assert payload.json() == b'{"a": [1, 2]}'
    assert payload.body == body
    assert payload.plain_body() == b'{"a": [1, 2]}'
    assert encoded(ENCODERS[encoding](b"text"), encoding, b"text/plain").json() == b'"text"'


def test_no_encoding_is_the_body_itself() -> None:
    payload = encoded(b"1", b"")
    assert payload.plain_body() is payload.body


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from([b"gzip", b"deflate"]))
def test_a_body_that_is_cut_short_is_refused(plain: bytes, cut: int, encoding: bytes) -> None:
    body = ENCODERS.get(encoding, zlib.compress)(plain)
    cut %= len(body)
    with pytest.raises(NotJSON, match=r"cut short|not the"):
        encoded(body[:cut], encoding).plain_body()


@given(st.binary(min_size=1, max_size=60), st.sampled_from([b"gzip", b"deflate"]))
def test_a_body_that_is_not_what_it_declares_is_refused(body: bytes, encoding: bytes) -> None:
    try:
        encoded(body, encoding).plain_body()
    except NotJSON:
        return
    assert zlib.decompress(body, wbits=47) is not None


def test_what_follows_the_end_is_refused() -> None:
    for encoding, body in ((b"gzip", gzip.compress(b"1", mtime=0)), (b"deflate", zlib.compress(b"1"))):
        for more in (b"garbage", body):  # a second member, which would be lost without a word
            with pytest.raises(NotJSON, match="goes on after its end"):
                encoded(body + more, encoding).json()


def test_unknown_encodings_are_named() -> None:
    for encoding in (b"br", b"gzip, gzip", b"\xff"):
        with pytest.raises(NotJSON, match="which is passed on but not read here"):
            encoded(b"x", encoding).json()


def bomb(times: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"0" * (1 << 20)
    return b"".join([packer.compress(block) for _ in range(times)]) + packer.flush()


def test_a_bomb_is_refused_before_it_explodes() -> None:
    body = bomb((MAX_EXPANDED >> 20) + 1)
    started = time.perf_counter()
    with pytest.raises(NotJSON, match="expands beyond"):
        encoded(body, b"gzip").json()
    assert time.perf_counter() - started < 5


def test_as_much_as_an_answer_may_have_is_read() -> None:
    body = bomb(MAX_EXPANDED >> 20)
    assert len(encoded(body, b"gzip", b"text/plain").plain_body()) == MAX_EXPANDED


def test_lenient_json_of_what_cannot_be_decoded_keeps_the_bytes() -> None:
    assert encoded(b"plain", b"gzip").lenient_json() == b'"plain"'
    assert encoded(b"\xff", b"br").lenient_json() == b'"/w=="'
    assert encoded(gzip.compress(b"{}", mtime=0), b"gzip").lenient_json() == b"{}"
    assert encoded(gzip.compress(b"{}", mtime=0), b"gzip", b"text/plain").lenient_json() == b'"{}"'
