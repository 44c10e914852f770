"""No expression and no data take long or much memory: without their limits, these would, for minutes and more."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from legato.model.payload import JSON, Payload
from legato.values import EvaluationFailed, compile_expression
from legato.values.tokens import MAX_SOURCE
from tests.values.scene import Scene, evaluate, failure, faults

ROWS = Payload.of(JSON, msgspec.json.encode([{"n": number, "tags": ["a", "b"]} for number in range(5_000)]))
LONG = "x" * (12 * 1024 * 1024)
TEXT = Payload.of(JSON, b'"%b"' % LONG.encode())

STEPS = " needs more than 10,000,000 steps; loop over fewer elements, or use a `foreach` step"
MADE = " makes more than 2,000,000 elements on the way; loop over fewer of them"
GIVEN = " gives more than 1,000,000 elements; loop over fewer of them"
ALL_TEXT = " makes a text of more than 16,777,216 characters, or many long ones"
OUTPUT = " gives more than 67,108,864 characters of text; loop over fewer elements"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("value.map(a, value.map(b, a.n * b.n))", STEPS),
        ("value.exists(a, value.exists(b, a.n + b.n == -1))", STEPS),
        ("lists.range(1000).map(a, value.filter(b, b.n == a)).size()", STEPS),
        ("value.map(a, a.tags.map(t, lists.range(1000).size()))", MADE),
        ("[1]" + ".map(a, [a, a, a, a, a, a, a, a])" * 12, GIVEN),
        ("{'a': [1]" + ".map(a, {'b': a, 'c': a, 'd': a, 'e': a})" * 12 + "}", GIVEN),
        ("[[1]]" + ".map(a, a + a + a + a)" * 40, MADE),
        ("['aaaaaaaa']" + ".map(a, a + a + a + a + a + a)" * 20, ALL_TEXT),
        ("['aaaa']" + ".map(a, a.replace('a', 'aaaaaaaa'))" * 12, ALL_TEXT),
        ("['aaaa']" + ".map(a, [a, a, a, a, a].join(a))" * 12, ALL_TEXT),
        ("lists.range(3000000)", MADE),
        ("lists.range(1000).map(a, input)", OUTPUT),
        ("lists.range(1000).map(a, input + 'x')", ALL_TEXT),
        ("lists.range(1000).map(a, input.upperAscii().size())", ALL_TEXT),
        ("lists.range(1000).map(a, input.contains('y'))", STEPS),
        ("lists.range(1000).map(a, input.endsWith(input))", STEPS),
        ("lists.range(1000).map(a, input == input)", STEPS),
        ("lists.range(1000).map(a, input < input)", STEPS),
        ("lists.range(1000).map(a, input in [input])", STEPS),
        ("lists.range(1000).map(a, input.matches('(x|xx)+y'))", STEPS),
        ("lists.range(1000).map(a, ('a' + string(a)).matches(string(a)))", STEPS),
        ("lists.range(90).map(a, input).sort().size()", STEPS),
        ("lists.range(90).map(a, input).distinct().size()", STEPS),
        ("lists.range(90).map(a, input).max().size()", STEPS),
        ("lists.range(900000).filter(a, true).filter(a, true)", MADE),
        ("lists.range(900000).map(a, true, a).reverse()", MADE),
        ("lists.range(1000).map(a, value.map(b, b) == value.map(c, c))", STEPS),
        ("lists.range(1000).map(a, {'v': value} == {'v': value})", STEPS),
        ("input.split('')", MADE),
        ("input.split('x')", MADE),
        ("input.lastIndexOf('xxxxxxxxxxxxxxxxxxxxxxy') + input.lastIndexOf('y')", ALL_TEXT),
    ],
)
def test_a_bomb_ends_with_an_error(source: str, said: str) -> None:
    assert failure(source, value=ROWS, input=TEXT).endswith("`" + said)


def test_limits_are_never_passed_over() -> None:
    bomb = "lists.range(3000000).size() > 1"
    for source in (f"{bomb} || true", f"true == ({bomb} || true)", f"[1, 2].exists(a, {bomb} || a == 2)"):
        assert failure(source).endswith(MADE)


def test_loops_over_paths_are_refused_before_the_first_turn() -> None:
    turns: list[int] = []

    class Counting(Scene):
        def root(self, name: str) -> Payload:
            turns.extend([1] * (name == "item"))
            return super().root(name)

    scene = Counting(value=ROWS, item=1)
    source = "value.map(a, value.map(b, item + b.n))"
    with pytest.raises(EvaluationFailed, match="needs more than"):
        compile_expression(source).evaluate(scene)
    assert turns == []
    # A range that cannot be had is no reason to refuse: it may not be reached.
    assert evaluate("value.map(a, false && value.nope.exists(b, b == a)).size()", value=ROWS) == "5000"


def test_large_documents_are_not_converted() -> None:
    rows = b"[" + b",".join([b"[0]"] * 600_000) + b"]"
    document = Payload.of(JSON, b'{"rows": %b, "id": 5}' % rows)
    limit = "converts more than 1,000,000 elements; name a narrower path"
    assert failure("value.rows.size()", value=document) == "`${value.rows.size()}` " + limit
    assert failure("size(value)", value=document) == "`${size(value)}` " + limit
    assert evaluate("value.id + 1", value=document) == "6"
    assert evaluate("value.rows[7]", value=document) == "[0]"
    # Commas and brackets in texts are no elements.
    assert evaluate("value.size()", value=[',[{\\"' * 300_000, 1]) == "2"
    assert evaluate("value.a.size()", value=b'{"a": ["\\\\", "' + b',\\"' * 1_100_000 + b'"]}') == "2"


def test_many_paths_into_a_large_document() -> None:
    document = Payload.of(JSON, b'{"pad": "%b"}' % (2 * LONG).encode())
    source = "[" + ", ".join(f"has(value.a{number})" for number in range(200)) + "].size()"
    assert failure(source, value=document).endswith(STEPS)
    assert evaluate("lists.range(1000).filter(a, has(value.b)).size()", value=document) == "0"


def test_what_is_large_and_allowed() -> None:
    assert evaluate("value.map(a, a.n * 2 + 1).sum()", value=ROWS) == "25000000"
    assert evaluate("value.map(a, a.tags.map(t, t + '!')).flatten().size()", value=ROWS) == "10000"
    assert evaluate("lists.range(1000000).size()") == "1000000"
    assert evaluate("lists.range(2000).map(a, lists.range(400).exists(b, b == a)).filter(x, x).size()") == "400"


@pytest.mark.parametrize(
    "source",
    [
        "(" * 2_000 + "1" + ")" * 2_000,
        "[" * 2_000 + "]" * 2_000,
        "{'a': " * 500 + "1" + "}" * 500,
        "!" * 4_000 + "true",
        "- " * 2_000 + "value",
        "value" + ".trim()" * 500,
        "value" + "[index]" * 500,
        "value" + "[value" * 500 + "]" * 500,
        "true ? 1 : " * 300 + "2",
        "1 == " * 800 + "1",
        "size(" * 600 + "value" + ")" * 600,
        "value" + ".a" * 1_900,
        "value" + "[0]" * 1_300,
        "[1]" + ".map(x, x)" * 300,
        "has(" * 800 + "value.a" + ")" * 800,
    ],
)
def test_deep_nesting_is_a_fault(source: str) -> None:
    assert len(source) <= MAX_SOURCE
    found = faults(source)
    assert len(found) == 1
    assert "nested deeper than" in found[0].message or found[0].message == "a path longer than 128"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        (" + ".join(["1"] * 1_000), "1000"),
        (" && ".join(["true"] * 500), "true"),
        (" || ".join(["value.nope"] * 280 + ["true"]), "true"),
        (" * ".join(["1"] * 1_000), "1"),
        (" + ".join(["'a'"] * 600) + " != ''", "true"),
        ("(" * 40 + "1" + ")" * 40, "1"),
        ("!" * 60 + "true", "true"),
        ("true ? 1 : " * 40 + "2", "1"),
        ("value" + "['a']" * 60, "1"),
        ("{" + ", ".join(f"'k{number}': {number}" for number in range(250)) + "}.k249", "249"),
    ],
)
def test_length_alone_is_no_depth(source: str, result: str) -> None:
    value: Any = 1
    for _ in range(60):
        value = {"a": value}
    assert evaluate(source, value=value) == result


def test_source_is_bounded() -> None:
    assert faults("'" + "a" * (MAX_SOURCE - 2) + "'") == []
    for source in ("'" + "a" * (MAX_SOURCE - 1) + "'", "'" + "é" * (MAX_SOURCE // 2) + "'"):
        assert [fault.message for fault in faults(source)] == ["the expression is longer than 4096 bytes"]


def test_a_result_is_no_deeper_than_json_may_be() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert failure("[value]" + ".map(x, [x])" * 40, value=value).endswith(": the result is nested deeper than 128")
    assert evaluate("[value].map(x, [x]).size()", value=value) == "1"
    assert failure("[value]" + ".map(x, {'a': x})" * 40, value=value).endswith(": the result is nested deeper than 128")
    assert evaluate("[value]" + ".map(x, [x])" * 27, value=value).startswith("[" * 128 + "1")
    assert failure("[value]" + ".map(x, [x])" * 28, value=value).endswith(": the result is nested deeper than 128")


def test_what_runs_out_of_stack_is_an_error_of_ours() -> None:
    value: Any = 1
    for _ in range(126):
        value = [value]
    source = "value" + " == value"

    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else failure(source, value=value)

    used = 0
    frame = sys._getframe()
    while frame is not None:
        used, frame = used + 1, frame.f_back
    assert deeper(sys.getrecursionlimit() - used - 200) == "`${value == value}` is nested too deep"
