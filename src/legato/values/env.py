"""What an expression can see, and how it says what it looks at."""

from __future__ import annotations

from typing import Protocol

import msgspec

from legato.model.payload import Payload

ROOTS = ("input", "value", "steps", "item", "index", "error", "errors", "request", "run")
UNDO_ROOTS = (*ROOTS, "sent", "result")


class Env(Protocol):
    """The payloads behind the roots, given by whoever evaluates.

    Asked only for roots and steps that the expression's `references` name, and only when their value is needed.
    """

    def root(self, name: str) -> Payload:
        """The payload of a root other than `steps`."""
        ...

    def step(self, name: str) -> Payload:
        """The result of a step by its name in expressions, hyphens being `_`."""
        ...


class Reference(msgspec.Struct, frozen=True):
    """One static path in an expression: a root, for `steps` the step's name (hyphens as `_`), and fields from there.

    `offset` is where it begins, in characters, and `written` how it was written; `pointer` is where in a template its
    string is. The three are those of a Fault.
    """

    root: str
    step: str
    offset: int
    fields: tuple[str | int, ...]
    written: str
    pointer: tuple[str | int, ...] = ()
