"""What expressions can do with lists: CEL's `lists` library, and `sum`, `min`, `max` as Kubernetes has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from legato.values.faults import Mistake
from legato.values.kinds import kind_of
from legato.values.moments import Duration
from legato.values.numbers import add, order
from legato.values.signature import Function
from legato.values.working import Frame

Items = list[Any]


def _distinct(frame: Frame, items: Items) -> Items:
    frame.make(len(items))
    seen: set[object] = set()
    kept: Items = []
    for item in items:
        key = _key(frame, item)
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return kept


def _key(frame: Frame, value: Any) -> object:
    """What is equal for equal values only: Python takes `true` for 1."""
    frame.spend(1)
    if type(value) is list:
        return (list, *(_key(frame, item) for item in cast("Items", value)))
    if isinstance(value, dict):
        return (dict, frozenset((key, _key(frame, item)) for key, item in cast("dict[object, Any]", value).items()))
    if isinstance(value, str):
        frame.spend(len(value) // 64)
        return value
    return (bool, value) if isinstance(value, bool) else value


def _flatten(frame: Frame, items: Items, depth: int = 1) -> Items:
    if depth < 0:
        raise Mistake("`flatten` takes a depth from 0 on")
    flat: Items = items
    for _ in range(depth):
        if not any(type(item) is list for item in flat):
            break
        deep, flat = flat, []
        for item in deep:
            inner = cast("Items", item) if type(item) is list else [item]
            frame.make(len(inner))
            flat.extend(inner)
    return flat


def _slice(frame: Frame, items: Items, start: int, end: int) -> Items:
    if not 0 <= start <= end <= len(items):
        raise Mistake(f"there is no slice from {start} to {end} of a list of {len(items)}")
    frame.make(end - start)
    return items[start:end]


def _sort(frame: Frame, items: Items) -> Items:
    return sorted_by(frame, items, items)


def sorted_by(frame: Frame, items: Items, keys: Items) -> Items:
    """The items in the order of their keys, equal ones as they were. Raises Mistake where keys have no order."""
    frame.make(len(items))
    turns = len(items).bit_length()
    for key in keys:
        order("<", key, keys[0], frame)
        frame.spend(1 + (turns * len(key) // 64 if isinstance(key, str) else 0))
    places = sorted(range(len(items)), key=keys.__getitem__)
    return [items[place] for place in places]


def _reverse(frame: Frame, row: Any) -> object:
    if isinstance(row, str):
        frame.spend_text(len(row))
        return row[::-1]
    frame.make(len(row))
    return row[::-1]


def _range(frame: Frame, count: int) -> Items:
    frame.make(max(count, 0))
    return list(range(count))


def _sum(frame: Frame, items: Items) -> object:
    frame.spend(len(items))
    for item in items:
        if type(item) not in (int, float, Duration):
            raise Mistake(f"`sum` works on a list of numbers, and there is {kind_of(item)}")
    return functools.reduce(lambda total, item: add(total, item, frame), items) if items else 0


def extreme(name: str, prefers: Callable[[Any, Any], bool]) -> Callable[[Frame, Items], object]:
    """The function that picks one of a list: an item replaces the one so far if it is preferred."""

    def pick(frame: Frame, items: Items) -> object:
        frame.spend(len(items))
        if not items:
            raise Mistake(f"`{name}` of an empty list; ask for `size(...) > 0` first")
        best = items[0]
        for item in items:
            order("<", item, best, frame)
            if prefers(item, best):
                best = item
        return best

    return pick


least = extreme("min", lambda item, best: item < best)
greatest = extreme("max", lambda item, best: item > best)

LISTS = [
    Function("distinct", "method", "list.distinct()", ("list",), _distinct),
    Function("flatten", "method", "list.flatten()", ("list", "integer"), _flatten, 1),
    Function("slice", "method", "list.slice(0, 3)", ("list", "integer", "integer"), _slice),
    Function("sort", "method", "list.sort()", ("list",), _sort),
    Function("reverse", "method", "list.reverse()", ("row",), _reverse),
    Function("lists.range", "function", "lists.range(3)", ("integer",), _range),
    Function("sum", "method", "list.sum()", ("list",), _sum),
    Function("min", "method", "list.min()", ("list",), least),
    Function("max", "method", "list.max()", ("list",), greatest),
]
