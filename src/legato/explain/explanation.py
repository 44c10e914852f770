"""What a flow would do, step by step, as data. The bounds follow the same structure: see `worst`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Literal, cast

import msgspec

from legato.explain.calls import Call, FunctionOf, call_of, callback_of, undo_of
from legato.explain.worst import Worst, longest
from legato.hosts.inline import UNDO_TIME
from legato.hosts.patience import impatient
from legato.kernel.course import Course
from legato.model.steps import (
    CallStep,
    ChooseStep,
    FlowStep,
    ForeachStep,
    GraphStep,
    ParallelStep,
    PythonStep,
    SleepStep,
    WaitStep,
)
from legato.pictures import words
from legato.pictures.parts import Body, Part, Role, Whole


class Inner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps within a step: of which role, called what, when, after which nodes."""

    role: Role | Literal["flow", "failure", "finally"]
    steps: tuple[Explained, ...]
    worst: Worst
    name: str = ""
    title: str = ""
    when: str = ""
    after: tuple[str, ...] = ()


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step: what it does, what it calls, how long that may take. `says` is what else is worth knowing."""

    path: str
    kind: str
    does: str
    worst: Worst
    says: tuple[str, ...] = ()
    call: Call | None = None
    undo: Call | None = None
    within: tuple[Inner, ...] = ()


class Warned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is allowed, and probably not meant."""

    detail: str
    remedy: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flow. `deadline` bounds its steps, `after` what follows their end: undo and handlers. Seconds; None: unbounded.

    `calls` and `undos` count the calls that are written, whichever of them are made and how often; `repeated` those of
    `calls` that are made for each item of a foreach.
    """

    flow: str
    version: str
    deadline: float | None
    worst: Worst
    calls: int
    undos: int
    repeated: int = 0
    after: float | None = UNDO_TIME
    durable: bool = False
    strategy: Literal["backward", "forward"] = "backward"
    steps: tuple[Explained, ...] = ()
    handlers: tuple[Inner, ...] = ()
    callback: Call | None = None
    warnings: tuple[Warned, ...] = ()


def explained(
    whole: Whole, function_of: FunctionOf, default_timeout: float, warnings: Iterable[Warned] = ()
) -> Explanation:
    """What a flow would do. `function_of` finds a function by name; `default_timeout` is the settings' deadline."""
    flow = whole.flow
    explainer = _Explainer(function_of, flow.durable)
    steps, handlers = explainer.flow(whole)
    deadline = flow.timeout or (None if flow.durable else default_timeout)
    worst = Worst(open=("its Python code",)) if flow.code and not whole.parts else _in_turn(steps)
    late = [Warned(detail=detail, remedy=remedy) for detail, remedy in impatient(explainer.bounded(), deadline or inf)]
    return Explanation(
        flow=flow.name,
        version=whole.version,
        deadline=deadline,
        worst=worst,
        calls=sum(not call.is_undo for call in explainer.calls),
        undos=sum(call.is_undo for call in explainer.calls),
        repeated=sum("[*]" in call.path and not call.is_undo for call in explainer.calls),
        after=None if flow.durable else UNDO_TIME,
        durable=flow.durable,
        strategy=flow.strategy,
        steps=steps,
        handlers=handlers,
        callback=None if flow.callback is None else callback_of(flow.callback),
        warnings=(*warnings, *_harmful(explainer.calls), *late),
    )


def _harmful(calls: Iterable[Call]) -> Iterator[Warned]:
    """Hedged calls that must not be repeated: a flow with one is not served."""
    for call in calls:
        if call.hedge is not None and not call.repeatable:
            remedy = "say `idempotent: true` on the call or the function if it does no harm, or leave out `hedge`"
            yield Warned(detail=f"{call.path}: `hedge` starts a call a second time, which may do harm", remedy=remedy)


def _in_turn(steps: Iterable[Explained]) -> Worst:
    worst = Worst()
    for step in steps:
        worst = worst.then(step.worst)
    return worst


