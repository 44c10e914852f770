"""`on_failure`, `finally`, `callback`: when they run, what they see, what they change, which is nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from legato.kernel.linker import CALLBACK as TOLD
from legato.testing import Act, ok, refused, unknown
from tests.language.play import Played, play

HANDLERS = """
on_failure: [{call: tell, input: "${[error.step, error.reason, error.status, run.state]}"}]
finally: [{call: clean, input: "${[error == null, run.state, run.completed]}"}]
"""


def handled(
    steps: str, functions: dict[str, Any] | None = None, value: Any = None, more: str = "", **rest: Any
) -> Played:
    """A flow with both handlers."""
    return play(f"steps: [{steps}]\n{more}{HANDLERS}", {"tell": 1, "clean": 2, **(functions or {})}, value, **rest)


def test_after_success_only_the_end_is_handled_and_the_caller_waits_for_it() -> None:
    played = handled("{call: f, undo: u}", {"f": 7, "clean": ok().later(3)})
    assert played.value == 7
    assert played.paths == ["f", "/finally.clean"]
    assert played.sent["/finally.clean"] == [True, "succeeded", True]
    assert played.took >= 3


def test_after_failure_undo_then_failure_then_the_end() -> None:
    played = handled("{call: f, undo: u}, bad", {"bad": refused(409), "u": ok().later(1), "tell": ok().later(1)})
    assert played.events[4:] == [
        "begin f/undo", "end f/undo", "begin /failure.tell", "end /failure.tell", "begin /finally.clean",
        "end /finally.clean",
    ]  # fmt: skip
    assert played.sent["/failure.tell"] == ["bad", "failed", 409, "undone"]
    assert played.sent["/finally.clean"] == [False, "undone", True]


@pytest.mark.parametrize(
    ("steps", "functions", "state"),
    [
        ("{call: f, undo: u}, bad", {"u": unknown(500)}, "failed"),
        ("{call: f, undo: u}, bad", {}, "undone"),
        ("f, bad", {}, "failed"),
        ("{call: f, undo: u}, {call: g, undo: u2}, bad", {"u": refused()}, "failed"),
    ],
)
def test_the_state_that_handlers_see(steps: str, functions: dict[str, Any], state: str) -> None:
    played = handled(steps, {"bad": refused(), **functions})
    assert played.sent["/finally.clean"] == [False, state, True]


@pytest.mark.parametrize(
    ("reason", "state"), [("cancelled", "cancelled"), ("disconnect", "cancelled"), ("deadline", "undone")]
)
def test_a_run_that_is_cut_off_is_handled_too(reason: Any, state: str) -> None:
    functions = {"hang": ok().held()}
    played = handled("{call: f, undo: u}, hang", functions, disturb={1: lambda run: run.cancel(reason)})
    assert played.paths == ["f", "hang", "f/undo", "/failure.tell", "/finally.clean"]
    assert played.sent["/failure.tell"] == ["hang", reason, 0, state]
    assert played.error.reason == reason
    hard = handled("{call: f, undo: u}, hang", functions, disturb={1: lambda run: run.cancel(reason, hard=True)})
    assert hard.paths == ["f", "hang"]


def test_its_deadline_does_not_bind_the_handlers() -> None:
    played = handled("{call: f, undo: u}, hang", {"hang": ok().held(), "u": ok().later(20), "tell": ok().later(20)},
                     more="timeout: 1s\n")  # fmt: skip
    assert played.paths == ["f", "hang", "f/undo", "/failure.tell", "/finally.clean"]
    assert played.functions.aborted == ["hang"]
    assert 41 <= played.took < 42


def test_our_patience_with_handlers_has_an_end() -> None:
    played = handled("{call: f, undo: u}, bad", {"bad": refused(), "tell": ok().held(), "u": ok().later(20)})
    assert played.functions.aborted == ["/failure.tell"]
    assert played.error.path == "bad"
    again = handled("bad", {"bad": refused(), "tell": lambda _: ok().later(29), "clean": ok().held()})
    assert again.functions.aborted == ["/finally.clean"]


def test_a_caller_that_leaves_while_they_run_does_not_end_them() -> None:
    played = handled("bad", {"bad": refused(), "tell": ok().later(3)}, disturb={1: lambda run: run.caller_left()})
    assert played.paths == ["bad", "/failure.tell", "/finally.clean"]
    assert played.functions.aborted == []


def test_their_failures_change_nothing_and_are_logged() -> None:
    bad = {"bad": refused(409), "tell": unknown(500), "clean": refused(418)}
    for steps, more in (("bad", ""), ("f", "")):
        played = handled(steps, bad, more=more)
        lines = [json.loads(line) for line in played.log.splitlines()]
        told = [(line["step"], line["reason"]) for line in lines if line["event"] == "handler_failed"]
        if steps == "bad":
            assert (played.error.path, played.error.outcome.status) == ("bad", 409)
            assert told == [("/failure.tell", "failed"), ("/finally.clean", "failed")]
            assert played.error.said is None
        else:
            assert played.failure is None
            assert told == [("/finally.clean", "failed")]
    text = "steps: [bad]\non_failure: [{set: '${error.none}'}, never]\nfinally: [{foreach: 1, steps: [f]}, never]"
    played = play(text.replace("foreach: 1", "foreach: '${1}'"), {"bad": refused()})
    assert [failure.reason for failure in played.run.kernel.handler_failures] == ["mistake", "mistake"]
    assert played.paths == ["bad"]


def test_what_on_failure_says_is_for_the_caller() -> None:
    text = "steps: [{call: bad}]\non_failure: [{set: {sorry: '${error.status}'}}]\nfinally: [{set: ignored}]"
    said = play(text, {"bad": refused(409)}).error.said
    assert said is not None
    assert said.value() == {"sorry": 409}
    for silent in ("[]", "[{sleep: 1s}]", "[{call: f, when: '${false}'}]", "[{call: bad, on_error: skip}]", "[bad]"):
        steps = f"steps: [{{call: bad}}]\non_failure: {silent}" if silent != "[]" else "steps: [{call: bad}]"
        assert play(steps, {"bad": refused(409)}, {"in": 1}).error.said is None, silent
    said = play("steps: [bad]\non_failure: [nothing]", {"bad": refused(), "nothing": None}, {"in": 1}).error.said
    assert said is not None
    assert said.value() is None


def test_handlers_begin_with_the_input_and_a_success_with_the_result() -> None:
    text = "steps: [{set: result}, %s]\non_failure: [{call: look}]\nfinally: [{call: look}]"
    played = play(text % "bad", {"bad": refused()}, {"in": 1})
    assert played.calls[1:] == [("/failure.look", {"in": 1}), ("/finally.look", {"in": 1})]
    assert play(text % "{steps: []}", {}, {"in": 1}).calls == [("/finally.look", "result")]
    text = "steps: [{set: result}]\noutput: {out: '${value}'}\nfinally: [{call: look}]"
    assert play(text).calls == [("/finally.look", {"out": "result"})]


def test_handlers_see_what_the_steps_left_and_not_each_others() -> None:
    text = """
        steps: [{set: 1, id: a}, bad, {set: 2, id: b}]
        on_failure:
          - {set: 3, id: a}
          - {call: look, input: "${[steps.a, steps.b]}"}
        finally:
          - {call: look, input: "${[steps.a, steps.b, input]}"}
        """
    played = play(text, {"bad": refused()}, 9)
    assert played.calls[1:] == [("/failure.look", [3, None]), ("/finally.look", [1, None, 9])]


def test_handlers_hold_every_kind_of_step() -> None:
    text = """
        steps: [bad]
        on_failure:
          - {parallel: {a: f, b: {foreach: [1, 2], steps: [f]}}}
          - {graph: {a: f, b: {call: f, after: a, undo: never}}}
          - {choose: [{when: "${error.status == 422}", steps: [{flow: other}]}]}
          - {steps: [{sleep: 1s}], timeout: 500ms, on_error: {value: late}}
        """
    flows = {"other": "steps: [f, bad]\nfinally: [f]"}
    played = play(text, {"bad": refused()}, flows=flows)
    assert sorted(played.paths) == sorted([
        "bad", "/failure.parallel.a", "/failure.parallel.b[0].f", "/failure.parallel.b[1].f", "/failure.graph.a",
        "/failure.graph.b", "/failure.choose.case_1.other.f", "/failure.choose.case_1.other.bad",
        "/failure.choose.case_1.other/finally.f",
    ])  # fmt: skip
    assert [failure.path for failure in played.run.kernel.handler_failures] == ["/failure.choose.case_1.other.bad"]


def test_responding_in_a_handler_is_the_answer() -> None:
    text = "steps: [bad]\non_failure: [{respond: sorry, status: 422}, {call: slow}]"
    played = play(text, {"bad": refused(), "slow": ok().later(5)})
    assert (played.payload.value(), played.failure) == ("sorry", None)
    assert played.early is not None
    assert played.early.status == 422
    assert played.run.kernel.failure is not None
    assert "failed_after_answer" in played.log
    text = "steps: [f]\nfinally: [{respond: early}]"
    assert play(text, {"f": 1}).value == "early"


CALLBACK = "callback: {url: 'http://there.example/${input.who}?r=${run.state}', when: %s}\n"


@pytest.mark.parametrize("when", ["always", "success", "failure"])
@pytest.mark.parametrize("good", [True, False])
def test_a_callback_follows_the_answer(when: str, good: bool) -> None:
    functions = {"bad": refused(409), TOLD: ok().later(7), "f": {"r": 1}}
    text = f"steps: [{'f' if good else 'bad'}]\n" + CALLBACK % when
    played = play(text, functions, {"who": "ann"})
    assert (played.failure is None) == good
    if when not in ("always", "success" if good else "failure"):
        assert "/callback" not in played.paths
        return
    assert played.early is not None, "who waits must not wait for somebody else's server"
    sent = played.sent["/callback"]
    assert (sent["run"], sent["flow"]) == (played.run.id.decode(), "main")
    assert sent["state"] == ("succeeded" if good else "failed")
    if good:
        assert sent["result"] == {"r": 1}
        assert played.payload.value() == {"r": 1}
    else:
        assert (sent["error"]["step"], sent["error"]["status"]) == ("bad", 409)
    parts = played.asked[-1].parts
    assert parts is not None
    assert b"there.example/ann" in parts.path


def test_a_callback_after_an_early_answer_and_after_the_handlers() -> None:
    text = "steps: [{respond: early}, f]\n" + CALLBACK % "always" + "finally: [clean]"
    played = play(text, {"f": 5}, {"who": "x"})
    assert played.paths == ["f", "/finally.clean", "/callback"]
    assert played.payload.value() == "early"
    assert played.sent["/callback"]["result"] == 5


def test_a_callback_that_fails_changes_nothing() -> None:
    for act in (refused(410), unknown(500)):
        played = play("steps: [f]\n" + CALLBACK % "always", {"f": 5, TOLD: act}, {"who": "x"})
        assert played.value == 5
        assert "handler_failed" in played.log
    played = play("steps: [f]\n" + CALLBACK % "always", {"f": 5}, {})
    assert played.value == 5
    assert played.paths == ["f"]
    assert [failure.reason for failure in played.run.kernel.handler_failures] == ["mistake"]


def test_a_callback_of_an_undone_a_cancelled_and_an_empty_one() -> None:
    text = "steps: [{call: f, undo: u}, %s]\n" + CALLBACK % "always"
    sent = play(text % "bad", {"bad": unknown()}, {"who": "x"}).sent["/callback"]
    assert (sent["state"], sent["error"]["outcome"]) == ("undone", "unknown")
    cancel: Any = {1: lambda run: run.cancel("cancelled")}
    played = play(text % "hang", {"hang": ok().held()}, {"who": "x"}, disturb=cancel)
    assert played.sent["/callback"]["state"] == "cancelled"
    image = Act(payload=None)
    played = play(text % "nothing", {"nothing": None, "image": image}, {"who": "x"})
    assert played.sent["/callback"]["result"] is None
