"""What the kernel does, as transcripts: (flow, deliveries) -> commands. See `transcript` for how to read them."""

from __future__ import annotations

import pytest

from legato.errors import LegatoError
from legato.kernel import Cancel, Run, link
from legato.model.flow import Step
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, json_payload
from tests.kernel.flows import BINARY, INPUT, call, flow, par, seq
from tests.kernel.transcript import play

TABLES = {
    "a flow of no steps ends at once": (flow(), "start -> ; end ok"),
    "a sequence of calls": (
        flow(call("a"), call("b"), call("c")),
        """
        start -> a
        a ok  -> b
        b ok  -> c
        c ok  -> ; end ok
        """,
    ),
    "nested sequences are one after another too, empty ones are passed": (
        flow(seq(), seq(call("a"), seq(seq(), call("b")), id="s"), call("c")),
        """
        start          -> s.a
        s.a ok         -> s.steps_2.b   # one scope: the sequence before it is `steps`
        s.steps_2.b ok -> c
        c ok         -> ; end ok
        """,
    ),
    "a refusal ends a sequence": (
        flow(call("a"), call("b")),
        """
        start     -> a
        a refused -> ; end failed a
        """,
    ),
    "branches start together, the next step waits for all": (
        flow(par(x=call("f"), y=seq(call("g"), call("h")), z=seq()), call("after")),
        """
        start           -> parallel.x, parallel.y.g
        parallel.y.g ok -> parallel.y.h
        parallel.x ok   ->
        parallel.y.h ok -> after
        after ok        -> ; end ok
        """,
    ),
    "a parallel of empty branches ends at once": (flow(par(x=seq(), y=seq(seq()))), "start -> ; end ok"),
    "parallels in parallels": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=par(a=call("f"), c=seq(call("g"))))),
        """
        start      -> p.x.a, p.x.b, p.y.a, p.y.c.g
        p.y.c.g ok ->
        p.x.b ok   ->
        p.x.a ok   ->
        p.y.a ok   -> ; end ok
        """,
    ),
    "a failing branch cancels its siblings, and the scope ends when they have ended": (
        flow(par("p", x=call("f"), y=call("g"), z=seq(call("h"), call("never"))), call("never")),
        """
        start           -> p.x, p.y, p.z.h
        p.x ok          ->
        p.y refused     -> cancel p.z.h
        p.z.h cancelled -> ; end failed p.y
        """,
    ),
    "an answer that is already there counts, but what would follow it is not begun": (
        flow(par("p", x=call("f"), z=seq(call("h", undo="u"), call("never")))),
        """
        start         -> p.x, p.z.h
        p.x unknown   -> cancel p.z.h
        p.z.h ok      -> p.z.h/undo ; undoing
        p.z.h/undo ok -> ; end failed p.x
        """,
    ),
    "a failure deep in one branch cancels what is deep in another, once": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=par(a=call("f"), b=seq(call("g"), call("never"))))),
        """
        start         -> p.x.a, p.x.b, p.y.a, p.y.b.g
        p.x.a refused -> cancel p.x.b
        p.y.a refused -> cancel p.y.b.g
        p.x.b unknown ->
        p.y.b.g ok    -> ; end failed p.x.a
        """,
    ),
    "a scope that fails while its own siblings are still being cancelled is cancelled no second time": (
        flow(par("p", x=par(a=call("f"), b=call("f")), y=call("g"))),
        """
        start         -> p.y, p.x.a, p.x.b   # a branch that is a single call comes before those that need a fiber
        p.x.a refused -> cancel p.x.b
        p.y refused   ->
        p.x.b ok      -> ; end failed p.y
        """,
    ),
    "an outcome `cancelled` that nobody asked for is a failure": (
        flow(call("a"), call("b")),
        """
        start       -> a
        a cancelled -> ; end failed a
        """,
    ),
    "a retryable that the host gave up on is a failure": (
        flow(call("a", undo="u")),
        """
        start       -> a
        a retryable -> ; end failed a
        """,
    ),
    "undo in reverse order, of what was done or maybe done, not of what was refused": (
        flow(call("a", undo="u"), call("b"), call("c", undo="u"), call("d", undo="u"), call("e", undo="u")),
        """
        start     -> a
        a ok      -> b
        b ok      -> c
        c ok      -> d
        d ok      -> e
        e refused -> d/undo ; undoing
        d/undo ok -> c/undo ; undoing
        c/undo ok -> a/undo ; undoing
        a/undo ok -> ; end failed e
        """,
    ),
    "an unknown outcome is undone": (
        flow(call("a", undo="u")),
        """
        start     -> a
        a unknown -> a/undo ; undoing
        a/undo ok -> ; end failed a
        """,
    ),
    "an undo that fails does not stop the others": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u")), call("d")),
        """
        start              -> a
        a ok               -> p.x, p.y
        p.y ok             ->
        p.x ok             -> d
        d refused          -> p.y/undo, p.x/undo ; undoing
        p.x/undo refused   -> ; undoing
        p.y/undo unknown   -> a/undo ; undoing
        a/undo retryable   -> ; end failed d
        """,
    ),
    "parallel branches are undone in parallel, each in its own reverse order": (
        flow(
            call("a", undo="u"),
            par("p", x=seq(call("b", undo="u"), call("c", undo="u")), y=par(k=call("d", undo="u"), l=call("e"))),
            call("z"),
        ),
        """
        start         -> a
        a ok          -> p.x.b, p.y.k, p.y.l
        p.x.b ok      -> p.x.c
        p.y.l ok      ->
        p.x.c ok      ->
        p.y.k ok      -> z
        z unknown     -> p.x.c/undo, p.y.k/undo ; undoing
        p.y.k/undo ok -> ; undoing
        p.x.c/undo ok -> p.x.b/undo ; undoing
        p.x.b/undo ok -> a/undo ; undoing
        a/undo ok     -> ; end failed z
        """,
    ),
    "a run that ends well undoes nothing": (
        flow(call("a", undo="u")),
        """
        start -> a
        a ok  -> ; end ok
        """,
    ),
    "a cancelled run waits for every delivery, then undoes": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u"))),
        """
        start         -> a
        a ok          -> p.x, p.y
        cancel        -> cancel p.x, cancel p.y
        p.y cancelled ->
        p.x unknown   -> p.x/undo ; undoing
        p.x/undo ok   -> a/undo ; undoing
        a/undo ok     -> ; end cancelled p.x
        """,
    ),
    "an answer that comes after the cancel does not save the run": (
        flow(call("a")),
        """
        start    -> a
        deadline -> cancel a
        a ok     -> ; end deadline a
        """,
    ),
    "a second cancel is nothing new": (
        flow(call("a", undo="u")),
        """
        start       -> a
        disconnect  -> cancel a
        deadline    ->
        cancel      ->
        a unknown   -> a/undo ; undoing
        cancel      -> ; undoing
        deadline    -> ; undoing
        a/undo ok   -> ; end disconnect a
        cancel      -> ; end disconnect a
        hard cancel -> ; end disconnect a
        """,
    ),
    "a hard cancel means no undo": (
        flow(call("a", undo="u"), call("b")),
        """
        start       -> a
        a ok        -> b
        hard cancel -> cancel b
        b cancelled -> ; end cancelled b
        """,
    ),
    "a hard cancel after a soft one means no undo either": (
        flow(call("a", undo="u"), call("b")),
        """
        start         -> a
        a ok          -> b
        deadline      -> cancel b
        hard cancel   ->
        b cancelled   -> ; end deadline b
        """,
    ),
    "a soft cancel does not take back a hard one": (
        flow(call("a", undo="u"), call("b")),
        """
        start         -> a
        a ok          -> b
        hard cancel   -> cancel b
        deadline      ->
        b cancelled   -> ; end cancelled b
        """,
    ),
    "a hard cancel stops the undo": (
        flow(call("a", undo="u"), par("p", x=call("b", undo="u"), y=call("c", undo="u")), call("d")),
        """
        start               -> a
        a ok                -> p.x, p.y
        p.x ok              ->
        p.y ok              -> d
        d refused           -> p.y/undo, p.x/undo ; undoing
        hard cancel         -> cancel p.y/undo, cancel p.x/undo ; undoing
        hard cancel         -> ; undoing
        p.x/undo ok         -> ; undoing
        p.y/undo cancelled  -> ; end failed d
        """,
    ),
    "cancel while a failed branch waits for its sibling": (
        flow(par("p", x=call("a"), y=call("b", undo="u"))),
        """
        start       -> p.x, p.y
        p.x refused -> cancel p.y
        cancel      ->
        p.y unknown -> p.y/undo ; undoing
        p.y/undo ok -> ; end cancelled p.y
        """,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_transcript(name: str) -> None:
    definition, transcript = TABLES[name]
    play(definition, transcript)


def test_nesting_as_deep_as_a_flow_may_be() -> None:
    step: Step = call("leaf", undo="u")
    path = "leaf"
    for depth in range(25):
        step = par("p", x=seq(step, call("next", id=f"n{depth}")), y=call("g", undo="u"))
        path = f"p.x.{path}"
    outer = [f"{'p' + '.x.p' * n}.y" for n in range(25)]
    driven = play(flow(step), f"start -> {', '.join(outer)}, {path}")
    events = [f"{path} ok" for path in outer] + [f"{path} refused"]
    for event in events:
        driven.do(event)
    assert driven.run.state == "undoing"
    assert len(list(driven.run.open_calls())) == 25


def test_a_failure_in_an_advance_issues_none_of_the_commands_of_its_scope() -> None:
    # The branch `bad` fails on the spot, because nothing of an image can be joined into JSON; `x` and `y` were begun.
    bad = par("bad", inner=seq())
    play(flow(par("p", x=call("a"), bad=bad, y=seq(call("b")))), "start -> ; end mistake p.bad", BINARY)
    play(flow(par("p", bad=bad, x=call("a"), y=seq(call("b"), call("c")))), "start -> ; end mistake p.bad", BINARY)


def test_a_failure_in_an_advance_cancels_what_was_issued_before_and_withdraws_what_is_new() -> None:
    bad = seq(call("image"), par("join", inner=seq()))
    driven = play(flow(par("p", x=call("a", undo="u"), y=bad, z=call("c"))), "start -> p.x, p.z, p.y.image")
    driven.deliver("p.y.image", Outcome("ok", BINARY, 200))
    assert driven.lines[-1] == "p.y.image ok -> cancel p.x, cancel p.z"
    driven.do("p.x ok")
    driven.do("p.z ok")
    assert driven.lines[-1] == "p.z ok -> p.x/undo ; undoing"
    driven.do("p.x/undo ok")
    assert driven.lines[-1] == "p.x/undo ok -> ; end mistake p.y.join"


def test_maybe_done_is_undone_and_a_refusal_is_not() -> None:
    for kind in ("refused", "retryable", "cancelled"):
        for maybe_done in (False, True):
            driven = play(flow(call("a", undo="u")), "start -> a")
            outcome = Outcome(kind, maybe_done=maybe_done)
            assert outcome.effect_possible is maybe_done
            driven.deliver("a", outcome)
            assert driven.run.state == ("undoing" if maybe_done else "ended")


def test_a_second_delivery_is_the_hosts_mistake() -> None:
    run = Run(link(flow(par("p", x=call("a"), y=seq(call("b"), call("c"))))))
    a, b = run.start(INPUT)
    assert not isinstance(a, Cancel)
    assert not isinstance(b, Cancel)
    run.deliver(a, Outcome("ok", INPUT))
    with pytest.raises(LegatoError, match=r"p\.x was delivered twice"):
        run.deliver(a, Outcome("ok", INPUT))
    (c,) = run.deliver(b, Outcome("ok", INPUT))
    assert not isinstance(c, Cancel)
    with pytest.raises(LegatoError, match=r"p\.y\.b was delivered twice"):
        run.deliver(b, Outcome("refused"))
    run.deliver(c, Outcome("ok", EMPTY))
    with pytest.raises(LegatoError):
        run.deliver(c, Outcome("ok", EMPTY))
    assert (run.state, run.failure) == ("ended", None)


def test_open_calls_are_those_whose_delivery_is_owed() -> None:
    driven = play(flow(par("p", x=call("a"), y=seq(call("b"), call("c")), z=call("d"))), "start -> p.x, p.z, p.y.b")
    run = driven.run
    assert [c.path for c in run.open_calls()] == ["p.x", "p.y.b", "p.z"]
    driven.do("p.y.b ok")
    assert [c.path for c in run.open_calls()] == ["p.x", "p.y.c", "p.z"]
    driven.do("p.x refused")
    assert [c.path for c in run.open_calls()] == ["p.y.c", "p.z"]
    driven.do("p.z cancelled")
    driven.do("p.y.c unknown")
    assert list(run.open_calls()) == []
    assert run.failure is not None
    assert run.failure.function == "a"


def test_the_undo_report_says_what_was_compensated() -> None:
    driven = play(
        flow(par("p", x=call("b", undo="u"), y=call("c", undo="u"), z=call("d", undo="u")), call("e")),
        """
        start            -> p.x, p.y, p.z
        p.x ok           ->
        p.y ok           ->
        p.z ok           -> e
        e refused        -> p.z/undo, p.y/undo, p.x/undo ; undoing
        p.x/undo refused -> ; undoing
        hard cancel      -> cancel p.z/undo, cancel p.y/undo ; undoing
        p.y/undo ok      -> ; undoing        # an answer that is already there counts
        p.z/undo unknown -> ; end failed e
        """,
    )
    assert driven.run.failure is not None
    assert driven.run.failure.undo == [("p.x/undo", False), ("p.y/undo", True), ("p.z/undo", False)]


def test_an_overloaded_outcome_gives_its_reason() -> None:
    driven = play(flow(call("a")), "start -> a")
    driven.deliver("a", Outcome("retryable", detail="queue full", overloaded=True))
    assert driven.lines[-1] == "a retryable -> ; end overloaded a"


@pytest.mark.parametrize(
    ("reason", "saying"),
    [("deadline", "the deadline of the run passed"), ("cancelled", "the run was cancelled"),
     ("disconnect", "the caller disconnected")],
)  # fmt: skip
def test_a_cancelled_run_says_why(reason: str, saying: str) -> None:
    driven = play(flow(call("a"), call("b")), "start -> a\na ok -> b")
    driven.run.cancel(reason)  # type: ignore[arg-type]
    driven.do("b ok")
    failure = driven.run.failure
    assert failure is not None
    assert (failure.reason, failure.path, failure.function) == (reason, "b", "b")
    assert (failure.outcome.kind, failure.outcome.detail) == ("cancelled", saying)
    assert driven.run.result.size == 0


def test_the_value_threads_through() -> None:
    driven = play(flow(call("a"), seq(call("b")), seq(), call("c")), "start -> a\na ok -> steps.b\nsteps.b ok -> c")
    assert driven.calls["a"].payload is INPUT
    assert driven.calls["steps.b"].payload.value() == {"at": "a"}
    answer = json_payload([1])
    driven.deliver("c", Outcome("ok", answer))
    assert driven.run.result is answer
