"""Expressions that an author could write to exhaust a gateway, and the data to go with them."""

from __future__ import annotations

import json
from collections.abc import Callable

from legato.model.payload import JSON, Payload

SOURCE = 4096  # bytes that an expression may have


def _nested(before: str, after: str, middle: str = "1") -> str:
    """As deep as fits into an expression."""
    count = (SOURCE - len(middle)) // (len(before) + len(after))
    return before * count + middle + after * count


def _row(part: str, between: str, room: int = SOURCE) -> str:
    """As many as fit into an expression."""
    return between.join([part] * (room // (len(part) + len(between))))


def _json(value: object) -> Payload:
    return Payload.of(JSON, json.dumps(value, ensure_ascii=False).encode())


# What `value` is, by the names that BOMBS go by.
DATA: dict[str, Callable[[], Payload]] = {
    "number": lambda: _json(999_999),
    "list": lambda: _json(list(range(100_000))),
    "long list": lambda: _json(list(range(900_000))),
    "text": lambda: _json("a" * 1_000_000),
    "long text": lambda: _json("a" * 16_000_000),
    "wide text": lambda: _json("\N{GRINNING FACE}" * 9_000_000),
    "deep list": lambda: Payload.of(JSON, b"[" * 128 + b"]" * 128),
}

BOMBS: dict[str, list[str]] = {
    "number": [
        _row("value", "*"),
        "math.greatest(" + _row("value", ",", SOURCE - 20) + ")",
        "lists.range(value)",
        "lists.range(value * 9)",
        "lists.range(value * 9000)",
        "lists.range(value).map(x, lists.range(value))",
        "[value, value].map(x, lists.range(x * 4).size())",
        "'%s' + string(9223372036854775807 * value)",
    ],
    "list": [
        *(
            _nested(*pair)
            for pair in (("(", ")"), ("[", "]"), ("-", ""), ("{'a':", "}"), ("1+(", ")"), ("true ? ", " : 1"))
        ),
        _nested("!", "", "true"),
        _nested("size(", ")", "'a'"),
        _nested("has(", ")", "value.a"),
        _nested("value[", "]", "0"),
        "value" + ".a" * 2000,
        "value" + "[0]" * 1300,
        *(_row("value", operator) for operator in ("+", "*", " in ", " == ", " < ", " || ")),
        *(_row("value == value", operator) for operator in (" == ", " && ")),
        _row("9223372036854775807", "*"),
        "value.map(x, value.map(y, value))",
        "value.map(x, value.map(y, x + y))",
        "value.map(x, value.map(y, value.map(z, x)))",
        "value.map(x, [x].map(y, value))",
        "value.map(x, [value, value, value, value].flatten())",
        "value.exists(x, value.exists(y, x + y == -1))",
        "value.map(x, lists.range(1000000)).flatten()",
        "value.map(x, 'a long text that is written again and again').join()",
        "value.map(x, string(x)).join(value.map(x, string(x)).join())",
        "value.map(x, string(x)).map(x, value.map(y, x))",
        "value.filter(x, x in value)",
        "value.map(x, value == value)",
        "value.map(x, value)",
        "value.map(x, value + value)",
        "[value, value].map(x, [value, value].map(y, [x, y, x, y].flatten()))",
    ],
    "long list": [
        "value.map(x, [[[[[x]]]]])",
        "value.map(x, {'a': {'a': x}})",
        "value.distinct().sort().reverse()",
        "value.map(x, string(x))",
        "value.map(x, [x, x].map(y, y))",
        "value.sort() == value.reverse().sort()",
        "value.map(x, x * 2).filter(x, x > 5).map(x, x + 1).sum()",
    ],
    "text": [
        _row("value", "+"),
        "value.replace('a', value)",
        "value.replace('', value)",
        "value.split('').map(x, value)",
        "value.split('').join(value)",
        "[value].map(x, x + x + x + x)",
        "[value].map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)",
        "value.split('a').map(x, value.split('a'))",
        "value.split('').filter(x, value.contains('aaaaaaaaaaaaab'))",
        "value.matches('(a|a)*b')",
        "value.matches('(a*)*(a*)*(a*)*b')",
        "value.matches('(.*)(.*)(.*)(.*)(.*)[^a]$')",
        "value.matches('((a{99}){99}){99}')",
        "value.matches('a{1000000}')",
        "value.matches(value)",
        "value.matches('" + "(" * 1000 + ")" * 1000 + "')",
        "value.matches('" + "a?" * 1000 + "a" * 1000 + "')",
        *(f"{function}(value)" for function in ("duration", "timestamp", "int", "double", "bool")),
    ],
    "long text": [
        "value.indexOf('" + "a" * 1000 + "b')",
        "bytes(value) + bytes(value) + bytes(value)",
        "value + value",
        "[value, value, value, value, value]",
        "value.upperAscii().lowerAscii().reverse().trim()",
        "value.split('a')",
    ],
    "wide text": ["value.split('')", "value.reverse().split('').reverse().join()", "value.substring(1).charAt(0)"],
    "deep list": ["[value]", "value.flatten(999999)", "value == [value]", "[[value]].map(x, [x])"],
}

# Texts that are hard to read, not to evaluate.
UNREADABLE = [
    "'" + "\\U0010ffff" * 400 + "'",
    "r'" + "\\" * 4000 + "'",
    "0x" + "f" * 4000,
    "1" * 4000,
    "1e" + "9" * 4000,
    "0." + "1" * 4000,
    "b'" + "\\377" * 1000 + "'",
    "'" * 4001,
    "`" * 4000,
    '"""' * 1000,
    "a" * 4097,
    "\N{GRINNING FACE}" * 1025,
    "." * 4000,
    "a." * 2000,
    "a(" * 2000,
    "a[" * 2000,
    "{" * 4000,
    "?" * 4000,
    "x.map(" * 600,
    "value.map(x, " * 300 + "x" + ")" * 300,
    " " * 4095 + "1",
    "// a comment" * 300,
]
