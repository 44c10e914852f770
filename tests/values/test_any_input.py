"""Whatever is written and whatever the data are: a value, a fault or a failure of ours, soon."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legato.values import (
    EvaluationFailed,
    ExpressionError,
    Fault,
    compile_expression,
    compile_path,
    compile_query,
    compile_template,
    compile_text,
)
from legato.values.functions import FUNCTIONS
from tests.values.scene import Scene

ROOTS = ["input", "value", "steps", "item", "index", "error", "errors", "request", "run", "sent", "result"]
WORDS = [*ROOTS, *FUNCTIONS, "map", "filter", "exists", "all", "exists_one", "has", "x", "y", "a", "name", "in", "true"]
WORDS += [
    "null",
    "and",
    "not",
    "int",
    "0",
    "1",
    "2.5",
    "1e3",
    "0x1F",
    "9223372036854775807",
    "1u",
    "'a'",
    '"b"',
    "r'\\'",
]
WORDS += ["b'\\xff'", "'''c'''", "'\\u00e9'", "'[a-z]'", "'2024-01-01T00:00:00Z'", "'1h'"]
MARKS = [
    *"+-*/%<>!?:.,()[]{}=&|'\"$#@;\\`~^ \n",
    "&&",
    "||",
    "==",
    "!=",
    "<=",
    ">=",
    "//",
    ".?",
    "${",
    "}",
    "$${",
    "'''",
]

like_expressions = st.lists(st.sampled_from(WORDS + MARKS) | st.text(max_size=2), max_size=30).map("".join)
spaced = st.lists(st.sampled_from(WORDS + MARKS), max_size=25).map(" ".join)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "x"]), inner),
    max_leaves=12,
)


def check_faults(faults: tuple[Fault, ...], text: str) -> None:
    assert 0 < len(faults) <= 100
    for fault in faults:
        assert fault.message
        assert fault.remedy
        assert 0 <= fault.offset <= len(text)
        assert fault.message.isprintable()


def scene(value: Any) -> Scene:
    shown: dict[str, object] = dict.fromkeys(ROOTS, value)
    shown.pop("steps")

    class Anywhere(Scene):
        def step(self, name: str) -> Any:
            return self.root("value")

    return Anywhere(**shown)


def check(source: str, value: Any) -> None:
    try:
        expression = compile_expression(source, undo=True)
    except ExpressionError as error:
        return check_faults(error.faults, source)
    for reference in expression.references:
        assert source[reference.offset :].startswith(reference.root)
        assert reference.written in source
        assert bool(reference.step) == (reference.root == "steps")
    seen = scene(value)
    try:
        found = expression.evaluate(seen)
    except EvaluationFailed as error:
        message = str(error)
    else:
        assert json.loads(expression.payload(seen).json()) == json.loads(found)
        return None
    assert message.startswith("`${")
    assert message.isprintable()
    with pytest.raises(EvaluationFailed):
        expression.payload(seen).json() if expression.path is None or expression.path.pointer else expression.truth(
            seen
        )
    return None


@given(st.text(max_size=60), json_values)
def test_any_text(source: str, value: Any) -> None:
    check(source, value)


@given(like_expressions, json_values)
@example("steps.a-b-c.d", None)
@example("value.a-", None)
@example("-", None)
@example("math.", None)
@example("math.least", None)
@example("lists", None)
@example("steps[''].a", None)
@example("value.a.map(", None)
@example("has(steps)", None)
@example("'a'.matches", None)
@example("matches('a')", None)
@example("'\\", None)
@example("value//", None)
def test_text_like_an_expression(source: str, value: Any) -> None:
    check(source, value)


@given(spaced, json_values)
def test_words_in_any_order(source: str, value: Any) -> None:
    check(source, value)


calls = st.builds(
    lambda function, arguments: (
        f"({arguments[0]}).{function}({', '.join(arguments[1:])})"
        if FUNCTIONS[function].form == "method"
        else f"{function}({', '.join(arguments)})"
    ),
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(
        st.sampled_from(
            ["value", "value.a", "value.x", "index", "-1", "0", "2", "1.5", "'a'", "''", "'1'", "[1, 2]", "['a', 'b']",
             "[]", "{'a': 1}", "null", "true", "b'\\xff'", "timestamp(0)", "duration('1h')", "int", "value.map(k, k)"]
        ),
        min_size=1,
        max_size=4,
    ),
)  # fmt: skip


@given(calls, json_values)
def test_any_arguments_of_any_function(source: str, value: Any) -> None:
    check(source, value)


@given(like_expressions | st.text(max_size=20))
def test_any_text_as_a_template(text: str) -> None:
    made: list[tuple[Any, Any, Any]] = [
        (compile_template, text, lambda made, seen: made.payload(seen).json()),
        (compile_template, [{"a": text}], lambda made, seen: made.payload(seen).json()),
        (compile_text, text, lambda made, seen: made.text(seen)),
        (compile_text, text, lambda made, seen: made.header(seen)),
        (compile_path, text, lambda made, seen: made.path(seen)),
        (compile_query, {"a": text, "b": [text]}, lambda made, seen: made.query(seen)),
    ]
    for compile_it, given_text, use in made:
        try:
            template = compile_it(given_text)
        except ExpressionError as error:
            check_faults(error.faults, text)
            continue
        try:
            result = use(template, scene({"a": 1, "name": "x"}))
        except EvaluationFailed as error:
            result = str(error)
        assert isinstance(result, (str, bytes))


LONG = [
    "(",
    "[",
    "{",
    "a.",
    "!",
    "-",
    "${",
    "$${",
    "'",
    '"',
    "'''",
    "\\",
    "1+",
    "a?b:",
    "x.map(x,",
    "/",
    "//",
    ".5",
    "1e",
    "\n",
]
LONG += [
    "value.a",
    "value[0]",
    "${value} ",
    "${'",
    "has(",
    "1 in ",
    "'a'+",
    "steps.a-",
    "0x",
    "9",
    "&&true",
    "r'",
    "b'\\x",
]


@pytest.mark.parametrize("part", LONG)
def test_nothing_takes_long_to_compile(part: str) -> None:
    for size in (4_000, 200_000):
        text = part * (size // len(part))
        for compile_it in (compile_expression, compile_template, compile_text, compile_path):
            for written in (text, "${" + text, "${" + text + "}", "value" + text):
                try:
                    compiled = compile_it(written)
                except ExpressionError as error:
                    check_faults(error.faults, written)
                else:
                    assert compiled.references is not None


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_is_a_literal(text: str) -> None:
    written = re.sub(r"[\\']", r"\\\g<0>", text).replace("\n", "\\n")
    assert json.loads(compile_expression(f"'{written}'").evaluate(Scene())) == text
    assert compile_text(f"<${{'{written}'}}>").text(Scene()) == f"<{text}>"
