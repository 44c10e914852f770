"""What kind a value is, in the words of messages and of `type()`; and when two values are equal."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from legato.values.faults import printable
from legato.values.moments import Duration, Timestamp
from legato.values.working import Frame

Items = list[object]
Entries = dict[object, object]


class Kind(msgspec.Struct, frozen=True):
    """What `type()` gives: comparable to the name of a type, written as that name."""

    name: str


TYPES: dict[type, tuple[Kind, str]] = {
    type(None): (Kind("null_type"), "null"),
    bool: (Kind("bool"), "a boolean"),
    int: (Kind("int"), "a number"),
    float: (Kind("double"), "a number"),
    str: (Kind("string"), "text"),
    bytes: (Kind("bytes"), "bytes"),
    list: (Kind("list"), "a list"),
    dict: (Kind("map"), "an object"),
    Timestamp: (Kind("google.protobuf.Timestamp"), "a timestamp"),
    Duration: (Kind("google.protobuf.Duration"), "a duration"),
    Kind: (Kind("type"), "a type"),
}
TYPE_NAMES = {kind.name: kind for kind, _ in TYPES.values() if "." not in kind.name}
_MAX_KEYS = 10


def kind_of(value: object) -> str:
    """What a value is, for messages: `text`, `a number`, `an object`..."""
    return TYPES[type(value)][1]


def described(value: object) -> str:
    """What a value is and, for lists and objects, how far it goes: keys and counts, never a value."""
    if type(value) is list:
        count = len(cast("Items", value))
        return f"a list of {count}" if count else "an empty list"
    if type(value) is dict:
        return f"{'an object with the keys' if value else 'an empty object'}{keys_of(cast('Entries', value))}"
    return kind_of(value)


def keys_of(entries: dict[Any, Any]) -> str:
    """The first keys of an object, in backquotes, after a space."""
    shown = [f"`{printable(str(key))}`" for key, _ in zip(entries, range(_MAX_KEYS), strict=False)]
    more = len(entries) - len(shown)
    return (" " if shown else "") + ", ".join(shown) + (f" and {more} more" if more else "")


def equal(left: object, right: object, frame: Frame) -> bool:
    """Whether two values are equal: numbers by their value, other kinds only to their own.

    Python holds `true` equal to 1, also within lists and objects; JSON does not.
    """
    kind = type(left)
    if kind is not type(right):
        if kind in (int, float) and type(right) in (int, float):
            return left == right
        return False
    if kind is list:
        return _equal_lists(cast("Items", left), cast("Items", right), frame)
    if kind is dict:
        return _equal_objects(cast("Entries", left), cast("Entries", right), frame)
    if kind is str:
        frame.spend(len(cast("str", left)) // 64)
    return left == right


def _equal_lists(left: Items, right: Items, frame: Frame) -> bool:
    frame.spend(len(left))
    return len(left) == len(right) and all(equal(a, b, frame) for a, b in zip(left, right, strict=True))


def _equal_objects(left: Entries, right: Entries, frame: Frame) -> bool:
    frame.spend(len(left))
    return len(left) == len(right) and all(key in right and equal(left[key], right[key], frame) for key in left)
