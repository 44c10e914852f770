"""Random flows over every kind of step and every modifier, what their functions do, and what is done to the runs."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from legato.model.flow import Callback, Flow
from legato.model.mapping import Shape, Template
from legato.model.policy import Retry
from legato.model.steps import (
    CallStep,
    Case,
    ChooseStep,
    Edge,
    FailStep,
    FlowStep,
    ForeachStep,
    GraphNode,
    GraphStep,
    OnError,
    ParallelStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
    UndoCall,
    WaitStep,
)
from legato.testing import Act, ok, refused, retryable, unknown
from tests.kernel.strategies import some_answer
from tests.language.play import Sharing

CONDITIONS = ("", "", "", "", "${true}", "${false}", "${size([1]) == 1}", "${value == 1}", "${value}")
TIMES = (0.0, 0.0, 0.0, 0.1, 0.4, 1.0, 3.0)
LEAVES = ("call",) * 8 + ("python", "set", "sleep", "wait", "respond", "fail", "flow")
KINDS = ("call", "call", "steps", "parallel", "graph", "foreach", "choose", "leaf")


class Drawn:
    """One random flow with all that belongs to it."""

    def __init__(self, seed: int, size: int = 9, may_wait: bool = True) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.left = size
        self.trouble = self.random.choice([0.0, 0.1, 0.3])
        self.may_wait = may_wait
        self.waits = False  # whether something does
        self.flows: dict[str, Flow] = {}
        for name in ("one", "two"):
            self.left = 3
            self.flows[name] = self.flow(name, nested=True)
        self.left = size
        self.main = self.pivoted(self.flow("main", nested=False))
        if self.waits:
            self.main = replace(self.main, durable=True)

    # What the flow is.

    def flow(self, name: str, nested: bool) -> Flow:
        """A flow; one that others use is used by none of its own."""
        random = self.random
        self.may_call = [] if nested and name == "one" else ["one"] if nested else ["one", "two"]
        steps = self.steps(0) or (self.call(),)
        self.left += 2
        return Flow(
            name=name,
            steps=steps,
            timeout=random.choice([None, None, 2.0, 20.0]),
            output=random.choice([None, None, Template(value={"out": "${value}"}), Template(value="${value.none}")])
            if random.random() < 0.2
            else None,
            on_failure=self.steps(2) if random.random() < 0.3 else (),
            finally_=self.steps(2) if random.random() < 0.3 else (),
            callback=Callback(url="http://there.example/x") if not nested and random.random() < 0.2 else None,
        )

    def pivoted(self, flow: Flow) -> Flow:
        """Every so often with a pivot: a step of the flow itself that is certainly done."""
        may_be = [n for n, step in enumerate(flow.steps) if not step.when and step.on_error is None]
        may_be = [n for n in may_be if not isinstance(flow.steps[n], FailStep)]
        if not may_be or self.random.random() < 0.6:
            return flow
        n = self.random.choice(may_be)
        steps = (*flow.steps[:n], replace(flow.steps[n], pivot=True), *flow.steps[n + 1 :])
        return replace(flow, steps=steps, durable=True)

    def steps(self, depth: int) -> tuple[Step, ...]:
        """Some steps of one scope."""
        found: list[Step] = []
        while self.left > 0 and self.random.random() < 0.75 and len(found) < 4:
            found.append(self.step(depth))
        return tuple(found)

    def step(self, depth: int) -> Step:
        """A step of any kind."""
        self.left -= 1
        kind = self.random.choice(KINDS if depth < 4 else ("call", "leaf"))
        step = self.call() if kind == "call" else getattr(self, f"_{kind}")(depth)
        if not isinstance(step, CallStep | PythonStep | FailStep) and self.random.random() < 0.3:
            return replace(step, undo=self.undo())
        return step

    def modifiers(self, depth: int = 9) -> dict[str, Any]:
        """What a step says beside what it does."""
        random = self.random
        if random.random() < 0.55:
            return {}
        fallback = random.choice([None, None, OnError(action="skip"), OnError(action="value", value=_some(random))])
        if fallback is None and random.random() < 0.3 and depth < 4:
            fallback = OnError(action="steps", steps=self.steps(depth + 1))
        return {
            "when": random.choice(CONDITIONS),
            "input": random.choice([None, None, _some(random)]),
            "output": random.choice([None, None, None, _some(random)]),
            "timeout": random.choice([None, None, 0.5, 2.0]),
            "on_error": fallback,
        }

    def call(self) -> CallStep:
        """A call of a function of its own kind of trouble."""
        random = self.random
        more = self.modifiers()
        return CallStep(
            function=f"f{random.randrange(6)}",
            undo=self.undo() if random.random() < 0.5 else None,
            retry=random.choice([None, None, Retry(attempts=3, backoff=random.choice([0.0, 1.0]))]),
            idempotent=random.random() < 0.2,
            path="/${run.step}" if random.random() < 0.1 else "",
            on_response="m:judge" if random.random() < 0.05 else "",
            **more,
        )

    def undo(self) -> UndoCall:
        """Undo that always can be made."""
        made = self.random.choice(
            [None, None, Template(value="${result}"), Template(value=["${run.step}", "${error.step}"])]
        )
        return UndoCall(function="undo", input=made, retry=Retry(attempts=3, backoff=0.1))

    def _leaf(self, depth: int) -> Step:
        random, more = self.random, self.modifiers(depth)
        match random.choice(LEAVES):
            case "python":
                return PythonStep(python="m:code", undo=self.undo() if random.random() < 0.5 else None, **more)
            case "set":
                return SetStep(set=_some(random), **more)
            case "sleep":
                return SleepStep(sleep=random.choice([0.2, 1.0, 5.0]), **more)
            case "wait" if self.may_wait:
                self.waits = True
                more |= {"timeout": random.choice([0.3, 2.0, 60.0]), "default": random.choice([None, _some(random)])}
                return WaitStep(wait="go", schema=random.choice([None, True, {"type": "object"}]), **more)
            case "respond":
                return RespondStep(respond=_some(random), status=202, **more)
            case "fail":
                return FailStep(fail="no ${run.step}", status=409, **more)
            case "flow" if self.may_call:
                return FlowStep(flow=random.choice(self.may_call), **more)
            case _:
                return self.call()

    def _steps(self, depth: int) -> Step:
        return SequenceStep(steps=self.steps(depth + 1), **self.modifiers(depth))

    def _branch(self, depth: int) -> Step:
        steps = self.steps(depth)
        return steps[0] if len(steps) == 1 else SequenceStep(steps=steps)

    def _parallel(self, depth: int) -> Step:
        random, count = self.random, self.random.randrange(1, 4)
        return ParallelStep(
            branches={f"b{n}": self._branch(depth + 1) for n in range(count)},
            quorum=random.choice([0, 0, 0, 1, count]),
            merge=random.choice(["", "", "first", "flat", "${value}", "${size(value)}"]),
            **self.modifiers(depth),
        )

    def _graph(self, depth: int) -> Step:
        random, nodes = self.random, dict[str, GraphNode]()
        for n in range(random.randrange(1, 5)):
            edge = random.choice([Edge(), Edge(order=True), Edge(transform=_some(random))])
            after = {f"n{each}": edge for each in range(n) if random.random() < 0.5}
            nodes[f"n{n}"] = GraphNode(step=self._branch(depth + 1), after=after)
        return GraphStep(nodes=nodes, **self.modifiers(depth))

    def _foreach(self, depth: int) -> Step:
        random = self.random
        over: Any = random.choice([[], [1], [1, 2, 3], list(range(7)), {"a": 1, "b": 2}, "${[1, 2]}", "${value}"])
        return ForeachStep(
            over=over,
            steps=self.steps(depth + 1),
            concurrency=random.choice([1, 2, 16]),
            tolerate=random.choice([0, 0, 1, 9]),
            collect=random.choice(["values", "values", "outcomes", "object"]),
            **self.modifiers(depth),
        )

    def _choose(self, depth: int) -> Step:
        random = self.random
        return ChooseStep(
            cases=tuple(
                Case(when=random.choice(["${true}", "${true}", "${false}", "${value == 1}"]), name=f"c{n}",
                     steps=self.steps(depth + 1))
                for n in range(random.randrange(1, 4))
            ),
            otherwise=self.steps(depth + 1) if random.random() < 0.5 else None,
            all=random.random() < 0.5,
            **self.modifiers(depth),
        )  # fmt: skip

    # What its functions do. By path and attempt, so that a replay would find the same.

    def functions(self) -> dict[str, Any]:
        """Everything that is called; undo gets through in the end."""
        named = {f"f{n}": self._function(self.trouble) for n in range(6)}
        named |= {"m:code": self._function(self.trouble), "m:judge": self._function(self.trouble)}
        named |= {"signal:go": self._function(0.0)}
        return {**named, "undo": self._undo, "/callback": self._function(0.5)}

    def _function(self, trouble: float) -> Any:
        def answer(_: Any) -> Act:
            random = self.random
            after: Any = random.choice(TIMES)
            if random.random() >= trouble:
                if random.random() < 0.1:
                    return Sharing(payload=some_answer(random), shared={"k": b"1"}, after=after)
                return Act(payload=some_answer(random), after=after)
            act = random.choice([refused(409), retryable(503), unknown(500), unknown(), ok().held()])
            return act if act.after is None else act.later(after)

        return answer

    def _undo(self, _: Any) -> Act:
        random = self.random
        return (ok() if random.random() < 0.9 else refused(410)).later(random.choice(TIMES))


def _some(random: Random) -> Any:
    """What makes a value: mostly something that can be made."""
    return random.choice(
        [
            Template(value=1), Template(value="${value}"), Template(value={"v": "${value}", "n": 1}),
            Template(value="${input}"), Template(value=["${run.step}", "${error}"]), Template(value="${value.n}"),
            Shape(wrap="w"), Template(value="${[run.state, run.completed, errors]}"),
        ]
    )  # fmt: skip
