"""Goes through the steps of a flow, whatever is nested in what. In document order; handlers come last."""

from __future__ import annotations

from collections.abc import Iterator

from legato.model.flow import Flow
from legato.model.steps import (
    CallStep,
    ChooseStep,
    ForeachStep,
    GraphStep,
    ParallelStep,
    PythonStep,
    SequenceStep,
    Step,
)


def steps_inside(step: Step) -> Iterator[Step]:
    """The steps right below one; those that follow its failure come last."""
    match step:
        case SequenceStep() | ForeachStep():
            yield from step.steps
        case ParallelStep():
            yield from step.branches.values()
        case GraphStep():
            yield from (node.step for node in step.nodes.values())
        case ChooseStep():
            for case in step.cases:
                yield from case.steps
            yield from step.otherwise or ()
        case _:
            pass
    if step.on_error is not None:
        yield from step.on_error.steps


def every_step(flow: Flow) -> Iterator[Step]:
    """All steps of a flow, at any depth, those of its handlers too; not those of the flows that it uses."""
    waiting = [*reversed(flow.finally_), *reversed(flow.on_failure), *reversed(flow.steps)]
    while waiting:
        step = waiting.pop()
        yield step
        waiting.extend(reversed(list(steps_inside(step))))


def functions_called(flow: Flow) -> Iterator[str]:
    """The names of the functions that a flow can call, undo included, each as often as it stands there."""
    for step in every_step(flow):
        if isinstance(step, CallStep):
            yield step.function
        if step.undo is not None:
            yield step.undo.function


def modules_of(flow: Flow) -> Iterator[str]:
    """The modules whose code a flow names."""
    if ":" in flow.code:
        yield flow.code.partition(":")[0]
    for step in every_step(flow):
        python = step.python if isinstance(step, PythonStep) else step.on_response if isinstance(step, CallStep) else ""
        if python:
            yield python.partition(":")[0]
