"""What each step leaves as the value, and as `steps.<id>` (contract 3, row by row)."""

from __future__ import annotations

from typing import Any

import pytest

from legato.model.flow import Flow
from legato.model.mapping import Template
from legato.model.payload import EMPTY, Payload
from legato.model.steps import CallStep, SetStep
from legato.testing import ok, refused
from tests.language.play import Functions, play

FUNCTIONS: dict[str, Any] = {
    "double": lambda value: value * 2,
    "name": lambda value: {"name": value},
    "nothing": EMPTY,
    "no-content": ok(status=204),
    "bad": refused(409),
    "text": Payload.of(b"text/plain", b"hello"),
}
IMAGE = Payload.of(b"image/png", b"\x89PNG\xff\x00")

# (the step, whose id is `it`; what it leaves of the value 3)
ROWS: list[tuple[str, Any]] = [
    ("{call: double, id: it}", 6),
    ("{call: name, id: it}", {"name": 3}),
    ("{call: nothing, id: it}", None),
    ("{call: text, id: it}", "hello"),
    ("{flow: other, id: it}", {"was": 3, "is": 6}),
    ("{steps: [double, double], id: it}", 12),
    ("{steps: [double, {call: nothing}], id: it}", None),
    ("{steps: [], id: it}", 3),
    ("{steps: [{steps: []}, double, {steps: []}], id: it}", 6),
    ("{parallel: {b: double, a: name}, id: it}", {"b": 6, "a": {"name": 3}}),
    ("{parallel: {b: double, a: {call: name, when: '${false}'}}, id: it}", {"b": 6}),
    ("{parallel: {b: {call: bad, on_error: skip}, a: nothing}, id: it}", {"a": None}),
    ("{parallel: {b: {call: double, when: '${false}'}}, id: it}", {}),
    ("{parallel: {a: [double, double], b: {steps: []}}, id: it}", {"a": 12, "b": 3}),
    ("{parallel: {a: {steps: [{call: double, when: '${false}'}]}}, id: it}", {"a": 3}),
    ("{parallel: {a: {sleep: 1s}, b: {set: 1}}, id: it}", {"a": 3, "b": 1}),
    ("{graph: {a: double}, id: it}", 6),
    ("{graph: {a: double, b: {call: double, after: a}}, id: it}", 12),
    ("{graph: {a: double, b: {call: name, after: a}, c: {set: 1, after: a}}, id: it}", {"b": {"name": 6}, "c": 1}),
    ("{graph: {a: double, b: name, c: {set: '${value}', after: [b, a]}}, id: it}", {"a": 6, "b": {"name": 3}}),
    ("{foreach: ['${value}', 4], id: it, steps: [double]}", [6, 8]),
    ("{foreach: [1, 2], id: it, steps: []}", [1, 2]),
    ("{foreach: [], id: it, steps: [double]}", []),
    ("{foreach: [1, 2], id: it, steps: [nothing]}", [None, None]),
    ("{foreach: [1, 2], id: it, steps: [{call: bad, when: '${item == 1}'}], tolerate: 1}", [None, 2]),
    (
        "{foreach: [1, 2], id: it, steps: [double], collect: outcomes}",
        [{"ok": True, "value": 2}, {"ok": True, "value": 4}],
    ),
    ("{foreach: {over: {x: 1, 'y z': 2}, steps: [{set: '${item}'}]}, id: it}",
     [{"key": "x", "value": 1}, {"key": "y z", "value": 2}]),
    ("{foreach: {over: {x: 1, 'y z': 2}, steps: [{set: '${item.value}'}], collect: object}, id: it}",
     {"x": 1, "y z": 2}),
    ("{choose: [{when: '${value == 3}', call: double}, {otherwise: true, call: name}], id: it}", 6),
    ("{choose: [{when: '${value == 4}', call: double}, {otherwise: true, call: name}], id: it}", {"name": 3}),
    ("{choose: [{when: '${value == 4}', call: double}], id: it}", 3),
    ("{choose: [{when: '${value == 3}', steps: []}, {otherwise: true, call: name}], id: it}", 3),
    ("{choose: {all: true, cases: [{name: a, when: '${true}', call: double}, {name: b, when: '${true}', call: name}]}, "
     "id: it}", {"a": 6, "b": {"name": 3}}),
    ("{choose: {all: true, cases: [{name: a, when: '${false}', call: double}]}, id: it}", 3),
    ("{set: 7, id: it}", 7),
    ("{set: '${value}', id: it}", 3),
    ("{set: {a: '${value}', b: [x, '${value + 1}']}, id: it}", {"a": 3, "b": ["x", 4]}),
    ("{set: null, id: it}", None),
    ("{sleep: 1s, id: it}", 3),
    ("{respond: early, id: it}", 3),
    ("{call: double, id: it, input: '${value + 1}'}", 8),
    ("{call: double, id: it, output: {doubled: '${value}'}}", {"doubled": 6}),
    ("{call: name, id: it, output: {pick: name}}", {"name": 3}),
    ("{call: bad, id: it, on_error: {value: '${error.status}'}}", 409),
    ("{call: bad, id: it, on_error: {steps: [double]}}", 6),
    ("{call: bad, id: it, on_error: {steps: []}}", 3),
]  # fmt: skip


