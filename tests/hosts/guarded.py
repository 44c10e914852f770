"""A stage whose functions are guarded as their entries and steps say; nothing may be left at the end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from legato.hosts.guards import Guards
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.steps import CallStep
from legato.ports import Target
from legato.testing import ManualClock, ScriptedConnector, Stage, run_in_manual_time
from tests.hosts.scene import Scene


class GuardedConnector:
    """A scripted connector behind guards, as the orchestrator puts them."""

    def __init__(self, script: ScriptedConnector) -> None:
        self.script = script
        self.guards = Guards()

    def bind(self, function: Function, step: CallStep) -> Target:
        return self.guards.guard(function, step, self.script.bind(function, step))

    async def close(self) -> None:
        pass

    def is_idle(self) -> bool:
        """Whether nobody holds a place or waits for one."""
        limits = self.guards._limits.values()
        return all(not s._taken and not s._queue and s._timer is None and not s._waking for s in limits)


def guarded(**functions: Function) -> Callable[[Scene], Callable[[], None]]:
    """A test of `(stage, script, clock)`; `stage.connector.guards` are the guards."""

    def decorate(test: Scene) -> Callable[[], None]:
        async def main(clock: ManualClock) -> None:
            script = ScriptedConnector()
            connector = GuardedConnector(script)
            stage = Stage(connector, functions)
            await test(stage, script, clock)
            await asyncio.sleep(0)
            assert not list(stage.host.runs())
            assert not script.pending
            assert connector.is_idle()

        @functools.wraps(test)
        def run() -> None:
            run_in_manual_time(main)

        del run.__wrapped__
        return run

    return decorate


def failure_of(stage: Stage, at: int = -1) -> Outcome:
    """The outcome by which a run failed."""
    failure = stage.ends[at].failure
    assert failure is not None
    return failure.outcome
