"""The orchestrator: which flows there are, and how one is started. It links, binds functions and picks the host.

The gateway asks it by name and never chooses a host; it never sees HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from traceback import print_exception
from typing import Any

import msgspec

from legato.connectors.python import PythonConnector
from legato.errors import DefinitionError, UnknownFlow
from legato.formats import placed
from legato.hosts.bound import BoundProgram
from legato.hosts.guards import Guards
from legato.hosts.inline import InlineHost
from legato.hosts.journal.host import JournalHost
from legato.hosts.patience import impatience
from legato.kernel import CALLBACK, Fault, LinkedCall, Program, linked
from legato.kernel.linker import Codes
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.ports import Connector, Target
from legato.telemetry.metrics import Metrics


class Deployed:
    """A definition as it is served: bound and ready, or broken and why.

    One that is bound and has problems is the version before that in its `definition`, kept in service. `uses` are the
    flows within it, whether they are there or not.
    """

    __slots__ = ("bound", "definition", "problems", "uses", "warnings")

    def __init__(
        self,
        definition: Definition,
        bound: BoundProgram | None,
        problems: tuple[Problem, ...],
        warnings: tuple[Problem, ...] = (),
        uses: frozenset[str] = frozenset(),
    ) -> None:
        self.definition = definition
        self.bound = bound
        self.problems = problems
        self.warnings = warnings
        self.uses = uses

    @property
    def state(self) -> str:
        """`ok` or `broken` (contract 5)."""
        return "ok" if self.bound is not None else "broken"

    @property
    def flow(self) -> Flow | None:
        """The flow that is served."""
        return None if self.bound is None else self.bound.program.flow

    @property
    def version(self) -> str | None:
        """The version that is served."""
        return None if self.bound is None else self.bound.version

    @property
    def worries(self) -> list[str]:
        """What an operator should know of it, in a line each."""
        name, definition = self.definition.name, self.definition
        worries: list[str] = []
        if self.bound is None:
            worries.append(f"the definition of {name} is broken")
        elif self.problems:
            worries.append(f"the definition of {name} is broken; the version before it is served")
        if definition.shadows:
            worries.append(f"{name} in {definition.origin} hides {', '.join(definition.shadows)}")
        if definition.note:
            worries.append(f"{name}: {definition.note}")
        return worries


class Orchestrator:
    """Serves flows on a host."""

    def __init__(
        self, settings: Settings, host: InlineHost, connectors: Mapping[str, Connector], metrics: Metrics
    ) -> None:
        self._settings = settings
        self._host = host
        self.start = host.start  # of what is not durable
        self.journal: JournalHost | None = None  # where durable flows run, once it is open
        self.no_journal = "no journal is open"  # why there is none
        self.no_durable: tuple[str, str] | None = None  # why durable flows cannot be served at all, and the remedy
        self._connectors = connectors
        self._metrics = metrics
        self._guards = Guards()
        metrics.gauge("legato_breaker_open", "Breakers that refuse calls.", "function", self._guards.open_breakers)
        self.flows: dict[str, Deployed] = {}
        self._users: dict[str, set[str]] = {}  # names of flows by that of one within them
        self.changes = 0  # how often flows have changed
        self._worries: tuple[int, list[str]] = (0, [])

    def deploy(self, definition: Definition) -> Deployed:
        """Serve a definition in the place of what has its name; a broken one harms no other.

        The flows that it is within are linked anew; `users` names them.
        """
        name = definition.name
        self._place(definition)
        for user in sorted(self.users(name)):
            self._place(self.flows[user].definition)
        return self.flows[name]

    def _place(self, definition: Definition) -> None:
        before = self.flows.get(definition.name)
        bound = None if before is None else before.bound
        deployed = self._bound(definition, bound)
        if deployed.bound is None and definition.draft and before is not None:
            # The version before is one of the same place; what another store says under this name is another matter.
            deployed.bound = bound if before.definition.origin == definition.origin else None
        self.flows[definition.name] = deployed
        if self.journal is not None and deployed.bound is not None:
            self.journal.serve(deployed.bound)
        if before is not None:
            self._forget_uses(definition.name, before)
        for used in deployed.uses:
            self._users.setdefault(used, set()).add(definition.name)
        self.changes += 1
        if bound is not deployed.bound:
            self.retire(bound)

    def _forget_uses(self, name: str, deployed: Deployed) -> None:
        for used in deployed.uses:
            self._users[used].discard(name)
            if not self._users[used]:
                del self._users[used]

    def users(self, name: str) -> set[str]:
        """The flows that a flow is within, at any depth."""
        return self._users.get(name, set()) - {name}

    def remove(self, name: str) -> None:
        """Serve a flow no more; its runs go on to their end. The flows that it is within are broken by that."""
        deployed = self.flows.pop(name, None)
        if deployed is None:
            return
        self._forget_uses(name, deployed)
        self.changes += 1
        self.retire(deployed.bound)
        for user in sorted(self.users(name)):
            self._place(self.flows[user].definition)

    def retire(self, bound: BoundProgram | None) -> None:
        """Let go of a program as soon as its last run has ended."""
        if bound is not None:
            self._host.retire(bound)
            if self.journal is not None:
                self.journal.retire(bound)

    def check(self, definition: Definition) -> tuple[Problem, ...]:
        """Every problem that serving a definition would meet."""
        return self._bound(definition, None).problems

    @property
    def worries(self) -> list[str]:
        """What an operator should know of all flows, worked out anew only when one has changed."""
        if self._worries[0] != self.changes:
            worries = [worry for _, flow in sorted(self.flows.items()) for worry in flow.worries]
            self._worries = self.changes, worries
        return self._worries[1]

    @property
    def journal_worries(self) -> list[str]:
        """What an operator should know of the journal."""
        if self.journal is not None:
            return [self.journal.journal.trouble] if self.journal.journal.trouble else []
        durable = any(each.bound is not None and each.bound.pin is not None for each in self.flows.values())
        return [f"durable flows cannot be run: {self.no_journal}"] if durable else []

    def find(self, name: str) -> Deployed:
        """The flow of this name. Raises UnknownFlow."""
        try:
            return self.flows[name]
        except KeyError:
            raise UnknownFlow(name) from None

    def states(self) -> dict[str, float]:
        """How many definitions are ok and broken."""
        broken = sum(deployed.bound is None for deployed in self.flows.values())
        return {"ok": len(self.flows) - broken, "broken": broken}

    def bind(self, flow: Flow, code: Mapping[str, Callable[..., Any]] | None = None) -> BoundProgram:
        """Link a flow and bind its functions. Raises DefinitionError where that can never work."""
        program, faults = linked(flow, self._flow_named, self._codes(flow, code or {}))
        errors = [str(fault) for fault in faults if not fault.warning]
        if errors:
            raise DefinitionError("; ".join(errors))
        return self._bind_program(program)

    def _bind_program(self, program: Program) -> BoundProgram:
        if program.growth is not None and self._settings.dev:
            program.growth.tell = print_exception
        bound = BoundProgram(
            program, lambda call: self._bind(call, program.code), self._metrics, self._settings.timeout
        )
        if program.flow.durable:
            bound.pin = _pin(program.flow, {name: self._flow_named(name) for name in sorted(program.uses)})
        return bound

    def pinned(self, text: bytes) -> BoundProgram:
        """The program of a definition as a run has pinned it. Raises DefinitionError where it cannot be run now."""
        pinned = msgspec.json.decode(text, type=_Pinned)
        deployed = self.flows.get(pinned.flow.name)
        code: Mapping[str, Callable[..., Any]] = {} if deployed is None else deployed.definition.code

        def resolve(name: str) -> Flow | None:
            return pinned.uses.get(name) or self._flow_named(name)

        program, faults = linked(pinned.flow, resolve, self._codes(pinned.flow, code))
        errors = [str(fault) for fault in faults if not fault.warning]
        if errors:
            raise DefinitionError("; ".join(errors))
        return self._bind_program(program)

    def _codes(self, own: Flow, code: Mapping[str, Callable[..., Any]]) -> Codes:
        """Where the Python code of a flow and of those within it is."""

        def codes(flow: Flow) -> Mapping[str, Callable[..., Any]]:
            if flow is own:
                return code
            deployed = self.flows.get(flow.name)
            return {} if deployed is None else deployed.definition.code

        return codes

    def _flow_named(self, name: str) -> Flow | None:
        deployed = self.flows.get(name)
        return None if deployed is None else deployed.definition.flow

    def _bound(self, definition: Definition, before: BoundProgram | None) -> Deployed:
        """A definition with its program; `before` goes on if it means the same."""
        flow = definition.flow
        if flow is None:
            return Deployed(definition, None, definition.problems, definition.warnings)
        # Not `==`: the order of branches counts. What is within a flow may have changed without it.
        if before is not None and before.version == flow.version and not before.program.uses and not definition.code:
            return Deployed(definition, before, (), _warnings(definition, before))
        program, faults = linked(flow, self._flow_named, self._codes(flow, definition.code))
        uses = frozenset(program.uses)
        if flow.durable and self.no_durable is not None:
            problem = Problem(file=definition.origin, message=self.no_durable[0], remedy=self.no_durable[1])
            return Deployed(definition, None, (problem,), definition.warnings, uses)
        if any(not fault.warning for fault in faults):
            problems = self._problems(definition, faults)
            return Deployed(definition, None, problems, definition.warnings, uses)
        try:
            bound = self._bind_program(program)
        except DefinitionError as error:
            problem = Problem(
                file=definition.origin, message=str(error), remedy="mend its entry in `functions`, or its code"
            )
            return Deployed(definition, None, (problem,), definition.warnings, uses)
        return Deployed(definition, bound, (), _warnings(definition, bound), uses)

    def _problems(self, definition: Definition, faults: Sequence[Fault]) -> tuple[Problem, ...]:
        """Faults that only show among other flows and hosts, where they were written if that is known."""
        source = definition.source
        if source is not None and (found := placed(source, lambda flow: linked(flow, self._flow_named)[1])):
            return tuple(found)
        return tuple(_problem(definition, fault) for fault in faults if not fault.warning)

    def _bind(self, call: LinkedCall, code: Mapping[str, Callable[..., Any]]) -> Target:
        function = function_named(call.function, self._settings)
        target = self._connector(function, code).bind(function, call.definition)
        return self._guards.guard(function, call.definition, target)

    def _connector(self, function: Function, code: Mapping[str, Callable[..., Any]]) -> Connector:
        """What reaches a function; `code` is what its definition brings itself."""
        if function.python:
            connector = self._connectors["python"]
            return connector.with_code(code) if code and isinstance(connector, PythonConnector) else connector
        kind = "builtin" if function.builtin else "callback" if function.name == CALLBACK else "http"
        return self._connectors[kind]


class _Pinned(msgspec.Struct):
    """What a durable run was started with: its flow, and those within it."""

    flow: Flow
    uses: dict[str, Flow]


def _pin(flow: Flow, uses: Mapping[str, Flow | None]) -> tuple[bytes, bytes]:
    """(digest, text) of what a durable run is started with."""
    text = msgspec.json.encode(_Pinned(flow, {name: each for name, each in uses.items() if each is not None}))
    return hashlib.sha256(text).digest()[:16], text


def _warnings(definition: Definition, bound: BoundProgram) -> tuple[Problem, ...]:
    """What may be meant: what its text shows, and what the functions' limits do."""
    late = [Problem(file=definition.origin, message=text, remedy=remedy) for text, remedy in impatience(bound)]
    return (*definition.warnings, *late)


def _problem(definition: Definition, fault: Fault) -> Problem:
    """A fault that only shows among other flows and hosts, as a problem of the definition."""
    bare = msgspec.structs.replace(fault, remedy="")
    return Problem(file=definition.origin, message=str(bare), remedy=fault.remedy)


def function_named(name: str, settings: Settings) -> Function:
    """A function's entry, or what the default rule makes of its name; `module:qualname` is Python code itself."""
    entry = settings.functions.get(name)
    if entry is not None:
        return entry
    if ":" in name:
        return Function(name=name, python=name)
    return Function(name=name, url=settings.default_function.replace("{name}", name))
