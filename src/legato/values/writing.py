"""Between JSON and the values of expressions: only what is asked for is converted, and never more than may be."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from typing import Any, cast

import msgspec

from legato.model.payload import MAX_BYTES, MAX_DEPTH
from legato.values.faults import Limit, Mistake
from legato.values.kinds import Kind, kind_of
from legato.values.moments import Duration, Timestamp
from legato.values.working import Frame

_decode = msgspec.json.decode
_encode = msgspec.json.encode
_type: Callable[[object], Any] = type
_TEXT = re.compile(rb'"[^"]*"')  # once its escapes are gone


def read(document: bytes, frame: Frame) -> object:
    """The value of a part of a JSON document. Raises Limit for too many elements, Mistake for a number too large."""
    if len(document) > 1 and document[0] in b"[{ \t\r\n":
        frame.convert(_elements(document, frame.elements), len(document))
    try:
        return _decode(document)
    except msgspec.DecodeError as error:
        raise Mistake(f"a number is beyond what can be held ({error})") from None


def _elements(document: bytes, left: int) -> int:
    """How many elements a document has at the most, counted without decoding it; precisely where `left` are too few."""
    count = _separators(document)
    if count > left:  # texts have commas, too
        count = _separators(_TEXT.sub(b"", document.replace(rb"\\", b"").replace(rb"\"", b"")))
    return count


def _separators(document: bytes) -> int:
    return document.count(b",") + document.count(b"[") + document.count(b"{") + 1


def write(value: object, frame: Frame) -> bytes:
    """A value as JSON: timestamps, durations (`5s`) and types as text, bytes as base64.

    Raises Mistake for what JSON cannot hold, and Limit for more elements, text or bytes than an expression may make.
    """
    if value is None or value is True or value is False or type(value) is str:
        document = _encode(value)
    else:
        document = _encode(_plain(value, frame, 0))
    if len(document) > MAX_BYTES:  # a character may be six bytes
        raise Limit(f"gives more than {MAX_BYTES:,} bytes; loop over fewer elements")
    return document


def _plain(value: Any, frame: Frame, depth: int) -> object:
    """The same value as msgspec can write it. A list that stands in many places is counted in each."""
    kind = _type(value)
    if kind is str:
        frame.write(0, len(value))
        return value
    if kind is int:
        return value if value.bit_length() < 64 else _large(value)
    if kind is bool or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            number = "is not a number" if math.isnan(value) else "is infinite"
            raise Mistake(f"the result {number}, which cannot be written as JSON")
        return value
    if kind is list or kind is dict:
        if depth == MAX_DEPTH:
            raise Mistake(f"the result is nested deeper than {MAX_DEPTH}")
        frame.write(1 + len(value), 0)
        if kind is list:
            return [_plain(item, frame, depth + 1) for item in cast("list[object]", value)]
        return {_key(key): _plain(item, frame, depth + 1) for key, item in cast("dict[object, object]", value).items()}
    if kind is Timestamp or kind is Duration:
        return str(value)
    if kind is Kind:
        return value.name
    if kind is bytes:
        frame.write(0, 2 * len(value))
        return base64.b64encode(value).decode("ascii")
    raise AssertionError(f"expressions have no {kind.__name__}")


def _large(value: int) -> object:
    """An integer beyond what msgspec writes passes through as it came."""
    return msgspec.Raw(str(value).encode())


def _key(key: object) -> str:
    if type(key) is str:
        return key
    raise Mistake(f"{kind_of(key)} cannot be a key in JSON; write `string(...)` around it")
