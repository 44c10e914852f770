"""JSON Schemas of a flow's input: what is wrong is said without repeating it; nothing is fetched, nothing runs away."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.errors import NotJSON
from legato.model.payload import EMPTY, JSON, Payload
from legato.values import ExpressionError, SchemaProblem, compile_schema
from tests.values.scene import payload

ORDER = {
    "type": "object",
    "required": ["orderId"],
    "additionalProperties": False,
    "properties": {
        "orderId": {"type": "integer"},
        "mail": {"type": "string", "format": "email"},
        "a/b~c": {"type": "array", "items": {"$ref": "#/$defs/code"}},
    },
    "$defs": {"code": {"pattern": "^[A-Z]{2}$"}},
}


def problems(schema: object, document: object) -> list[tuple[str, str]]:
    return [(each.pointer, each.detail) for each in compile_schema(schema).problems(payload(document))]


def faults(schema: object) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ExpressionError) as caught:
        compile_schema(schema)
    assert all(fault.remedy for fault in caught.value.faults)
    return [(fault.pointer, fault.message) for fault in caught.value.faults]


def test_what_fits_has_no_problems() -> None:
    assert problems(ORDER, b'{"orderId": 1, "mail": "a@b.example", "a/b~c": ["DE", "FR"]}') == []
    assert problems(True, b"5") == []
    assert problems({}, EMPTY) == []
    assert problems({"type": "null"}, EMPTY) == []
    assert problems({"type": "string"}, Payload.of(b"text/plain", b"hi")) == []


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"[]", [("", 'the value is not of type "object"')]),
        (EMPTY, [("", 'the value is not of type "object"')]),
        (b"{}", [("", '"orderId" is a required property')]),
        (b'{"orderId": "secret"}', [("/orderId", 'the value is not of type "integer"')]),
        (b'{"orderId": 1.5}', [("/orderId", 'the value is not of type "integer"')]),
        (b'{"orderId": 1, "mail": "secret"}', [("/mail", 'the value is not a "email"')]),
        (b'{"orderId": 1, "a/b~c": ["DE", "secret"]}', [("/a~1b~0c/1", 'the value does not match "^[A-Z]{2}$"')]),
        (b'{"orderId": 1, "x": "secret"}', [("", "Additional properties are not allowed ('x' was unexpected)")]),
    ],
)
def test_problems_say_where_and_what_is_wanted(document: object, found: list[tuple[str, str]]) -> None:
    assert problems(ORDER, document) == found


def test_nothing_allowed() -> None:
    assert problems(False, b"1") == [("", "there must be nothing here")]
    assert problems({"properties": {"a": False}}, b'{"a": 1}') == [("/a", "there must be nothing here")]


def test_every_problem_is_told_up_to_a_hundred() -> None:
    schema = compile_schema({"items": {"type": "integer"}})
    found = schema.problems(payload(["x"] * 130))
    assert [each.pointer for each in found[:100]] == [f"/{index}" for index in range(100)]
    assert found[100:] == [SchemaProblem("", "30 more")]
    assert len(schema.problems(payload(["x"] * 100))) == 100


def test_a_large_body_is_looked_at_up_to_its_first_problem() -> None:
    schema = compile_schema({"items": {"type": "integer"}})
    found = schema.problems(payload([1, 2, *["x"] * 500_000]))
    assert found == [
        SchemaProblem("/2", 'the value is not of type "integer"'),
        SchemaProblem("", "there may be more: a large body is checked up to its first problem"),
    ]
    assert schema.problems(payload([1] * 500_000)) == []


def test_what_is_no_json_is_somebody_elses_problem() -> None:
    for body in (b"{", b'{"a": 1e999}'):
        with pytest.raises(NotJSON):
            compile_schema({}).problems(Payload.of(JSON, body))
    with pytest.raises(NotJSON):
        compile_schema({}).problems(Payload.of(b"image/png", b"\xff"))


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (5, [((), "a JSON Schema is a mapping")]),
        (None, [((), "a JSON Schema is a mapping")]),
        ({"type": "strin"}, [(("type",), "this is no type of JSON")]),
        ({"properties": {"a": {"type": ["string", "x"]}}}, [(("properties", "a", "type"), "this is no type of JSON")]),
        ({"pattern": "(?=a)"}, [(("pattern",), "the pattern is not valid")]),
        ({"patternProperties": {"(a)\\1": {}}}, [(("patternProperties", "(a)\\1"), "the pattern is not valid")]),
        ({"patternProperties": {"(": {}}}, [(("patternProperties",), "the pattern is not valid")]),
        ({"pattern": "\\w{1000}{1000}"}, [(("pattern",), "the pattern is not valid")]),
        ({"minimum": "5", "required": "x"},
         [(("minimum",), 'the schema is not valid: "5" is not of type "number"'),
          (("required",), 'the schema is not valid: "x" is not of type "array"')]),
        ({"$ref": "#/$defs/nope"}, [((), "the schema is not valid: Pointer '/$defs/nope' does not exist")]),
        ({"$schema": "urn:mine"}, [((), "the schema is not valid: Unknown meta-schema: 'urn:mine'. Custom meta-schemas "
          "must be registered in the registry before use")]),
        ({"a": object()}, [((), "the schema cannot be used: Unsupported type: 'object'")]),
        ({1: 2}, [((), "the schema cannot be used: Dict key must be str or str enum. Got 'int'")]),
        ({"$ref": "https://example.com/x.json"}, [(("$ref",), "`$ref` names another document")]),
        ({"items": [{"$dynamicRef": "other#x"}]},
         [(("items", 0, "$dynamicRef"), "`$dynamicRef` names another document")]),
        ({"$id": "https://example.com/a", "$ref": "b.json"}, [(("$ref",), "`$ref` names another document")]),
        ({"properties": {"enum": {"$ref": "urn:x"}}},
         [((), "the schema is not valid: Resource 'urn:x' is not present in a registry and retrieving it failed: "
           "Retrieval is disabled, cannot fetch urn:x")]),
    ],
)  # fmt: skip
def test_what_is_no_schema(schema: object, found: list[tuple[tuple[str | int, ...], str]]) -> None:
    assert faults(schema) == found


def test_data_within_a_schema_is_no_reference() -> None:
    schema = {"const": {"$ref": "https://example.com"}, "default": {"$ref": "x"}, "examples": [{"$ref": "x"}]}
    assert problems(schema, {"$ref": "https://example.com"}) == []
    assert problems({"properties": {"$ref": {"type": "integer"}}}, {"$ref": 5}) == []


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("something was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for place in ("http://127.0.0.1:9/x", "file:///etc/hostname", "//host/x", "x.json"):
        assert faults({"properties": {"enum": {"$ref": place}}})


def test_other_drafts() -> None:
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert problems(draft7, b'["x"]') == [("/0", 'the value is not of type "integer"')]
    assert problems({"prefixItems": [{"type": "integer"}]}, b'["x"]') == [("/0", 'the value is not of type "integer"')]


def test_schemas_that_lead_into_themselves() -> None:
    assert problems({"$ref": "#"}, b"1") == []
    assert (
        problems({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, b"1") == []
    )
    tree = {"properties": {"next": {"$ref": "#"}}, "required": ["id"]}
    assert problems(tree, {"id": 1, "next": {"id": 2, "next": {}}}) == [("/next/next", '"id" is a required property')]
    deep: Any = {}
    for _ in range(200):
        deep = {"allOf": [deep]}
    assert "nested deeper than 128" in faults(deep)[0][1]


def test_patterns_take_linear_time() -> None:
    found = problems({"pattern": "^(a|aa)+$"}, "a" * 200_000 + "b")  # by trying, this ends with the universe
    assert found == [("", 'the value does not match "^(a|aa)+$"')]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.sampled_from(["object", "#", "x.json", "("]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "$ref", "properties", "items", "pattern", "enum", "allOf", "$id", "$schema", "not"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=5
    ),
)
def test_any_schema_is_one_or_has_faults(schema: Any, document: Any) -> None:
    try:
        found: list[Any] = compile_schema(schema).problems(payload(document))
    except ExpressionError as error:
        found = [fault for fault in error.faults if not (fault.message and fault.remedy)]
        assert error.faults  # noqa: PT017 - either way is right
    assert all(isinstance(each, SchemaProblem) and each.detail for each in found)
