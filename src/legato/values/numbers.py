"""Arithmetic and order. Integers have 64 bits; an integer and a double give a double (contract 4).

Dividing integers cuts towards zero. An integer beyond 64 bits passes through and compares, but is not computed with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from legato.values.faults import Mistake
from legato.values.kinds import kind_of
from legato.values.moments import Duration, Timestamp, duration, timestamp
from legato.values.working import Frame

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)

Operation = Callable[[Any, Any, Frame], object]
_type: Callable[[object], Any] = type


def checked(value: int) -> int:
    """An integer that was computed. Raises Mistake beyond 64 bits."""
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise Mistake(f"the result {_short(value)} is beyond 64 bits")


def whole(value: int) -> int:
    """An integer that is to be computed with. Raises Mistake beyond 64 bits, naming it."""
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise Mistake(f"the integer {_short(value)} is beyond 64 bits and cannot be computed with")


def _short(value: int) -> str:
    if value.bit_length() > 400:  # Python refuses to write very long ones
        return f"of {value.bit_length()} bits"
    return str(value)


def _none(operator: str, left: object, right: object) -> Mistake:
    remedy = ""
    kinds = {type(left), type(right)}
    if operator == "+" and str in kinds and kinds & {int, float, bool}:
        remedy = "; write `string(...)` around the one that is not text"
    elif str in kinds and kinds & {int, float}:
        remedy = "; write `double(...)` around the text if it holds a number"
    elif type(None) in kinds:
        remedy = "; ask for `!= null` first"
    return Mistake(f"`{operator}` does not work on {kind_of(left)} and {kind_of(right)}{remedy}")


def add(left: Any, right: Any, frame: Frame) -> object:
    """`left + right`: numbers, texts, lists, bytes, times."""
    kind, other = _type(left), _type(right)
    if kind is int and other is int:
        total = left + right
        if MIN_INTEGER <= left <= MAX_INTEGER and MIN_INTEGER <= right <= MAX_INTEGER:
            return checked(total)
        return whole(left) + whole(right)
    if kind in (int, float) and other in (int, float):
        return _double(left) + _double(right)
    if kind is other and kind in (str, bytes):
        frame.spend_text(len(left) + len(right))
        return left + right
    if kind is list and other is list:
        frame.make(len(left) + len(right))
        return left + right
    if {kind, other} == {Timestamp, Duration}:
        return timestamp(left.nanoseconds + right.nanoseconds)
    if kind is Duration and other is Duration:
        return duration(left.nanoseconds + right.nanoseconds)
    raise _none("+", left, right)


def subtract(left: Any, right: Any, frame: Frame) -> object:
    """`left - right`: numbers and times."""
    kind, other = _type(left), _type(right)
    if kind is int and other is int:
        return checked(whole(left) - whole(right))
    if kind in (int, float) and other in (int, float):
        return _double(left) - _double(right)
    if kind is Timestamp and other is Duration:
        return timestamp(left.nanoseconds - right.nanoseconds)
    if kind is other and kind in (Timestamp, Duration):
        return duration(left.nanoseconds - right.nanoseconds)
    raise _none("-", left, right)


def multiply(left: Any, right: Any, frame: Frame) -> object:
    """`left * right`: numbers."""
    kind, other = _type(left), _type(right)
    if kind is int and other is int:
        return checked(whole(left) * whole(right))
    if kind in (int, float) and other in (int, float):
        return _double(left) * _double(right)
    raise _none("*", left, right)


def divide(left: Any, right: Any, frame: Frame) -> object:
    """`left / right`: integers cut towards zero; doubles as IEEE 754 has it, so that 1.0 / 0 is infinite."""
    kind, other = _type(left), _type(right)
    if kind is int and other is int:
        if right == 0:
            raise Mistake("division by zero")
        quotient = abs(whole(left)) // abs(whole(right))
        return checked(quotient if (left < 0) == (right < 0) else -quotient)
    if kind in (int, float) and other in (int, float):
        dividend, divisor = _double(left), _double(right)
        if divisor:
            return dividend / divisor
        if dividend != dividend or dividend == 0:
            return math.nan
        return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)
    raise _none("/", left, right)


def remainder(left: Any, right: Any, frame: Frame) -> object:
    """`left % right`: integers; the result has the sign of `left`."""
    kind, other = _type(left), _type(right)
    if kind is int and other is int:
        if right == 0:
            raise Mistake("division by zero")
        rest = abs(whole(left)) % abs(whole(right))
        return -rest if left < 0 else rest
    if kind in (int, float) and other in (int, float):
        raise Mistake("`%` does not work on numbers with a fraction; write `int(...)` around them")
    raise _none("%", left, right)


def negate(value: Any) -> object:
    """`-value`: numbers and durations."""
    if type(value) is int:
        return checked(-whole(value))
    if type(value) is float:
        return -value
    if type(value) is Duration:
        return Duration(-value.nanoseconds)
    raise Mistake(f"`-` does not work on {kind_of(value)}")


ARITHMETIC: dict[str, Operation] = {"+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder}

_ORDERED = frozenset({str, bool, bytes, Timestamp, Duration})


def order(operator: str, left: Any, right: Any, frame: Frame) -> None:
    """Raise Mistake unless `left` and `right` have an order: two numbers, or two texts, booleans, bytes or times."""
    kind, other = _type(left), _type(right)
    if kind in (int, float) and other in (int, float):
        return
    if kind is other and kind in _ORDERED:
        if kind is str:
            frame.spend(len(left) // 64)
        return
    raise _none(operator, left, right)


def less(left: Any, right: Any, frame: Frame) -> bool:
    """`left < right`. Raises Mistake where there is no order."""
    order("<", left, right, frame)
    return left < right


def at_most(left: Any, right: Any, frame: Frame) -> bool:
    """`left <= right`. Raises Mistake where there is no order."""
    order("<=", left, right, frame)
    return left <= right


def greater(left: Any, right: Any, frame: Frame) -> bool:
    """`left > right`. Raises Mistake where there is no order."""
    order(">", left, right, frame)
    return left > right


def at_least(left: Any, right: Any, frame: Frame) -> bool:
    """`left >= right`. Raises Mistake where there is no order."""
    order(">=", left, right, frame)
    return left >= right


ORDER: dict[str, Operation] = {"<": less, "<=": at_most, ">": greater, ">=": at_least}


def _double(value: int | float) -> float:
    return float(whole(value)) if type(value) is int else value
