"""The orchestrator: which flows there are, and how one is started. It links, binds functions and picks the host.

The gateway asks it by name and never chooses a host; it never sees HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from legato.errors import DefinitionError, UnknownFlow
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost
from legato.kernel import LinkedCall, link
from legato.model.definition import Definition
from legato.model.flow import CallStep, Flow
from legato.model.function import Function
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.ports import Connector, Target
from legato.telemetry.metrics import Metrics


class Deployed:
    """A definition as it is served: bound and ready, or broken and why.

    One that is bound and has problems is the version before that in its `definition`, kept in service.
    """

    __slots__ = ("bound", "definition", "problems")

    def __init__(self, definition: Definition, bound: BoundProgram | None, problems: tuple[Problem, ...]) -> None:
        self.definition = definition
        self.bound = bound
        self.problems = problems

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
        self.start = host.start  # every flow runs inline so far
        self._connectors = connectors
        self._metrics = metrics
        self.flows: dict[str, Deployed] = {}
        self.changes = 0  # how often flows have changed
        self._worries: tuple[int, list[str]] = (0, [])

    def deploy(self, definition: Definition) -> Deployed:
        """Serve a definition in the place of what has its name; a broken one harms no other."""
        before = self.flows.get(definition.name)
        bound = None if before is None else before.bound
        deployed = self._bound(definition, bound)
        if deployed.bound is None and definition.draft and before is not None:
            # The version before is one of the same place; what another store says under this name is another matter.
            deployed.bound = bound if before.definition.origin == definition.origin else None
        self.flows[definition.name] = deployed
        self.changes += 1
        if bound is not deployed.bound:
            self.retire(bound)
        return deployed

    def remove(self, name: str) -> None:
        """Serve a flow no more; its runs go on to their end."""
        deployed = self.flows.pop(name, None)
        if deployed is not None:
            self.changes += 1
            self.retire(deployed.bound)

    def retire(self, bound: BoundProgram | None) -> None:
        """Let go of a program as soon as its last run has ended."""
        if bound is not None:
            self._host.retire(bound)

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

    def bind(self, flow: Flow) -> BoundProgram:
        """Link a flow and bind its functions. Raises DefinitionError where that can never work."""
        return BoundProgram(link(flow), self._bind, self._metrics, self._settings.timeout)

    def _bound(self, definition: Definition, before: BoundProgram | None) -> Deployed:
        """A definition with its program; `before` goes on if it means the same."""
        if definition.flow is None:
            return Deployed(definition, None, definition.problems)
        if before is not None and before.version == definition.flow.version:  # not `==`: the order of branches counts
            return Deployed(definition, before, ())
        try:
            return Deployed(definition, self.bind(definition.flow), ())
        except DefinitionError as error:
            problem = Problem(
                file=definition.origin, message=str(error), remedy="mend its entry in `functions`, or its code"
            )
            return Deployed(definition, None, (problem,))

    def _bind(self, call: LinkedCall) -> Target:
        return bind(call.definition, self._settings, self._connectors)


def function_named(name: str, settings: Settings) -> Function:
    """A function's entry, or what the default rule makes of its name."""
    entry = settings.functions.get(name)
    if entry is not None:
        return entry
    return Function(name=name, url=settings.default_function.replace("{name}", name))


def bind(step: CallStep, settings: Settings, connectors: Mapping[str, Connector]) -> Target:
    """Bind a call to the connector that reaches its function. Raises DefinitionError."""
    function = function_named(step.function, settings)
    kind = "python" if function.python else "builtin" if function.builtin else "http"
    return connectors[kind].bind(function, step)
