"""Which calls' answers a join looks into: they are checked while the call is still the host's (contract 1, garbage)."""

from __future__ import annotations

from legato.kernel.calls import LinkedCall, LinkedSequence, LinkedStep, RichCall
from legato.kernel.graph import LinkedGraph, LinkedNode
from legato.kernel.leaves import LinkedChoose, LinkedRespond, LinkedSleep
from legato.kernel.modified import Modified
from legato.kernel.saga import WithPivot, WithUndo
from legato.kernel.subflow import LinkedFlow


def inspect_last(step: LinkedStep) -> bool:
    """Mark the calls whose answer may be the step's value; gives whether that is always one of its own.

    Where it is not, what the steps before it leave may be the value as well.
    """
    match step:
        case LinkedSequence():
            return any(inspect_last(inner) for inner in reversed(step.steps))
        case Modified():
            return _inspect_modified(step)
        case RichCall():
            return step.handler is not None or inspect_last(step.linked)
        case LinkedCall():
            step.inspected = True
        case WithUndo() | WithPivot():
            return inspect_last(step.core)
        case LinkedSleep() | LinkedRespond():
            return False
        case LinkedChoose():
            own = [inspect_last(case.body) for case in step.cases]
            return step.cases[-1].when is None and (step.all or all(own))
        case LinkedGraph():
            return len(step.ends) != 1 or _inspect_node(step, step.ends[0])
        case LinkedFlow():
            return step.output is not None or inspect_last(step.body)
        case _:
            pass
    return True


def _inspect_node(graph: LinkedGraph, n: int) -> bool:
    """The same of a node, which passes on what it got where it is skipped."""
    while not inspect_last(graph.nodes[n].step):
        data = graph.nodes[n].data
        if len(data) != 1 or data[0][1] is not None:
            return bool(data)
        n = data[0][0]
    return True


def _inspect_modified(step: Modified) -> bool:
    modifiers = step.modifiers
    if modifiers.output is not None:
        return True
    own = not modifiers.passes and inspect_last(step.core)
    skips = modifiers.on_error is not None and modifiers.on_error.action == "skip"
    return own and modifiers.when is None and not skips


def inspect_nodes(nodes: list[LinkedNode]) -> None:
    """Mark the calls of nodes that are joined with others: bytes may go along a single edge as they are."""
    ends = [n for n, node in enumerate(nodes) if not node.after]
    joined = set(ends) if len(ends) > 1 else set[int]()
    for node in nodes:
        if len(node.data) > 1:
            joined.update(n for n, transform in node.data if transform is None)
    for n in joined:
        inspect_last(nodes[n].step)
