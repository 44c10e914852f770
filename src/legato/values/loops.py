"""Comprehensions. A loop pays for all its turns before the first, so that no data can make it run for long.

It pays for loops within it too, where their ranges are known beforehand: 10,000 times 10,000 is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from legato.values.closures import Evaluate, needs_boolean
from legato.values.faults import Mistake
from legato.values.kinds import kind_of
from legato.values.working import Frame


class Turns(msgspec.Struct, frozen=True):
    """What a loop runs over: `slot` is where its variable is kept, `cost` that of one turn, without the loops in it.

    `inner` are those whose range is a path, each with its cost.
    """

    kind: str
    over: Evaluate
    slot: int
    cost: int
    inner: Sequence[tuple[Evaluate, int]]

    def items(self, frame: Frame) -> list[Any]:
        """The elements of the list, or the keys of the object, paid for. Raises Limit, or Mistake for anything else."""
        items = _elements(self.kind, self.over(frame))
        cost = self.cost
        for over, inner_cost in self.inner if items else ():
            try:
                cost += inner_cost * len(_elements(self.kind, over(frame)))
            except Mistake:
                continue  # it may never be reached
        if len(items) * cost > frame.steps or not self.inner:
            frame.spend(len(items) * cost)
        else:
            frame.spend(len(items) * self.cost)
        return items


def _elements(kind: str, value: Any) -> list[Any]:
    if type(value) is list:
        return cast("list[Any]", value)
    if type(value) is dict:
        return list(cast("dict[Any, Any]", value))
    raise Mistake(f"`{kind}` works on a list or an object, not on {kind_of(value)}")


def mapping(turns: Turns, test: Evaluate | None, result: Evaluate) -> Evaluate:
    """Gives the results for all elements, or for those that pass the test."""
    slot = turns.slot

    def every(frame: Frame) -> object:
        variables = frame.variables
        made: list[object] = []
        items = turns.items(frame)
        frame.make(len(items))
        for item in items:
            variables[slot] = item
            made.append(result(frame))
        return made

    def some(frame: Frame) -> object:
        variables = frame.variables
        made: list[object] = []
        items = turns.items(frame)
        frame.make(len(items))
        for item in items:
            variables[slot] = item
            if _boolean(turns.kind, test(frame)):  # pyright: ignore[reportOptionalCall]
                made.append(result(frame))
        return made

    return some if test else every


def filtering(turns: Turns, test: Evaluate) -> Evaluate:
    """Gives the elements that pass the test."""
    slot = turns.slot

    def evaluate(frame: Frame) -> object:
        variables = frame.variables
        kept: list[object] = []
        items = turns.items(frame)
        frame.make(len(items))
        for item in items:
            variables[slot] = item
            if _boolean(turns.kind, test(frame)):
                kept.append(item)
        return kept

    return evaluate


def deciding(turns: Turns, test: Evaluate, decides: bool) -> Evaluate:
    """Gives `decides` if the test of one element does, whatever is wrong with others (CEL, Logical Operators)."""
    slot = turns.slot

    def evaluate(frame: Frame) -> object:
        variables = frame.variables
        mistake: Mistake | None = None
        for item in turns.items(frame):
            variables[slot] = item
            try:
                if _boolean(turns.kind, test(frame)) is decides:
                    return decides
            except Mistake as error:
                mistake = mistake or error
        if mistake is not None:
            raise mistake
        return not decides

    return evaluate


def counting(turns: Turns, test: Evaluate) -> Evaluate:
    """Gives whether exactly one element passes the test."""
    slot = turns.slot

    def evaluate(frame: Frame) -> object:
        variables = frame.variables
        count = 0
        for item in turns.items(frame):
            variables[slot] = item
            count += _boolean(turns.kind, test(frame))
        return count == 1

    return evaluate


def _boolean(kind: str, value: object) -> bool:
    if value is True or value is False:
        return value
    raise needs_boolean(f"the test of `{kind}`", value)


Build = Callable[[Turns, Any, Any], Evaluate]

LOOPS: dict[str, Build] = {
    "map": mapping,
    "filter": lambda turns, test, result: filtering(turns, test),
    "exists": lambda turns, test, result: deciding(turns, test, True),
    "all": lambda turns, test, result: deciding(turns, test, False),
    "exists_one": lambda turns, test, result: counting(turns, test),
}
