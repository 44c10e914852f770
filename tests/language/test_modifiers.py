"""What a step may say beside what it does: `when`, `input`, `output`, `timeout`, `on_error`; alone and together."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from legato.testing import ok, refused, unknown
from tests.language.play import Played, play, problems_of

FLOWS = {"inner": "steps: [work]", "slow": "steps: [work]\ntimeout: 2s"}
# How each kind wraps one call, `work`, which answers what it is sent as `{"got": ...}`; and what becomes of that.
KINDS: dict[str, tuple[str, Any]] = {
    "call": ("call: work", lambda got: got),
    "steps": ("steps: [work]", lambda got: got),
    "parallel": ("parallel: {a: work}", lambda got: {"a": got}),
    "graph": ("graph: {a: work}", lambda got: got),
    "foreach": ("foreach: ['${value}'], steps: [work]", lambda got: [got]),
    "choose": ("choose: [{when: '${true}', call: work}]", lambda got: got),
    "choose all": ("choose: {all: true, cases: [{name: a, when: '${true}', call: work}]}", lambda got: {"a": got}),
    "flow": ("flow: inner", lambda got: got),
}
INNER = {
    "call": "it", "steps": "it.work", "parallel": "it.a", "graph": "it.a", "foreach": "it[0].work",
    "choose": "it.case_1.work", "choose all": "it.a.work", "flow": "it.work",
}  # fmt: skip
FUNCTIONS: dict[str, Any] = {"work": lambda value: {"got": value}, "first": {"n": 1}}


def looked(step: str, functions: dict[str, Any] | None = None, **keywords: Any) -> tuple[Any, Any, Played]:
    """(value, steps.it) behind a step that gets `{"n": 1}`, and all of it."""
    text = f"steps: [first, {{{step}, id: it}}]\noutput: ['${{value}}', '${{steps.it}}']"
    played = play(text, {**FUNCTIONS, **(functions or {})}, flows=FLOWS, **keywords)
    value = played.value
    return value[0], value[1], played


@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_on_every_kind(kind: str) -> None:
    """`when` sees the value before `input`, the step gets its `input`, `output` is of what it left."""
    either = (False, True)
    for combination in product((None, True, False), either, either, either, either, ("", "skip", "value", "steps")):
        check(kind, *combination)


def check(
    kind: str, when: bool | None, has_input: bool, has_output: bool, timeout: bool, fails: bool, fallback: str
) -> None:
    """What one combination does."""
    step, wrapped = KINDS[kind]
    if when is not None:
        step += f", when: '${{value.n == {1 if when else 2}}}'"
    if has_input:
        step += ", input: {m: '${value.n + 1}'}"
    if has_output:
        step += ", output: {made: '${value}'}"
    if timeout:
        step += ", timeout: 1s"
    step += {
        "": "",
        "skip": ", on_error: skip",
        "value": ", on_error: {value: {sorry: '${error.status}', had: '${value}'}}",
        "steps": ", on_error: {steps: [{call: mend}]}",
    }[fallback]
    functions = {"work": refused(409)} if fails else {}
    functions["mend"] = lambda value: {"mended": value}
    got = {"n": 1} if not has_input else {"m": 2}
    runs = when is not False
    if runs and fails and not fallback:
        text = f"steps: [first, {{{step}, id: it}}]"
        error = play(text, {**FUNCTIONS, **functions}, flows=FLOWS).error
        assert (error.reason, error.path, error.outcome.status) == ("failed", INNER[kind], 409)
        return
    value, remembered, played = looked(step, functions)
    expected: Any = {"n": 1}
    if runs and not fails:
        expected = wrapped({"got": got})
        expected = {"made": expected} if has_output else expected
    elif runs and fallback == "value":
        expected = {"sorry": 409, "had": {"n": 1}}
    elif runs and fallback == "steps":
        expected = {"mended": {"n": 1}}
    skipped = not runs or (fails and fallback == "skip")
    assert (value, remembered) == (expected, None if skipped else expected)
    calls = [path for path in played.paths if path != "first"]
    mends = ["it/error.mend"] if runs and fails and fallback == "steps" else []
    assert calls == ([INNER[kind]] if runs else []) + mends
    assert played.completed == (not (runs and fails and fallback == "skip"))
    assert list(played.errors) == (["it"] if runs and fails and fallback == "skip" else [])


LEAVES = {
    "set": ("set: {m: '${value}'}", {"m": {"n": 2}}),
    "sleep": ("sleep: 1s", {"n": 1}),
    "respond": ("respond: '${value}'", {"n": 1}),
    "python": ("python: 'm:work'", {"got": {"n": 2}}),
}


@pytest.mark.parametrize("kind", LEAVES)
def test_the_kinds_that_call_nothing_take_modifiers_too(kind: str) -> None:
    step, expected = LEAVES[kind]
    functions = {**FUNCTIONS, "m:work": FUNCTIONS["work"]}
    text = f"steps: [first, {{{step}, id: it, input: {{n: '${{value.n + 1}}'}}, when: '${{value.n == 1}}', "
    played = play(text + "output: {left: '${value}'}}]", functions)
    assert played.run.kernel.result.value() == {"left": expected}
    if kind == "respond":
        assert played.payload.value() == {"n": 2}
    played = play(text.replace("== 1", "== 2") + "output: {left: '${value}'}}]", functions)
    assert (played.value, played.early, played.took) == ({"n": 1}, None, 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "call"])
def test_a_timeout_bounds_the_whole_step_and_cancels_what_is_in_flight(kind: str) -> None:
    step, wrapped = KINDS[kind]
    text = f"steps: [{{{step}, id: it, timeout: 2s}}, never]"
    played = play(text, {"work": ok(1).later(5)}, flows=FLOWS)
    error = played.error
    assert (error.reason, error.path) == ("deadline", "it")
    assert error.outcome.detail == "the step took longer than 2 s"
    assert played.functions.aborted == [INNER[kind]]
    assert played.paths == [INNER[kind]]
    assert 2 <= played.took < 2.1
    caught = text.replace("timeout: 2s", "timeout: 2s, on_error: {value: '${[error.reason, error.step]}'}")
    assert play(caught, {"work": ok(1).later(5), "never": lambda value: value}, flows=FLOWS).value == ["deadline", "it"]
    in_time = play(text, {"work": ok(1).later(1.9), "never": lambda value: value}, flows=FLOWS)
    assert in_time.value == wrapped(1)
    assert in_time.functions.aborted == []
    assert 1.89 < in_time.took < 2


def test_play_needs_the_flows_only_where_they_are_used() -> None:
    assert play("steps: [{flow: slow}]", {"work": ok(3).later(1)}, flows=FLOWS).value == 3


@pytest.mark.parametrize(("own", "steps", "took", "path"), [("2s", "", 2, "it"), ("2s", "timeout: 9s", 2, "it"),
                                                           ("9s", "timeout: 2s", 2, "it")])  # fmt: skip
def test_a_sub_flow_is_bound_by_its_own_timeout_and_by_that_of_the_step(
    own: str, steps: str, took: float, path: str
) -> None:
    text = f"steps: [{{flow: inner, id: it, {steps}}}]".replace(", }", "}")
    played = play(text, {"work": ok(1).later(20)}, flows={"inner": f"steps: [work]\ntimeout: {own}"})
    assert (played.error.reason, played.error.path) == ("deadline", path)
    assert took <= played.took < took + 0.1


def test_a_calls_timeout_is_of_one_attempt_and_not_of_the_step() -> None:
    text = "steps: [{call: work, timeout: 1s, idempotent: true, retry: {attempts: 3, backoff: 0s}}]"
    played = play(text, {"work": ok(1).later(5)})
    assert played.paths == ["work", "work", "work"]
    assert played.error.reason == "failed"
    assert 3 <= played.took < 3.2


def test_a_timeout_within_a_timeout() -> None:
    text = "steps: [{steps: [{steps: [work], timeout: %s, id: i, on_error: {value: inner}}], timeout: %s, id: o}]"
    assert play(text % ("1s", "2s"), {"work": ok(1).later(5)}).value == "inner"
    played = play(text % ("2s", "1s"), {"work": ok(1).later(5)})
    assert (played.error.path, played.error.reason) == ("o", "deadline")
    # Both at the same moment: the outer one was there first, and either way there is one end.
    assert play(text % ("1s", "1s"), {"work": ok(1).later(5)}).failure is not None


def test_a_timeout_undoes_what_the_step_had_done_and_may_have_done() -> None:
    text = """
        steps:
          - {call: before, undo: undo}
          - {steps: [{call: done, undo: undo}, {call: work, undo: undo}], timeout: 1s, id: it, on_error: skip}
          - after
        """
    played = play(text, {"work": ok(1).later(5)}, 7)
    assert played.paths == ["before", "it.done", "it.work", "it.work/undo", "it.done/undo", "after"]
    assert played.sent["it.work/undo"] == {"sent": 7, "result": None}
    assert played.sent["it.done/undo"] == {"sent": 7, "result": 7}
    assert played.value == 7


def test_an_undo_that_has_begun_is_not_cut_off_by_a_timeout() -> None:
    text = """
        steps:
          - steps:
              - {steps: [{call: a, undo: slow}, {call: b, undo: slow}, bad], on_error: skip}
              - never
            timeout: 3s
            id: it
        """
    played = play(text, {"bad": refused(), "slow": ok().later(2)})
    assert (played.error.reason, played.error.path) == ("deadline", "it")
    assert played.functions.aborted == []
    assert [path for path in played.paths if "undo" in path] == ["it.steps.b/undo", "it.steps.a/undo"]
    assert played.error.undo == []  # what was undone was so because of `bad`
    assert 4 <= played.took < 4.1


@pytest.mark.parametrize("then", ["work", "{set: 1}", "{sleep: 1ms}"])
def test_a_timeout_that_never_comes_leaves_no_timer(then: str) -> None:
    played = play(f"steps: [{{steps: [work, work], timeout: 1h}}, {then}]", {"work": ok(1).later(1)})
    assert played.failure is None
    assert played.took < 4


def test_a_step_in_a_loop_has_a_timeout_each_time() -> None:
    text = """
        steps:
          - foreach: "${input}"
            concurrency: 2
            steps: [{steps: [wait], timeout: 2s, on_error: {value: "late ${item} ${error.step}"}}]
        """
    played = play(text, {"wait": lambda value: ok(value).later(value)}, [1, 3, 1, 5])
    assert played.value == [1, "late 3 foreach[1].steps", 1, "late 5 foreach[3].steps"]
    assert played.took < 4.1


def test_a_condition_is_a_boolean_and_nothing_else() -> None:
    for value, what in ((1, "a number"), ("true", "text"), (None, "null"), ([], "a list"), ({}, "an object")):
        path, said = play("steps: [{call: f, when: '${value}'}]", {}, value).mistake
        assert (path, said) == ("f", f"`${{value}}` is {what}, not a boolean; compare it with something")
        path, said = play("steps: [{call: f, when: '${value == 7 ? value : value}'}]", {}, value).mistake
        assert said == f"`${{value == 7 ? value : value}}` is {what}, not a boolean; compare it with something"
    assert "a condition" in problems_of("steps: [{call: f, when: yes}]") or "expression" in problems_of(
        "steps: [{call: f, when: yes}]"
    )


def test_mistakes_in_modifiers_name_the_step_and_what_is_there() -> None:
    said = "`${value.a.b}`: `value.a` is a number, not an object"
    for steps, path in (
        ("{call: f, when: '${value.a.b}'}", "f"), ("{call: f, input: '${value.a.b}'}", "f"),
        ("{call: f, output: '${value.a.b}', id: it}", "it"),
        ("{steps: [{call: f, input: '${value.a.b}'}], id: s}", "s.f"),
        ("{call: f, path: '/${value.a.b}'}", "f"), ("{call: f, query: {q: '${value.a.b}'}}", "f"),
        ("{call: f, headers: {h: '${value.a.b}'}}", "f"),
        ("{call: bad, on_error: {value: '${value.a.b}'}}", "bad"),
        ("{call: bad, on_error: {steps: [{call: f, input: '${value.a.b}'}]}}", "bad/error.f"),
        ("{parallel: {x: {call: f, input: '${value.a.b}'}}}", "parallel.x"),
        ("{parallel: {x: f}, merge: '${value.x.a.b}'}", "parallel"),
        ("{graph: {x: f, y: {call: f, after: {x: '${value.a.b}'}}}}", "graph"),
        ("{foreach: '${value.a.b}', steps: [f]}", "foreach"), ("{choose: [{when: '${value.a.b}', call: f}]}", "choose"),
        ("{fail: 'no ${value.a.b}'}", "fail"), ("{respond: '${value.a.b}'}", "respond"),
        ("{respond: 1, headers: {h: '${value.a.b}'}}", "respond"), ("{set: ['${value.a.b}']}", "set"),
    ):  # fmt: skip
        found, detail = play(f"steps: [{steps}]", {"bad": unknown()}, {"a": 1}).mistake
        assert found == path, steps
        assert detail in (said, said.replace("value.a", "value.x.a")), steps
        # A mistake is caught like any other failure, at the step itself and around it.
        for wrapped in (f"{{steps: [{steps}], id: w, on_error: {{value: '${{error.reason}}'}}}}",):
            assert play(f"steps: [{wrapped}]", {"bad": unknown()}, {"a": 1}).value == "mistake"