class _Explainer:
    """Explains steps, and keeps the calls that it finds."""

    def __init__(self, function_of: FunctionOf, durable: bool) -> None:
        self._function_of = function_of
        self._course = Course([], durable)
        self.calls: list[Call] = []

    def bounded(self) -> list[Call]:
        """The calls that are not tried for ever."""
        return [call for call in self.calls if not call.forward]

    def flow(self, whole: Whole) -> tuple[tuple[Explained, ...], tuple[Inner, ...]]:
        """(its steps, its handlers)."""
        with self._course.flow(whole.flow):
            steps = self.steps(whole.parts)
        return steps, self.handlers(whole)

    def steps(self, parts: Sequence[Part]) -> tuple[Explained, ...]:
        return tuple(self.step(part) for part in parts)

    def handlers(self, whole: Whole) -> tuple[Inner, ...]:
        found: list[Inner] = []
        if whole.on_failure:
            with self._course.handler("on_failure"):
                steps = self.steps(whole.on_failure)
            found.append(Inner(role="failure", steps=steps, worst=_in_turn(steps)))
        if whole.finally_:
            with self._course.handler("finally"):
                steps = self.steps(whole.finally_)
            found.append(Inner(role="finally", steps=steps, worst=_in_turn(steps)))
        return tuple(found)

    def step(self, part: Part) -> Explained:
        step = part.step
        call = undo = None
        with self._course.within(step):
            if isinstance(step, CallStep | PythonStep):
                call = self._noted(call_of(step, part.path, self._function_of, self._course.forward))
            if step.undo is not None:
                undo = self._noted(undo_of(step.undo, part.path, self._function_of))
            inner = [self._inner(body) for body in part.inner]
            if part.whole is not None:
                inner += self._subflow(part.whole)
        worst = self._worst(part, call, inner)
        error = part.error
        if error is not None:
            with self._course.fallback():
                inner.append(self._inner(error))
            worst = worst.then(inner[-1].worst)
        self._course.check(step, part.path)
        return Explained(
            path=part.path,
            kind=part.kind,
            does=words.named(part),
            worst=worst,
            says=tuple(self._says(part)),
            call=call,
            undo=undo,
            within=tuple(inner),
        )

    def _noted(self, call: Call) -> Call:
        self.calls.append(call)
        return call

    def _inner(self, body: Body) -> Inner:
        steps = self.steps(body.parts)
        return Inner(
            role=body.role,
            name=body.name,
            title=body.title,
            when=words.condition(body.when),
            after=tuple(body.after),
            steps=steps,
            worst=_in_turn(steps),
        )

    def _subflow(self, whole: Whole) -> list[Inner]:
        steps, handlers = self.flow(whole)
        return [Inner(role="flow", name=whole.flow.name, steps=steps, worst=_in_turn(steps)), *handlers]

    def _worst(self, part: Part, call: Call | None, inner: Sequence[Inner]) -> Worst:
        """The longest that a step takes until it has succeeded or failed."""
        step = part.step
        if call is not None and call.forward:
            return Worst(open=(part.path,))
        match step:
            case CallStep():
                assert call is not None
                reading = self._function_of(step.on_response) if step.on_response else None
                return Worst(call.worst + (0.0 if reading is None else step.timeout or reading.timeout))
            case PythonStep():
                assert call is not None
                return Worst(call.worst)
            case WaitStep():
                return Worst(open=(part.path,)) if step.timeout is None else Worst(step.timeout)
            case SleepStep():
                worst = Worst(step.sleep)
            case ParallelStep() | ChooseStep():
                worst = longest(each.worst for each in inner)
            case GraphStep():
                worst = _of_graph(inner)
            case ForeachStep():
                worst = inner[0].worst.for_each(part.path, step.concurrency, _items(step.over)) if inner else Worst()
            case FlowStep():
                worst = _of_flow(part, inner)
            case _:
                worst = Worst()
                for each in inner:
                    worst = worst.then(each.worst)
        return worst.within(step.timeout)

    def _says(self, part: Part) -> Iterator[str]:
        step = part.step
        if isinstance(step, CallStep | PythonStep):
            if step.pivot:
                yield words.PIVOT
            if step.when:
                yield f"when {words.condition(step.when)}"
            if step.at_most_once:
                yield words.AT_MOST_ONCE
            if step.on_error is not None and step.on_error.action != "steps":
                yield words.on_error(step.on_error)
            if isinstance(step, CallStep) and step.on_response:
                yield f"answer read by {words.said(step.on_response)}"
        else:
            yield from words.lines(step)
        if part.note:
            yield part.note


def _items(over: object) -> int | None:
    """How many items a foreach has, where they are written."""
    if isinstance(over, list | dict):
        return len(cast("list[object] | dict[str, object]", over))
    return None


def _of_graph(inner: Sequence[Inner]) -> Worst:
    """The longest way through a graph. Nodes in a cycle never run."""
    nodes = {node.name: node for node in inner}
    waits = {name: sum(before in nodes for before in node.after) for name, node in nodes.items()}
    followers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for before in node.after:
            followers.get(before, []).append(name)
    ended: dict[str, Worst] = {}
    ready = [name for name, count in waits.items() if not count]
    for name in ready:
        node = nodes[name]
        ended[name] = longest(ended[each] for each in node.after if each in nodes).then(node.worst)
        for each in followers[name]:
            waits[each] -= 1
            if not waits[each]:
                ready.append(each)
    return longest(ended.values())


def _of_flow(part: Part, inner: Sequence[Inner]) -> Worst:
    whole = part.whole
    if whole is None or (whole.flow.code and not whole.parts):
        return Worst(open=(part.path,))
    worst = Worst()
    for each in inner:
        worst = worst.then(each.worst)
    return worst.within(whole.flow.timeout if part.step.timeout is None else None)
