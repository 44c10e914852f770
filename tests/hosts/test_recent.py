"""What is remembered of runs: their steps, states and errors, and nothing of what was sent or answered."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
import pytest

from legato.hosts.recent import DETAIL, NOTED, Clock, RecentRuns, RunDocument, function_documents, run_document
from legato.model.flow import Flow
from legato.model.payload import json_payload
from legato.model.policy import Retry
from legato.testing import Act, ManualClock, ScriptedConnector, Stage, ok, refused, retryable, unknown
from tests.hosts.scene import HANG, retried, scene
from tests.kernel.flows import call, flow, par

CLOCK = Clock()


def remember(stage: Stage, capacity: int = 100) -> RecentRuns:
    stage.host.recent = RecentRuns(capacity)
    return stage.host.recent


def documents(stage: Stage) -> list[RunDocument]:
    return [run_document(run, CLOCK) for run in stage.host.recent.all(stage.host.runs())]


def only(stage: Stage) -> RunDocument:
    [document] = documents(stage)
    return document


def seconds(document: RunDocument) -> float:
    assert document.ended is not None
    return (datetime.fromisoformat(document.ended) - datetime.fromisoformat(document.started)).total_seconds()


@scene()
async def test_a_run_that_went_well(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("b", ok({"secret": 1}, status=201).later(2.5))
    run = stage.start(flow(call("a"), call("b")), json_payload({"secret": 2}))
    await asyncio.sleep(3)
    document = only(stage)
    assert (document.id, document.flow, document.state) == (run.id.decode(), "test", "succeeded")
    assert document.version == run.bound.program.flow.version
    assert (document.inline, document.truncated, document.error) == (True, False, None)
    assert seconds(document) == pytest.approx(2.5, abs=0.01)
    assert document.ms == pytest.approx(2500, abs=10)
    assert document.created == document.started
    [a, b] = document.steps
    assert (a.path, a.function, a.state, a.outcome, a.status, a.attempts, a.detail) == (
        "a", "a", "succeeded", "ok", 200, 1, "",
    )  # fmt: skip
    assert (b.path, b.status) == ("b", 201)
    assert b.ms == pytest.approx(2500, abs=10)
    assert "secret" not in msgspec.json.encode(document).decode()


@scene()
async def test_attempts_are_one_step(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("f", retryable(503, retry_after=1.0), unknown(502).later(0.5), ok())
    stage.start(retried(attempts=3, method="PUT"))
    await asyncio.sleep(10)
    [step] = only(stage).steps
    assert (step.attempts, step.state, step.outcome, step.status, step.detail) == (3, "succeeded", "ok", 200, "")
    assert step.ms >= 1500, "with the waiting in between"
    assert step.started == only(stage).started
    counts = function_documents(stage.host.recent.all(()), CLOCK)["f"]
    assert (counts.attempts, counts.errors, counts.last_outcome, counts.last_status) == (3, 2, "ok", 200)


@scene()
async def test_steps_are_in_the_order_of_their_ends(
    stage: Stage, script: ScriptedConnector, clock: ManualClock
) -> None:
    remember(stage)
    script.script("slow", retryable(retry_after=2.0), ok())
    script.script("quick", ok().later(0.5))
    stage.start(flow(par("p", a=call("slow", retry=Retry(attempts=2, backoff=1.0)), b=call("quick"))))
    await asyncio.sleep(10)
    assert [step.path for step in only(stage).steps] == ["p.b", "p.a"]


CASES: dict[str, tuple[Flow, dict[str, Act], str, str]] = {
    "failed": (flow(call("a")), {"a": refused(402)}, "failed", "failed"),
    "undone": (flow(call("a", undo="u"), call("b")), {"b": refused(402)}, "undone", "failed"),
    "undo failed": (flow(call("a", undo="u"), call("b")), {"b": refused(402), "u": refused(400)}, "failed", "failed"),
    "half undone": (
        flow(call("a", undo="u"), call("c", undo="v"), call("b")),
        {"b": refused(402), "u": refused(400)},
        "failed",
        "failed",
    ),
    "deadline": (flow(call("a"), timeout=1.0), {"a": HANG}, "failed", "deadline"),
    "overloaded": (flow(call("a")), {"a": Act(kind="retryable", overloaded=True, sent=False)}, "failed", "overloaded"),
}


@pytest.mark.parametrize("case", CASES)
def test_states(case: str) -> None:
    definition, acts, state, reason = CASES[case]

    @scene()
    async def main(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        remember(stage)
        for name, act in acts.items():
            script.script(name, act)
        stage.start(definition)
        await asyncio.sleep(400)
        document = only(stage)
        assert document.state == state
        assert document.error is not None
        assert document.error["reason"] == reason
        assert document.error["step"] == ("a" if len(document.steps) == 1 else "b")
        assert set(document.error) == {"reason", "step", "function", "status", "detail"}

    main()


@scene()
async def test_cancelled(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("a", HANG)
    for reason in ("cancelled", "disconnect"):
        run = stage.start(flow(call("a", method="GET")))
        run.cancel(reason)
    undone = stage.start(flow(call("first", undo="u"), call("a")))
    undone.cancel("disconnect")
    await asyncio.sleep(1)
    assert [document.state for document in documents(stage)] == ["undone", "cancelled", "cancelled"]


@scene()
async def test_those_that_run_come_first_newest_first(
    stage: Stage, script: ScriptedConnector, clock: ManualClock
) -> None:
    remember(stage)
    script.script("f", Act(after=None))
    lanes = [stage.bind(flow(call("f", timeout=timeout))) for timeout in (1000.0, 0.5, 1000.0)]
    first = stage.start(flow(call("g")))
    runs = [first]
    for turn in range(3):
        for lane in lanes:
            runs.append(stage.start(lane))
            await asyncio.sleep(0.1)
        if turn == 1:
            await asyncio.sleep(0.7)  # some have been due by now
    alive = [run for run in runs if run.kernel.state != "ended"]
    shown = documents(stage)
    newest = [run.id.decode() for run in reversed(alive)]
    assert [document.id for document in shown[: len(alive)]] == newest
    assert {document.state for document in shown[: len(alive)]} == {"running"}
    assert all(document.ended is None and document.ms > 0 for document in shown[: len(alive)])
    assert shown[-1].id == first.id.decode()
    for attempt in list(script.pending):
        attempt.settle()
    await asyncio.sleep(1)
    assert {document.state for document in documents(stage)} <= {"succeeded", "failed"}


@scene()
async def test_a_run_that_undoes(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("b", refused())
    script.script("u", ok().later(5.0))
    stage.start(flow(call("a", undo="u"), call("b")))
    await asyncio.sleep(1)
    assert only(stage).state == "undoing"
    assert only(stage).ended is None
    assert [step.path for step in only(stage).steps] == ["a", "b"]
    await asyncio.sleep(5)
    assert only(stage).state == "undone"
    assert [step.path for step in only(stage).steps] == ["a", "b", "a/undo"]


@pytest.mark.parametrize("count", [NOTED, NOTED + 1])
def test_steps_are_kept_up_to_a_number(count: int) -> None:
    @scene()
    async def main(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        remember(stage)
        script.script("last", HANG)
        stage.start(flow(*[call("f", id=f"s{number}") for number in range(count)], call("last")))
        for _ in range(2):
            document = only(stage)
            assert document.truncated == (count > NOTED or document.state != "running")
            assert len(document.steps) == NOTED
            assert document.steps[-1].path == f"s{NOTED - 1}"
            for attempt in list(script.pending):
                attempt.settle()
            await asyncio.sleep(0.1)
        assert function_documents(stage.host.recent.all(()), CLOCK)["f"].attempts == NOTED

    main()


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_only_the_last_runs_are_kept(capacity: int) -> None:
    @scene()
    async def main(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        recent = remember(stage, capacity)
        runs = [stage.start(flow(call("f"))) for _ in range(5)]
        newest = [run.id.decode() for run in reversed(runs)]
        assert [document.id for document in documents(stage)] == newest[:capacity]
        assert set(function_documents(recent.all(()), CLOCK)) == ({"f"} if capacity else set())

    main()


@scene()
async def test_a_long_detail_is_cut(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("f", Act(kind="refused", status=400, detail="x" * 10_000))
    stage.start(flow(call("f")))
    document = only(stage)
    assert document.error is not None
    assert document.error["detail"] == "x" * DETAIL
    assert document.steps[0].detail == "x" * DETAIL
    assert document.steps[0].state == "failed"


@scene()
async def test_bodies_of_failures_are_not_kept(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
    remember(stage)
    script.script("f", refused(402, {"card": "hunter2"}))
    stage.start(flow(call("f")), json_payload({"pin": "hunter2"}))
    assert b"hunter2" not in msgspec.json.encode(
        [documents(stage), function_documents(stage.host.recent.all(()), CLOCK)]
    )


@scene()
async def test_the_last_call_of_a_function_is_the_one_that_ended_last(
    stage: Stage, script: ScriptedConnector, clock: ManualClock
) -> None:
    recent = remember(stage)
    script.script("p.a", ok().later(3.0))
    script.script("p.b", refused(404).later(5.0))
    stage.start(flow(par("p", a=call("f"), b=call("f"))))
    script.script("one", refused(400))
    stage.start(flow(call("one")))
    await asyncio.sleep(10)
    assert [document.flow for document in documents(stage)] == ["test", "test"]
    functions = function_documents(recent.all(()), CLOCK)
    f, one = functions["f"], functions["one"]
    assert (f.attempts, f.errors, f.last_outcome, f.last_status) == (2, 1, "refused", 404)
    assert (one.attempts, one.errors) == (1, 1)
    assert f.last_active > one.last_active


@scene()
async def test_the_last_call_may_be_of_a_run_that_ended_first(
    stage: Stage, script: ScriptedConnector, clock: ManualClock
) -> None:
    recent = remember(stage)
    script.script("slow", ok().later(10.0))
    script.script("f", ok())
    stage.start(flow(call("f"), call("slow")))
    await asyncio.sleep(3)
    script.script("f", refused(404))
    stage.start(flow(call("f")))
    await asyncio.sleep(10)
    assert [document.state for document in documents(stage)] == ["succeeded", "failed"]
    assert function_documents(recent.all(()), CLOCK)["f"].last_outcome == "refused"


@pytest.mark.parametrize(("capacity", "steps"), [(1, 21), (10, 250), (2, 1000)])
def test_a_long_run_is_remembered_itself(capacity: int, steps: int) -> None:
    """However many attempts it had, the run that has just ended can be looked at."""

    @scene()
    async def play(stage: Stage, script: ScriptedConnector, clock: ManualClock) -> None:
        remember(stage, capacity)
        stage.start(flow(*[call("f", id=f"s{number}") for number in range(steps)]))
        await asyncio.sleep(0)
        [document] = documents(stage)
        assert len(document.steps) == min(steps, NOTED)

    play()
