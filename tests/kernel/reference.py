"""The meaning of a flow, written a second time and differently: no fibers and no queues, but arithmetic on times.

The n-th event of a run happens at time n. Given when each call was answered and when the run was cancelled,
`expect` works out when each call must have been issued, with which value, when its `Cancel` must have come, and how
the run ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from legato.errors import NotJSON
from legato.model.flow import Flow
from legato.model.outcome import Outcome
from legato.model.payload import Payload
from legato.model.steps import CallStep, SequenceStep, Step, WaitStep

NEVER = inf


class Nothing:
    """What a wait is sent."""


class Opaque:
    """The value of a payload that is neither JSON nor text."""


def meaning(payload: Payload) -> Any:
    """A payload's value, or Opaque."""
    try:
        return payload.value()
    except NotJSON:
        return Opaque


@dataclass
class End:
    """How a step ends: when, how, and with what. `failures` are the (reason, path) that may be named."""

    at: float
    how: str
    value: Any = None
    failures: set[tuple[str, str]] = field(default_factory=set)
    trail: list[Any] = field(default_factory=list)


@dataclass
class Expected:
    """What a run must have done: (time, value) of each issued call, time of each Cancel, the end."""

    issued: dict[str, tuple[float, Any]] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)
    end: float = NEVER
    how: str = ""
    value: Any = None
    failures: set[tuple[str, str]] = field(default_factory=set)
    undone: set[tuple[str, bool]] = field(default_factory=set)


class Reference:
    """Evaluates one flow against a record."""

    def __init__(self, flow: Flow, answers: dict[str, tuple[int, Outcome]]) -> None:
        self._flow = flow
        self._answers = answers
        self._out = Expected()
        self._pivoted = False

    def expect(self, given: Any, cancel: float, reason: str, hard: float) -> Expected:
        """What must have happened; `cancel` is when the first cancel came, `hard` when the first hard one did."""
        out = self._out
        end = self._sequence(self._flow.steps, "", 0.0, cancel, given)
        out.end, out.how, out.value, out.failures = end.at, end.how, end.value, end.failures
        if end.how == "cancelled":
            out.failures = {(reason, "")}
        if end.how != "ok" and end.at < NEVER and hard > end.at and not self._pivoted:
            out.end = self._unwind(end.trail, end.at, hard)
        return out

    def _step(self, step: Step, path: str, start: float, cancel: float, given: Any) -> End:
        end = self._plain(step, path, start, cancel, given)
        if end.how == "ok" and end.at < NEVER:
            done = end.at < cancel or isinstance(step, CallStep)  # a call by its answer, others by going on
            self._pivoted = self._pivoted or (step.pivot and done)
            if step.undo is not None and done and not isinstance(step, CallStep):
                end.trail = [(path, given, end.value)]
        return end

    def _plain(self, step: Step, path: str, start: float, cancel: float, given: Any) -> End:
        if isinstance(step, CallStep | WaitStep):
            return self._call(step, path, start, cancel, given)
        if isinstance(step, SequenceStep):
            return self._sequence(step.steps, f"{path}.", start, cancel, given)
        return self._parallel(list(step.branches.items()), path, start, cancel, given)

    def _sequence(self, steps: tuple[Step, ...], prefix: str, start: float, cancel: float, given: Any) -> End:
        at, trail = start, list[Any]()
        for step in steps:
            if cancel <= at:
                return End(at, "cancelled", trail=trail)
            end = self._step(step, prefix + step.id, at, cancel, given)
            trail += end.trail
            at, given = end.at, end.value
            if end.how != "ok" or at == NEVER:
                return End(at, "cancelled" if cancel <= at else end.how, None, end.failures, trail)
        return End(at, "cancelled" if cancel <= at else "ok", given, set(), trail)

    def _call(self, step: CallStep | WaitStep, path: str, start: float, cancel: float, given: Any) -> End:
        if cancel <= start:
            return End(start, "cancelled")
        self._out.issued[path] = (start, given if isinstance(step, CallStep) else Nothing)
        at, outcome = self._answers.get(path, (NEVER, Outcome("unknown")))
        if cancel < at:
            self._out.cancelled[path] = min(cancel, self._out.cancelled.get(path, NEVER))
        trail: list[Any] = []
        may_be_done = at < NEVER and (outcome.kind in ("ok", "unknown") or outcome.maybe_done)
        if may_be_done and isinstance(step, CallStep) and step.undo is not None:
            trail.append((path, given, meaning(outcome.payload) if outcome.kind == "ok" else None))
        if outcome.kind == "ok":
            return End(at, "ok", meaning(outcome.payload), trail=trail)
        if cancel < at:
            return End(at, "cancelled", trail=trail)
        return End(at, "failed", failures={("failed", path)}, trail=trail)

    def _parallel(self, branches: list[tuple[str, Step]], path: str, start: float, cancel: float, given: Any) -> End:
        def run(branch: tuple[str, Step], until: float) -> End:
            name, step = branch
            return self._step(step, f"{path}.{step.id or name}", start, until, given)

        # First as if nobody disturbed anybody, to learn when the first branch fails; then as it must have been.
        before = (dict(self._out.issued), dict(self._out.cancelled))
        first = min((end.at for b in branches if (end := run(b, cancel)).how == "failed"), default=NEVER)
        self._out.issued, self._out.cancelled = before
        ends = [run(b, min(cancel, first)) for b in branches]
        for b, end in zip(branches, ends, strict=True):
            own = self._undisturbed(run, b, cancel)
            if own.how == "failed" and own.at == first:
                end.trail = own.trail  # nothing that it had done was cut off: it failed of itself
        failed = [self._undisturbed(run, b, cancel) for b, end in zip(branches, ends, strict=True) if end.at <= first]
        at = max([start, *(end.at for end in ends)])
        trail = [[end.trail for end in ends]]
        if cancel <= at or at == NEVER:
            return End(at, "cancelled" if cancel <= at else "open", trail=trail)
        if first < NEVER:
            failures = {failure for end in failed if end.how == "failed" for failure in end.failures}
            return End(at, "failed", None, failures, trail)
        joined = {name: end.value for (name, _), end in zip(branches, ends, strict=True)}
        if Opaque in joined.values():
            return End(at, "failed", None, {("mistake", path)}, trail)
        return End(at, "ok", joined, trail=trail)

    def _undisturbed(self, run: Any, branch: tuple[str, Step], cancel: float) -> End:
        kept = (dict(self._out.issued), dict(self._out.cancelled))
        end = run(branch, cancel)
        self._out.issued, self._out.cancelled = kept
        return end

    def _unwind(self, trail: list[Any], start: float, hard: float) -> float:
        at = start
        for entry in reversed(trail):
            if isinstance(entry, list):
                at = max([at, *(self._unwind(branch, at, hard) for branch in entry)])
            elif hard > at:
                path, sent, result = entry
                undo = f"{path}/undo"
                self._out.issued[undo] = (at, {"sent": sent, "result": result})
                at, outcome = self._answers.get(undo, (NEVER, Outcome("unknown")))
                if hard < at:
                    self._out.cancelled[undo] = hard
                self._out.undone.add((undo, outcome.kind == "ok"))
        return at
