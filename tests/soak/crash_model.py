"""What a run must have come to, by a model of the language that knows nothing of Legato.

It goes through a flow's document with what its calls, sleeps and waits ended with (the evidence), and says what the
flow's value is, or that it failed, and what is to be undone in which order. A leaf without evidence was never begun:
nothing after it was, and that is right only where something else failed, or the run was cancelled.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from typing import Any

from tests.soak.crash_flows import Document

# What was done and has an undo, in order: paths, and what was done side by side.
Trail = list["str | list[Trail]"]

PIVOT = "(pivot)"  # at the beginning of a trail: nothing in it is undone any more


class Ending:
    """How a leaf ended: `kind` and `status` as in contract 1, its value, and whether its effect may have happened."""

    def __init__(self, kind: str, status: int, value: Any, maybe_done: bool) -> None:
        self.kind = kind
        self.status = status
        self.value = value
        self.effect_possible = kind in ("ok", "unknown") or maybe_done


class Failed(Exception):
    """A step failed for good."""


class Stopped(Exception):
    """A step was not begun, or withdrawn."""


class Expected:
    """What a run must have come to. `due` are trails to be undone, each in its order, those of handled failures too."""

    def __init__(
        self,
        flows: Mapping[str, Document],
        name: str,
        value: Any,
        evidence: Mapping[str, Ending],
        late: Container[str] = (),
    ) -> None:
        self._flows = flows
        self._evidence = evidence
        self._late = late  # leaves that ended when something may have been cancelled already
        self.due: list[Trail] = []
        self.end = "succeeded"
        self.value: Any = None
        trail: Trail = []
        try:
            self.value = self._sequence(flows[name]["steps"], "", value, trail)
        except Failed:
            self.end = "failed"
        except Stopped:
            self.end = "stopped"
        self.rest = [] if trail[:1] == [PIVOT] else trail  # what is to be undone if the run did not succeed

    # The language.

    def _sequence(self, steps: list[Document], prefix: str, value: Any, trail: Trail) -> Any:
        for step in steps:
            value = self._step(step, prefix, value, trail)
        return value

    def _step(self, step: Document, prefix: str, value: Any, trail: Trail) -> Any:
        path = prefix + step["id"]
        since = len(trail)
        try:
            return self._core(step, path, value, trail)
        except Failed:
            if "on_error" not in step:
                raise
        self.due.append(trail[since:])
        del trail[since:]
        fallback = step["on_error"]
        if fallback == "skip":
            return value
        if "value" in fallback:
            return fallback["value"]
        inner: Trail = []
        trail.append([inner])
        return self._sequence(fallback["steps"], f"{path}/error.", value, inner)

    def _core(self, step: Document, path: str, value: Any, trail: Trail) -> Any:
        match step:
            case {"call": _}:
                return self._call(step, path, trail)
            case {"foreach": over}:
                return self._foreach(step, path, len(over.split(",")), trail)
            case {"steps": steps}:
                return self._group(step, steps, path, value, trail)
            case {"parallel": branches}:
                return self._parallel(branches, path, value, trail)
            case {"flow": name}:
                return self._sequence(self._flows[name]["steps"], f"{path}.", value, trail)
            case {"sleep": _}:
                self._leaf(path)
                return value
            case {"set": _}:
                return {"was": value}
            case {"wait": _}:
                return self._wait(step, path)
            case _:
                raise AssertionError(step)

    def _leaf(self, path: str) -> Ending:
        ending = self._evidence.get(path)
        if ending is None:
            raise Stopped
        if ending.kind == "cancelled" and not ending.effect_possible:
            raise Stopped
        return ending

    def _call(self, step: Document, path: str, trail: Trail) -> Any:
        ending = self._leaf(path)
        if "undo" in step and ending.effect_possible:
            trail.append(path)
        if ending.kind != "ok":
            raise Failed
        if "pivot" in step:
            trail[:] = [PIVOT]
        return ending.value

    def _wait(self, step: Document, path: str) -> Any:
        ending = self._leaf(path)
        if ending.kind == "ok":
            return ending.value
        if "default" not in step:
            raise Failed
        return step["default"]

    def _group(self, step: Document, steps: list[Document], path: str, value: Any, trail: Trail) -> Any:
        since = len(trail)
        timer = self._evidence.get(f"{path}/timeout")
        if timer is not None and timer.kind == "ok":  # its time was up
            with suppress(Failed, Stopped):
                self._sequence(steps, f"{path}.", value, trail)
            raise Failed
        value = self._sequence(steps, f"{path}.", value, trail)
        if "undo" in step and self._is_done(path):
            trail[since:] = [path]
        return value

    def _is_done(self, path: str) -> bool:
        """Whether a group is done whose last step is: not if it was cancelled before that came to be known."""
        within = f"{path}."
        if any(leaf.startswith(within) and leaf in self._late for leaf in self._evidence):
            return f"{path}/undo" in self._evidence
        return True

    def _parallel(self, branches: Mapping[str, Document], path: str, value: Any, trail: Trail) -> Any:
        trails: list[Trail] = [[] for _ in branches]
        trail.append(trails)
        names = list(branches)
        values = self._beside(
            [(branches[name]["steps"], f"{path}.{name}.", value, own) for name, own in zip(names, trails, strict=True)]
        )
        return dict(zip(names, values, strict=True))

    def _foreach(self, step: Document, path: str, count: int, trail: Trail) -> Any:
        trails: list[Trail] = [[] for _ in range(count)]
        trail.append(trails)
        return self._beside([(step["steps"], f"{path}[{n}].", n, own) for n, own in enumerate(trails)])

    def _beside(self, scopes: list[tuple[list[Document], str, Any, Trail]]) -> list[Any]:
        values: list[Any] = []
        worst: type[Exception] | None = None
        for scope in scopes:
            try:
                values.append(self._sequence(*scope))
            except Failed:
                worst = Failed
            except Stopped:
                worst = worst or Stopped
        if worst is not None:
            raise worst
        return values


def paths_in(trail: Trail) -> Iterator[str]:
    """Everything in a trail."""
    for entry in trail:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry:
                yield from paths_in(inner)


def order_of(trail: Trail) -> Iterator[tuple[str, str]]:
    """Pairs of which the first must have been undone before the second is."""
    before: list[str] = []
    for entry in reversed(trail):
        own = [entry] if isinstance(entry, str) else [path for inner in entry for path in paths_in(inner)]
        if own:
            yield from ((first, second) for first in before for second in own)
            before = own
        if not isinstance(entry, str):
            for inner in entry:
                yield from order_of(inner)
