"""Texts, headers, paths and queries: each encoded for its place, and nothing gets out of it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.values import (
    EvaluationFailed,
    ExpressionError,
    Reference,
    compile_path,
    compile_query,
    compile_text,
)
from tests.values.scene import Scene

SCENE = Scene(
    {"none": None},
    value=b'{"id": 1.50, "name": "a/b \\u00e9?&=#%", "empty": "", "up": "..", "dot": ".", "yes": true,'
    b' "list": [1, "x y", null], "object": {"a": 1}, "line": "a\\r\\nx: 1", "wide": "\\u20ac",'
    b' "latin": "caf\\u00e9", "nested": [[1]]}',
)


def text(template: str) -> str:
    return compile_text(template).text(SCENE)


def header(template: str) -> bytes:
    return compile_text(template).header(SCENE)


def path(template: str) -> bytes:
    return compile_path(template).path(SCENE)


def query(mapping: dict[str, object]) -> bytes:
    return compile_query(mapping).query(SCENE)


def said(make: Any, template: Any) -> str:
    with pytest.raises(EvaluationFailed) as caught:
        make(template)
    return str(caught.value)


def faults(make: Any, template: Any) -> list[tuple[str, str, int, tuple[str | int, ...]]]:
    with pytest.raises(ExpressionError) as caught:
        make(template)
    return [(fault.message, fault.remedy, fault.offset, fault.pointer) for fault in caught.value.faults]


def test_texts() -> None:
    assert text("order ${value.id}: ${value.latin}, $${x}") == "order 1.50: café, ${x}"
    assert text("${value.list}") == '[1,"x y",null]'
    assert text("") == ""
    assert said(text, "${steps.none}").startswith("`${steps.none}` is null, which has no place in a text; write ")
    assert compile_text("a").is_constant
    assert not compile_text("a${1}").is_constant
    assert compile_text("a ${input.x}").references == (Reference("input", "", 4, ("x",), "input.x"),)


def test_headers_hold_one_line_of_latin_1() -> None:
    assert header("  ${value.latin} ${value.id} ") == b"caf\xe9 1.50"
    assert header("${value.empty}") == b""
    unfit = "makes a header with the character U+{}, which no header can hold; send it in the body"
    assert said(header, "x ${value.line}") == f"`x ${{value.line}}` {unfit.format('000D')}"
    assert said(header, "${value.wide}") == f"`${{value.wide}}` {unfit.format('20AC')}"
    assert said(header, "${'a' + '\\n'}") == f"`${{'a' + '\\n'}}` {unfit.format('000A')}"
    for code in [*range(32), *range(127, 160), 0x100, 0x2028]:
        written = f"'a\\U{code:08x}b'"
        assert f"U+{code:04X}" in said(header, f"${{{written}}}")


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_in_a_header_is_one_line_or_refused(value: str) -> None:
    template = compile_text("a ${value} b")
    try:
        line = template.header(Scene(value=value))
    except EvaluationFailed:
        assert re.search(r"[^\x20-\x7e\xa0-\xff]", value)
        return
    assert line.decode("latin-1") == f"a {value} b"
    assert line.isascii() or not value.isascii()
    assert b"\n" not in line


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("/orders/${value.id}/lines", b"/orders/1.50/lines"),
        ("/${value.name}", b"/a%2Fb%20%C3%A9%3F%26%3D%23%25"),
        ("/${value.yes}", b"/true"),
        ("/x-${value.id}-${value.yes}.json", b"/x-1.50-true.json"),
        ("/${value.dot}x", b"/.x"),
        ("/..${value.id}", b"/..1.50"),
        ("/${'%2e%2e'}", b"/%252e%252e"),
        ("https://host:8080/a?x=${value.name}", b"https://host:8080/a?x=a%2Fb%20%C3%A9%3F%26%3D%23%25"),
        ("/a?x=${value.dot}/../y", b"/a?x=./../y"),
        ("/a/b%20c", b"/a/b%20c"),
        ("", b""),
    ],
)
def test_paths(template: str, made: bytes) -> None:
    assert path(template) == made


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("/${value.empty}", "`${value.empty}` is empty, which has no place in a path; it would name another"),
        ("/${steps.none}", "`${steps.none}` is null, which has no place in a path; give text or a number"),
        ("/${value.list}", "`${value.list}` is a list, which has no place in a path; give text or a number"),
        ("/${value.object}", "`${value.object}` is an object, which has no place in a path; give text or a number"),
        ("/a/${value.up}", "`/a/${value.up}` makes a path with the segment `..`, a way up"),
        ("/a/${value.dot}/b", "`/a/${value.dot}/b` makes a path with the segment `.`, a way up"),
        ("/a/${value.dot}.", "`/a/${value.dot}.` makes a path with the segment `..`, a way up"),
        ("/a/%2E${value.dot}/b", "`/a/%2E${value.dot}/b` makes a path with the segment `..`, a way up"),
    ],
)
def test_what_has_no_place_in_a_path(template: str, message: str) -> None:
    assert said(path, template) == message


def test_literal_paths_are_urls_already() -> None:
    assert faults(path, "/a b") == [("a path cannot hold ` `", "write `%20`", 2, ())]
    assert faults(path, "/é${value.id}\n") == [
        ("a path cannot hold `é`", "write `%C3%A9`", 1, ()),
        ("a path cannot hold U+000A", "write `%0A`", 13, ()),
    ]
    assert faults(path, "/$${x}")[0][0] == "a path cannot hold `{`"
    assert faults(path, "/${vlaue}")[0][2:] == (3, ())
    assert path("/a~b!$&'()*+,;=:@-._x[1]") == b"/a~b!$&'()*+,;=:@-._x[1]"


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_stays_within_its_segment(value: str) -> None:
    template = compile_path("/a/${value}/b")
    try:
        made = template.path(Scene(value=value)).decode("ascii")
    except EvaluationFailed:
        assert value in (".", "..")
        return
    first, second, third = made[1:].split("/")
    assert (first, unquote(second), third) == ("a", value, "b")
    assert not set(made) & set("?# \r\n\\")


def test_queries() -> None:
    mapping: dict[str, object] = {
        "a": 1, "b": [1, "x y", "${value.latin}", None, True], "c": "${steps.none}", "d": "${value.list}",
        "e é&": "x ${value.id}", "f": "", "g": None, "h": "${value.name}", "i": 2.5, "j": "${value.nested[0]}",
    }  # fmt: skip
    made = query(mapping)
    assert made == (
        b"a=1&b=1&b=x%20y&b=caf%C3%A9&b=true&d=1&d=x%20y&e%20%C3%A9%26=x%201.50&f="
        b"&h=a%2Fb%20%C3%A9%3F%26%3D%23%25&i=2.5&j=1"
    )
    assert query({}) == b""
    assert query({"a": "${steps.none}"}) == b""


def test_what_has_no_place_in_a_query() -> None:
    assert said(query, {"a": "${value.object}"}) == (
        "`${value.object}` is an object, which has no place in a query; name a field"
    )
    assert said(query, {"a": "${value.nested}"}) == (
        "`${value.nested}` is a list in a list, which has no place in a query; name a field"
    )
    assert said(query, {"a": "x${steps.none}"}).startswith("`${steps.none}` is null, which has no place in a text")
    assert faults(query, {"a": {"b": 1}, "c": ["${vlaue}", [1]], "d": "\ud800"}) == [
        ("a query cannot hold a dict", "write text, a number or a list of them", 0, ("a",)),
        ("`vlaue` is not known", "did you mean `value`?", 2, ("c", 0)),
        ("a query cannot hold a list", "write text, a number or a list of them", 0, ("c", 1)),
        ("text with half a surrogate pair", "write the character itself", 0, ("d",)),
    ]  # fmt: skip


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), min_size=1))
def test_any_query_reads_back(values: dict[str, str]) -> None:
    scene = Scene(value=list(values.values()))
    mapping: dict[str, object] = {name: f"${{value[{index}]}}" for index, name in enumerate(values)}
    made = compile_query(mapping).query(scene).decode("ascii")
    assert parse_qsl(made, keep_blank_values=True) == list(values.items())
