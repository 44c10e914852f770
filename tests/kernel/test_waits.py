"""Waits: what they issue, what follows a signal, a time that has passed, and a cancel."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from legato.errors import DefinitionError
from legato.kernel import Run, Wait, link
from legato.kernel.scheduler import Cancelled, Fiber, Scheduler
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from tests.kernel.flows import BINARY
from tests.kernel.transcript import Driven, play
from tests.language.play import flow_of

TABLES: dict[str, tuple[str, str]] = {
    "what a signal brings is the next value": (
        "{wait: go}, {call: a, input: '${value.by}'}",
        """
        start              -> go
        go ok {"by": "me"} -> a
        a ok               -> ; end ok
        """,
    ),
    "a default takes the place of a signal that did not come": (
        "{wait: go, timeout: 2d, default: {by: '${value.order}'}}, {call: a, input: '${value.by}'}",
        """
        start   -> go
        go late -> a
        a ok    -> ; end ok
        """,
    ),
    "without one the wait fails, and what was done is undone": (
        "{call: a, undo: ua}, {wait: go, timeout: 2d}",
        """
        start     -> a
        a ok      -> go
        go late   -> a/undo ; undoing
        a/undo ok -> ; end deadline go
        """,
    ),
    "a wait's failure may be taken": (
        "{wait: go, timeout: 1s, on_error: {steps: [remind]}}, a",
        """
        start              -> go
        go late            -> go/error.remind
        go/error.remind ok -> a
        a ok               -> ; end ok
        """,
    ),
    "waits side by side, in loops, at their own paths": (
        "{parallel: {x: {wait: go}, y: {wait: go, id: other}}, id: p}, {foreach: [1, 2], id: e, steps: [{wait: go}]}",
        """
        start       -> p.x, p.other
        p.other ok  ->
        p.x ok      -> e[0].go, e[1].go
        e[1].go ok  ->
        e[0].go ok  -> ; end ok
        """,
    ),
    "a cancelled wait is owed its delivery": (
        "{parallel: {x: {wait: go}, y: a}, id: p}",
        """
        start         -> p.y, p.x
        p.y refused   -> cancel p.x
        p.x cancelled -> ; end failed p.y
        """,
    ),
    "a signal that came before the cancel was told changes nothing": (
        "{steps: [{wait: go}, a], id: s}",
        """
        start   -> s.go
        cancel  -> cancel s.go
        s.go ok -> ; end cancelled s.go
        """,
    ),
    "a wait is withdrawn where its scope fails on the spot": (
        "{parallel: {x: {wait: go}, y: {fail: no}}, id: p}",
        """
        start -> ; end stated p.y
        """,
    ),
    "a wait is undone as every step is": (
        "{wait: go, undo: withdraw}, a",
        """
        start      -> go
        go ok      -> a
        a refused  -> go/undo ; undoing
        go/undo ok -> ; end failed a
        """,
    ),
    "handlers may wait": (
        "{call: a, undo: ua}\n]\nfinally: [{wait: closed}",
        """
        start              -> a
        a ok               -> /finally.closed
        /finally.closed ok -> ; end ok
        """,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_transcript(name: str) -> None:
    steps, transcript = TABLES[name]
    play(flow_of(f"durable: true\nsteps: [{steps}]"), transcript)


def waiting(said: str, name: str = "go") -> tuple[Driven, Wait]:
    driven = Driven(flow_of(f"durable: true\nsteps: [{{wait: {name}{said}}}]"))
    driven.start()
    leaf = driven.calls[name]
    assert isinstance(leaf, Wait)
    return driven, leaf


def test_what_a_host_sees_of_a_wait() -> None:
    _, leaf = waiting(", timeout: 1.5s")
    assert (leaf.path, leaf.name, leaf.seconds, leaf.function, leaf.shielded) == ("go", "go", 1.5, "", False)
    assert leaf.schema is None
    assert repr(leaf) == "Wait('go', 'go')"
    _, leaf = waiting("")
    assert leaf.seconds is None, "it takes as long as it takes"
    driven = Driven(flow_of("durable: true\nsteps: [{wait: go, id: approval}]"))
    driven.start()
    assert list(driven.calls) == ["approval"]
    assert isinstance(leaf := driven.calls["approval"], Wait)
    assert leaf.name == "go"


def test_why_a_wait_failed() -> None:
    driven, _ = waiting(", timeout: 90m")
    driven.do("go late")
    failure = driven.run.failure
    assert failure is not None
    assert failure.reason == "deadline"
    assert failure.outcome.detail.startswith("no signal `go` came within 5400 s: ")


def test_a_signal_that_does_not_fit_is_not_taken_for_a_value() -> None:
    said = ", schema: {type: object, required: [by]}"
    for payload, wrong in ((json_payload({"who": 1}), '"by" is a required property'), (BINARY, "")):
        driven, leaf = waiting(said)
        assert leaf.schema is not None
        driven.deliver("go", Outcome("ok", payload))
        failure = driven.run.failure
        assert failure is not None
        assert (failure.reason, failure.path) == ("mistake", "go")
        assert "signal `go`" in failure.outcome.detail
        assert wrong in failure.outcome.detail
    driven, _ = waiting(said)
    driven.deliver("go", Outcome("ok", json_payload({"by": 1})))
    assert driven.run.failure is None
    assert driven.run.result.value() == {"by": 1}


def test_the_default_is_the_author_s_and_need_not_fit() -> None:
    driven, _ = waiting(", timeout: 1s, default: null, schema: {type: object}")
    driven.do("go late")
    assert driven.run.failure is None
    assert driven.run.result.value() is None


def test_a_wait_in_a_cancelled_scope_ends_unissued() -> None:
    seen: list[object] = []

    async def code(run: Scheduler, fiber: Fiber) -> Payload:
        try:
            await run.wait(fiber, "first", "go")
        except Cancelled:
            late = run.wait(fiber, "second", "go", 1.0)
            seen.append((late.ended, type(late.error)))
        return EMPTY

    scheduler = Scheduler()
    root = scheduler.spawn(None, lambda fiber: code(scheduler, fiber))
    (leaf,) = scheduler.advance()
    assert isinstance(leaf, Wait)
    scheduler.cancel_nodes((root,), "cancelled")
    (cancel,) = scheduler.advance()
    assert repr(cancel) == "Cancel('first')"
    scheduler.fail_leaf(leaf, Outcome("cancelled"))
    assert scheduler.advance() == ()
    assert seen == [(True, Cancelled)]


def test_what_a_program_may_wait_for() -> None:
    inner = flow_of("durable: true\nsteps: [{wait: pay}, {wait: go, schema: {type: string}}]", "inner")
    text = """
        durable: true
        steps:
          - {wait: go}
          - parallel: {x: {wait: go, id: again, schema: {type: object}}, y: {flow: inner}}
          - {call: a, on_error: {steps: [{wait: rescue}]}}
        finally: [{wait: closed}]
    """
    waits = link(flow_of(text), {"inner": inner}.get).waits
    assert waits is not None
    assert {name: [schema is not None for schema in schemas] for name, schemas in waits.items()} == {
        "go": [False, True, True],
        "pay": [False],
        "rescue": [False],
        "closed": [False],
    }
    assert link(flow_of("steps: [a]")).waits == {}


def test_a_run_that_waits_owes_nothing_but_that() -> None:
    run = Run(link(flow_of("durable: true\nsteps: [{wait: go}]")))
    (leaf,) = run.start(EMPTY)
    assert list(run.open_leaves()) == [leaf]
    assert run.state == "running"


REFUSED: dict[str, tuple[str, str]] = {
    "a wait in a flow that is not durable": ("steps: [{wait: go}]", "a `wait` needs a run that can be stored"),
    "a wait in a flow within one that is not durable": (
        "steps: [{flow: waits}]",
        "the flow `waits` is durable and would not be here",
    ),
    "however deep": ("steps: [{flow: uses}]", "the flow `waits` is durable and would not be here"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_to_be_durable(name: str) -> None:
    text, message = REFUSED[name]
    definition = flow_of(f"durable: true\n{text}")
    flows = {
        "waits": flow_of("durable: true\nsteps: [{wait: go}]", "waits"),
        "uses": flow_of("durable: true\nsteps: [{flow: waits}]", "uses"),
    }
    link(definition, flows.get)
    flows["uses"] = replace(flows["uses"], durable=False)
    with pytest.raises(DefinitionError, match=message):
        link(replace(definition, durable=False), flows.get)


def test_a_flow_that_is_not_durable_may_be_within_one_that_is() -> None:
    flows = {"plain": flow_of("steps: [a]", "plain")}
    assert link(flow_of("durable: true\nsteps: [{flow: plain}]"), flows.get).uses == {"plain"}
