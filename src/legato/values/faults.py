"""What can be wrong with an expression: faults found when it is loaded, failures when it is evaluated.

`Mistake` and `Limit` travel within an evaluation only: `||` and `&&` may absorb the one, never the other. What leaves
this package is a `LegatoError`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from legato.errors import LegatoError

MAX_FAULTS = 100  # nobody reads more
_MAX_SHOWN = 200


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with what was written, and what to write instead.

    `offset` counts characters: in the text given, for a template in the string at `pointer`.
    """

    message: str
    remedy: str
    offset: int = 0
    pointer: tuple[str | int, ...] = ()


class ExpressionError(LegatoError):
    """An expression, template, shape or schema cannot be used; `faults` holds every reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.message} ({fault.remedy})" for fault in self.faults))


class EvaluationFailed(LegatoError):
    """The data are not what was expected; names the expression as written, the path, and what is there."""


class Mistake(Exception):
    """Something in an expression that cannot be computed. `||`, `&&`, `exists` and `all` may pass over it."""


class Limit(Exception):
    """An evaluation that needs more than it may have. Never passed over."""


def printable(text: str, limit: int = 60) -> str:
    """A text as it may stand in a message: not too long, every character to be seen."""
    short = text if len(text) <= limit else text[: limit - 3] + "..."
    if short.isprintable():
        return short
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short)


def shown(source: str) -> str:
    """An expression as it stands in messages: with its `${}`, in backquotes, on one line."""
    return f"`${{{_line(source)}}}`"


def quoted(template: str) -> str:
    """A text with expressions as it stands in messages: in backquotes, on one line."""
    return f"`{_line(template)}`"


def _line(text: str) -> str:
    return printable(" ".join(text[: 4 * _MAX_SHOWN].split()), _MAX_SHOWN)
