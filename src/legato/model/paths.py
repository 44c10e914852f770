"""How steps get their ids (contract 2): by position and by what the author wrote, never by a counter of a run.

An id is unique within its scope: the flow, one branch, node, item or case. Nested sequences share their scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from legato.model.names import NAME, expression_name
from legato.model.steps import CallStep, FlowStep, PublishStep, PythonStep, SequenceStep, Step, WaitStep, kind_of


def steps_in_scope(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps that share one scope, in document order; what else has steps inside makes scopes of its own."""
    for step in steps:
        yield step
        if isinstance(step, SequenceStep):
            yield from steps_in_scope(step.steps)


def natural_id(step: Step) -> str:
    """The id before collisions: the explicit one, else the name of what is called, else the kind of step."""
    if step.id:
        return step.id
    match step:
        case CallStep():
            return step.function
        case FlowStep():
            return step.flow
        case PythonStep():
            return _python_id(step.python)
        case WaitStep():
            return step.wait
        case PublishStep():
            return "publish"
        case _:
            return kind_of(step)


def _python_id(python: str) -> str:
    """The name of the code where it can be an id: `shop.flows:add_vat` is `add_vat`."""
    name = python.rpartition(":")[2].rpartition(".")[2].strip("_").lower()
    return name if NAME.fullmatch(name) else "python"


class Scope:
    """Gives out ids in one scope. Explicit ids keep theirs; automatic ones that collide get `_2`, `_3` in order.

    Ids that differ only by `-` and `_` collide, because an expression could not tell them apart.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._taken = {expression_name(step.id) for step in steps_in_scope(steps) if step.id}
        self._last: dict[str, int] = {}

    def id_of(self, step: Step) -> str:
        """The id of the next step in document order."""
        return step.id or self.free(natural_id(step))

    def free(self, base: str) -> str:
        """`base`, or the first of `base_2`, `base_3` that is free; it is taken from now on."""
        n = self._last.get(base, 0) + 1  # where the last search ended: 10,000 calls of one function are no square
        candidate = base if n == 1 else f"{base}_{n}"
        while expression_name(candidate) in self._taken:
            n += 1
            candidate = f"{base}_{n}"
        self._last[base] = n
        self._taken.add(expression_name(candidate))
        return candidate


def scope_ids(steps: Sequence[Step]) -> list[str]:
    """The ids of all steps that share a scope, in document order."""
    scope = Scope(steps)
    return [scope.id_of(step) for step in steps_in_scope(steps)]


def branch_ids(branches: Mapping[str, Step]) -> dict[str, str]:
    """The ids of a parallel's branches by name: the explicit one, else the name, unique like those of a scope."""
    scope = Scope(())
    for branch in branches.values():
        if branch.id:
            scope.free(branch.id)
    return {name: branch.id or scope.free(name) for name, branch in branches.items()}


def colliding_ids(steps: Sequence[Step]) -> list[Step]:
    """Steps whose explicit id repeats an earlier explicit one of the same scope: an error for formats to report."""
    seen: set[str] = set()
    repeats: list[Step] = []
    for step in steps_in_scope(steps):
        if step.id:
            name = expression_name(step.id)
            if name in seen:
                repeats.append(step)
            seen.add(name)
    return repeats
