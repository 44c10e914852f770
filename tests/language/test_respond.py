"""`respond`: the caller is answered, the run goes on; what comes after, comes after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from legato.testing import ok, refused
from tests.language.play import Played, play, problems_of

EARLY = "{respond: {id: '${input}'}, status: 202, headers: {Location: '/x/${input}', x-n: '${input + 1}'}}"


def events_of(played: Played) -> list[str]:
    return [json.loads(line)["event"] for line in played.log.splitlines()]


def test_the_answer_goes_out_at_once_with_its_status_and_headers() -> None:
    played = play(f"steps: [a, {EARLY}, b]", {"a": ok(1).later(1), "b": ok(2).later(20)}, 7)
    assert played.payload.value() == {"id": 7}
    early = played.early
    assert early is not None
    assert (early.status, early.headers, early.failure) == (202, b"location: /x/7\r\nx-n: 8\r\n", None)
    assert played.sent["b"] == 1, "the value is what it was"
    assert played.run.kernel.result.value() == 2


def test_when_nothing_comes_after_it_it_is_an_answer_like_any() -> None:
    played = play(f"steps: [{EARLY}]", {}, 7)
    assert played.value == {"id": 7}
    assert played.run.kernel.result.value() == 7


@pytest.mark.parametrize(
    "steps",
    [
        f"{EARLY}, {{respond: again, id: it}}", f"{EARLY}, {{steps: [{{respond: again, id: it}}]}}",
        "{foreach: [1, 2], id: e, steps: [{respond: '${item}', id: it}]}",
        f"{{parallel: {{a: {EARLY}, b: {{respond: b}}}}}}",
    ],
)  # fmt: skip
def test_there_is_one_answer(steps: str) -> None:
    played = play(f"steps: [{steps}, never]", {}, 7)
    assert played.early is not None
    failure = played.run.kernel.failure
    assert failure is not None
    assert failure.reason == "mistake"
    assert failure.outcome.detail == "the caller has been answered already: one `respond` in a run"
    assert "never" not in played.paths
    assert events_of(played) == ["failed_after_answer"]


def test_a_second_answer_can_be_caught_as_any_mistake() -> None:
    played = play(f"steps: [{EARLY}, {{respond: again, on_error: skip}}, {{set: done}}]", {}, 7)
    assert played.run.kernel.result.value() == "done"


def test_what_fails_after_the_answer_is_logged_undone_and_handled() -> None:
    tell = "on_failure: [{call: tell, input: '${error.status}'}]"
    text = f"steps: [{{call: a, undo: u}}, {EARLY}, {{call: bad}}]\n{tell}"
    played = play(text, {"bad": refused(409).later(1)}, 7)
    assert (played.payload.value(), played.failure) == ({"id": 7}, None)
    assert played.paths == ["a", "bad", "a/undo", "/failure.tell"]
    (line,) = [json.loads(line) for line in played.log.splitlines()]
    assert (line["event"], line["step"], line["function"], line["reason"]) == (
        "failed_after_answer",
        "bad",
        "bad",
        "failed",
    )


def test_who_has_had_the_answer_may_leave() -> None:
    """The gateway tells the host of no caller that has been answered; the run itself goes on."""
    played = play(f"steps: [{EARLY}, hang, after]\non_disconnect: finish", {"hang": ok(1).later(5)}, 7,
                  disturb={1: lambda run: run.caller_left()})  # fmt: skip
    assert played.paths == ["hang", "after"]
    assert played.run.kernel.failure is None


def test_the_deadline_after_the_answer() -> None:
    played = play(f"timeout: 2s\nsteps: [{{call: a, undo: u}}, {EARLY}, hang]", {"hang": ok().held()}, 7)
    assert played.failure is None
    assert played.run.kernel.failure is not None
    assert played.run.kernel.failure.reason == "deadline"
    assert played.paths == ["a", "hang", "a/undo"]
    assert events_of(played) == ["failed_after_answer"]


@pytest.mark.parametrize("answer", ["'${value.none}'", "{a: '${input.none}'}"])
def test_an_answer_that_cannot_be_made_is_a_failure_of_the_run(answer: str) -> None:
    played = play(f"steps: [{{call: a, undo: u}}, {{respond: {answer}}}]", {"a": {"x": 1}}, {})
    assert played.early is None
    assert played.mistake[0] == "respond"
    assert played.paths == ["a", "a/undo"]
    assert play(f"steps: [{{respond: {answer}, on_error: skip}}, {{respond: ok}}]", {}, {}).value == "ok"


@pytest.mark.parametrize("header", ["a\\r\\nset-cookie: x", "a\\nb", "a\\0b", "caf\\u00e9\\u4e2d"])
def test_a_header_that_would_be_two_is_a_failure(header: str) -> None:
    value = json.loads(f'"{header}"') if "\\0" not in header else "a\0b"
    played = play("steps: [{respond: 1, headers: {x: '${input}'}}]", {}, value)
    assert played.early is None
    assert played.mistake[0] == "respond"


def test_when_false_and_modifiers() -> None:
    text = "steps: [{respond: early, when: '${input.early}', id: r}, {set: late}]"
    assert play(text, {}, {"early": False}).payload.value() == "late"
    assert play(text, {}, {"early": True}).payload.value() == "early"
    text = "steps: [{set: 1}, {respond: '${value}', input: '${value + 1}', output: '${value + 10}', id: r}]"
    played = play(text + "\noutput: ['${value}', '${steps.r}']")
    assert (played.payload.value(), played.run.kernel.result.value()) == (2, [11, 11])


def test_an_answer_from_a_branch_goes_out_though_the_branch_is_cut_off_later() -> None:
    text = "steps: [{parallel: {a: [{respond: early}, hang], b: bad}}]"
    played = play(text, {"hang": ok().held(), "bad": refused().later(1)})
    assert (played.payload.value(), played.failure) == ("early", None)
    assert events_of(played) == ["failed_after_answer"]


def test_a_branch_that_never_began_answers_nothing() -> None:
    played = play("steps: [{parallel: {a: {fail: no}, b: [f, {respond: early}]}}]", {"f": ok().later(1)})
    assert played.early is None
    assert played.error.reason == "stated"


@pytest.mark.parametrize("status", [204, 304, 199, 600])
def test_statuses_that_are_no_answer_are_problems(status: int) -> None:
    assert "status" in problems_of(f"steps: [{{respond: 1, status: {status}}}]")


FAILS: list[tuple[str, Any, tuple[str, int]]] = [
    ("{fail: 'no ${value.sku} left: ${value.left}', status: 409}", {"sku": "x", "left": 0}, ("no x left: 0", 409)),
    ("{fail: plain}", None, ("plain", 500)),
    ("{fail: '$${literal}'}", None, ("${literal}", 500)),
    ("{fail: '${value}', input: seven}", None, ("seven", 500)),
    ("{steps: [{fail: '${value}'}], input: '${string(value + 1)}'}", 6, ("7", 500)),
]


@pytest.mark.parametrize(("step", "value", "expected"), FAILS)
def test_fail(step: str, value: Any, expected: tuple[str, int]) -> None:
    error = play(f"steps: [{{call: a, undo: u, input: 1, output: '${{input}}'}}, {step}]", {}, value).error
    assert (error.reason, error.outcome.detail, error.answer) == ("stated", *expected)
    assert error.undo == [("a/undo", True)]


def test_a_fail_that_cannot_word_itself_is_a_mistake_and_one_that_is_off_is_nothing() -> None:
    assert play("steps: [{fail: 'no ${value.a}', status: 409}]", {}, {}).mistake[0] == "fail"
    assert play("steps: [{fail: 'no ${value}', status: 409}]", {}, None).mistake[0] == "fail"
    assert play("steps: [{fail: no, when: '${value > 5}'}]", {}, 3).value == 3
