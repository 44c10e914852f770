"""The inline host case by case: deadlines, undo, answers that are looked into, keys, meters."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from legato.model.function import Function
from legato.model.payload import EMPTY
from legato.model.policy import Retry
from legato.model.steps import UndoCall
from legato.testing import (
    Act,
    ScriptedConnector,
    Stage,
    ok,
    refused,
    retryable,
    unknown,
)
from legato.testing.stage import Caller
from tests.hosts.scene import HANG, retried, scene
from tests.kernel.flows import BINARY, call, flow, par, text


@scene()
async def test_the_deadline_ends_the_run(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    start = clock.now
    stage.start(flow(call("a", undo="u"), call("f"), timeout=5.0))
    await asyncio.sleep(60)
    assert 5.0 <= stage.ends[0].run.now - start <= 5.05
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.reason, failure.path, failure.undo) == ("deadline", "f", [("a/undo", True)])


@scene()
async def test_undo_has_time_of_its_own_after_the_deadline(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", HANG)
    script.script("u", ok().later(20.0))
    start = clock.now
    stage.start(flow(call("a", undo="u"), call("f"), timeout=5.0))
    await asyncio.sleep(100)
    failure = stage.ends[0].failure
    assert failure is not None
    assert failure.undo == [("a/undo", True)]
    assert [a.aborted for a in script.of("a/undo")] == [False]
    assert 25.0 <= stage.ends[0].run.now - start <= 25.1


@scene()
async def test_undo_is_retried_after_a_deadline_that_is_near(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", refused())
    script.script("u", retryable(retry_after=3.0), unknown(), unknown(500), ok())
    stage.start(flow(call("a", undo="u"), call("f"), timeout=1.0))
    await asyncio.sleep(100)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("a/undo", True)]
    assert len(script.of("a/undo")) == 4


@scene()
async def test_an_undo_that_is_refused_is_told_to_the_log(stage: Stage, script: Any, clock: Any) -> None:
    script.script("u", refused(409))
    script.script("f", refused())
    stage.start(flow(call("a", undo="u"), call("f")))
    await asyncio.sleep(1)
    assert len(script.of("a/undo")) == 1
    (line,) = [json.loads(line) for line in stage.lines.getvalue().splitlines()]
    assert (line["event"], line["step"], line["status"]) == ("undo_failed", "a/undo", 409)
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.undo == [("a/undo", False)]


@scene()
async def test_undo_is_tried_ten_times_unless_its_author_says_otherwise(stage: Stage, script: Any, clock: Any) -> None:
    script.script("u", unknown())
    script.script("v", unknown())
    script.script("f", refused())
    twice = UndoCall(function="v", retry=Retry(attempts=2))
    second = call("b")
    second = type(second)(function="b", undo=twice)
    stage.start(flow(call("a", undo="u"), second, call("f")))
    await asyncio.sleep(400)
    assert (len(script.of("a/undo")), len(script.of("b/undo"))) == (10, 2)


@scene(u=Function(name="u", timeout=20.0))
async def test_undo_ends_when_patience_with_it_does(stage: Stage, script: Any, clock: Any) -> None:
    script.script("u", HANG)
    script.script("f", refused())
    start = clock.now
    undo = UndoCall(function="u", retry=Retry(attempts=100))
    stage.start(flow(type(call("a"))(function="a", undo=undo), call("f")))
    await asyncio.sleep(600)
    # A retry that could not start in time is not waited for, so it may be over a backoff earlier.
    assert 290.0 <= stage.ends[0].run.now - start <= 300.1
    assert stage.ends[0].failure is not None
    assert (stage.ends[0].failure.reason, stage.ends[0].failure.undo) == ("failed", [("a/undo", False)])


@scene()
async def test_an_earlier_unknown_attempt_leads_to_undo_whatever_the_last_one_says(
    stage: Stage, script: Any, clock: Any
) -> None:
    script.script("f", unknown(), refused())
    stage.start(flow(call("f", undo="u", idempotent=True, retry=Retry(attempts=2))))
    await asyncio.sleep(30)
    failure = stage.ends[0].failure
    assert failure is not None
    assert (failure.outcome.kind, failure.undo) == ("refused", [("f/undo", True)])
    script.script("f", refused())
    stage.start(flow(call("f", undo="u")))
    assert stage.ends[1].failure is not None
    assert stage.ends[1].failure.undo == []


@scene()
async def test_garbage_where_json_is_looked_into_is_unknown(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", Act(payload=text("{", "application/json")), Act(payload=BINARY), ok([1]))
    stage.start(flow(par("p", a=call("f", idempotent=True, retry=Retry(attempts=3)))))
    await asyncio.sleep(30)
    assert stage.ends[0].payload.value() == {"a": [1]}
    stage.start(flow(par("p", a=call("g", undo="u"), b=call("f"))))
    script.script("g", Act(payload=BINARY))
    stage.start(flow(par("p", a=call("g", undo="u"))))
    assert stage.ends[2].failure is not None
    assert (stage.ends[2].failure.outcome.kind, stage.ends[2].failure.reason) == ("unknown", "failed")
    assert stage.ends[2].failure.undo == [("p.a/undo", True)]
    stage.start(flow(call("g")), BINARY)  # nobody looks into it: bytes stay bytes
    assert stage.ends[3].payload.body == BINARY.body


@scene()
async def test_keys_are_root_and_path(stage: Stage, script: Any, clock: Any) -> None:
    definition = flow(par("p", a=call("f"), b=call("f")), call("g"))
    run = stage.start(definition)
    stage.start(definition, key_root=b"hash")
    root = run.id.decode()
    assert [a.key for a in script.attempts[:3]] == [f"{root}/p.a", f"{root}/p.b", f"{root}/g"]
    assert [a.key for a in script.attempts[3:]] == ["hash/p.a", "hash/p.b", "hash/g"]


@scene()
async def test_the_status_is_that_of_the_last_call(stage: Stage, script: Any, clock: Any) -> None:
    script.script("g", ok(1, status=201))
    stage.start(flow(call("f"), call("g")))
    assert stage.ends[0].run.status == 201


@scene()
async def test_meters_count_runs_and_attempts(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", retryable(), unknown(), refused())
    stage.start(retried(idempotent=True))
    assert stage.host.active() == {"test": 1}
    await asyncio.sleep(60)
    assert stage.host.active() == {"test": 0}
    stage.start(flow(call("g")))
    text_form = stage.metrics.render(stage.metrics.read()).decode()
    counted = [
        'legato_runs_total{flow="test",outcome="failed"} 1.0',
        'legato_runs_total{flow="test",outcome="ok"} 1.0',
        'legato_calls_total{function="f",outcome="retryable"} 1.0',
        'legato_calls_total{function="f",outcome="unknown"} 1.0',
        'legato_calls_total{function="f",outcome="refused"} 1.0',
        'legato_calls_total{function="g",outcome="ok"} 1.0',
    ]
    assert set(counted) <= set(text_form.splitlines())


@scene(f=Function(name="f", timeout=1.0))
async def test_a_run_that_was_due_once_leaves_no_timer(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("slow", HANG)
    run = stage.start(flow(call("f"), call("slow")))
    await asyncio.sleep(5)  # the shortest timeout has passed: the run has a timer of its own now
    assert run.slot
    assert list(stage.host.runs()) == [run]
    assert stage.host.active() == {"test": 1}
    script.pending[0].settle()
    assert stage.ends
    assert run.slot == 0
    assert run.due < float("inf")  # it was forgotten, it did not fire


@scene(f=Function(name="f", timeout=2.0))
async def test_each_of_many_runs_has_its_own_time(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", HANG)
    bound = stage.bind(flow(call("f")))
    runs: list[Any] = []
    for _ in range(5):
        runs.append(stage.start(bound))
        await asyncio.sleep(0.7)
        assert len(runs) > 2 or list(stage.host.runs()) == runs
    await asyncio.sleep(30)
    assert [end.run for end in stage.ends] == runs
    assert all(2.0 <= end.run.now - end.run.started <= 2.05 for end in stage.ends)


@scene(u=Function(name="u", timeout=20.0))
async def test_patience_is_for_all_of_undo_and_not_for_each(stage: Stage, script: Any, clock: Any) -> None:
    script.script("b/undo", *[HANG] * 10, ok())
    script.script("a/undo", HANG)
    script.script("f", refused())
    undo = UndoCall(function="u", retry=Retry(attempts=100, max_backoff=0.1))
    step = type(call("a"))
    stage.start(flow(step(function="a", undo=undo), step(function="b", undo=undo), call("f")))
    await asyncio.sleep(1000)
    (end,) = stage.ends
    assert 290.0 <= end.run.now - end.run.started <= 300.1
    assert end.failure is not None
    assert end.failure.undo == [("b/undo", True), ("a/undo", False)]


@scene()
async def test_a_refusal_need_not_be_json(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", Act(kind="refused", status=404, payload=BINARY))
    stage.start(flow(par("p", a=call("f"))))
    assert stage.ends[0].failure is not None
    assert stage.ends[0].failure.outcome.kind == "refused"


@scene()
async def test_what_calls_say_of_the_run(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    class Callers(Caller):
        hops = 3

    seen: list[bytes] = []
    begin = script.begin

    def noting(function: str, attempt: Any) -> None:
        seen.append(attempt.identity)
        begin(function, attempt)

    script.begin = noting  # type: ignore[method-assign]
    bound = stage.bind(flow(call("f")))
    trace = b"0af7651916cd43dd8448eb211c80319c"
    for hops, flags in ((0, b"01"), (0, b"00"), (3, b"01"), (3, b"00")):
        caller = Callers() if hops else Caller()
        parent = b"00-%b-b7ad6b7169203331-%b" % (trace, flags)
        run = stage.host.start(bound, EMPTY, caller, lambda *_: None, traceparent=parent)
        lines = dict(line.split(b": ", 1) for line in seen[-1].split(b"\r\n") if line)
        assert lines[b"idempotency-key"] == run.id + b"/f"
        assert re.fullmatch(b"00-%b-[0-9a-f]{16}-%b" % (trace, flags), lines[b"traceparent"])
        assert lines[b"legato-hops"] == b"%d" % (hops + 1)
        assert seen[-1].endswith(b"\r\n")
