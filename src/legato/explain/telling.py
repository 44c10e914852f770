"""An explanation in lines: a tree, what is written first comes first. How it is printed is not decided here."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from legato.explain.calls import Call
from legato.explain.explanation import Explained, Explanation, Inner
from legato.explain.worst import Worst
from legato.model.policy import MAX_ATTEMPTS
from legato.pictures.words import duration, said, span

_ROLES = {
    "failure": "when the flow has failed",
    "finally": "in the end, always",
    "error": "on error",
}
_OWN = frozenset({"steps", "flow", "item"})  # what a step is, and needs no line of its own
_SIDE = {"parallel": "at once", "graph": "each as soon as it can"}


class Line(msgspec.Struct, frozen=True):
    """What there is, how long it may take (empty where that says nothing), what else is to be known, what is in it."""

    text: str
    takes: str = ""
    facts: tuple[str, ...] = ()
    below: tuple[Line, ...] = ()


def told(explanation: Explanation) -> Line:
    """The flow as a tree of lines."""
    below = [_step(step) for step in explanation.steps]
    below += [_inner(handler) for handler in explanation.handlers]
    if explanation.callback is not None:
        call = explanation.callback
        below.append(Line("callback, when the run has ended", f"up to {span(call.worst)}", tuple(_call_facts(call))))
    head = f"flow {explanation.flow}, version {explanation.version}{', durable' if explanation.durable else ''}"
    head += ", only forward" if explanation.strategy == "forward" else ""
    return Line(head, below=tuple(below))


def summed_up(explanation: Explanation) -> list[str]:
    """What is at the end: the bound beside the deadline, how many calls there are."""
    worst, deadline = explanation.worst, explanation.deadline
    lines = [f"worst case: {worst}"]
    if deadline is None:
        lines.append("deadline: none, a durable run takes as long as it takes (`timeout` would be one)")
    elif worst.known and worst.seconds <= deadline:
        lines.append(f"deadline: {span(deadline)}")
    else:
        lines.append(f"deadline: {span(deadline)}, which may come first: then 504, after undo")
    if explanation.undos or explanation.handlers:
        takes = "as long as they take" if explanation.after is None else f"up to {span(explanation.after)}"
        lines.append(f"undo and handlers: {takes}")
    each = f", {explanation.repeated} of them for each item" if explanation.repeated else ""
    undos = f", and {explanation.undos} to undo" if explanation.undos else ""
    lines.append(f"calls: {explanation.calls}{each}{undos}")
    return lines


def _step(step: Explained) -> Line:
    takes = "" if step.worst == Worst() else "as long as it takes" if step.worst.open else f"up to {step.worst}"
    facts: list[str] = []
    if step.call is not None:
        facts += _call_facts(step.call)
    facts += step.says
    below = [_step(each) for inner in step.within if inner.role in _OWN for each in inner.steps]
    below += [_inner(inner) for inner in step.within if inner.role not in _OWN]
    if step.undo is not None:
        undo = step.undo
        below.append(Line(f"undo: {said(undo.function)}", f"up to {span(undo.worst)}", tuple(_call_facts(undo))))
    side = f", {_SIDE[step.kind]}" if step.kind in _SIDE else ""
    return Line(f"{step.does}{side}", takes, tuple(facts), tuple(below))


def _inner(inner: Inner) -> Line:
    """A branch, a node, a case, a handler. One that is a step by its name is that step."""
    if inner.role in ("branch", "node") and len(inner.steps) == 1:
        line = _step(inner.steps[0])
        after = (f"after {', '.join(inner.after)}",) if inner.after else ()
        return msgspec.structs.replace(line, facts=(*after, *line.facts))
    below = tuple(_step(step) for step in inner.steps) or (Line("nothing"),)
    if inner.role == "case":
        title = f"{inner.title}: " if inner.title else ""
        return Line(f"{title}if {inner.when}", below=below)
    return Line(_ROLES.get(inner.role, inner.name or inner.role), below=below)


def _call_facts(call: Call) -> Iterable[str]:
    yield call.reaches
    if call.forward:
        waits = call.retry.next_delay(MAX_ATTEMPTS, 1.0, None)
        yield f"only forward: attempts of {duration(call.timeout)} until it is done, at most {duration(waits)} apart"
    elif call.attempts > 1:
        waits = f", waits of {duration(call.waits)} in all" if call.waits else ""
        again = "unless refused" if call.repeatable else "only if nothing was done"
        if call.retry.when_status and not call.repeatable:
            again += f", or after {', '.join(map(str, call.retry.when_status))}"
        yield f"{call.attempts} attempts of {duration(call.timeout)}{waits}; again {again}"
    if call.hedge is not None:
        yield f"started again after {duration(call.hedge.delay)}, {call.hedge.attempts} at once at most"
    if call.breaker is not None:
        each = call.breaker
        within = duration(each.within)
        yield f"breaker: {each.failures} failures in a row within {within} refuse calls for {duration(each.open)}"
    if call.concurrency:
        yield f"{call.concurrency} calls of {said(call.function)} at a time, those of other runs included"
