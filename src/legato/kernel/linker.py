"""Turns a flow into a program: walks it in document order, gives paths to steps and indexes to calls.

On the way everything is found that is wrong with the flow as a whole; `check` gives all of it, `link` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from legato.errors import DefinitionError
from legato.kernel.calls import LinkedCall, LinkedSequence, LinkedStep, RichCall, UndoCall
from legato.kernel.code import LinkedCode
from legato.kernel.course import Course
from legato.kernel.foreach import LinkedForeach, Tolerance
from legato.kernel.graph import LinkedGraph, LinkedNode
from legato.kernel.growth import Growth, Linked
from legato.kernel.inspection import inspect_last, inspect_nodes
from legato.kernel.leaves import LinkedCase, LinkedChoose, LinkedFail, LinkedRespond, LinkedSet, LinkedSleep
from legato.kernel.modified import Fallback, Modified, Modifiers
from legato.kernel.parallel import LinkedParallel, Merge
from legato.kernel.program import LinkedCallback, Program
from legato.kernel.references import steps_read
from legato.kernel.saga import WithPivot, WithUndo
from legato.kernel.sight import Fault, NodeSight, Sight
from legato.kernel.subflow import Handlers, LinkedFlow
from legato.kernel.templates import Templates
from legato.kernel.topology import lost_data, nodes_before, topology_faults
from legato.kernel.wait import LinkedWait
from legato.model.flow import MAX_DEPTH, MAX_STEPS, Flow
from legato.model.names import expression_name
from legato.model.paths import Scope, branch_ids, scope_ids
from legato.model.policy import Retry
from legato.model.steps import (
    CallStep,
    ChooseStep,
    FailStep,
    FlowStep,
    ForeachStep,
    GraphStep,
    ParallelStep,
    PublishStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
    WaitStep,
)
from legato.model.steps import UndoCall as UndoDefinition
from legato.values import Schema

MAX_LEVELS = 2 * MAX_DEPTH  # a step and the branch that it is in are two; keeps every recursion far from Python's limit

Resolve = Callable[[str], Flow | None]
Codes = Callable[[Flow], Mapping[str, Callable[..., Any]]]  # the Python code of a flow, by the names that it has there

CALLBACK = "/callback"  # what the call calls that tells how a run has ended; no function can have the name
CALLBACK_RETRY = Retry(attempts=5, backoff=1.0, max_backoff=60.0)


def link(flow: Flow, resolve: Resolve | None = None, codes: Codes | None = None) -> Program:
    """A program of a flow; `resolve` finds the flows that it uses. Raises DefinitionError with every fault."""
    program, faults = linked(flow, resolve, codes)
    errors = [fault for fault in faults if not fault.warning]
    if errors:
        raise DefinitionError("; ".join(map(str, errors)))
    return program


def linked(flow: Flow, resolve: Resolve | None = None, codes: Codes | None = None) -> tuple[Program, list[Fault]]:
    """A program as far as it can be made, and what is wrong with it; it may be run if that is warnings only."""
    linker = Linker(resolve, codes=codes)
    return linker.program(flow), linker.faults


def check(flow: Flow) -> list[Fault]:
    """Every fault that a flow shows by itself: the flows that it uses are not looked into, nor what a host lacks."""
    linker = Linker(None, blind=True)
    linker.program(flow)
    return linker.faults


class Linker:
    """Links one flow, and those within it."""

    def __init__(
        self,
        resolve: Resolve | None,
        blind: bool = False,
        codes: Codes | None = None,
        durable: bool = False,
        forward: bool = False,
    ) -> None:
        self.faults: list[Fault] = []
        self.calls: list[LinkedCall] = []
        self.waits: dict[str, list[Schema | None]] | None = {}
        self.roots: set[str] = set()
        self.uses: set[str] = set()
        self.framed = False
        self.code: dict[str, Callable[..., Any]] = {}
        self.growth: Growth | None = None
        self._codes = codes
        self._resolve = resolve
        self._blind = blind
        self._within: list[str] = []  # names of the flows around, outermost first
        self._count = 0
        self._depth = 0
        self._paths: set[str] = set()
        self._read: Container[str] = frozenset()  # names of steps whose results somebody reads
        self.templates = Templates(self.faults, self.roots)
        self._course = Course(self.faults, durable, forward)

    def program(self, flow: Flow) -> Program:
        """The program, as far as it can be made."""
        sight = Sight(None, scope_ids(flow.steps))
        self._course.durable = flow.durable
        root, output, schema, handlers = self._flow(flow, "", sight)
        callback = self._callback(flow, sight)
        if output is not None or schema is not None or handlers != Handlers() or callback is not None:
            self.framed = True
        return Program(
            flow,
            root,
            self.calls,
            framed=self.framed or root.undoable,
            roots=self.roots,
            uses=self.uses,
            output=output,
            schema=schema,
            handlers=handlers,
            callback=callback,
            code=self.code,
            growth=self.growth,
            waits=self.waits,
        )

    def within(self, flow: Flow, calls: list[LinkedCall], forward: bool) -> Linked:
        """A flow as one within code, with calls that follow these."""
        resolve = self._resolve
        linker = Linker(
            lambda name: flow if name == flow.name else resolve and resolve(name),
            codes=self._codes,
            durable=self._course.durable,
            forward=forward,
        )
        linker.calls, linker.code, linker.growth = [*calls], self.code, self.growth
        step = linker.step(FlowStep(flow=flow.name), "[*]", "", Scope(()), Sight(None))
        return Linked(step, linker.calls, linker.uses, linker.faults)

    def _code(self, flow: Flow, path: str) -> LinkedStep:
        """Code-first: what it calls is linked when it does."""
        self.framed = True
        self.waits = None
        self.roots.add("request")
        begin = self.code.get(flow.code)
        if begin is None:
            if not self._blind:
                self._fault(flow, f"the code `{flow.code}` is not there", "serve the module that defines it", "code")
            return LinkedSequence(())
        self.growth = self.growth or Growth(self.calls, self.code, self._resolve, self.within)
        return LinkedCode(path, flow.name, begin, self.growth, self._course.durable, self._course.forward)

    def _flow(self, flow: Flow, prefix: str, sight: Sight) -> tuple[LinkedStep, Any, Any, Handlers]:
        read, self._read = self._read, steps_read(flow)
        self._within.append(flow.name)
        self._know_code(flow)
        with self._course.flow(flow):
            root = self._code(flow, prefix.removesuffix(".")) if flow.code else self._body(flow.steps, prefix, sight)
        maker = self.templates.optional(flow.output, flow, "output", sight)
        schema = self.templates.schema(flow.input, flow, "input")
        handlers = Handlers(
            self._handler("on_failure", flow.on_failure, f"{prefix.removesuffix('.')}/failure.", sight),
            self._handler("finally", flow.finally_, f"{prefix.removesuffix('.')}/finally.", sight),
        )
        self._within.pop()
        self._read = read
        return root, maker, schema, handlers

    def _know_code(self, flow: Flow) -> None:
        codes = self._codes
        for name, code in () if codes is None else codes(flow).items():
            if self.code.setdefault(name, code) is not code:
                self._fault(flow, f"the code `{name}` is another one in another flow", "give the flows other names")

    def _handler(self, name: str, steps: Sequence[Step], prefix: str, sight: Sight) -> LinkedStep | None:
        with self._course.handler(name):
            return self._body(steps, prefix, Sight(sight, scope_ids(steps))) if steps else None

    def _callback(self, flow: Flow, sight: Sight) -> LinkedCallback | None:
        callback = flow.callback
        if callback is None:
            return None
        parts = self.templates.url(callback.url, flow, sight)
        retry = callback.retry or CALLBACK_RETRY
        call = self._call(
            CallStep(function=CALLBACK, timeout=callback.timeout, retry=retry, path=callback.url), "/callback"
        )
        return LinkedCallback(call, parts, callback.when)

    # Scopes.

    def _body(self, steps: Sequence[Step], prefix: str, sight: Sight) -> LinkedSequence:
        """The steps of one scope."""
        return LinkedSequence(self._sequence(steps, Scope(steps), prefix, sight))

    def _sequence(self, steps: Sequence[Step], scope: Scope, prefix: str, sight: Sight) -> list[LinkedStep]:
        linked: list[LinkedStep] = []
        for step in steps:
            step_id = scope.id_of(step)
            linked.append(self.step(step, prefix + step_id, step_id, scope, sight))
            sight.done(step_id)
        return linked

    def _inner(self, steps: Sequence[Step], prefix: str, sight: Sight) -> LinkedSequence:
        """The steps of a scope within another."""
        return self._body(steps, prefix, Sight(sight, scope_ids(steps)))

    # Steps.

    def step(self, step: Step, path: str, step_id: str, scope: Scope, sight: Sight, absent: bool = False) -> LinkedStep:
        """A step with what it says besides."""
        self._count += 1
        self._depth += 1
        if self._count == MAX_STEPS + 1:
            self._fault(step, f"more than {MAX_STEPS} steps, those of the flows within included", "split the flow")
        if self._depth == MAX_LEVELS + 1:
            message = f"steps nested deeper than {MAX_LEVELS} levels, those of the flows within included"
            self._fault(step, message, "nest fewer flows")
        if self._count > MAX_STEPS or self._depth > MAX_LEVELS:
            core: LinkedStep = LinkedSequence(())
        else:
            with self._course.within(step):
                core = self._core(step, path, scope, sight)
        self._depth -= 1
        if step.undo is not None and not isinstance(step, CallStep | PythonStep):
            core = WithUndo(core, path, self._undo(step.undo, step, path, sight))
        linked = self._modified(step, core, path, step_id, sight, absent)
        self._course.check(step, path)
        return WithPivot(linked) if step.pivot and not isinstance(step, CallStep | PythonStep) else linked

    def _modified(
        self, step: Step, core: LinkedStep, path: str, step_id: str, sight: Sight, absent: bool
    ) -> LinkedStep:
        name = expression_name(step_id)
        modifiers = Modifiers(
            when=self.templates.condition(step.when, step, "when", sight),
            input=self.templates.optional(step.input, step, "input", sight),
            output=self.templates.optional(step.output, step, "output", sight),
            timeout=None if isinstance(step, CallStep | PythonStep | WaitStep) else step.timeout,
            on_error=self._fallback(step, path, sight),
            keep=name if name in self._read and not absent else "",
            passes=isinstance(step, SleepStep | PublishStep | RespondStep),
            absent=absent,
        )
        if modifiers == Modifiers(absent=absent, passes=modifiers.passes):
            return core
        self.framed = True
        return Modified(core, path, modifiers)

    def _fallback(self, step: Step, path: str, sight: Sight) -> Fallback | None:
        on_error = step.on_error
        if on_error is None:
            return None
        inner = Sight(sight, scope_ids(on_error.steps))
        value = self.templates.optional(on_error.value, step, "on_error.value", inner)
        steps = None
        if on_error.action == "steps":
            with self._course.fallback():
                steps = self._body(on_error.steps, f"{path}/error.", inner)
        return Fallback(on_error.action, value, steps)

    def _core(self, step: Step, path: str, scope: Scope, sight: Sight) -> LinkedStep:
        match step:
            case CallStep():
                return self._call_step(step, path, sight)
            case PythonStep():
                definition = CallStep(
                    function=step.python,
                    timeout=step.timeout,
                    retry=step.retry,
                    idempotent=step.idempotent,
                    undo=step.undo,
                    pivot=step.pivot,
                    at_most_once=step.at_most_once,
                )
                return self._call_step(definition, path, sight, step)
            case SequenceStep():
                return LinkedSequence(self._sequence(step.steps, scope, path + ".", sight))
            case ParallelStep():
                return self._parallel(step, path, sight)
            case GraphStep():
                return self._graph(step, path, sight)
            case ForeachStep():
                return self._foreach(step, path, sight)
            case ChooseStep():
                return self._choose(step, path, sight)
            case FlowStep():
                return self._subflow(step, path, sight)
            case _:
                return self._leaf(step, path, sight)

    def _leaf(
        self, step: SetStep | SleepStep | WaitStep | PublishStep | RespondStep | FailStep, path: str, sight: Sight
    ) -> LinkedStep:
        self.framed = True
        match step:
            case SetStep():
                return LinkedSet(path, self.templates.mapping(step.set, step, "set", sight))
            case SleepStep():
                return LinkedSleep(path, step.sleep)
            case RespondStep():
                maker = self.templates.mapping(step.respond, step, "respond", sight)
                return LinkedRespond(path, maker, step.status, self.templates.headers(step.headers, step, sight))
            case FailStep():
                return LinkedFail(path, self.templates.text(step.fail, step, "fail", sight), step.status)
            case WaitStep():
                return self._wait(step, path, sight)
            case PublishStep():
                if not self._blind:
                    message = "`publish` cannot be run by any host of this version"
                    self._fault(step, message, "remove it, or call a function that publishes", "publish")
                return LinkedSequence(())

    def _wait(self, step: WaitStep, path: str, sight: Sight) -> LinkedStep:
        self._course.check_wait(step)
        default = self.templates.optional(step.default, step, "default", sight)
        schema = self.templates.schema(step.schema, step, "schema")
        if self.waits is not None:
            self.waits.setdefault(step.wait, []).append(schema)
        return LinkedWait(path, step.wait, step.timeout, default, schema)

    def _call(self, definition: CallStep, path: str, undo: Any = None, is_undo: bool = False) -> LinkedCall:
        if path in self._paths:
            self._fault(definition, f"two steps have the path {path}", "give one another `id`")
        self._paths.add(path)
        linked = LinkedCall(path, len(self.calls), definition, undo, is_undo)
        linked.forward = self._course.forward and not is_undo
        self.calls.append(linked)
        return linked

    def _undo(self, undo: UndoDefinition, step: Step, path: str, sight: Sight) -> UndoCall:
        return self.templates.undo(undo, step, sight, lambda each: self._call(each, f"{path}/undo", is_undo=True))

    def _call_step(self, step: CallStep, path: str, sight: Sight, written: Step | None = None) -> LinkedStep:
        shown = written or step
        undo = None if step.undo is None else self._undo(step.undo, shown, path, sight)
        linked = self._call(step, path, undo)
        parts = self.templates.parts(step.path, step.query, step.headers, shown, sight)
        handler = None
        if step.on_response:
            answer = CallStep(function=step.on_response, timeout=step.timeout)
            handler = self._call_step(answer, f"{path}/response", sight, step)
        if parts is None and handler is None and not step.return_status and "[*]" not in path:
            return linked
        self.framed = True
        return RichCall(linked, parts, handler, statuses(step.return_status), step.input is not None)

    def _parallel(self, step: ParallelStep, path: str, sight: Sight) -> LinkedParallel:
        branches: dict[str, LinkedStep] = {}
        ids = branch_ids(step.branches)
        for name, branch in step.branches.items():
            steps = branch.steps if isinstance(branch, SequenceStep) else (branch,)
            inner = Sight(sight, scope_ids(steps))
            branches[name] = self.step(branch, f"{path}.{ids[name]}", ids[name], Scope(steps), inner, absent=True)
        for name in step.prefer:
            if name not in branches:
                self._fault(
                    step, f"`prefer` names `{name}`, which is no branch", f"there are {', '.join(branches)}", "prefer"
                )
        merge = self._merge(step, sight)
        if step.quorum or merge.kind in ("flat", "first", "made"):
            self.framed = True
        if merge.kind != "lenient":
            for branch in branches.values():
                inspect_last(branch)
        framed = self.framed or any(branch.undoable for branch in branches.values())
        return LinkedParallel(path, branches, merge, step.quorum, framed, tuple(ids.values()))

    def _merge(self, step: ParallelStep, sight: Sight) -> Merge:
        if step.lenient:
            return Merge("lenient")
        match step.merge:
            case "":
                return Merge()
            case "flat":
                return Merge("flat", step.prefer)
            case "first":
                return Merge("first")
            case _:
                return Merge("made", maker=self.templates.template(step.merge, step, "merge", sight))

    def _graph(self, step: GraphStep, path: str, sight: Sight) -> LinkedGraph:
        self.framed = True
        found = topology_faults(step)
        self.faults += found
        order = list(step.nodes)
        places = {name: n for n, name in enumerate(order)}
        ids = branch_ids({name: node.step for name, node in step.nodes.items()})
        seen = {expression_name(ids[name]): n for n, name in enumerate(order)}
        before = [-1] * len(order) if found else nodes_before(step)
        nodes: list[LinkedNode] = []
        after: list[list[int]] = [[] for _ in order]
        for n, (name, node) in enumerate(step.nodes.items()):
            inner = NodeSight(sight, seen, before[n])
            edges = {places[each]: edge for each, edge in node.after.items() if each in places and each != name}
            data = [
                (e, self.templates.optional(g.transform, node, f"after.{order[e]}", inner))
                for e, g in edges.items()
                if not g.order
            ]
            steps = node.step.steps if isinstance(node.step, SequenceStep) else (node.step,)
            own = Sight(inner, scope_ids(steps))
            linked = self.step(node.step, f"{path}.{ids[name]}", ids[name], Scope(steps), own, absent=True)
            kept = expression_name(ids[name])
            keep = kept if kept in self._read else ""
            nodes.append(LinkedNode(name, linked, tuple(data), (), len(edges), keep))
            for each in edges:
                after[each].append(n)
        for node, those in zip(nodes, after, strict=True):
            node.after = tuple(those)
        inspect_nodes(nodes)
        self.faults += [] if found else lost_data(step, self._read)
        return LinkedGraph(path, nodes if not found else [])

    def _foreach(self, step: ForeachStep, path: str, sight: Sight) -> LinkedForeach:
        self.framed = True
        over = self.templates.template(step.over, step, "over", sight)
        before = self._count
        body = self._inner(step.steps, f"{path}[*].", sight)
        weight = 1 + self._count - before
        inspect_last(body)
        spares = step.tolerate or step.tolerate_percent or step.min_successful is not None
        tolerance = Tolerance(
            step.tolerate, step.tolerate_percent, step.min_successful, step.collect == "outcomes" and not spares
        )
        written = step.over if isinstance(step.over, str) else "what it says"
        return LinkedForeach(path, over, written, body, step.concurrency, tolerance, step.collect, weight)

    def _choose(self, step: ChooseStep, path: str, sight: Sight) -> LinkedChoose:
        self.framed = True
        cases: list[LinkedCase] = []
        for n, case in enumerate(step.cases, 1):
            name = case.name or f"case_{n}"
            when = self.templates.condition(case.when, case, "when", sight)
            cases.append(LinkedCase(name, when, self._inner(case.steps, f"{path}.{name}.", sight)))
        if step.otherwise is not None:
            cases.append(LinkedCase("otherwise", None, self._inner(step.otherwise, f"{path}.otherwise.", sight)))
        for case in cases if step.all else ():
            inspect_last(case.body)
        return LinkedChoose(path, cases, step.all)

    def _subflow(self, step: FlowStep, path: str, sight: Sight) -> LinkedStep:
        self.framed = True
        self.uses.add(step.flow)
        if self._blind:
            return LinkedSequence(())
        if step.flow in self._within:
            circle = " -> ".join([*self._within[self._within.index(step.flow) :], step.flow])
            self._fault(step, f"the flow calls itself: {circle}", "use a foreach, or a flow of another name", "flow")
            return LinkedSequence(())
        flow = self._resolve(step.flow) if self._resolve is not None else None
        if flow is None:
            self._fault(step, f"there is no flow `{step.flow}` that can be run", "define it, or mend it", "flow")
            return LinkedSequence(())
        if not self._course.check_flow(step, flow):
            return LinkedSequence(())
        before = len(self.faults)
        body, output, schema, handlers = self._flow(flow, path + ".", Sight(None, scope_ids(flow.steps)))
        inner = [fault for fault in self.faults[before:] if not fault.warning]
        del self.faults[before:]  # all of them are told where that flow is defined
        if inner:
            self._fault(step, f"in the flow `{step.flow}`: {inner[0].message}", inner[0].remedy, "flow")
        return LinkedFlow(path, flow.name, body, output, schema, handlers, flow.timeout)

    def _fault(self, step: object, message: str, remedy: str = "", key: str = "") -> None:
        self.faults.append(Fault(step=step, message=message, remedy=remedy, key=key))


def statuses(patterns: Mapping[str, int]) -> dict[int, int]:
    """Statuses with what they become, of patterns such as `404` and `5xx`; a status itself wins over its class."""
    found: dict[int, int] = {}
    for pattern, becomes in sorted(patterns.items(), key=lambda item: not item[0].endswith("xx")):
        those = range(int(pattern[0]) * 100, int(pattern[0]) * 100 + 100) if pattern.endswith("xx") else (int(pattern),)
        found.update(dict.fromkeys(those, becomes))
    return found
