"""Random durable flows for the crash campaign, as documents. What they do is said by `crash_model`, not here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Document = dict[str, Any]

SUBS = ("sub-a", "sub-b")
# How often and how patiently each function is tried. `crash_functions` never makes more trouble than that allows.
RETRIES: dict[str, Document] = {
    "once": {},
    "firm": {"retry": {"attempts": 4, "backoff": "20ms", "max_backoff": "200ms"}},
    "never": {"at_most_once": True},  # a second time
    "sure": {},  # tried until it is done: it stands after a pivot
    "again": {"retry": {"attempts": 8, "backoff": "20ms", "max_backoff": "200ms"}, "timeout": "1s"},
}
UNDO: Document = {"call": "undo", "timeout": "1s", "retry": {"attempts": 16, "backoff": "20ms", "max_backoff": "200ms"}}


class Drawing:
    """Draws the flows of one round: `flows` by name, the small ones that others use among them."""

    def __init__(self, random: Random, count: int = 10) -> None:
        self.random = random
        self._left = 0
        self._ids = 0
        self.flows: dict[str, Document] = {name: self._flow(3, is_sub=True) for name in SUBS}
        for number in range(count):
            self.flows[f"flow-{number}"] = self._flow(random.choice((2, 4, 8, 12)), is_sub=False)

    def _flow(self, size: int, is_sub: bool) -> Document:
        random = self.random
        self._left, self._ids, self._is_sub = size, 0, is_sub
        steps = self._steps(0, in_loop=is_sub) or [self._call(0)]
        if is_sub:
            return {"steps": steps}
        if random.random() < 0.15:
            steps.append({"call": "again", "id": self._id("s"), **RETRIES["again"], "pivot": True})
            steps += [{"call": "sure", "id": self._id("s"), "timeout": "1s"} for _ in range(random.choice((1, 2)))]
        flow: Document = {"durable": True, "answer_within": random.choice(("100ms", "1s", "5s")), "steps": steps}
        if random.random() < 0.1:
            flow["timeout"] = random.choice(("500ms", "2s"))
        if random.random() < 0.2:
            flow["on_failure"] = [{"call": "again", **RETRIES["again"], "id": "sorry"}]
        if random.random() < 0.2:
            flow["finally"] = [{"call": "again", **RETRIES["again"], "id": "last"}]
        return flow

    def _id(self, letter: str) -> str:
        self._ids += 1
        return f"{letter}{self._ids}"

    def _steps(self, depth: int, in_loop: bool) -> list[Document]:
        steps: list[Document] = []
        while self._left > 0 and (not steps or self.random.random() < 0.8) and len(steps) < 5:
            steps.append(self._step(depth, in_loop))
        return steps

    def _step(self, depth: int, in_loop: bool) -> Document:
        self._left -= 1
        kinds = ["call"] * 8 + ["sleep", "set"] + ([] if in_loop else ["wait"] * 2)
        if depth < 3:
            kinds += ["steps", "parallel", "parallel", "foreach"]
        if not self._is_sub:
            kinds += ["flow"]
        kind = self.random.choice(kinds)
        if kind == "call":
            return self._call(depth, in_loop)
        make: dict[str, Callable[[int, bool], Document]] = {
            "sleep": self._sleep, "set": self._set, "wait": self._wait, "steps": self._group,
            "parallel": self._parallel, "foreach": self._foreach, "flow": self._flow_step,
        }  # fmt: skip
        return make[kind](depth, in_loop)

    def _call(self, depth: int, in_loop: bool = True) -> Document:
        random = self.random
        function = random.choice(("once", "firm", "again", "again") if random.random() < 0.95 else ("never",))
        step = {"call": function, "id": self._id("s"), **RETRIES[function]}
        if random.random() < 0.5:
            step["undo"] = UNDO
        if random.random() < 0.15 and depth < 3:
            step["on_error"] = self._on_error(depth, in_loop)
        return step

    def _on_error(self, depth: int, in_loop: bool) -> object:
        match self.random.randrange(3):
            case 0:
                return "skip"
            case 1:
                return {"value": {"instead": True}}
            case _:
                return {"steps": self._steps(depth + 1, in_loop) or [self._call(3)]}

    def _steps_of(self, depth: int, in_loop: bool) -> list[Document]:
        return self._steps(depth + 1, in_loop) or [self._call(3)]

    def _sleep(self, depth: int, in_loop: bool) -> Document:
        return {"sleep": self.random.choice(("100ms", "300ms", "1s", "2500ms")), "id": self._id("z")}

    def _set(self, depth: int, in_loop: bool) -> Document:
        return {"set": {"was": "${value}"}, "id": self._id("v")}

    def _wait(self, depth: int, in_loop: bool) -> Document:
        step: Document = {"wait": self._id("go"), "id": self._id("w")}
        if self.random.random() < 0.6:
            step["timeout"] = self.random.choice(("200ms", "1s", "3s"))
            if self.random.random() < 0.7:
                step["default"] = {"nobody": "came"}
        return step

    def _group(self, depth: int, in_loop: bool) -> Document:
        step: Document = {"steps": self._steps_of(depth, in_loop), "id": self._id("g")}
        if self.random.random() < 0.3:
            step["undo"] = UNDO
        elif self.random.random() < 0.3:
            step["on_error"] = self._on_error(depth, in_loop)
        if self.random.random() < 0.2:
            step["timeout"] = self.random.choice(("300ms", "1s"))
        return step

    def _parallel(self, depth: int, in_loop: bool) -> Document:
        count = self.random.choice((2, 2, 3))
        branches = {f"b{n}": {"steps": self._steps_of(depth, in_loop)} for n in range(count)}
        return {"parallel": branches, "id": self._id("p")}

    def _foreach(self, depth: int, in_loop: bool) -> Document:
        items = list(range(self.random.choice((1, 2, 3, 5))))
        body = self._steps_of(depth, in_loop=True)
        return {"foreach": f"${{{items}}}", "steps": body, "concurrency": self.random.choice((1, 2, 4)),
                "id": self._id("e")}  # fmt: skip

    def _flow_step(self, depth: int, in_loop: bool) -> Document:
        return {"flow": self.random.choice(SUBS), "id": self._id("q")}


def waits_of(flow: Document) -> list[str]:
    """The signals that a flow may wait for."""
    return [step["wait"] for step in _below(flow["steps"]) if "wait" in step]


def _below(steps: list[Document]) -> Iterator[Document]:
    for step in steps:
        yield step
        yield from _below(step.get("steps", []))
        for branch in step.get("parallel", {}).values():
            yield from _below(branch["steps"])
        if isinstance(step.get("on_error"), dict):
            yield from _below(step["on_error"].get("steps", []))
