"""`on_error`: what is undone first, what the error says, what follows; of every kind of failure but a cancellation."""

from __future__ import annotations

from typing import Any

import pytest

from legato.model.payload import Payload
from legato.testing import Act, ok, refused, retryable, unknown
from tests.language.play import play

ERROR = "on_error: {value: '${error}'}"


def error_of(step: str, functions: dict[str, Any] | None = None, value: Any = None, **rest: Any) -> Any:
    return play(f"steps: [{{{step}, {ERROR}}}]", functions, value, **rest).value


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (refused(409, {"why": "full"}), {"outcome": "refused", "status": 409, "body": {"why": "full"}}),
        (refused(404), {"outcome": "refused", "status": 404, "body": None}),
        (unknown(500), {"outcome": "unknown", "status": 500}),
        (unknown(), {"outcome": "unknown", "status": 0}),
        (retryable(503), {"outcome": "retryable", "status": 503}),
        (Act(kind="retryable", overloaded=True, detail="busy"), {"reason": "overloaded", "detail": "busy"}),
        (Act(kind="refused", status=400, payload=Payload.of(b"text/plain", b"no\xc3\xa9")), {"body": "no\u00e9"}),
        (Act(kind="refused", status=400, payload=Payload.of(b"image/png", b"\x89\xff")), {"body": "if8="}),
        (Act(kind="refused", status=400, payload=Payload.of(b"application/json", b"{")), {"body": "{"}),
    ],
)
def test_what_the_error_says_of_a_call(act: Act, expected: dict[str, Any]) -> None:
    error = error_of("call: f, id: it", {"f": act})
    assert set(error) == {"step", "function", "reason", "outcome", "status", "detail", "body"}
    assert (error["step"], error["function"]) == ("it", "f")
    assert {**error, **expected} == error
    if "reason" not in expected:
        assert error["reason"] == "failed"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("fail: 'no ${value}', status: 409, id: it",
         {"step": "it", "reason": "stated", "status": 409, "detail": "no 3", "outcome": "refused", "function": ""}),
        ("fail: no", {"step": "fail", "reason": "stated", "status": 500}),
        ("set: '${value.x}'", {"step": "set", "reason": "mistake", "status": 0,
                               "detail": "`${value.x}`: `value` is a number, not an object"}),
        ("steps: [{sleep: 2s}], timeout: 1s", {"step": "steps", "reason": "deadline", "outcome": "cancelled"}),
        ("call: f, return_status: {409: 410}", {"step": "f", "status": 409, "reason": "failed"}),
        ("steps: [{parallel: {a: f, b: {steps: [{sleep: 1s}]}}}]", {"step": "steps.parallel.a", "status": 409}),
        ("foreach: [1], steps: [f]", {"step": "foreach[0].f", "status": 409}),
        ("flow: inner", {"step": "inner.f", "function": "f"}),
        ("flow: fussy", {"step": "fussy", "reason": "mistake", "detail":
                         'the input of flow fussy does not fit its schema: /: the value is not of type "object"'}),
    ],
)  # fmt: skip
def test_what_the_error_says_of_other_steps(step: str, expected: dict[str, Any]) -> None:
    flows = {"inner": "steps: [f]", "fussy": "input: {type: object}\nsteps: [f]"}
    error = error_of(step, {"f": refused(409)}, 3, flows=flows)
    assert {**error, **expected} == error


