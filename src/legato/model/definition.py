"""A definition as it was read: a flow, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from legato.model.flow import Flow
from legato.model.problem import Problem
from legato.model.source import Source


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A flow, or the name of one that is broken, with where it came from.

    `shadows` are the origins of others by this name, which it hides. `note` says what an operator should know of one
    that works: that its store has lost it, say. `draft` is the source's. `warnings` are what may be meant, and probably
    is not. `code` is the Python code of a flow that was built in Python, by the names that its steps give it.
    """

    name: str
    origin: str
    source: Source | None = None
    flow: Flow | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    shadows: tuple[str, ...] = ()
    note: str = ""
    draft: bool = False
    code: Mapping[str, Callable[..., Any]] = {}

    @property
    def state(self) -> str:
        """`ok` or `broken` (contract 5)."""
        return "broken" if self.flow is None else "ok"
