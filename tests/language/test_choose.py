"""`choose`: the first case that holds, or all; none; conditions that are none; errors and undo in cases."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from legato.model.payload import Payload
from legato.testing import ok, refused
from tests.language.play import play, problems_of


def cases_text(otherwise: bool, every: bool) -> str:
    cases = ["{when: '${input.a}', name: a, call: a}", "{when: '${input.b}', name: b, call: b}"]
    if otherwise:
        cases.append("{otherwise: true, call: o}")
    listed = f"[{', '.join(cases)}]"
    return f"steps: [{{choose: {f'{{all: true, cases: {listed}}}' if every else listed}, id: c}}]"


@pytest.mark.parametrize(("a", "b", "otherwise"), list(product((True, False), repeat=3)))
def test_first_and_all_with_and_without_otherwise(a: bool, b: bool, otherwise: bool) -> None:
    functions = {"a": "A", "b": "B", "o": "O"}
    given: dict[str, Any] = {"a": a, "b": b}
    played = play(cases_text(otherwise, False), functions, given)
    expected = "A" if a else "B" if b else "O" if otherwise else given
    assert played.value == expected
    assert len(played.paths) == (1 if a or b or otherwise else 0)
    played = play(cases_text(otherwise, True), functions, given)
    taken: dict[str, Any] = {name: name.upper() for name in "ab" if given[name]}
    if not taken and otherwise:
        taken = {"otherwise": "O"}
    assert played.value == (taken or given)
    assert played.paths == [f"c.{name}.{'o' if name == 'otherwise' else name}" for name in taken]


def test_otherwise_may_stand_anywhere_and_is_the_last_to_be_asked() -> None:
    text = "steps: [{choose: [{otherwise: true, call: o}, {when: '${value == 1}', call: a}]}]"
    assert [play(text, {"a": "A", "o": "O"}, n).value for n in (1, 2)] == ["A", "O"]


def test_conditions_are_asked_in_order_and_only_until_one_holds() -> None:
    text = """
        steps:
          - choose:
              - {when: "${value.kind == 'a'}", steps: [{set: first}]}
              - {when: "${value.number > 1}", steps: [{set: second}]}
        """
    assert play(text, {}, {"kind": "a"}).value == "first"
    assert play(text, {}, {"kind": "b", "number": 2}).value == "second"
    path, said = play(text, {}, {"kind": "b"}).mistake
    assert path == "choose"
    assert said == "`${value.number > 1}`: `value.number`: there is no `number` in the object with the keys `kind`"


@pytest.mark.parametrize(
    ("value", "what"), [(1, "a number"), ("true", "text"), (None, "null"), ([], "a list"), ({}, "an object")]
)
@pytest.mark.parametrize("every", [False, True])
def test_a_condition_that_is_no_boolean_is_a_mistake_and_nothing_begins(value: Any, what: str, every: bool) -> None:
    played = play(cases_text(True, every), {}, {"a": False, "b": value})
    assert played.mistake == ("c", f"`${{input.b}}` is {what}, not a boolean; compare it with something")
    assert played.paths == []


def test_a_mistake_in_a_condition_can_be_caught() -> None:
    text = "steps: [{choose: [{when: '${value.x}', call: f}], id: c, on_error: {value: '${error.step}'}}]"
    assert play(text, {}, {}).value == "c"


def test_the_value_and_the_steps_of_a_case_are_its_own() -> None:
    text = """
        steps:
          - {set: {n: 1}, id: x}
          - choose:
              - when: "${steps.x.n == 1}"
                steps: [{set: {n: 2}, id: x}, {set: "${[steps.x.n, value.n, input]}"}]
          - {set: "${[value, steps.x.n, steps.choose]}"}
        """
    assert play(text, {}, 9).value == [[2, 2, 9], 1, [2, 2, 9]]
    assert "there is no step `y` here" in problems_of(
        "steps: [{choose: [{when: '${true}', steps: [{set: 1, id: y}]}]}, {set: '${steps.y}'}]"
    )


def test_all_cases_run_at_once_and_the_failure_of_one_cancels_the_others() -> None:
    text = """
        steps:
          - choose:
              all: true
              cases:
                - {when: "${true}", name: a, steps: [{call: a, undo: u}, {call: a2, undo: u}]}
                - {when: "${false}", name: b, call: never}
                - {when: "${true}", name: c, steps: [{call: c}]}
                - {when: "${true}", name: d, steps: [{call: d, undo: u}]}
            id: x
        """
    functions = {"a": 1, "a2": ok(2).later(2), "c": ok(3).later(1), "d": ok(4).later(3)}
    played = play(text, functions, 0)
    assert played.value == {"a": 2, "c": 3, "d": 4}
    assert played.took < 3.1
    played = play(text, {**functions, "c": refused(409).later(1)}, 0)
    assert (played.error.path, played.error.outcome.status) == ("x.c.c", 409)
    assert played.functions.aborted == ["x.a.a2", "x.d.d"]
    assert played.paths[4:6] == ["x.d.d/undo", "x.a.a2/undo"]
    assert played.paths[-1] == "x.a.a/undo"


def test_failures_of_several_cases_are_told_together() -> None:
    cases = "{when: '${true}', name: a, steps: [{fail: one}]}, {when: '${true}', name: b, steps: [{fail: two}]}"
    played = play(f"steps: [{{choose: {{all: true, cases: [{cases}]}}}}]")
    assert played.error.path == "choose.a.fail"
    assert [failure.outcome.detail for failure in played.error.siblings] == ["one", "two"]


def test_what_a_case_did_is_undone_with_what_was_done_before_and_after_it() -> None:
    text = """
        steps:
          - {call: before, undo: u}
          - choose: [{when: "${true}", steps: [{call: a, undo: u}, {call: b, undo: u}]}]
            id: x
          - {call: after, undo: u}
          - bad
        """
    played = play(text, {"bad": refused()})
    assert [path for path in played.paths if "undo" in path] == [
        "after/undo", "x.case_1.b/undo", "x.case_1.a/undo", "before/undo",
    ]  # fmt: skip


def test_a_result_that_cannot_be_joined_is_told_by_case() -> None:
    text = """
        steps:
          - f
          - choose: {all: true, cases: [{when: "${true}", name: a, steps: [{set: "${steps.f}"}]}]}
        """
    path, said = play(text, {"f": Payload.of(b"image/png", b"\x89PNG\xff")}).mistake
    assert path == "choose"
    assert said == "case a cannot be joined: image/png of 5 bytes is neither JSON nor text"


def test_choices_in_choices_in_loops() -> None:
    text = """
        steps:
          - foreach: "${input}"
            id: e
            steps:
              - choose:
                  - when: "${item < 10}"
                    steps:
                      - choose:
                          - {when: "${item < 5}", steps: [{set: small}]}
                          - {otherwise: true, steps: [{set: "${'middle ' + string(index)}"}]}
                  - {when: "${item < 100}", steps: []}
        """
    assert play(text, {}, [1, 7, 50, 500]).value == ["small", "middle 1", 50, 500]
