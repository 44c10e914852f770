"""What a code-first flow calls is known when it calls it: a program that grows while it runs, each call linked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from legato.errors import DefinitionError
from legato.kernel.calls import LinkedCall, LinkedStep
from legato.kernel.sight import Fault, Sight
from legato.kernel.templates import Templates
from legato.model.flow import MAX_STEPS, Flow
from legato.model.steps import CallStep

Anything = Callable[..., Any]

Resolve = Callable[[str], Flow | None]

# Links a flow as one within, at the path `[*]`, with calls that follow these; gives them all, and what is wrong.
LinkFlow = Callable[[Flow, list[LinkedCall]], tuple[LinkedStep, list[LinkedCall], list[Fault]]]


def nothing(_: Any) -> None:
    """Nobody is told."""


class Growth:
    """The calls that a program gets while it runs.

    `calls` is the program's own list. `admit` is the host's, which binds new calls before they are taken, and raises
    DefinitionError where that cannot be done; `tell` hears of exceptions that code raised. `code` is the Python code
    of all flows so far, by name.
    """

    def __init__(
        self, calls: list[LinkedCall], code: dict[str, Anything], resolve: Resolve | None, link_flow: LinkFlow
    ) -> None:
        self.calls = calls
        self.code = code
        self._resolve = resolve
        self.admit: Callable[[Sequence[LinkedCall]], None] = nothing
        self.tell: Callable[[BaseException], None] = nothing
        self._link_flow = link_flow
        self._known: dict[Hashable, LinkedCall] = {}
        self._flows: dict[tuple[str, str], LinkedStep] = {}

    def find(self, key: Hashable) -> LinkedCall | None:
        """The call that was linked under a key."""
        return self._known.get(key)

    def call(self, key: Hashable, definition: CallStep) -> LinkedCall:
        """Link a call, and know it by a key from now on. Raises DefinitionError."""
        new: list[LinkedCall] = []
        faults: list[Fault] = []

        def link(step: CallStep, undo: Any = None) -> LinkedCall:
            linked = LinkedCall(step.function, len(self.calls) + len(new), step, undo, is_undo=step is not definition)
            new.append(linked)
            return linked

        undo = None
        if definition.undo is not None:
            undo = Templates(faults, set()).undo(definition.undo, definition, Sight(None), link)
        linked = link(definition, undo)
        linked.inspected = True
        self._take(new, faults)
        self._known[key] = linked
        return linked

    def named(self, name: str) -> Flow:
        """The flow of a name. Raises DefinitionError."""
        flow = None if self._resolve is None else self._resolve(name)
        if flow is None:
            raise DefinitionError(f"there is no flow `{name}` that can be run (define it, or mend it)")
        return flow

    def flow(self, flow: Flow, code: dict[str, Anything]) -> LinkedStep:
        """Link a flow as one within, once for each version. Raises DefinitionError with every fault."""
        key = (flow.name, flow.version)
        known = self._flows.get(key)
        if known is None:
            self.code.update(code)
            step, calls, faults = self._link_flow(flow, self.calls)
            self._take(calls[len(self.calls) :], faults)
            known = self._flows[key] = step
        return known

    def _take(self, new: Sequence[LinkedCall], faults: Sequence[Fault]) -> None:
        errors = [str(fault) for fault in faults if not fault.warning]
        if errors:
            raise DefinitionError("; ".join(errors))
        if len(self.calls) + len(new) > MAX_STEPS:
            raise DefinitionError(f"more than {MAX_STEPS} different calls (what differs each time goes into the value)")
        self.admit(new)
        self.calls += new
