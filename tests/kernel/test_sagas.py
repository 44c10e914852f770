"""Undo of steps that are no calls, and pivots: what is undone when, as transcripts."""

from __future__ import annotations

import pytest

from legato.kernel import Call
from legato.model.outcome import Outcome
from tests.kernel.transcript import Driven, play
from tests.language.play import flow_of

UNDO: dict[str, tuple[str, str]] = {
    "a step that is done is undone by its own undo, not by those within": (
        "{steps: [{call: a, undo: ua}, {call: b, undo: ub}], id: s, undo: us}, c",
        """
        start      -> s.a
        s.a ok     -> s.b
        s.b ok     -> c
        c refused  -> s/undo ; undoing
        s/undo ok  -> ; end failed c
        """,
    ),
    "as long as it is not done, those within count": (
        "{steps: [{call: a, undo: ua}, {call: b, undo: ub}], id: s, undo: us}, c",
        """
        start       -> s.a
        s.a ok      -> s.b
        s.b unknown -> s.b/undo ; undoing
        s.b/undo ok -> s.a/undo ; undoing
        s.a/undo ok -> ; end failed s.b
        """,
    ),
    "one within another: the outermost that is done": (
        "{steps: [{steps: [{call: a, undo: ua}], id: t, undo: ut}, {call: b, undo: ub}], id: s, undo: us}, c",
        """
        start       -> s.t.a
        s.t.a ok    -> s.b
        s.b refused -> s.t/undo ; undoing
        s.t/undo ok -> ; end failed s.b
        """,
    ),
    "a cancel while its last call is in flight comes before it is done": (
        "{steps: [{call: a, undo: ua}], id: s, undo: us}",
        """
        start       -> s.a
        cancel      -> cancel s.a
        s.a ok      -> s.a/undo ; undoing
        s.a/undo ok -> ; end cancelled s.a
        """,
    ),
    "before it and after it everything is undone in its turn": (
        "{call: a, undo: ua}, {parallel: {x: {call: b, undo: ub}, y: c}, id: p, undo: up}, {call: d, undo: ud}, e",
        """
        start     -> a
        a ok      -> p.x, p.y
        p.x ok    ->
        p.y ok    -> d
        d ok      -> e
        e refused -> d/undo ; undoing
        d/undo ok -> p/undo ; undoing
        p/undo ok -> a/undo ; undoing
        a/undo ok -> ; end failed e
        """,
    ),
    "within branches, side by side with what is beside it": (
        "{parallel: {x: {steps: [{call: a, undo: ua}], undo: ux}, y: [{call: b, undo: ub}, c]}, id: p}",
        """
        start       -> p.x.a, p.y.b
        p.x.a ok    ->
        p.y.b ok    -> p.y.c
        p.y.c refused -> p.y.b/undo, p.x/undo ; undoing
        p.x/undo ok -> ; undoing
        p.y.b/undo ok -> ; end failed p.y.c
        """,
    ),
    "each item of a loop by itself, and the loop as a whole": (
        "{foreach: [1, 2], id: e, concurrency: 1, steps: [{steps: [{call: a, undo: ua}], id: i, undo: ui}, b]}, c",
        """
        start         -> e[0].i.a
        e[0].i.a ok   -> e[0].b
        e[0].b ok     -> e[1].i.a
        e[1].i.a ok   -> e[1].b
        e[1].b refused -> e[1].i/undo ; undoing
        e[1].i/undo ok -> e[0].i/undo ; undoing
        e[0].i/undo ok -> ; end failed e[1].b
        """,
    ),
    "a loop that is done has one undo for all its items": (
        "{foreach: [1, 2], id: e, steps: [{call: a, undo: ua}], undo: ue}, c",
        """
        start      -> e[0].a, e[1].a
        e[0].a ok  ->
        e[1].a ok  -> c
        c refused  -> e/undo ; undoing
        e/undo ok  -> ; end failed c
        """,
    ),
    "a step that was skipped is not undone": (
        "{steps: [{call: a, undo: ua}], id: s, when: '${false}', undo: us}, c",
        """
        start     -> c
        c refused -> ; end failed c
        """,
    ),
    "a step whose failure is taken was not done: those within are undone, then the fallback has its turn": (
        "{steps: [{call: a, undo: ua}, b], id: s, undo: us, on_error: {steps: [{call: d, undo: ud}]}}, c",
        """
        start         -> s.a
        s.a ok        -> s.b
        s.b refused   -> s.a/undo
        s.a/undo ok   -> s/error.d
        s/error.d ok  -> c
        c refused     -> s/error.d/undo ; undoing
        s/error.d/undo ok -> ; end failed c
        """,
    ),
    "a step that was done within one whose failure is taken": (
        "{steps: [{steps: [{call: a, undo: ua}], id: t, undo: ut}, b], id: s, on_error: skip}, c",
        """
        start         -> s.t.a
        s.t.a ok      -> s.b
        s.b refused   -> s.t/undo
        s.t/undo ok   -> c
        c ok          -> ; end ok
        """,
    ),
    "what calls nothing is undone as well": (
        "{set: 1, id: v, undo: uv}, {sleep: 1s, id: z, undo: uz}, {respond: 1, id: r, undo: ur}, c",
        """
        start     -> z
        z ok      -> c
        c refused -> r/undo ; undoing
        r/undo ok -> z/undo ; undoing
        z/undo ok -> v/undo ; undoing
        v/undo ok -> ; end failed c
        """,
    ),
    "a step that was cut off by its timeout was not done": (
        "{steps: [{call: a, undo: ua}, b], id: s, timeout: 5s, undo: us}",
        """
        start        -> s/timeout, s.a
        s.a ok       -> s.b
        s/timeout ok -> cancel s.b
        s.b unknown  -> s.a/undo ; undoing
        s.a/undo ok  -> ; end deadline s
        """,
    ),
    "the nodes of a graph": (
        "{graph: {x: {steps: [{call: a, undo: ua}], undo: ux}, y: {call: b, after: x}}, id: g}",
        """
        start       -> g.x.a
        g.x.a ok    -> g.y
        g.y refused -> g.x/undo ; undoing
        g.x/undo ok -> ; end failed g.y
        """,
    ),
    "the case that was chosen": (
        "{choose: [{when: '${true}', steps: [{call: a, undo: ua}]}], id: w, undo: uw}, c",
        """
        start         -> w.case_1.a
        w.case_1.a ok -> c
        c refused     -> w/undo ; undoing
        w/undo ok     -> ; end failed c
        """,
    ),
    "a call's own undo counts, in a step that has none": (
        "{steps: [{call: a, undo: ua}], id: s, output: {x: 1}}, c",
        """
        start       -> s.a
        s.a ok      -> c
        c refused   -> s.a/undo ; undoing
        s.a/undo ok -> ; end failed c
        """,
    ),
}


