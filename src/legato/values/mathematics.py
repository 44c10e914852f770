"""What expressions can do with numbers: CEL's `math` library, without its bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from legato.values.lists import extreme
from legato.values.numbers import checked, whole
from legato.values.signature import Function
from legato.values.working import Frame

_smallest = extreme("math.least", lambda item, best: item < best)
_largest = extreme("math.greatest", lambda item, best: item > best)


def _of_all(pick: Callable[[Frame, list[Any]], object]) -> Callable[..., object]:
    """Picks from its arguments, or from the one list that it is given."""

    def run(frame: Frame, *arguments: Any) -> object:
        only = arguments[0]
        return pick(frame, only if len(arguments) == 1 and isinstance(only, list) else [*arguments])  # pyright: ignore[reportUnknownArgumentType]

    return run


def _abs(frame: Frame, value: int | float) -> int | float:
    return checked(abs(whole(value))) if isinstance(value, int) else abs(value)


def _sign(frame: Frame, value: int | float) -> int | float:
    sign = (value > 0) - (value < 0)
    return float(sign) if isinstance(value, float) else sign


def _rounded(rounding: Callable[[float], float]) -> Callable[[Frame, int | float], float]:
    """A rounding that leaves integers, and what is not finite, as they are; of a double it makes a double."""

    def run(frame: Frame, value: int | float) -> int | float:
        return float(rounding(value)) if isinstance(value, float) and math.isfinite(value) else value

    return run


def _nearest(value: float) -> float:
    """Halves go away from zero, as in CEL; Python's `round` would send them to the even neighbour."""
    whole_part = math.trunc(value)
    return whole_part + math.copysign(1, value) if abs(value - whole_part) >= 0.5 else whole_part


def _number(name: str, run: Callable[..., Any]) -> Function:
    return Function(name, "function", f"{name}(value.total)", ("number",), run)


MATHEMATICS = [
    Function("math.least", "function", "math.least(a, b)", ("any",), _of_all(_smallest), many=True),
    Function("math.greatest", "function", "math.greatest(a, b)", ("any",), _of_all(_largest), many=True),
    _number("math.abs", _abs),
    _number("math.sign", _sign),
    _number("math.ceil", _rounded(math.ceil)),
    _number("math.floor", _rounded(math.floor)),
    _number("math.round", _rounded(_nearest)),
    _number("math.trunc", _rounded(math.trunc)),
]
