"""A flow as pictures see it: each step with its path and with what is within it. The walk that all of them share.

Paths are those of the kernel (contract 2). What a step looks like, or how long it may take, is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from legato.model.flow import MAX_DEPTH, MAX_STEPS, Flow
from legato.model.paths import Scope, branch_ids
from legato.model.steps import (
    ChooseStep,
    Edge,
    FlowStep,
    ForeachStep,
    GraphStep,
    ParallelStep,
    SequenceStep,
    Step,
    kind_of,
)

Resolve = Callable[[str], Flow | None]
Role = Literal["steps", "branch", "node", "item", "case", "otherwise", "error"]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Steps within a step, one after another.

    `name` is that of a branch, a node or a case, `title` that of a case which was given one; `when` is a case's
    condition; `after` says which nodes a node is after.
    `path` is what the paths of its steps begin with.
    """

    role: Role
    parts: tuple[Part, ...]
    path: str
    name: str = ""
    title: str = ""
    when: str = ""
    after: Mapping[str, Edge] = {}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A step at its path. `whole` is the flow that a sub-flow's step runs, where it is known; else `note` says why."""

    step: Step
    path: str
    id: str
    bodies: tuple[Body, ...] = ()
    whole: Whole | None = None
    note: str = ""

    @property
    def kind(self) -> str:
        """The kind of step, as it is written."""
        return kind_of(self.step)

    @property
    def error(self) -> Body | None:
        """The steps that follow a failure."""
        return next((body for body in self.bodies if body.role == "error"), None)

    @property
    def inner(self) -> list[Body]:
        """What it does itself: everything within it but the steps that follow a failure."""
        return [body for body in self.bodies if body.role != "error"]


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A flow with its steps and its handlers. `path` is that of the step that runs it, if one does.

    `cut` says that steps are missing: there are too many to show.
    """

    flow: Flow
    path: str
    parts: tuple[Part, ...]
    on_failure: tuple[Part, ...]
    finally_: tuple[Part, ...]
    cut: bool = False

    @property
    def version(self) -> str:
        """See Flow."""
        return self.flow.version


def parts_of(flow: Flow, resolve: Resolve | None = None) -> Whole:
    """The parts of a flow; `resolve` finds the flows within it, without it they are not looked into.

    Never more than MAX_STEPS steps and MAX_DEPTH levels, whatever the flows within call.
    """
    walk = _Walk(resolve)
    whole = walk.whole(flow, "")
    return msgspec.structs.replace(whole, cut=walk.left < 0)


class _Walk:
    """One walk; `left` is how many steps it may still see, negative when there were more."""

    def __init__(self, resolve: Resolve | None) -> None:
        self._resolve = resolve
        self._within: list[str] = []  # names of the flows around, outermost first
        self._depth = 0
        self.left = MAX_STEPS

    def whole(self, flow: Flow, path: str) -> Whole:
        self._within.append(flow.name)
        whole = Whole(
            flow=flow,
            path=path,
            parts=self._scope(flow.steps, f"{path}." if path else ""),
            on_failure=self._scope(flow.on_failure, f"{path}/failure."),
            finally_=self._scope(flow.finally_, f"{path}/finally."),
        )
        self._within.pop()
        return whole

    def _scope(self, steps: Sequence[Step], prefix: str) -> tuple[Part, ...]:
        return self._sequence(steps, Scope(steps), prefix)

    def _sequence(self, steps: Sequence[Step], scope: Scope, prefix: str) -> tuple[Part, ...]:
        parts: list[Part] = []
        for step in steps:
            self.left -= 1
            if self.left < 0:
                break
            step_id = scope.id_of(step)
            parts.append(self._part(step, prefix + step_id, step_id, scope))
        return tuple(parts)

    def _branch(self, step: Step, path: str, step_id: str) -> tuple[Part, ...]:
        """A step that is a scope of its own."""
        self.left -= 1
        if self.left < 0:
            return ()
        steps = step.steps if isinstance(step, SequenceStep) else (step,)
        return (self._part(step, path, step_id, Scope(steps)),)

    def _part(self, step: Step, path: str, step_id: str, scope: Scope) -> Part:
        whole, note = None, ""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            bodies, note = (), "nested too deep to be shown"
        else:
            bodies = self._bodies(step, path, scope)
            if isinstance(step, FlowStep):
                whole, note = self._subflow(step, path)
        self._depth -= 1
        return Part(step=step, path=path, id=step_id, bodies=bodies, whole=whole, note=note)

    def _bodies(self, step: Step, path: str, scope: Scope) -> tuple[Body, ...]:
        match step:
            case SequenceStep():
                parts = self._sequence(step.steps, scope, f"{path}.")
                bodies = [Body(role="steps", parts=parts, path=f"{path}.")]
            case ParallelStep():
                bodies = self._branches(step, path)
            case GraphStep():
                bodies = self._nodes(step, path)
            case ForeachStep():
                bodies = [Body(role="item", parts=self._scope(step.steps, f"{path}[*]."), path=f"{path}[*].")]
            case ChooseStep():
                bodies = self._cases(step, path)
            case _:
                bodies = []
        if step.on_error is not None and step.on_error.action == "steps":
            prefix = f"{path}/error."
            bodies.append(Body(role="error", parts=self._scope(step.on_error.steps, prefix), path=prefix))
        return tuple(bodies)

    def _branches(self, step: ParallelStep, path: str) -> list[Body]:
        ids = branch_ids(step.branches)
        return [
            Body(
                role="branch", parts=self._branch(branch, f"{path}.{ids[name]}", ids[name]), path=f"{path}.", name=name
            )
            for name, branch in step.branches.items()
        ]

    def _nodes(self, step: GraphStep, path: str) -> list[Body]:
        ids = branch_ids({name: node.step for name, node in step.nodes.items()})
        return [
            Body(
                role="node",
                parts=self._branch(node.step, f"{path}.{ids[name]}", ids[name]),
                path=f"{path}.",
                name=name,
                after=node.after,
            )
            for name, node in step.nodes.items()
        ]

    def _cases(self, step: ChooseStep, path: str) -> list[Body]:
        bodies: list[Body] = []
        for number, case in enumerate(step.cases, 1):
            name = case.name or f"case_{number}"
            prefix = f"{path}.{name}."
            parts = self._scope(case.steps, prefix)
            bodies.append(Body(role="case", parts=parts, path=prefix, name=name, title=case.name, when=case.when))
        if step.otherwise is not None:
            prefix = f"{path}.otherwise."
            bodies.append(
                Body(role="otherwise", parts=self._scope(step.otherwise, prefix), path=prefix, name="otherwise")
            )
        return bodies

    def _subflow(self, step: FlowStep, path: str) -> tuple[Whole | None, str]:
        if self._resolve is None:
            return None, ""
        if step.flow in self._within:
            return None, "it is within itself"
        flow = self._resolve(step.flow)
        if flow is None:
            return None, "there is no such flow that can be run"
        return self.whole(flow, path), ""
