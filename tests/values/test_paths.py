"""Plain paths: what they find is spliced as it was written, and what they do not find is said."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.payload import EMPTY, JSON, Payload
from legato.values import compile_expression
from tests.values.scene import Scene, evaluate, failure

DOCUMENT = b""" {"total" : 1.10, "user": {"id": 1e2, "na me": "\\u00e9", "a-b": [true, null, {"x": -0}]},
  "big": 123456789012345678901234567890, "empty": {}, "none": [], "text": "a.b"} """


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("value.total", "1.10"),
        ("value.user.id", "1e2"),
        ('value.user["na me"]', '"\\u00e9"'),
        ("value.user['a-b']", '[true, null, {"x": -0}]'),
        ("value['user']['a-b'][2].x", "-0"),
        ("value.user['a-b'][0]", "true"),
        ("value.user['a-b'][1]", "null"),
        ("value.big", "123456789012345678901234567890"),
        ("value.empty", "{}"),
        ("value.none", "[]"),
        (" value . total ", "1.10"),
        ("(value.user).id", "1e2"),
        ("((value).user.id)", "1e2"),
    ],
)
def test_what_is_there_is_given_as_it_was_written(path: str, found: str) -> None:
    assert evaluate(path, value=DOCUMENT) == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "value.nope",
            "there is no `nope` in the object with the keys `total`, `user`, `big`, `empty`, `none`, `text`",
        ),
        ("value.total.x", "`value.total` is a number, not an object"),
        ("value.text.x", "`value.text` is text, not an object"),
        ("value.user['a-b'].x", '`value.user["a-b"]` is a list, not an object'),
        ("value.user['a-b'][3]", "there is no `[3]` in the list of 3"),
        ("value.user['a-b'][1].x", '`value.user["a-b"][1]` is null, not an object'),
        ("value.user['a-b'][0].x", '`value.user["a-b"][0]` is a boolean, not an object'),
        ("value.user[0]", "`value.user` is an object, not a list"),
        ("value.empty.x", "there is no `x` in the empty object"),
        ("value.none[0]", "there is no `[0]` in the empty list"),
        ("value[0]", "`value` is an object, not a list"),
    ],
)
def test_what_is_not_there_is_said(path: str, said: str) -> None:
    whole = path if "'" not in path else path.replace("'", '"')
    assert failure(path, value=DOCUMENT).replace(f"`{whole}`: ", "", 1) == f"`${{{path}}}`: {said}"


def test_the_message_names_the_path_once() -> None:
    assert (
        failure("value.nope", value=b'{"a": 1}')
        == "`${value.nope}`: there is no `nope` in the object with the keys `a`"
    )
    assert failure("value.nope + 1", value=b'{"a": 1}') == (
        "`${value.nope + 1}`: `value.nope`: there is no `nope` in the object with the keys `a`"
    )


def test_of_many_keys_the_first_are_named() -> None:
    document = {f"k{number}": 0 for number in range(14)}
    said = failure("value.nope", value=document)
    assert said.endswith("the keys " + ", ".join(f"`k{number}`" for number in range(10)) + " and 4 more")
    assert failure("value.nope", value={"a\nb\x00": 1, "x" * 99: 2}).endswith(f"`a\ufffdb\ufffd`, `{'x' * 57}...`")


def test_a_body_that_is_no_json_says_what_it_is() -> None:
    text = Payload.of(b"text/plain", b'{"a": 1}')
    assert failure("value.a", value=text) == "`${value.a}`: `value` is text, not JSON"
    assert failure("value.a", value=b'"{}"') == "`${value.a}`: `value` is text, not an object"
    image = Payload.of(b"image/png", b"\xff\xfe\x00")
    for source in ("value.a", "value.a + 1", "size(value)"):
        said = "`value` cannot be read: image/png of 3 bytes is neither JSON nor text"
        assert failure(source, value=image) == f"`${{{source}}}`: {said}"
    assert failure("value.a", value=Payload.of(JSON, b"{")).startswith("`${value.a}`: `value` cannot be read: declared")
    assert failure("value.a", value=EMPTY) == "`${value.a}`: `value` is null, not an object"


def test_a_whole_root_is_the_very_payload() -> None:
    image, answer = Payload.of(b"image/png", b"\xff"), Payload.of(b"text/csv", b"a,b")
    scene = Scene({"charge_card": answer}, value=image)
    assert compile_expression("value").payload(scene) is image
    assert compile_expression("steps.charge_card").payload(scene) is answer
    assert compile_expression("steps['charge-card']").payload(scene) is answer


def test_a_part_is_a_json_payload() -> None:
    part = compile_expression("value.user").payload(Scene(value=b'{"user": {"id": 1.0}}'))
    assert (part.content_type, part.body, part.size) == (JSON, b'{"id": 1.0}', 11)
    assert part.json() == part.body


def test_steps_go_by_their_id_with_underscores() -> None:
    steps: dict[str, object] = {"check_order": b'{"total": 1.50}', "a_b": b"2"}
    for source in ("steps.check_order.total", "steps['check-order'].total", 'steps["check_order"]["total"]'):
        assert evaluate(source, steps) == "1.50"
    assert failure("steps.check_order.x", steps).endswith("`x` in the object with the keys `total`")
    assert evaluate("steps['a-b'] + 1", steps) == "3"


def test_escaped_and_repeated_keys() -> None:
    assert evaluate("value.name", value=b'{"\\u006eame": 1}') == "1"
    assert evaluate("value.a", value=b'{"a": 1, "a": 2}') == "2"
    assert evaluate("value.a.b", value=b'{"a": {"b": 1}, "a": {"b": 2}}') == "2"
    assert evaluate(r"value['a\"b\\c\n']", value={'a"b\\c\n': 7}) == "7"
    assert evaluate("value['']", value=b'{"": 5}') == "5"
    assert evaluate("value['\u00e9']['\u00f6']", value={"\u00e9": {"\u00f6": 1}}) == "1"


def test_only_what_is_named_is_looked_at() -> None:
    scene = Scene({"a": b"1", "b": b"2"}, value=b"{}", input=b'{"x": 1}')
    assert compile_expression("input.x").evaluate(scene) == b"1"
    assert compile_expression("true ? steps.a : steps.b").evaluate(scene) == b"1"
    assert compile_expression("steps.b == 2 || value.nope").truth(scene)
    assert scene.asked == ["input", "steps.a", "steps.b"]


def test_the_rest_of_a_document_is_not_decoded() -> None:
    document = b'{"rows": [%b], "last": {"id": 7}}' % b",".join([b'{"name": "x", "price": 1}'] * 50_000)
    scene = Scene(value=document)
    scene.root("value").json()
    for source in ("value.last.id", "value.last.id + 0", "has(value.last) && value.last.id == 7"):
        expression = compile_expression(source)
        expression.evaluate(scene)
        tracemalloc.start()
        expression.evaluate(scene)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20_000  # decoded, it is more than ten million


keys = st.text(st.characters(codec="utf-8"), max_size=3) | st.sampled_from(["a", "a-b", "in", "steps", "0"])
documents: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(codec="utf-8"), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=15,
)


@given(documents, st.data())
def test_every_part_of_any_document_is_found(document: Any, data: st.DataObject) -> None:
    source, part = "value", document
    while isinstance(part, (list, dict)) and part and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(list(range(len(part))) if isinstance(part, list) else list(part)))
        source += f"[{json.dumps(key, ensure_ascii=False)}]"
        part = part[key]
    scene = Scene(value=document)
    found = compile_expression(source).evaluate(scene)
    assert json.loads(found) == part
    assert found in scene.root("value").body
    assert compile_expression(f"[{source}]").evaluate(scene) == b"[" + found + b"]"
    if source != "value":
        assert compile_expression(f"has({source})").truth(scene)
        assert not compile_expression(f"has({source}.surely_not)").truth(scene)
