"""What the kernel does, as transcripts: the tables, and what a transcript alone cannot say."""

from __future__ import annotations

import pytest

from legato.errors import LegatoError
from legato.kernel import Cancel, Run, link
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, json_payload
from legato.model.steps import Step
from tests.kernel.flows import BINARY, INPUT, call, flow, par, seq
from tests.kernel.tables import TABLES
from tests.kernel.transcript import play


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
    assert len(list(driven.run.open_leaves())) == 25


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


def test_open_leaves_are_those_whose_delivery_is_owed() -> None:
    driven = play(flow(par("p", x=call("a"), y=seq(call("b"), call("c")), z=call("d"))), "start -> p.x, p.z, p.y.b")
    run = driven.run
    assert [c.path for c in run.open_leaves()] == ["p.x", "p.y.b", "p.z"]
    driven.do("p.y.b ok")
    assert [c.path for c in run.open_leaves()] == ["p.x", "p.y.c", "p.z"]
    driven.do("p.x refused")
    assert [c.path for c in run.open_leaves()] == ["p.y.c", "p.z"]
    driven.do("p.z cancelled")
    driven.do("p.y.c unknown")
    assert list(run.open_leaves()) == []
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
