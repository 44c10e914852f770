"""A stage for one test: scripted functions, manual time, and nothing may be left at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.policy import Retry
from legato.testing import Act, ManualClock, ScriptedConnector, Stage, run_in_manual_time
from tests.kernel.flows import call, flow

Scene = Callable[[Stage, ScriptedConnector, ManualClock], Coroutine[Any, Any, None]]

HANG = Act(after=None)


def scene(**functions: Function) -> Callable[[Scene], Callable[[], None]]:
    """A test of `(stage, script, clock)`; afterwards no run, no attempt and no timer of a run may be left."""

    def decorate(test: Scene) -> Callable[[], None]:
        async def main(clock: ManualClock) -> None:
            script = ScriptedConnector()
            stage = Stage(script, functions)
            await test(stage, script, clock)
            assert not list(stage.host.runs())
            assert not script.pending
            assert all(end.run.slot == 0 for end in stage.ends)

        @functools.wraps(test)
        def run() -> None:
            run_in_manual_time(main)

        del run.__wrapped__  # else pytest would look for fixtures of these names
        return run

    return decorate


def retried(function: str = "f", attempts: int = 3, **fields: Any) -> Flow:
    """One call that may be tried so often."""
    return flow(call(function, retry=Retry(attempts=attempts, backoff=1.0), **fields))