@pytest.mark.parametrize(("step", "left"), ROWS, ids=[step for step, _ in ROWS])
def test_what_a_step_leaves(step: str, left: Any) -> None:
    """As the value, as the result of the flow, and as `steps.it`."""
    others = {"other": "steps: [double]\noutput: {was: '${input}', is: '${value}'}"}
    played = play(f"steps: [{step}]", FUNCTIONS, 3, flows=others)
    result = played.run.kernel.result.value()
    assert result == left
    played = play(
        f"steps: [{step}, {{call: look, input: ['${{value}}', '${{steps.it}}']}}]", FUNCTIONS, 3, flows=others
    )
    assert played.sent["look"] == [left, left]


SKIPPED = [
    "{call: double, id: it, when: '${false}'}",
    "{call: double, id: it, when: '${value == 4}', input: '${value.none}', output: '${value.none}'}",
    "{call: bad, id: it, on_error: skip}",
    "{fail: no, id: it, on_error: skip}",
    "{set: '${value.none}', id: it, on_error: skip}",
    "{steps: [double, bad], id: it, on_error: skip}",
    "{parallel: {a: double, b: bad}, id: it, on_error: skip}",
    "{graph: {a: double, b: {call: bad, after: a}}, id: it, on_error: skip}",
    "{foreach: [1], steps: [bad], id: it, on_error: skip}",
    "{choose: [{when: '${true}', call: bad}], id: it, on_error: skip}",
    "{flow: other, id: it, on_error: skip}",
    "{respond: '${value.none}', id: it, on_error: skip}",
    "{sleep: 3s, timeout: 1s, id: it, on_error: skip}",
]


@pytest.mark.parametrize("step", SKIPPED)
def test_what_is_skipped_leaves_the_value_and_is_null(step: str) -> None:
    text = f"steps: [{step}, {{call: look, input: ['${{value}}', '${{steps.it}}', '${{has(steps.it)}}']}}]"
    played = play(text, FUNCTIONS, 3, flows={"other": "steps: [double, bad]"})
    assert played.sent["look"] == [3, None, False]
    assert played.completed == ("on_error" not in step)


PAYLOADS = [
    IMAGE,
    Payload.of(b"text/plain", b"caf\xc3\xa9"),
    EMPTY,
    Payload.of(b"application/json", b' {"n": 1.50, "big": 123456789012345678901234} '),
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "step",
    [
        "{steps: []}", "{set: '${value}'}", "{sleep: 10ms}", "{call: any, when: '${false}'}",
        "{choose: [{when: '${false}', call: any}]}", "{choose: [{when: '${true}', steps: []}]}",
        "{call: bad, on_error: skip}", "{call: bad, on_error: {steps: []}}",
        "{call: bad, on_error: {value: '${value}'}}",
        "{graph: {a: {steps: []}}}", "{graph: {a: {steps: []}, b: {steps: [], after: a}}}",
        "{parallel: {a: {steps: []}}, merge: first}", "{flow: same}", "{set: 1, output: '${input}'}",
        "{call: bad, when: '${false}', timeout: 1s}", "{steps: [{sleep: 1s}], timeout: 2s}", "{respond: x}",
    ],
)  # fmt: skip
def test_what_nobody_looks_into_is_passed_on_as_it_came(step: str, payload: Payload) -> None:
    played = play(
        f"steps: [{step}, last]", {**FUNCTIONS, "last": None}, payload, flows={"same": "steps: [{steps: []}]"}
    )
    assert played.failure is None, played.failure
    calls = [command for command in played.run.kernel.issued.values() if command.path == "last"]
    assert calls[0].payload is payload


def test_numbers_are_passed_on_as_they_were_written() -> None:
    payload = Payload.of(b"application/json", b'{"a": 1.10, "b": 12345678901234567890123, "c": 1e2}')
    played = play("steps: [{set: ['${value.a}', '${value.b}', '${value.c}']}]", {}, payload)
    assert played.payload.body == b"[1.10,12345678901234567890123,1e2]"


