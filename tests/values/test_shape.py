"""Shaping: under, pick, drop, rename, wrap, in this order; untouched parts stay as they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.payload import EMPTY, JSON, Payload
from legato.values import EvaluationFailed, ExpressionError, compile_shape
from tests.values.scene import payload

USER = b"""{"user": {"name": "Ann", "age": 1.10, "tags": [{"k": "a", "v": 1e2}, {"k": "b"}]},
 "items": [{"sku": "x", "price": 1.50}, {"sku": "y"}, 7], "n": null}"""


def shaped(document: object = USER, **words: Any) -> str:
    made = compile_shape(**words).payload(payload(document))
    assert made.content_type == JSON
    assert made.size == len(made.body)
    return made.body.decode()


def said(document: object = USER, **words: Any) -> str:
    with pytest.raises(EvaluationFailed) as caught:
        compile_shape(**words).payload(payload(document))
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ({"under": "user.tags"}, '[{"k": "a", "v": 1e2},{"k": "b"}]'),
        ({"under": "user", "pick": ["age"]}, '{"age":1.10}'),
        ({"under": "nope"}, "{}"),
        ({"under": "n"}, "{}"),
        ({"under": "user.age"}, "{}"),
        ({"under": "user.age.x"}, "{}"),
        ({"under": "items.sku"}, "{}"),
        ({"pick": ["user.name", "items.price", "nope", "n.x"]}, '{"user":{"name":"Ann"},"items":[{"price":1.50},{}]}'),
        ({"pick": ["n", "user.tags.v"]}, '{"user":{"tags":[{"v":1e2},{}]},"n":null}'),
        ({"pick": ["user.tags", "user.tags.k"]}, '{"user":{"tags":[{"k": "a", "v": 1e2}, {"k": "b"}]}}'),
        ({"pick": ["user.nope"]}, "{}"),
        ({"drop": ["user", "n"]}, '{"items":[{"sku": "x", "price": 1.50}, {"sku": "y"}, 7]}'),
        ({"drop": ["items.sku", "user", "n", "nope.x"]}, '{"items":[{"price":1.50},{},7]}'),
        ({"drop": ["items", "user.tags.k", "user.age", "n.x"]},
         '{"user":{"name":"Ann","tags":[{"v":1e2},{}]},"n":null}'),
        ({"pick": ["user"], "drop": ["user.tags", "user.age"]}, '{"user":{"name":"Ann"}}'),
        ({"pick": ["user.name"], "rename": {"user": "who"}}, '{"who":{"name":"Ann"}}'),
        ({"pick": ["user.name"], "rename": {"user.name": "customer.name"}}, '{"user":{},"customer":{"name":"Ann"}}'),
        ({"under": "user", "drop": ["tags"], "rename": {"name": "age", "age": "name"}}, '{"age":"Ann","name":1.10}'),
        ({"pick": ["items"], "rename": {"items.price": "items.cost"}},
         '{"items":[{"sku":"x","cost":1.50},{"sku":"y"},7]}'),
        ({"under": "user", "pick": ["tags"], "rename": {"tags.k": "tags.key.name"}},
         '{"tags":[{"v":1e2,"key":{"name":"a"}},{"key":{"name":"b"}}]}'),
        ({"pick": ["user.name"], "rename": {"user": "user.inner"}}, '{"user":{"inner":{"name":"Ann"}}}'),
        ({"pick": ["user.name"], "rename": {"user": "u", "user.name": "who"}}, '{"who":"Ann","u":{}}'),
        ({"pick": ["n"], "rename": {"nope": "x", "n.x": "y", "user.name.first": "z"}}, '{"n":null}'),
        ({"pick": ["n"], "rename": {"n": "a.b.c"}}, '{"a":{"b":{"c":null}}}'),
        ({"pick": ["n"], "wrap": "data"}, '{"data":{"n":null}}'),
        ({"under": "user.tags", "wrap": 'a"b'}, '{"a\\"b":[{"k": "a", "v": 1e2},{"k": "b"}]}'),
    ],
)  # fmt: skip
def test_shapes(words: dict[str, Any], made: str) -> None:
    assert shaped(**words) == made


def test_lists_are_shaped_element_by_element() -> None:
    rows = b'[{"a": 1, "b": 2.0}, {"b": 3}, []]'
    assert shaped(rows, pick=["a"]) == '[{"a":1},{},[]]'
    assert shaped(rows, rename={"b": "c"}) == '[{"a":1,"c":2.0},{"c":3},[]]'
    assert shaped(b'[[{"a": 1, "b": 2}]]', drop=["a"]) == '[[{"b":2}]]'


def test_wrapping_alone_takes_anything() -> None:
    assert shaped(b" 1.50 ", wrap="total") == '{"total": 1.50 }'
    assert shaped(Payload.of(b"text/plain", b"hi"), wrap="t") == '{"t":"hi"}'
    assert shaped(EMPTY, wrap="t") == '{"t":null}'
    assert shaped(USER) == USER.decode()


def test_what_cannot_be_shaped() -> None:
    for document, kind in (
        (b"5", "a number"),
        (b'"x"', "text"),
        (b"null", "null"),
        (EMPTY, "null"),
        (b"true", "a boolean"),
    ):
        message = f"the value is {kind}; only an object or a list can be shaped"
        for words in ({"pick": ["a"]}, {"under": "a"}, {"drop": ["a"]}, {"rename": {"a": "b"}}):
            assert said(document, **words) == message
    image = Payload.of(b"image/png", b"\xff")
    assert said(image, pick=["a"]) == "the value cannot be shaped: image/png of 1 bytes is neither JSON nor text"
    assert said(image, wrap="a").startswith("the value cannot be shaped")


def test_renames_that_cannot_be() -> None:
    assert said(rename={"user": "items"}) == (
        "`rename` of `user` to `items`: there is a `items` already; drop it or rename it first"
    )
    assert said(rename={"user.name": "n.x"}) == (
        "`rename` of `user.name` to `n.x`: `n` is there already and is null, not an object"
    )
    assert said(rename={"user.name": "items.x"}) == (
        "`rename` of `user.name` to `items.x`: `items` is there already and is a list, not an object"
    )
    assert said(rename={"items.price": "price"}) == (
        "`rename` of `items.price` to `price`: `items` is a list, whose fields stay in it; rename to `items.name`"
    )
    assert said(b'{"a": {"b": 1, "c": 2}}', rename={"a.b": "a.c"}) == (
        "`rename` of `a.b` to `a.c`: there is a `c` already; drop it or rename it first"
    )


def test_every_fault_with_its_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_shape(
            under=".a", pick=["ok", "a..b"], drop=[""], rename={"a": "a", "b": "x", "c": "x", "d.": "e"}, wrap="w.x"
        )
    assert [(fault.pointer, fault.message) for fault in caught.value.faults] == [
        (("under",), "`.a` is no path"),
        (("pick", 1), "`a..b` is no path"),
        (("drop", 0), "`` is no path"),
        (("rename", "a"), "`a` is renamed to itself"),
        (("rename", "c"), "`b` and `c` are both renamed to `x`"),
        (("rename", "d."), "`d.` is no path"),
    ]
    with pytest.raises(ExpressionError, match="a path longer than 128"):
        compile_shape(pick=[".".join("a" * 200)])


def test_shaping_is_bounded() -> None:
    rows = b"[" + b",".join([b"{}"] * 1_100_000) + b"]"
    assert said(rows, drop=["a"]) == "shaping goes through more than 1,000,000 elements; use a `foreach` step"
    assert shaped(b'{"rows": %b, "a": 1}' % rows, pick=["a"]) == '{"a":1}'


names = st.sampled_from(["a", "b", "c", "d"])
documents: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-9, 9) | st.text("xy", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(names, documents, max_size=4)
paths = st.lists(names, min_size=1, max_size=3).map(".".join)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """What is in a value, by its path through objects; a list is passed through."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, path)]
    return [(path, value)]


def is_on(path: tuple[str, ...], chosen: list[str]) -> bool:
    return any(path[: len(each.split("."))] == tuple(each.split(".")) for each in chosen)


@given(objects, st.lists(paths, min_size=1, max_size=4))
def test_pick_and_drop_divide_any_document(document: Any, chosen: list[str]) -> None:
    kept = json.loads(shaped(document, pick=chosen))
    left = json.loads(shaped(document, drop=chosen))
    assert leaves(kept) == [(path, value) for path, value in leaves(document) if is_on(path, chosen)]
    assert leaves(left) == [(path, value) for path, value in leaves(document) if not is_on(path, chosen)]


@given(objects, paths, paths)
def test_renaming_loses_nothing(document: Any, source: str, target: str) -> None:
    if source == target:
        return
    try:
        made = json.loads(shaped(document, rename={source: target}))
    except EvaluationFailed:
        return
    assert sorted(map(str, (value for _, value in leaves(made)))) == sorted(map(str, (v for _, v in leaves(document))))
