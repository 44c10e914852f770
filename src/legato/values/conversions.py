"""From one kind of value to another, sizes, and the parts of timestamps and durations: CEL's core functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from legato.values.faults import Mistake
from legato.values.kinds import TYPES, kind_of
from legato.values.moments import (
    SECOND,
    Duration,
    Timestamp,
    length,
    parts,
    read_duration,
    read_timestamp,
    timestamp,
)
from legato.values.numbers import MAX_INTEGER, MIN_INTEGER, whole
from legato.values.signature import Function
from legato.values.working import Frame

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}


def _no(value: object, wanted: str) -> Mistake:
    return Mistake(f"{kind_of(value)} cannot be made {wanted}")


def _int(frame: Frame, value: Any) -> int:
    if type(value) is int:
        return whole(value)
    if type(value) is float:
        # 2**63 itself is a double, and the next below it is far enough away.
        if not -(2.0**63) <= value < 2.0**63:
            raise Mistake("the number is beyond 64 bits, or none")
        return math.trunc(value)
    if type(value) is str:
        if _INTEGER.fullmatch(value) and MIN_INTEGER <= int(value) <= MAX_INTEGER:
            return int(value)
        raise Mistake("the text is no integer of 64 bits")
    if type(value) is Timestamp:
        return value.nanoseconds // SECOND
    raise _no(value, "an integer")


def _double(frame: Frame, value: Any) -> float:
    if type(value) is int:
        return float(whole(value))
    if type(value) is float:
        return value
    if type(value) is str:
        if len(value) <= 400 and _DOUBLE.fullmatch(value):
            return float(value)
        raise Mistake("the text is no number")
    raise _no(value, "a number")


def _string(frame: Frame, value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(whole(value))
    if type(value) is float:
        return repr(value).removesuffix(".0")
    if type(value) in (Timestamp, Duration):
        return str(value)
    if type(value) is bytes:
        frame.spend_text(len(value))
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise Mistake("these bytes are not UTF-8, and so no text") from None
    raise _no(value, "text")


def _bytes(frame: Frame, value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is str:
        frame.spend_text(len(value))
        return value.encode("utf-8")
    raise _no(value, "bytes")


def _bool(frame: Frame, value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str:
        known = _BOOLEANS.get(value)
        if known is None:
            raise Mistake("the text is neither true nor false")
        return known
    raise _no(value, "a boolean")


def _timestamp(frame: Frame, value: Any) -> Timestamp:
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return timestamp(whole(value) * SECOND)
    if type(value) is str:
        return read_timestamp(value)
    raise _no(value, "a timestamp")


def _duration(frame: Frame, value: Any) -> Duration:
    if type(value) is Duration:
        return value
    if type(value) is str:
        return read_duration(value)
    raise _no(value, "a duration")


def _size(frame: Frame, value: Any) -> int:
    return len(value)


def _type(frame: Frame, value: object) -> object:
    return TYPES[type(value)][0]


def _dyn(frame: Frame, value: object) -> object:
    return value


def _part(name: str) -> Callable[..., int]:
    def run(frame: Frame, moment: Timestamp | Duration, zone: str = "") -> int:
        if isinstance(moment, Timestamp):
            return parts(moment, zone)[name]
        return length(moment)[name]

    return run


def _conversion(name: str, run: Callable[..., Any]) -> Function:
    return Function(name, "function", f"{name}(value.x)", ("any",), run)


_OF_BOTH = ("getHours", "getMinutes", "getSeconds", "getMilliseconds")
_OF_DATES = ("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear")

CONVERSIONS = [
    Function("size", "either", "size(value.items)", ("sized",), _size),
    _conversion("int", _int),
    _conversion("double", _double),
    _conversion("string", _string),
    _conversion("bytes", _bytes),
    _conversion("bool", _bool),
    _conversion("timestamp", _timestamp),
    _conversion("duration", _duration),
    _conversion("type", _type),
    _conversion("dyn", _dyn),
    *(Function(name, "method", f"time.{name}()", ("timestamp", "text"), _part(name), 1) for name in _OF_DATES),
    *(Function(name, "method", f"time.{name}()", ("time", "text"), _part(name), 1) for name in _OF_BOTH),
]