def test_an_empty_flow_result_is_null_and_a_flows_output_sees_everything() -> None:
    text = """
        steps: [double, {set: {seen: '${value}'}, id: made}]
        output: {value: '${value}', made: '${steps.made.seen}', input: '${input}', double: '${steps.double}'}
        """
    assert play(text, FUNCTIONS, 3).value == {"value": {"seen": 6}, "made": 6, "input": 3, "double": 6}
    assert play("steps: [nothing]", FUNCTIONS, 3).value is None
    assert play("steps: [nothing, {set: '${value}'}]", FUNCTIONS, 3).value is None


def test_an_output_that_cannot_be_made_fails_the_flow_and_what_was_done_is_undone() -> None:
    played = play("steps: [{call: double, undo: halve}]\noutput: '${value.total}'", FUNCTIONS, 3)
    step, detail = played.mistake
    assert (step, detail) == ("", "`${value.total}`: `value` is a number, not an object")
    assert played.paths == ["double", "double/undo"]
    assert not played.run.kernel.result.size


def test_shaping_stands_wherever_a_value_is_made() -> None:
    whole = {"data": {"id": 7, "user": {"name": "Ada", "age": 36}}}
    shaped = {"order": {"id": 7, "user": {}, "name": "Ada"}}
    shape = "{under: data, pick: [id, user], drop: user.age, rename: {user.name: name}, wrap: order}"
    for step in (f"{{set: {shape}}}", f"{{call: same, output: {shape}}}", f"{{call: same, input: {shape}}}",
                 f"{{call: bad, on_error: {{value: {shape}}}}}"):  # fmt: skip
        assert play(f"steps: [{step}]", FUNCTIONS, whole).value == shaped, step
    played = play(f"steps: [{{respond: {shape}}}]\noutput: {shape}", FUNCTIONS, whole)
    assert (played.payload.value(), played.run.kernel.result.value()) == (shaped, shaped)


@pytest.mark.parametrize(
    "spelling",
    ["steps.a_b", "steps . a_b", "steps\n   .a_b", "steps // what was done\n .a_b", 'steps["a-b"]', "steps['a_b']",
     "steps [ 'a-b' ]", 'steps["a\\u005fb"]', "steps[r'a-b']", "steps['''a-b''']", "[steps.off, steps.a_b][1]",
     "{'steps.x': steps .a_b}['steps.x']"],
)  # fmt: skip
def test_however_a_step_is_written_it_is_remembered(spelling: str) -> None:
    definition = Flow(
        name="main",
        steps=(
            CallStep(function="double", id="a-b"),
            CallStep(function="name", id="off", when="${false}"),
            SetStep(set=Template(value="x")),
        ),
        output=Template(value="${" + spelling + "}"),
    )
    assert play(definition, FUNCTIONS, 1).value == 2


def test_the_last_of_two_results_of_one_id_in_two_scopes_is_the_inner_one() -> None:
    text = """
        steps:
          - {set: outer, id: x}
          - parallel:
              a: [{set: inner, id: x}, {set: "${steps.x}"}]
              b: {set: "${steps.x}"}
          - {set: {together: "${value}", outside: "${steps.x}"}}
        """
    assert play(text).value == {"together": {"a": "inner", "b": "outer"}, "outside": "outer"}


@pytest.mark.parametrize("inner", ["{set: inner, id: x, when: '${false}'}", "{call: bad, id: x, on_error: skip}"])
@pytest.mark.parametrize("around", ["{steps: [STEPS]}", "{parallel: {a: [STEPS]}}", "{foreach: [1], steps: [STEPS]}"])
def test_a_skipped_step_hides_one_of_the_same_id_outside(inner: str, around: str) -> None:
    text = "steps: [{set: outer, id: x}, " + around + "]\noutput: '${value}'"
    if "{steps:" in around:
        text = text.replace("outer, id: x", "outer, id: y")  # one scope
    steps = f"{inner}, {{set: '${{[steps.x]}}'}}"
    value = play(text.replace("STEPS", steps), FUNCTIONS).value
    assert value in ([None], {"a": [None]}, [[None]])


def test_what_a_binary_value_is_when_somebody_looks() -> None:
    detail = "image/png of 6 bytes is neither JSON nor text"
    for step, where in (("{set: '${value.a}'}", "set"), ("{call: f, when: '${value == 1}'}", "f"),
                        ("{set: {a: '${value}'}}", "set")):  # fmt: skip
        path, said = play(f"steps: [{step}]", FUNCTIONS, IMAGE).mistake
        assert path == where
        assert detail in said, step


def test_functions_are_asked_in_order() -> None:
    assert isinstance(play("steps: [double]", FUNCTIONS, 1).functions, Functions)
