"""Operators as they are called, one after another in one scope: each is read at once, and refused if it is wrong."""

from __future__ import annotations

from legato.builder.code import CodeBook
from legato.builder.written import Nodes, Written, complaints
from legato.errors import DefinitionError
from legato.formats.report import Report, shown
from legato.formats.steps import StepReader
from legato.model.names import expression_name
from legato.model.paths import steps_in_scope
from legato.model.steps import Step


class Scope:
    """The steps that share a scope, as written."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self._ids: set[str] = set()

    def add(self, written: Written) -> None:
        """Take one more. Raises DefinitionError, which names the operator and everything that is wrong with it."""
        step = read_step(written)
        ids = [each.id for each in steps_in_scope((step,)) if each.id]
        for name in ids:
            if expression_name(name) in self._ids:
                message = f"the id {shown(name)} is taken in this flow or branch (`-` and `_` count as the same)"
                raise DefinitionError(f"{written.label}: {message} (choose another id)")
        self._ids.update(map(expression_name, ids))
        self.written.append(written)


def read_step(written: Written, extra: tuple[str, ...] = ()) -> Step:
    """The step that is written; keys of `extra` may stand in it as well. Raises DefinitionError."""
    report = Report("")
    # Of which flow it will be is not known yet: durations that only a durable one may have are refused when it is read.
    step = StepReader(report, stored=True).step(Nodes(CodeBook("flow")).of(written), 1, extra)
    if step is None or not report.ok:
        raise DefinitionError(f"{written.label}: {complaints(report)}")
    return step