A, B = "{call: a, undo: u}", "{call: b, undo: u}"
KINDS = [
    f"steps: [{A}, {B}, bad]",
    f"steps: [{A}, {{steps: [{B}, bad]}}]",
    "flow: inner",
    "graph: {a: {call: a, undo: u}, b: {call: b, after: a, undo: u}, bad: {call: bad, after: b}}",
    f"choose: [{{when: '${{true}}', steps: [{A}, {B}, bad]}}]",
    f"choose: {{all: true, cases: [{{name: c, when: '${{true}}', steps: [{A}, {B}, bad]}}]}}",
    f"foreach: [1], steps: [{A}, {B}, bad]",
    f"parallel: {{x: [{A}, {B}, bad]}}",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fallback", ["skip", "{value: 5}", "{steps: [{call: mend, undo: u}]}"])
def test_what_the_step_had_done_is_undone_before_it_goes_on(kind: str, fallback: str) -> None:
    steps = f"{{call: before, undo: u}}, {{{kind}, id: it, on_error: {fallback}}}, {{call: after, undo: u}}"
    flows = {"inner": f"steps: [{A}, {B}, bad]"}
    functions = {"bad": refused(), "u": ok().later(1), "mend": 5}
    played = play(f"steps: [{steps}]", functions, 7, flows=flows)
    short = [last(path) for path in played.paths]
    mends = ["mend"] if "mend" in fallback else []
    assert short == ["before", "a", "b", "bad", "b/undo", "a/undo", *mends, "after"]
    after = played.events.index("begin after")
    ends = [event for event in played.events if event.startswith("end ") and "undo" in event]
    assert all(played.events.index(event) < after for event in ends), "it went on before it was undone"
    assert played.value == (7 if fallback == "skip" else 5)
    # When the flow fails later, only what stands is undone: the fallback's own work among it.
    played = play(f"steps: [{steps}, {{call: bad, id: end}}]", functions, 7, flows=flows)
    again = [last(path) for path in played.paths[len(short) + 1 :]]
    assert again == ["after/undo", *[f"{name}/undo" for name in mends], "before/undo"]
    assert len(played.error.undo) == len(again)


def last(path: str) -> str:
    """The last id of a path, with what is behind it."""
    return path.replace("it/error.", "").rpartition(".")[2]


def test_an_undo_that_fails_does_not_keep_the_flow_from_going_on() -> None:
    text = """
        steps:
          - steps:
              - {call: a, undo: ua}
              - {call: b, undo: {call: ub, retry: {attempts: 2, backoff: 0s}}}
              - {call: c, undo: {call: uc, input: "${result.none}"}}
              - bad
            id: s
            on_error: {value: mended}
          - {call: look, input: "${value}"}
        """
    played = play(text, {"bad": refused(), "ub": unknown(500)})
    assert played.value == "mended"
    assert played.paths == ["s.a", "s.b", "s.c", "s.bad", "s.b/undo", "s.b/undo", "s.a/undo", "look"]
    lines = [line for line in played.log.splitlines() if "undo_failed" in line]
    assert len(lines) == 2, "who is responsible must learn of both"
    assert '"step":"s.b/undo"' in lines[0] or '"step":"s.b/undo"' in lines[1]
    assert any('"step":"s.c/undo"' in line and "`${result.none}`" in line for line in lines)


def test_nested_handlers_take_what_is_theirs() -> None:
    text = """
        steps:
          - steps:
              - {call: one, on_error: {value: "${error.status}"}}
              - {call: two, on_error: {steps: [{call: three, on_error: {steps: [{fail: "all of ${error.step}"}]}}]}}
            id: s
            on_error: {value: ["${error.step}", "${error.detail}"]}
        """
    played = play(text, {"one": refused(409), "two": refused(), "three": refused()})
    assert played.value == ["s.two/error.three/error.fail", "all of s.two/error.three"]
    assert played.completed


def test_a_fallback_that_fails_fails_the_step_and_is_undone() -> None:
    text = "steps: [{call: bad, on_error: {steps: [{call: a, undo: u}, {call: bad, id: worse}]}}]"
    played = play(text, {"bad": refused()})
    assert played.error.path == "bad/error.worse"
    assert played.paths == ["bad", "bad/error.a", "bad/error.worse", "bad/error.a/undo"]
    assert play("steps: [{call: bad, id: b, on_error: {value: '${error.none}'}}]", {"bad": refused()}).mistake[0] == "b"


def test_the_error_is_known_in_the_fallback_and_what_is_within_and_nowhere_else() -> None:
    text = """
        steps:
          - call: bad
            on_error:
              steps:
                - parallel:
                    a: {set: "${error.status}"}
                    b: {foreach: [1], steps: [{set: "${error.step}"}]}
                    c: {graph: {n: {choose: [{when: "${error.status == 409}", steps: [{set: "${error.outcome}"}]}]}}}
                    d: {call: worse, on_error: {value: "${error.status}"}}
          - {set: {all: "${value}", after: "${error}"}}
        """
    played = play(text, {"bad": refused(409), "worse": refused(410)})
    assert played.value == {"all": {"a": 409, "b": ["bad"], "c": "refused", "d": 410}, "after": None}
    assert play("steps: [{call: bad, on_error: {steps: [{flow: f}]}}]", {"bad": refused()},
                flows={"f": "steps: [{set: ['${error}']}]"}).value == [None]  # fmt: skip


def test_errors_are_those_that_were_spared_by_path() -> None:
    text = """
        steps:
          - {call: bad, id: one, on_error: skip}
          - {call: bad, id: two, on_error: {value: 1}}
          - {foreach: [1, 2], id: e, tolerate: 2, steps: [{call: bad, when: "${item == 2}"}]}
          - {set: {errors: "${errors}", completed: "${run.completed}"}}
        """
    played = play(text, {"bad": refused(409)})
    assert {path: error["status"] for path, error in played.value["errors"].items() if path != "two"} == {
        "one": 409, "e[1].bad": 409,
    }  # fmt: skip
    assert played.value["completed"] is False
    assert play("steps: [{set: ['${errors}', '${run.completed}']}]").value == [{}, True]


def test_a_failing_parallel_is_caught_when_all_of_it_has_ended() -> None:
    text = """
        steps:
          - parallel: {a: [{call: a, undo: u}, {call: slow, undo: u}], b: bad}
            id: p
            on_error: {value: "${error.step}"}
          - after
        """
    functions = {"bad": refused().later(1), "slow": ok().held(), "u": ok().later(1), "after": lambda value: value}
    played = play(text, functions, 0)
    assert played.value == "p.b"
    assert sorted(played.paths[:3]) == ["p.a.a", "p.a.slow", "p.b"]
    assert played.paths[3:] == ["p.a.slow/undo", "p.a.a/undo", "after"]


@pytest.mark.parametrize("reason", ["cancelled", "deadline", "disconnect"])
@pytest.mark.parametrize("fallback", ["skip", "{value: 1}", "{steps: [never]}"])
def test_a_cancellation_is_nothing_that_is_caught(reason: Any, fallback: str) -> None:
    text = f"""
        steps:
          - steps: [{{call: a, undo: u}}, {{call: hang, undo: u, on_error: {fallback}}}]
            on_error: {fallback}
            id: s
          - never
        """
    played = play(text, {"hang": ok().held()}, disturb={1: lambda run: run.cancel(reason)})
    assert played.error.reason == reason
    assert played.paths == ["s.a", "s.hang", "s.hang/undo", "s.a/undo"]
    assert played.completed


@pytest.mark.parametrize("hard", [False, True])
def test_cancelled_while_it_is_being_undone_for_its_fallback(hard: bool) -> None:
    """What is being undone goes on, what is left is the run's to undo; a hard cancel ends both."""
    text = """
        steps:
          - {call: before, undo: u}
          - {steps: [{call: a, undo: u}, {call: b, undo: u}, bad], on_error: {steps: [never]}, id: s}
          - never
        """
    functions = {"bad": refused(), "u": ok().later(2)}
    played = play(text, functions, disturb={1: lambda run: run.cancel("cancelled", hard=hard)})
    assert played.error.reason == "cancelled"
    assert played.functions.aborted == (["s.b/undo"] if hard else [])
    expected = ["s.b/undo"] if hard else ["s.b/undo", "s.a/undo", "before/undo"]
    assert [path for path in played.paths if "undo" in path] == expected


def test_the_deadline_of_the_run_does_not_cut_off_an_undo_that_is_under_way() -> None:
    """Undo gets through, also one that began while the run was still going on (contract 1)."""
    text = """
        timeout: 3s
        steps:
          - {call: before, undo: u}
          - {steps: [{call: a, undo: slow}, bad], on_error: skip, id: s}
          - {call: hang}
        """
    played = play(text, {"bad": refused(), "slow": ok().later(10), "hang": ok().held()})
    assert played.functions.aborted == []
    assert played.paths == ["before", "s.a", "s.bad", "s.a/undo", "before/undo"]
    assert played.error.reason == "deadline"
    assert ("before/undo", True) in played.error.undo
    assert 10 <= played.took < 10.2


def test_an_undo_that_is_tried_again_is_so_beyond_the_deadline_of_the_run() -> None:
    tries: list[int] = []

    def undo(_: Any) -> Act:
        tries.append(1)
        return unknown(500) if len(tries) < 3 else ok()

    text = """
        timeout: 2s
        steps:
          - steps: [{call: a, undo: {call: u, retry: {attempts: 9, backoff: 10s}}}, {sleep: 1s}, bad]
            on_error: skip
        """
    played = play(text, {"bad": refused(), "u": undo})
    assert len(tries) == 3
    assert played.error.reason == "deadline"
    assert "undo_failed" not in played.log
