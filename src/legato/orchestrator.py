"""The orchestrator: which flows there are, and how one is started. It links, binds functions and picks the host.

The gateway asks it by name and never chooses a host; it never sees HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from legato.errors import DefinitionError, UnknownFlow
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost
from legato.kernel import LinkedCall, link
from legato.model.bundle import Bundle, Definition
from legato.model.flow import CallStep
from legato.model.function import Function
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.ports import Connector, Target
from legato.telemetry.metrics import Metrics


class Deployed:
    """A definition as it is served: bound and ready, or broken and why."""

    __slots__ = ("bound", "definition", "problems")

    def __init__(self, definition: Definition, bound: BoundProgram | None, problems: tuple[Problem, ...]) -> None:
        self.definition = definition
        self.bound = bound
        self.problems = problems

    @property
    def state(self) -> str:
        """`ok` or `broken` (contract 5)."""
        return "ok" if self.bound is not None else "broken"


class Orchestrator:
    """Serves the flows of a bundle on a host."""

    def __init__(
        self, settings: Settings, host: InlineHost, connectors: Mapping[str, Connector], metrics: Metrics
    ) -> None:
        self._settings = settings
        self.start = host.start  # every flow runs inline so far
        self._connectors = connectors
        self._metrics = metrics
        self.flows: dict[str, Deployed] = {}

    def deploy(self, bundle: Bundle) -> list[Problem]:
        """Serve exactly the definitions of `bundle`; a broken one is kept, with its problems, and harms no other."""
        self.flows = {name: self._deploy(definition) for name, definition in bundle.definitions.items()}
        return [problem for deployed in self.flows.values() for problem in deployed.problems]

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

    def _deploy(self, definition: Definition) -> Deployed:
        if definition.flow is None:
            return Deployed(definition, None, definition.problems)
        try:
            bound = BoundProgram(link(definition.flow), self._bind, self._metrics, self._settings.timeout)
        except DefinitionError as error:
            problem = Problem(file=definition.origin, message=str(error), remedy="mend the function's entry")
            return Deployed(definition, None, (problem,))
        return Deployed(definition, bound, ())

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
