"""What the gateway serves at a path: a flow, or, where that is switched on, a function called directly."""

from __future__ import annotations

from collections import OrderedDict

from legato.errors import DefinitionError
from legato.gateway.problems import broken_definition
from legato.hosts.bound import BoundProgram
from legato.model.flow import Flow
from legato.model.names import fnkit_name_problem
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.model.steps import CallStep, ParallelStep
from legato.orchestrator import Deployed, Orchestrator
from legato.transport.request import Answer

REMEMBERED = 1024  # functions that are kept ready; names come from callers, and their number has no end


class Route:
    """A flow as the gateway serves it."""

    __slots__ = ("bound", "broken", "dialect", "keeps_status", "name", "parallel")

    def __init__(self, name: str, bound: BoundProgram | None, problems: tuple[Problem, ...] = ()) -> None:
        self.name = name
        self.bound = bound
        self.broken: Answer | None = broken_definition(name, problems) if bound is None else None
        flow = None if bound is None else bound.program.flow
        self.dialect = "native" if flow is None else flow.dialect
        self.parallel = flow is not None and any(isinstance(step, ParallelStep) for step in flow.steps[:1])
        # The last step's status is the flow's, where a caller of one function would have seen it.
        self.keeps_status = self.dialect == "direct" or (self.dialect == "fnkit" and not self.parallel)


def route_of(deployed: Deployed) -> Route:
    """The route of a flow."""
    return Route(deployed.definition.name, deployed.bound, deployed.problems)


class DirectRoutes:
    """`/{function}[/rest]` (fnkit's gateway): the request goes to the function as it came, and its answer back."""

    def __init__(self, settings: Settings, orchestrator: Orchestrator) -> None:
        self._allowed = settings.direct_functions
        self._orchestrator = orchestrator
        self._routes = OrderedDict[str, Route]()

    @property
    def enabled(self) -> bool:
        """Whether any function can be called so."""
        return bool(self._allowed)

    def find(self, name: str) -> Route | None:
        """The route of a function; None for one that must not be called so, as if it were not there."""
        route = self._routes.get(name)
        if route is not None:
            self._routes.move_to_end(name)
            return route
        if fnkit_name_problem(name) or not (self._allowed is True or name in (self._allowed or ())):
            return None
        # No flow can have a name with a slash: its runs are counted apart from those of a flow named like it.
        flow = Flow(name=f"/{name}", dialect="direct", steps=(CallStep(function=name, forward="request"),))
        try:
            route = Route(name, self._orchestrator.bind(flow))
        except DefinitionError as error:
            route = Route(name, None, (Problem(file="functions", message=str(error)),))
        self._routes[name] = route
        if len(self._routes) > REMEMBERED:
            _, oldest = self._routes.popitem(last=False)
            self._orchestrator.retire(oldest.bound)
        return route