@pytest.mark.parametrize("name", UNDO)
def test_undo_of_steps(name: str) -> None:
    steps, transcript = UNDO[name]
    play(flow_of(f"steps: [{steps}]"), transcript)


INNER = "steps: [{call: a, undo: ua}, {call: b, undo: ub}]"

FLOWS: dict[str, tuple[str, str]] = {
    "a flow within is undone by the step's undo when it is done": (
        "{flow: inner, id: f, undo: uf}, c",
        """
        start      -> f.a
        f.a ok     -> f.b
        f.b ok     -> c
        c refused  -> f/undo ; undoing
        f/undo ok  -> ; end failed c
        """,
    ),
    "and by its own steps' undos as long as it is not": (
        "{flow: inner, id: f, undo: uf}, c",
        """
        start       -> f.a
        f.a ok      -> f.b
        cancel      -> cancel f.b
        f.b unknown -> f.b/undo ; undoing
        f.b/undo ok -> f.a/undo ; undoing
        f.a/undo ok -> ; end cancelled f.b
        """,
    ),
    "a flow with a finally was closed by itself; its step's undo is all that is left": (
        "{flow: closing, id: f, undo: uf}, c",
        """
        start            -> f.a
        f.a ok           -> f/finally.z
        f/finally.z ok   -> c
        c refused        -> f/undo ; undoing
        f/undo ok        -> ; end failed c
        """,
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_undo_of_flows_within(name: str) -> None:
    steps, transcript = FLOWS[name]
    flows = {
        "inner": flow_of(INNER, "inner"),
        "closing": flow_of("steps: [{call: a, undo: ua}]\nfinally: [z]", "closing"),
    }
    play(flow_of(f"steps: [{steps}]"), transcript, flows=flows)


PIVOTS: dict[str, tuple[str, str]] = {
    "after the pivot nothing before it is undone, nor what comes after": (
        "{call: a, undo: ua}, {call: p, pivot: true}, {call: b, undo: ub}, c",
        """
        start     -> a
        a ok      -> p
        p ok      -> b
        b ok      -> c
        c refused -> ; end failed c
        """,
    ),
    "before it everything is": (
        "{call: a, undo: ua}, {call: b, undo: ub}, {call: p, pivot: true}, c",
        """
        start       -> a
        a ok        -> b
        b unknown   -> b/undo ; undoing
        b/undo ok   -> a/undo ; undoing
        a/undo ok   -> ; end failed b
        """,
    ),
    "one that was not done, or only maybe, is none": (
        "{call: a, undo: ua}, {call: p, undo: up, pivot: true}, c",
        """
        start     -> a
        a ok      -> p
        p unknown -> p/undo ; undoing
        p/undo ok -> a/undo ; undoing
        a/undo ok -> ; end failed p
        """,
    ),
    "its own undo is for that alone": (
        "{call: a, undo: ua}, {call: p, undo: up, pivot: true}, c",
        """
        start     -> a
        a ok      -> p
        p ok      -> c
        c refused -> ; end failed c
        """,
    ),
    "one that is answered after the cancel was done all the same": (
        "{call: a, undo: ua}, {call: p, pivot: true}, c",
        """
        start  -> a
        a ok   -> p
        cancel -> cancel p
        p ok   -> ; end cancelled p
        """,
    ),
    "a cancel after it undoes nothing": (
        "{call: a, undo: ua}, {call: p, pivot: true}, {steps: [{call: b, undo: ub}, c], id: s}",
        """
        start       -> a
        a ok        -> p
        p ok        -> s.b
        s.b ok      -> s.c
        cancel      -> cancel s.c
        s.c unknown -> ; end cancelled s.c
        """,
    ),
    "what a failure that is taken had done is undone, before the pivot and after it": (
        "{steps: [{call: a, undo: ua}, b], id: s, on_error: skip}, {call: p, pivot: true}, "
        "{steps: [{call: c, undo: uc}, d], id: t, on_error: skip}, e",
        """
        start       -> s.a
        s.a ok      -> s.b
        s.b refused -> s.a/undo
        s.a/undo ok -> p
        p ok        -> t.c
        t.c ok      -> t.d
        t.d refused -> t.c/undo
        t.c/undo ok -> e
        e refused   -> ; end failed e
        """,
    ),
    "a parallel as the pivot: once all of it is done": (
        "{call: a, undo: ua}, {parallel: {x: {call: b, undo: ub}, y: {call: c, undo: uc}}, id: p, pivot: true}, d",
        """
        start     -> a
        a ok      -> p.x, p.y
        p.x ok    ->
        p.y ok    -> d
        d refused -> ; end failed d
        """,
    ),
    "and not before": (
        "{call: a, undo: ua}, {parallel: {x: {call: b, undo: ub}, y: {call: c, undo: uc}}, id: p, pivot: true}, d",
        """
        start       -> a
        a ok        -> p.x, p.y
        p.x ok      ->
        p.y refused -> p.x/undo ; undoing
        p.x/undo ok -> a/undo ; undoing
        a/undo ok   -> ; end failed p.y
        """,
    ),
    "within steps that are as good as the flow's own": (
        "{call: a, undo: ua}, {steps: [{call: b, undo: ub}, {steps: [{call: p, pivot: true}], id: t}, c], id: s}",
        """
        start       -> a
        a ok        -> s.b
        s.b ok      -> s.t.p
        s.t.p ok    -> s.c
        s.c refused -> ; end failed s.c
        """,
    ),
}


@pytest.mark.parametrize("name", PIVOTS)
def test_pivots(name: str) -> None:
    steps, transcript = PIVOTS[name]
    play(flow_of(f"durable: true\nsteps: [{steps}]"), transcript)


PAYING = "durable: true\nsteps: [{call: a, undo: ua}, {call: p, pivot: true}, {call: b, undo: ub}]"

PIVOTS_WITHIN: dict[str, tuple[str, str]] = {
    "a pivot is of its own flow: those around are undone": (
        "{call: c, undo: uc}, {flow: paying, id: f}, d",
        """
        start     -> c
        c ok      -> f.a
        f.a ok    -> f.p
        f.p ok    -> f.b
        f.b ok    -> d
        d refused -> c/undo ; undoing
        c/undo ok -> ; end failed d
        """,
    ),
    "the step that runs the flow may say how all of it is undone": (
        "{flow: paying, id: f, undo: uf}, d",
        """
        start     -> f.a
        f.a ok    -> f.p
        f.p ok    -> f.b
        f.b ok    -> d
        d refused -> f/undo ; undoing
        f/undo ok -> ; end failed d
        """,
    ),
    "in branches, each flow by itself": (
        "{parallel: {x: {flow: paying}, y: {flow: paying}, z: d}, id: q}",
        """
        start       -> q.z, q.x.a, q.y.a
        q.x.a ok    -> q.x.p
        q.y.a ok    -> q.y.p
        q.x.p ok    -> q.x.b
        q.z refused -> cancel q.x.b, cancel q.y.p
        q.y.p unknown ->
        q.x.b unknown -> q.y.a/undo ; undoing
        q.y.a/undo ok -> ; end failed q.z
        """,
    ),
    "the pivot around is for what is within as well": (
        "{call: p, pivot: true}, {flow: backward, id: f}",
        """
        start         -> p
        p ok          -> f.a
        f.a ok        -> f.b
        cancel        -> cancel f.b
        f.b unknown   -> ; end cancelled f.b
        """,
    ),
    "handlers of a flow that was cut off have their turn all the same": (
        "{call: p, pivot: true}, {flow: closing, id: f}",
        """
        start            -> p
        p ok             -> f.a
        f.a ok           -> f.b
        cancel           -> cancel f.b
        f.b unknown      -> f/finally.z ; undoing
        f/finally.z ok   -> ; end cancelled f.b
        """,
    ),
    "so have those of the flow that has the pivot": (
        "{flow: forward-then-closing, id: f, on_error: skip}, d",
        """
        start            -> f.a
        f.a ok           -> f.p
        f.p ok           -> f.b
        f.b refused      -> f/failure.y
        f/failure.y ok   -> f/finally.z
        f/finally.z ok   -> d
        d ok             -> ; end ok
        """,
    ),
}


@pytest.mark.parametrize("name", PIVOTS_WITHIN)
def test_pivots_within(name: str) -> None:
    steps, transcript = PIVOTS_WITHIN[name]
    texts = {
        "paying": PAYING,
        "backward": INNER,
        "closing": "steps: [{call: a, undo: ua}, b]\nfinally: [z]",
        "forward-then-closing": PAYING.replace("{call: b, undo: ub}", "b") + "\non_failure: [y]\nfinally: [z]",
    }
    flows = {name: flow_of(text, name) for name, text in texts.items()}
    play(flow_of(f"durable: true\nsteps: [{steps}]"), transcript, flows=flows)


def argued(driven: Driven, path: str) -> object:
    leaf = driven.calls[path]
    assert isinstance(leaf, Call)
    assert leaf.step.is_undo
    return leaf.payload.value()


TOLD: dict[str, tuple[str, object]] = {
    "what it got and what it left": ("undo: us", {"sent": {"order": 1}, "result": {"at": "s.a"}}),
    "its input is what it got": ("input: {n: 1}, undo: us", {"sent": {"n": 1}, "result": {"at": "s.a"}}),
    "its result is what it left before its output": (
        "output: {x: 1}, undo: us",
        {"sent": {"order": 1}, "result": {"at": "s.a"}},
    ),
    "as templates see it": (
        "undo: {call: us, input: ['${sent.order}', '${result.at}', '${value.at}', '${steps.a.at}', '${error.step}']}",
        [1, "s.a", "s.a", "s.a", "c"],
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_an_undo_of_steps_is_told(name: str) -> None:
    said, told = TOLD[name]
    driven = play(
        flow_of(f"steps: [{{steps: [a], id: s, {said}}}, {{set: 5}}, c]"),
        """
        start -> s.a
        s.a ok -> c
        c refused -> s/undo ; undoing
        """,
    )
    assert argued(driven, "s/undo") == told


def test_an_undo_that_cannot_be_made_keeps_no_other_from_being_made() -> None:
    steps = "{call: a, undo: ua}, {set: 1, id: v, undo: {call: uv, input: '${result.none}'}}, c"
    driven = play(
        flow_of(f"steps: [{steps}]"),
        """
        start     -> a
        a ok      -> c
        c refused -> a/undo ; undoing
        a/undo ok -> ; end failed c
        """,
    )
    failure = driven.run.failure
    assert failure is not None
    assert failure.undo == [("v/undo", False), ("a/undo", True)]
    assert [(each.path, each.function) for each in driven.run.undo_failures] == [("v/undo", "uv")]


def test_an_undo_of_steps_gets_through_a_cancel_and_stops_for_a_hard_one() -> None:
    for how, line in (("cancel", "cancel -> ; undoing"), ("hard cancel", "hard cancel -> cancel s/undo ; undoing")):
        driven = play(
            flow_of("steps: [{steps: [{call: a, undo: ua}], id: s, undo: us}, c]"),
            f"""
            start     -> s.a
            s.a ok    -> c
            c refused -> s/undo ; undoing
            {line}
            s/undo unknown -> ; end failed c
            """,
        )
        assert driven.run.failure is not None
        assert driven.run.failure.undo == [("s/undo", False)], how


def test_a_pivot_sees_to_it_that_nothing_is_said_to_be_undone() -> None:
    driven = play(
        flow_of("durable: true\nsteps: [{call: a, undo: ua}, {call: p, pivot: true}, c]"),
        """
        start     -> a
        a ok      -> p
        p ok      -> c
        c refused -> ; end failed c
        """,
    )
    assert driven.run.outward_state == "failed"
    assert driven.run.failure is not None
    assert driven.run.failure.undo == []
    assert driven.run.failure.outcome.kind == Outcome("refused").kind
