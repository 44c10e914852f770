"""Definitions that are replaced while runs go on: each run ends by the one it began with, and nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from legato.connectors.http import HttpConnector
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineRun
from legato.hosts.recent import RecentRuns
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.payload import EMPTY
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.model.steps import CallStep
from legato.orchestrator import Deployed, Orchestrator
from legato.testing import Act, ScriptedConnector, Stage, run_in_manual_time
from legato.testing.stage import Caller
from tests.kernel.flows import call

BROKEN = (Problem(file="f", message="broken"),)


class Theatre(Stage):
    """A stage with an orchestrator, whose functions are scripted but for those at `http`."""

    def __init__(self) -> None:
        self.script = ScriptedConnector()
        super().__init__(self.script)
        self.http = HttpConnector(self.wheel, 1024)
        functions = {"missing": Function(name="missing", python="nowhere_at_all:f")}
        self.orchestrator = Orchestrator(
            Settings(functions=functions),
            self.host,
            {"http": self.script, "python": _Unbindable()},
            self.metrics,
        )

    def deploy(self, *functions: str, name: str = "x", draft: bool = False, **fields: Any) -> Deployed:
        flow = Flow(name=name, steps=tuple(call(function) for function in functions), **fields)
        return self.orchestrator.deploy(Definition(name=name, origin=name, flow=flow, draft=draft))

    def break_it(self, name: str = "x", draft: bool = False) -> Deployed:
        return self.orchestrator.deploy(Definition(name=name, origin=name, problems=BROKEN, draft=draft))

    def run(self, bound: BoundProgram | None) -> InlineRun:
        assert bound is not None
        return self.orchestrator.start(bound, EMPTY, Caller(), self._reply)

    def settle_all(self) -> None:
        for attempt in self.script.pending:
            attempt.settle()

    @property
    def lanes(self) -> list[BoundProgram]:
        return list(self.host._lanes)


class _Unbindable(ScriptedConnector):
    def bind(self, function: Function, step: CallStep) -> Any:
        from legato.errors import DefinitionError

        raise DefinitionError(f"function {function.name}: no such code")


def scene(test: Callable[[Theatre], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main(_: object) -> None:
            await test(Theatre())

        run_in_manual_time(main)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@scene
async def test_the_same_meaning_keeps_the_program(theatre: Theatre) -> None:
    first = theatre.deploy("a", "b")
    again = theatre.deploy("a", "b")
    assert again.bound is first.bound
    assert first.bound is not None
    assert not first.bound.retired
    assert theatre.orchestrator.find("x") is again
    for changed in ({"timeout": 5.0}, {"on_disconnect": "finish"}, {"description": "words"}):
        before = theatre.orchestrator.find("x").bound
        assert theatre.deploy("a", "b", **changed).bound is not before
        assert before is not None
        assert before.retired


@scene
async def test_runs_end_by_the_definition_they_began_with(theatre: Theatre) -> None:
    theatre.script.script("old-1", Act(after=None))
    first = theatre.deploy("old-1", "old-2")
    old = theatre.run(first.bound)
    second = theatre.deploy("new-1", "new-2")
    assert first.bound in theatre.lanes
    new = theatre.run(second.bound)
    assert new.kernel.state == "ended"
    theatre.script.pending[0].settle()
    assert old.kernel.state == "ended"
    assert [attempt.function for attempt in theatre.script.attempts] == ["old-1", "new-1", "new-2", "old-2"]
    assert theatre.lanes == [second.bound]
    assert all(end.failure is None for end in theatre.ends)


@scene
async def test_the_lane_stays_until_the_last_run_ends(theatre: Theatre) -> None:
    theatre.script.script("f", Act(after=None))
    bound = theatre.deploy("f").bound
    runs = [theatre.run(bound) for _ in range(3)]
    theatre.orchestrator.remove("x")
    assert bound is not None
    assert bound.retired
    assert theatre.orchestrator.flows == {}
    for left in (2, 1, 0):
        assert theatre.lanes == [bound]
        assert theatre.host.active() == {"x": left + 1}
        theatre.script.pending[0].settle()
        assert len(list(theatre.host.runs())) == left
    assert theatre.lanes == []
    assert theatre.host.active() == {}
    assert all(run.kernel.state == "ended" for run in runs)
    assert theatre.wheel._slots == {} or not any(theatre.wheel._slots.values())


@scene
async def test_a_run_that_begins_on_a_retired_program(theatre: Theatre) -> None:
    """Its head was admitted before the definition changed, and its body came after."""
    theatre.script.script("f", Act(after=None))
    first = theatre.deploy("f").bound
    theatre.deploy("g")
    assert theatre.lanes == []
    late = theatre.run(first)
    assert theatre.lanes == [first]
    theatre.script.pending[0].settle()
    assert late.kernel.state == "ended"
    assert theatre.lanes == []
    quick = theatre.run(first)
    theatre.script.pending[0].settle()
    assert quick.kernel.state == "ended"
    assert theatre.lanes == []


@scene
async def test_a_run_of_a_retired_program_still_times_out(theatre: Theatre) -> None:
    theatre.script.script("f", Act(after=None))
    bound = theatre.deploy("f", timeout=2.0).bound
    runs = [theatre.run(bound), theatre.run(bound)]
    theatre.orchestrator.remove("x")
    await asyncio.sleep(3)
    assert [run.kernel.state for run in runs] == ["ended", "ended"]
    assert [end.failure.reason for end in theatre.ends if end.failure] == ["deadline", "deadline"]
    assert theatre.lanes == []


@scene
async def test_what_is_broken_ends_the_service_unless_it_is_a_draft(theatre: Theatre) -> None:
    first = theatre.deploy("a")
    draft = theatre.break_it(draft=True)
    assert draft.bound is first.bound
    assert (draft.state, draft.problems) == ("ok", BROKEN)
    assert draft.worries == ["the definition of x is broken; the version before it is served"]
    assert draft.flow == first.flow
    assert theatre.orchestrator.states() == {"ok": 1, "broken": 0}
    mended = theatre.deploy("a")
    assert mended.bound is first.bound, "mended, and as it was"
    assert mended.worries == []
    broken = theatre.break_it()
    assert (broken.state, broken.bound) == ("broken", None)
    assert broken.worries == ["the definition of x is broken"]
    assert first.bound is not None
    assert first.bound.retired
    assert theatre.orchestrator.states() == {"ok": 0, "broken": 1}
    assert theatre.break_it(draft=True).bound is None, "there is no version before it"


@scene
async def test_a_draft_whose_functions_cannot_be_bound_is_broken_too(theatre: Theatre) -> None:
    first = theatre.deploy("a")
    draft = theatre.deploy("a", "missing", draft=True)
    assert draft.bound is first.bound
    assert [problem.message for problem in draft.problems] == ["function missing: no such code"]
    again = theatre.deploy("a", "missing", draft=True)
    assert again.bound is first.bound
    assert theatre.deploy("a", "missing").state == "broken"
    assert theatre.orchestrator.check(theatre.orchestrator.flows["x"].definition)


@scene
async def test_check_serves_nothing(theatre: Theatre) -> None:
    before = theatre.deploy("a")
    flow = Flow(name="x", steps=(call("b"),))
    assert theatre.orchestrator.check(Definition(name="x", origin="x", flow=flow)) == ()
    assert theatre.orchestrator.check(Definition(name="x", origin="x", problems=BROKEN)) == BROKEN
    assert theatre.orchestrator.flows == {"x": before}
    assert before.bound is not None
    assert not before.bound.retired


@scene
async def test_removing_what_is_not_there(theatre: Theatre) -> None:
    theatre.orchestrator.remove("nobody")
    theatre.break_it()
    theatre.orchestrator.remove("x")
    assert theatre.orchestrator.flows == {}


@pytest.mark.parametrize("remembered", [0, 10])
def test_a_thousand_redefinitions_leave_nothing(remembered: int) -> None:
    """Under runs of which some end late, with functions that come and go."""

    @scene
    async def main(theatre: Theatre) -> None:
        theatre.host.recent = RecentRuns(remembered)
        functions = {
            f"fresh-{number}": Function(name=f"fresh-{number}", url=f"http://h-{number}:80") for number in range(1000)
        }
        theatre.orchestrator._settings = Settings(functions=functions)
        theatre.orchestrator._connectors = {"http": _Both(theatre)}
        before = programs()
        for number in range(1000):
            deployed = theatre.deploy("kept", f"fresh-{number}")
            assert deployed.bound is not None
            theatre.script.script("kept", Act(after=None if number % 7 == 0 else 0.0))
            theatre.run(deployed.bound)
            del deployed
            if number % 50 == 49:
                theatre.settle_all()
            theatre.script.attempts[:] = theatre.script.pending
            theatre.ends.clear()
        theatre.settle_all()
        theatre.script.attempts.clear()
        theatre.script.events.clear()
        theatre.ends.clear()
        assert len(theatre.lanes) <= 1
        assert programs() - before <= 1 + remembered
        assert len(theatre.http._pools) <= 2 + remembered
        assert set(theatre.metrics._flows) == {"x"}
        assert len(theatre.metrics._functions) <= 2 + remembered
        theatre.orchestrator.remove("x")
        theatre.host.recent = RecentRuns(0)
        assert programs() == before
        assert not theatre.lanes
        assert not theatre.http._pools
        assert not theatre.metrics._flows

    main()


def programs() -> int:
    """How many bound programs there are in this process."""
    gc.collect()
    return sum(type(each) is BoundProgram for each in gc.get_objects())


class _Both(ScriptedConnector):
    """Binds to the script, and holds what the HTTP connector would."""

    def __init__(self, theatre: Theatre) -> None:
        super().__init__()
        self._theatre = theatre

    def bind(self, function: Function, step: CallStep) -> Any:
        target = self._theatre.script.bind(function, step)
        if function.url:
            target.__dict__["held"] = self._theatre.http.bind(function, step)
        return target


@scene
async def test_stopping_waits_for_runs_of_retired_programs(theatre: Theatre) -> None:
    theatre.script.script("f", Act(after=3.0))
    run = theatre.run(theatre.deploy("f").bound)
    theatre.orchestrator.remove("x")
    assert await theatre.host.drain(10.0) == 0
    assert run.kernel.state == "ended"
    assert theatre.lanes == []
