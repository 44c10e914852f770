"""What the readers of steps that hold other steps ask of whoever reads a whole flow."""

from __future__ import annotations

from typing import Protocol

from legato.formats.places import Places
from legato.formats.report import Report
from legato.formats.tree import Node
from legato.model.steps import Step


class Nest(Protocol):
    """Reads steps at a depth, and counts them. Problems are reported; what is left out is a gap in the report."""

    @property
    def report(self) -> Report: ...

    @property
    def places(self) -> Places: ...

    def scope(self, node: Node, label: str, depth: int) -> tuple[Step, ...]:
        """The steps of a list whose ids are a scope of their own."""
        ...

    def sequence(self, node: Node, label: str, depth: int) -> tuple[Step, ...]:
        """The steps of a list that shares its scope with what is around it."""
        ...

    def step(self, node: Node, depth: int, extra: tuple[str, ...] = ()) -> Step | None:
        """One step, in whose mapping the keys of `extra` may stand as well; None after a problem."""
        ...

    def branch(self, node: Node, depth: int) -> Step | None:
        """One step, or a list of steps as one, whose ids are a scope of their own; None after a problem."""
        ...
