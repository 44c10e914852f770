"""A bundle: everything that a folder or a store defines, good and broken."""

from __future__ import annotations

import msgspec

from legato.model.flow import Flow
from legato.model.problem import Problem


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A flow, or the name of one that is broken, with where it came from."""

    name: str
    origin: str
    flow: Flow | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def state(self) -> str:
        """`ok` or `broken` (contract 5)."""
        return "broken" if self.flow is None else "ok"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Definitions by name."""

    definitions: dict[str, Definition] = {}

    @property
    def problems(self) -> list[Problem]:
        """Every problem of every definition."""
        return [problem for definition in self.definitions.values() for problem in definition.problems]
