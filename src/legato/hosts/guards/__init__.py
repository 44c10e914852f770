"""Guards: what stands between an attempt and its target. Each is a target itself, applied when a call is bound.

From the outside in: hedge, breaker, concurrency limit. A call that has none of them costs nothing. Retries are none of
these: the host's attempts go over all of them.
"""

from __future__ import annotations

from legato.errors import DefinitionError
from legato.hosts.guards.breaker import BehindBreaker, BreakerState
from legato.hosts.guards.hedge import Hedged
from legato.hosts.guards.limit import Limited, LimitState
from legato.model.function import Function
from legato.model.steps import CallStep
from legato.ports import Target


class Guards:
    """Puts guards before targets. What they know of a function is one for all flows, and outlives any of them.

    Breakers and limits are those of the settings' functions, so that there are never more than are configured.
    """

    def __init__(self) -> None:
        self._breakers: dict[str, BreakerState] = {}
        self._limits: dict[str, LimitState] = {}

    def guard(self, function: Function, step: CallStep, target: Target) -> Target:
        """The target behind the guards that the function and the step ask for; itself where they ask for none.

        Raises DefinitionError for a hedge on what must not be repeated.
        """
        if function.concurrency:
            limit = self._limits.get(function.name)
            if limit is None:
                limit = self._limits[function.name] = LimitState(function.name, function.concurrency)
            target = Limited(target, limit)
        if function.breaker is not None:
            breaker = self._breakers.get(function.name)
            if breaker is None:
                breaker = self._breakers[function.name] = BreakerState(function.name, function.breaker)
            target = BehindBreaker(target, breaker)
        if step.hedge is not None:
            if not target.safe:
                raise DefinitionError(
                    f"function {function.name}: `hedge` starts a call a second time, which may do harm twice: "
                    "say `idempotent: true` on the call or the function if it does not, or leave out `hedge`"
                )
            target = Hedged(target, step.hedge)
        return target

    def open_breakers(self) -> dict[str, float]:
        """1 by function for those that are being refused, 0 for the others; of all that have a breaker."""
        return {name: float(state.is_open) for name, state in self._breakers.items()}
