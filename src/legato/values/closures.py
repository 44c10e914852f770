"""What the nodes of an expression do when it is evaluated: one closure each, made once.

A closure takes the frame and gives a value, or raises Mistake (which `||` and `&&` absorb as CEL has it) or Limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from legato.values.faults import Mistake, printable
from legato.values.kinds import described, equal, kind_of
from legato.values.numbers import ORDER, Operation, negate
from legato.values.working import MISSING, Frame

Evaluate = Callable[[Frame], Any]
_type: Callable[[object], Any] = type


def constant(value: object) -> Evaluate:
    """Gives `value`."""
    return lambda frame: value


def field(operand: Evaluate, name: str) -> Evaluate:
    """Gives a field of an object."""

    def evaluate(frame: Frame) -> object:
        value = operand(frame)
        try:
            return value[name]
        except (KeyError, TypeError):
            raise _no_member(value, name) from None

    return evaluate


def item(operand: Evaluate, key: Evaluate) -> Evaluate:
    """Gives an element of a list or an object."""

    def evaluate(frame: Frame) -> object:
        value = operand(frame)
        wanted = key(frame)
        found = _member(value, wanted)
        if found is MISSING:
            raise _no_member(value, wanted)
        return found

    return evaluate


def maybe(operand: Evaluate, key: Evaluate) -> Evaluate:
    """As `item`, but gives MISSING where there is none, or where `operand` gave it."""

    def evaluate(frame: Frame) -> object:
        value = operand(frame)
        return MISSING if value is MISSING else _member(value, key(frame))

    return evaluate


def has(member: Evaluate) -> Evaluate:
    """Gives whether `member` is not MISSING."""
    return lambda frame: member(frame) is not MISSING


def _member(value: Any, key: Any) -> object:
    """The element at `key`, or MISSING. Python's own rules would take `true` and -1 for places."""
    if type(value) is dict:
        return cast("dict[object, object]", value).get(key, MISSING) if type(key) in (str, int, float) else MISSING
    if type(value) is list:
        items = cast("list[object]", value)
        if type(key) is float and key.is_integer():
            key = int(key)
        if type(key) is int and 0 <= key < len(items):
            return items[key]
    return MISSING


def _no_member(value: object, key: object) -> Mistake:
    """Why there is no element at `key`."""
    of, by = _type(value), _type(key)
    asked = f"`[{key}]`" if by is int else f"`{printable(key)}`" if isinstance(key, str) else kind_of(key)
    if (of is dict and by in (str, int, float)) or (of is list and by in (int, float)):
        return Mistake(f"there is no {asked} in the {described(value).split(' ', 1)[1]}")
    if of is list:
        return Mistake(f"a list is asked for {asked}; it takes an integer")
    if of is str and by is int:
        return Mistake("text has no elements; write `charAt(0)` for a character")
    return Mistake(f"{kind_of(value)} is asked for {asked}; only objects and lists have elements")


def list_of(items: Sequence[Evaluate]) -> Evaluate:
    """Gives a list."""

    def evaluate(frame: Frame) -> object:
        frame.make(len(items))
        return [each(frame) for each in items]

    return evaluate


def map_of(entries: Sequence[tuple[Evaluate, Evaluate]]) -> Evaluate:
    """Gives an object. Its keys are texts or integers, each once."""

    def evaluate(frame: Frame) -> object:
        frame.make(4 + len(entries))  # an object takes as much as a list of four elements more
        made: dict[object, object] = {}
        for key_of, value_of in entries:
            key = key_of(frame)
            if type(key) is not str and type(key) is not int:
                raise Mistake(f"{kind_of(key)} cannot be a key")
            if key in made:
                raise Mistake(f"the key `{printable(str(key))}` is given twice")
            made[key] = value_of(frame)
        return made

    return evaluate


def invert(operand: Evaluate) -> Evaluate:
    """Gives the other boolean."""

    def evaluate(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is not bool:
            raise needs_boolean("`!`", value)
        return not value

    return evaluate


def minus(operand: Evaluate) -> Evaluate:
    """Gives the negative."""
    return lambda frame: negate(operand(frame))


def logic(operator: str, operands: Sequence[Evaluate]) -> Evaluate:
    """Gives what decides: false for `&&`, true for `||`. A mistake counts only if no operand decides."""
    deciding = operator == "||"

    def evaluate(frame: Frame) -> object:
        mistake: Mistake | None = None
        for operand in operands:
            try:
                value = operand(frame)
            except Mistake as error:
                mistake = mistake or error
                continue
            if value is deciding:
                return deciding
            if type(value) is not bool:
                mistake = mistake or needs_boolean(f"`{operator}`", value)
        if mistake is not None:
            raise mistake
        return not deciding

    return evaluate


def needs_boolean(what: str, value: object) -> Mistake:
    """What to say of a value that should be a boolean."""
    return Mistake(f"{what} needs a boolean, and there is {kind_of(value)}; compare it with something")


def compare(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """Gives a boolean."""
    if operator == "==":
        return lambda frame: equal(left(frame), right(frame), frame)
    if operator == "!=":
        return lambda frame: not equal(left(frame), right(frame), frame)
    if operator == "in":
        return lambda frame: _is_in(left(frame), right(frame), frame)
    ordered = ORDER[operator]
    return lambda frame: ordered(left(frame), right(frame), frame)


def _is_in(value: Any, whole: Any, frame: Frame) -> bool:
    if type(whole) is list:
        items = cast("list[object]", whole)
        if type(value) is str:
            frame.spend(len(items) * (1 + len(value) // 64))
            return value in items
        frame.spend(len(items))
        return any(equal(value, each, frame) for each in items)
    if type(whole) is dict:
        return type(value) in (str, int, float) and value in whole
    remedy = "; write `text.contains(...)`" if type(whole) is str else ""
    raise Mistake(f"`in` asks a list or an object, not {kind_of(whole)}{remedy}")


def chain(first: Evaluate, rest: Sequence[tuple[Operation, Evaluate]]) -> Evaluate:
    """Gives the result of operators that bind alike, from the left."""
    if len(rest) == 1:
        operation, second = rest[0]
        return lambda frame: operation(first(frame), second(frame), frame)

    def evaluate(frame: Frame) -> object:
        value = first(frame)
        for operation, operand in rest:
            value = operation(value, operand(frame), frame)
        return value

    return evaluate


def choice(condition: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    """Gives one of two values; the other is not computed."""

    def evaluate(frame: Frame) -> object:
        value = condition(frame)
        if value is True:
            return yes(frame)
        if value is False:
            return no(frame)
        raise needs_boolean("`?`", value)

    return evaluate
