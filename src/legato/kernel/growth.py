"""What a code-first flow calls is known when it calls it: a program that grows while it runs, each call linked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set
from typing import Any, NamedTuple

import msgspec

from legato.errors import DefinitionError
from legato.kernel.calls import LinkedCall, LinkedStep
from legato.kernel.sight import Fault, Sight
from legato.kernel.templates import Templates
from legato.model.flow import MAX_STEPS, Flow
from legato.model.steps import CallStep
from legato.values import Schema

Anything = Callable[..., Any]

Resolve = Callable[[str], Flow | None]


class Linked(NamedTuple):
    """A flow as one within, at the path `[*]`: with all calls, the names of the flows in it, and what is wrong."""

    step: LinkedStep
    calls: list[LinkedCall]
    uses: Set[str]
    faults: list[Fault]


LinkFlow = Callable[[Flow, list[LinkedCall], bool], Linked]  # with calls that follow these, forward or not


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
        self._flows: dict[tuple[int, bool], tuple[Flow, LinkedStep, list[tuple[str, Flow | None]]]] = {}
        self._schemas: dict[bytes, Schema | None] = {}

    def find(self, key: Hashable) -> LinkedCall | None:
        """The call that was linked under a key."""
        return self._known.get(key)

    def call(self, key: Hashable, definition: CallStep, forward: bool = False) -> LinkedCall:
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
        linked.forward = forward
        self._take(new, faults)
        self._known[key] = linked
        return linked

    def named(self, name: str) -> Flow:
        """The flow of a name. Raises DefinitionError."""
        flow = self._find(name)
        if flow is None:
            raise DefinitionError(f"there is no flow `{name}` that can be run (define it, or mend it)")
        return flow

    def schema(self, given: dict[str, object] | bool | None) -> Schema | None:
        """A schema, compiled once. Raises DefinitionError."""
        if given is None:
            return None
        key = msgspec.json.encode(given)
        if key not in self._schemas:
            faults: list[Fault] = []
            self._schemas[key] = Templates(faults, set()).schema(given, None, "schema")
            self._take((), faults)
        return self._schemas[key]

    def flow(self, flow: Flow, code: dict[str, Anything], forward: bool = False) -> LinkedStep:
        """Link a flow as one within, again where one of those in it has changed. Raises DefinitionError."""
        known = self._flows.get((id(flow), forward))  # which is kept, and so its id its own
        if known is not None and all(self._find(name) is used for name, used in known[2]):
            return known[1]
        self.code.update(code)
        linked = self._link_flow(flow, self.calls, forward)
        self._take(linked.calls[len(self.calls) :], linked.faults)
        self._flows[id(flow), forward] = flow, linked.step, [(name, self._find(name)) for name in sorted(linked.uses)]
        return linked.step

    def _find(self, name: str) -> Flow | None:
        return None if self._resolve is None else self._resolve(name)

    def _take(self, new: Sequence[LinkedCall], faults: Sequence[Fault]) -> None:
        errors = [str(fault) for fault in faults if not fault.warning]
        if errors:
            raise DefinitionError("; ".join(errors))
        if len(self.calls) + len(new) > MAX_STEPS:
            raise DefinitionError(f"more than {MAX_STEPS} different calls (what differs each time goes into the value)")
        self.admit(new)
        self.calls += new
