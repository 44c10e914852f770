"""Templates: what is written, spliced with what is seen."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.payload import JSON, Payload
from legato.values import EvaluationFailed, ExpressionError, Fault, Reference, compile_template
from tests.values.scene import Scene

SCENE = Scene(
    {"pay": b'{"id": 7.0}', "none": None, "raw": Payload.of(b"image/png", b"\xff")},
    input=b'{"orderId": 12, "user": {"name": "Zo\\u00eb", "na": null}, "lines": [ {"n": 1.0} , 2]}',
    value=b'{"total": 1.10, "big": 123456789012345678901234567890, "text": "a\\"b\\nc", "yes": true}',
)


def made(template: object) -> str:
    return compile_template(template).payload(SCENE).body.decode()


def found(template: object) -> tuple[Fault, ...]:
    with pytest.raises(ExpressionError) as caught:
        compile_template(template)
    return caught.value.faults


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("${value.total}", "1.10"),
        ({"order": "${input.orderId}", "amount": "${value.total}"}, '{"order":12,"amount":1.10}'),
        ({"a": ["${value.big}", {"b": "${input.user}"}]},
         '{"a":[123456789012345678901234567890,{"b":{"name": "Zo\\u00eb", "na": null}}]}'),
        ({"all": "${input.lines}", "one": "${input.lines[0].n}"}, '{"all":[ {"n": 1.0} , 2],"one":1.0}'),
        ({"a": "${value.total * 2}", "b": "${input.orderId + 1}"}, '{"a":2.2,"b":13}'),
        ({"a": "${steps.pay.id}", "b": "${steps.none}"}, '{"a":7.0,"b":null}'),
        (["${value.yes}", "${value.text}"], '[true,"a\\"b\\nc"]'),
        ({"a": 1, "b": 2.5, "c": None, "d": True, "e": "x", "f": [], "g": {}},
         '{"a":1,"b":2.5,"c":null,"d":true,"e":"x","f":[],"g":{}}'),
        (12345678901234567890123, "12345678901234567890123"),
        ("", '""'),
        (("${value.total}",), "[1.10]"),
        ("Order ${input.orderId} for ${value.total} EUR", '"Order 12 for 1.10 EUR"'),
        ("${input.user.name} says ${value.text}", '"Zo\u00eb says a\\"b\\nc"'),
        ("${value.yes}${value.total * 2}", '"true2.2"'),
        ("lines: ${input.lines}", '"lines: [{\\"n\\":1.0},2]"'),
        ("it is ${value.total > 1 ? 'much' : 'little'}", '"it is much"'),
        ("$${value.total}", '"${value.total}"'),
        ("a $${b} ${value.total}", '"a ${b} 1.10"'),
        ("$ {x} $x }{", '"$ {x} $x }{"'),
        ("${'}'}", '"}"'),
        ("${ {'a': {'b': 1}}.a.b } and ${'${'}", '"1 and ${"'),
        ("${'a' // }\n}", '"a"'),
        ({"$${key}": "$${v}"}, '{"${key}":"${v}"}'),
        ({"": "${value.yes}"}, '{"":true}'),
        (" ${value.yes} ", '" true "'),
    ],
)  # fmt: skip
def test_what_templates_make(template: object, body: str) -> None:
    assert made(template) == body


def test_the_result_is_a_json_payload() -> None:
    payload = compile_template({"a": "${value.total}"}).payload(SCENE)
    assert (payload.content_type, payload.size) == (JSON, len(payload.body))
    assert payload.json() == b'{"a":1.10}'


def test_one_whole_root_is_the_very_payload() -> None:
    assert compile_template("${steps.raw}").payload(SCENE) is SCENE.step("raw")
    with pytest.raises(EvaluationFailed, match=r"`steps\.raw` cannot be read: image/png of 1 bytes"):
        made({"image": "${steps.raw}"})


def test_a_constant_is_made_once() -> None:
    template = compile_template({"a": [1, "$${x}"]})
    scene = Scene()
    assert template.is_constant
    assert template.payload(scene) is template.payload(scene)
    assert template.payload(scene).body == b'{"a":[1,"${x}"]}'
    assert not compile_template("${1}").is_constant
    assert not compile_template({"a": "x${1}"}).is_constant


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a ${input.user.na}",
         "`${input.user.na}` is null, which has no place in a text; "
         "write `${input.user.na != null ? input.user.na : ''}`"),
        ({"a": "${value.total}", "b": "${value.total.x}"},
         "`${value.total.x}`: `value.total` is a number, not an object"),
        ({"a": "${value.total}", "b": "${value.nope}"},
         "`${value.nope}`: there is no `nope` in the object with the keys `total`, `big`, `text`, `yes`"),
        ("${1 / 0}", "`${1 / 0}`: division by zero"),
    ],
)  # fmt: skip
def test_what_cannot_be_made(template: object, said: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        made(template)
    assert str(caught.value) == said


def test_references_say_where_they_stand() -> None:
    template = compile_template({"a": ["x", "to ${input.user.name}: ${steps['check-out'] > 1}"], "b": "${value}"})
    assert template.references == (
        Reference("input", "", 5, ("user", "name"), "input.user.name", ("a", 1)),
        Reference("steps", "check_out", 25, (), "steps['check-out']", ("a", 1)),
        Reference("value", "", 2, (), "value", ("b",)),
    )


def test_every_fault_with_its_place() -> None:
    template = {
        "a": "${vlaue.x} and ${value. } and ${inptu}",
        "b": [1, {"c": "${value.x"}],
        "${d}": "${value}",
        "e": math.inf,
        "f": {1: 2},
        "g": object(),
        "h": "\ud800",
        "i": "${'a} and ${b}",
    }
    assert [(fault.pointer, fault.offset, fault.message) for fault in found(template)] == [
        (("a",), 2, "`vlaue` is not known"),
        (("a",), 24, "the expression ends too early"),
        (("a",), 32, "`inptu` is not known"),
        (("b", 1, "c"), 0, "the `${` is never closed"),
        (("${d}",), 0, "the key `${d}` holds an expression"),
        (("e",), 0, "inf cannot be written as JSON"),
        (("f",), 0, "a key that is int, not text"),
        (("g",), 0, "a value of type object cannot be written as JSON"),
        (("h",), 0, "text with half a surrogate pair"),
        (("i",), 2, "text that begins with ' is never closed"),
        (("i",), 12, "`b` is not known"),
    ]
    assert [fault.remedy for fault in found("${value.x")] == ["write the `}` that ends it, or `$${` for a literal `${`"]


def test_undo_knows_more_roots() -> None:
    template = compile_template({"id": "${result.id}", "of": "${sent.n}"}, undo=True)
    assert template.payload(Scene(result={"id": 1}, sent={"n": 2})).body == b'{"id":1,"of":2}'
    assert found("${sent.n}")[0].message == "`sent` is known in `undo` only"


def test_templates_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(128):
        deep = [deep]
    assert made(deep) == "[" * 128 + '"x"' + "]" * 128
    assert [fault.message for fault in found([deep])] == ["nested deeper than 128"]
    assert len(found(["${x}"] * 1_000)) == 100
    assert len(found("${x}" * 50_000)) == 100
    assert len(found("${" * 50_000)) == 1
    assert found("${'" + "x" * 10_000)[0].message == "text that begins with ' is never closed"
    assert (
        found("${" + "1 + " * 3_000 + "1}")[0].message
        == "an expression is longer than 4096 characters, or its `}` is missing"
    )


def test_many_fields_of_one_document_are_read_in_one_pass() -> None:
    names = [f"f{number}" for number in range(300)]
    scene = Scene(value={name: {"x": index} for index, name in enumerate(names)})
    template = compile_template({name: f"${{value.{name}.x}}" for name in names})
    assert json.loads(template.payload(scene).body) == {name: index for index, name in enumerate(names)}
    assert scene.asked == ["value"]


def test_paths_within_one_another() -> None:
    scene = Scene(value=b'{"a": {"b": 1.0, "c": {"d": 2.0}}, "e": [3.0]}')
    template = {
        "all": "${value}", "a": "${value.a}", "b": "${value.a.b}", "c": "${value.a.c}", "d": "${value.a.c.d}",
        "again": "${value.a.b}", "e": "${value.e[0]}", "sum": "${value.a.b + value.a.c.d}",
    }  # fmt: skip
    assert json.loads(compile_template(template).payload(scene).body) == {
        "all": {"a": {"b": 1.0, "c": {"d": 2.0}}, "e": [3.0]}, "a": {"b": 1.0, "c": {"d": 2.0}}, "b": 1.0,
        "c": {"d": 2.0}, "d": 2.0, "again": 1.0, "e": 3.0, "sum": 3.0,
    }  # fmt: skip


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner),
    max_leaves=20,
)  # fmt: skip


def escaped(value: Any) -> Any:
    """A value as a template that makes just that."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    return {escaped(key): escaped(inner) for key, inner in value.items()} if isinstance(value, dict) else value


@given(json_values)
def test_any_value_makes_itself(value: Any) -> None:
    template = compile_template(escaped(value))
    assert template.is_constant
    assert json.loads(template.payload(Scene()).body) == value


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), json_values, min_size=1, max_size=6))
def test_any_value_is_spliced(value: dict[str, Any]) -> None:
    scene = Scene(value=value)
    template = {key: f"${{value[{json.dumps(key, ensure_ascii=False)}]}}" for key in value}
    body = compile_template({escaped(key): inner for key, inner in template.items()}).payload(scene).body
    assert body == scene.root("value").body
