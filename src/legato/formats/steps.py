"""The native language's steps: how they nest, how many there may be, what they are called. Each kind has its reader."""

from __future__ import annotations

from legato.formats.branches import read_parallel
from legato.formats.calls import read_call, read_python
from legato.formats.choices import read_choose
from legato.formats.fields import Fields
from legato.formats.graphs import read_graph
from legato.formats.kinds import KINDS, fields_of, kind_of
from legato.formats.leaves import (
    read_fail,
    read_flow_step,
    read_publish,
    read_respond,
    read_set,
    read_sleep,
    read_wait,
)
from legato.formats.loops import read_foreach
from legato.formats.modifiers import LONGEST_STORED, LONGEST_WAIT, Modifiers, read_modifiers
from legato.formats.naming import read_name
from legato.formats.places import Places
from legato.formats.report import Report, shown
from legato.formats.scalars import read_items
from legato.formats.tree import Node
from legato.formats.undos import LONGEST
from legato.model.flow import MAX_DEPTH, MAX_STEPS
from legato.model.paths import colliding_ids
from legato.model.steps import CallStep, SequenceStep, Step

__all__ = ["KINDS", "StepReader"]


class StepReader:
    """Reads steps within one document, and counts them. See `nest.Nest`.

    Where runs are stored, they may take longer.
    """

    def __init__(self, report: Report, stored: bool = False) -> None:
        self.report = report
        self.places = Places()
        self._longest = LONGEST_STORED if stored else LONGEST_WAIT
        self._count = 0

    def scope(self, node: Node, label: str, depth: int = 1) -> tuple[Step, ...]:
        """The steps of a list whose explicit ids are unique."""
        steps = self.sequence(node, label, depth)
        self._check_ids(steps)
        return steps

    def sequence(self, node: Node, label: str, depth: int) -> tuple[Step, ...]:
        """The steps of a list that shares its scope with what is around it."""
        if node.kind != "list":
            self.report.gap()
        steps = [self.step(item, depth) for item in read_items(self.report, node, label)]
        return tuple(step for step in steps if step is not None)

    def step(self, node: Node, depth: int, extra: tuple[str, ...] = ()) -> Step | None:
        """One step; None after a problem that leaves nothing to go on with."""
        step = self._step(node, depth, extra) if self._admit(node, depth) else None
        if step is None:
            self.report.gap()
        else:
            self.places.keep(step, node)
        return step

    def branch(self, node: Node, depth: int) -> Step | None:
        """One step, or a list of steps in sequence."""
        if node.kind != "list":
            step = self.step(node, depth)
        elif self._admit(node, depth):
            step = SequenceStep(steps=self.sequence(node, "a branch", depth + 1))
            self.places.keep(step, node)
        else:
            step = None
            self.report.gap()
        if step is not None:
            self._check_ids((step,))
        return step

    def _step(self, node: Node, depth: int, extra: tuple[str, ...]) -> Step | None:
        if node.kind == "text":
            return CallStep(function=read_name(self.report, node, "a step"))
        if node.kind != "mapping":
            if node.kind != "broken":
                remedy = "write `steps:` before a nested list" if node.kind == "list" else "write a function's name"
                self.report.add(node.place, f"a step must be a function's name or a mapping, not {node.word}", remedy)
            return None
        kind = kind_of(self.report, node, extra)
        return None if kind is None else self._of_kind(kind, fields_of(self.report, kind, node, extra), node, depth)

    def _admit(self, node: Node, depth: int) -> bool:
        self._count += 1
        if self._count > MAX_STEPS:
            if self._count == MAX_STEPS + 1:
                self.report.add(node.place, f"more than {MAX_STEPS} steps in a flow", "split the flow")
            return False
        if depth > MAX_DEPTH:
            self.report.add(node.place, f"steps nested deeper than {MAX_DEPTH}", "split the flow")
            return False
        return True

    def _of_kind(self, kind: str, fields: Fields, node: Node, depth: int) -> Step:
        longest = LONGEST if kind in ("call", "python") else self._longest
        modifiers = read_modifiers(self, fields, longest, depth)
        body = node.fields[kind]
        match kind:
            case "call":
                return read_call(self.report, fields, modifiers)
            case "python":
                return read_python(self.report, fields, modifiers)
            case "steps":
                return SequenceStep(steps=self.sequence(body, "`steps`", depth + 1), **modifiers)
            case "parallel":
                return read_parallel(self, body, fields, modifiers, depth)
            case "graph":
                return read_graph(self, body, modifiers, depth)
            case "foreach":
                return read_foreach(self, body, fields, modifiers, depth)
            case "choose":
                return read_choose(self, body, modifiers, depth)
            case _:
                return self._leaf(kind, fields, body, modifiers)

    def _leaf(self, kind: str, fields: Fields, body: Node, modifiers: Modifiers) -> Step:
        match kind:
            case "flow":
                return read_flow_step(self.report, body, modifiers)
            case "set":
                return read_set(self.report, body, modifiers)
            case "sleep":
                return read_sleep(self.report, body, self._longest, modifiers)
            case "wait":
                return read_wait(self.report, body, fields, modifiers)
            case "publish":
                return read_publish(self.report, body, modifiers)
            case "respond":
                return read_respond(self.report, body, fields, modifiers)
            case _:
                return read_fail(self.report, body, fields, modifiers)

    def _check_ids(self, steps: tuple[Step, ...]) -> None:
        for step in colliding_ids(steps):
            node = self.places.node(step, "id")
            if node is not None:
                message = f"the id {shown(step.id)} is taken in this flow or branch (`-` and `_` count as the same)"
                self.report.add(node.place, message, "choose another id")
                self.report.gap()
