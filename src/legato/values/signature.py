"""How a function of expressions is declared, and how its arguments are checked before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from legato.values.faults import Mistake
from legato.values.kinds import kind_of
from legato.values.moments import Duration, Timestamp
from legato.values.working import Frame

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a number"),
    "list": ((list,), "a list"),
    "bytes": ((bytes,), "bytes"),
    "sized": ((str, list, dict, bytes), "text, a list or an object"),
    "row": ((str, list), "text or a list"),
    "timestamp": ((Timestamp,), "a timestamp"),
    "time": ((Timestamp, Duration), "a timestamp or a duration"),
}


class Function(msgspec.Struct, frozen=True):
    """A function: `usage` shows how it is written, `kinds` what it takes, the last `optional` of which may be left out.

    `form` is `method`, `function` or `either`; `run` is given the frame, then the arguments. With `many` the last kind
    may repeat. The kind `any` is not checked.
    """

    name: str
    form: str
    usage: str
    kinds: tuple[str, ...]
    run: Callable[..., Any]
    optional: int = 0
    many: bool = False

    @property
    def least(self) -> int:
        """How many arguments there must be, the receiver of a method included."""
        return len(self.kinds) - self.optional

    @property
    def most(self) -> int:
        """How many arguments there may be."""
        return 64 if self.many else len(self.kinds)

    def checks(self, count: int) -> list[tuple[tuple[type, ...], str]]:
        """For a call with `count` arguments: the types that each may have (none: all), and their name."""
        kinds = [*self.kinds, *[self.kinds[-1]] * max(0, count - len(self.kinds))]
        return [_KINDS.get(kind, ((), "")) for kind in kinds[:count]]

    def call(self, frame: Frame, arguments: list[object], checks: list[tuple[tuple[type, ...], str]]) -> object:
        """Run it. Raises Mistake for an argument of another kind, and whatever it raises itself."""
        for argument, (types, wanted) in zip(arguments, checks, strict=True):
            if types and type(argument) not in types:
                raise Mistake(f"`{self.name}` works on {wanted}, not on {kind_of(argument)}")
        frame.spend(1)
        return self.run(frame, *arguments)
