"""The interpreter against another implementation of CEL (PyPI: common-expression-language), on random expressions.

Where CEL itself has an answer, ours is the same. What is ours alone (numbers that promote, texts measured in
characters) and what the other one has not (errors that `exists` passes over, offsets of times, a minus too large) is
pinned elsewhere.
"""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

import cel
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from legato.values import EvaluationFailed, compile_expression
from tests.values.scene import Scene

VALUE: dict[str, Any] = {
    "i": 7, "n": -3, "z": 0, "d": 2.5, "e": -0.5, "s": "order", "t": "abc", "empty": "", "yes": True, "no": False,
    "nothing": None, "is": [3, 1, 2], "ds": [0.5, 1.5], "ss": ["b", "a", "b"], "none": [],
    "o": {"a": 1, "b": {"c": "x"}}, "os": [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}, {"k": 3}],
}  # fmt: skip

Text = st.SearchStrategy[str]


def infix(operators: list[str], left: Text, right: Text) -> Text:
    return st.builds(lambda a, op, b: f"({a} {op} {b})", left, st.sampled_from(operators), right)


def grown(leaf: Text, grow: Any) -> Text:
    return st.recursive(leaf, grow, max_leaves=5)


def choice(inner: Text) -> Text:
    return st.builds(lambda c, a, b: f"({c} ? {a} : {b})", st.deferred(lambda: booleans), inner, inner)


integers = grown(
    st.sampled_from(
        ["value.i", "value.n", "value.z", "value.o.a", "value.is[0]", "value['i']", "value.missing", "value.o.missing",
         "size(value.is)", "size(value.s)", "value.none.size()", "value.os[1].k", "int(value.d)", "int('12')",
         "9223372036854775807", "-value.i", "-(-value.n)", "value.is[value.os[0].k]", "value.is[9]",
         "value.os.filter(o, has(o.v)).size()"]
    )
    | st.integers(-50, 50).map(str),
    lambda inner: infix(["+", "-", "*", "/", "%"], inner, inner) | choice(inner),
)  # fmt: skip

doubles = grown(
    st.sampled_from(["value.d", "value.e", "value.ds[1]", "double(value.i)", "double('1.5')", "0.25", "-1e3"]),
    lambda inner: infix(["+", "-", "*", "/"], inner, inner) | choice(inner),
)

texts = grown(
    st.sampled_from(
        ["value.s", "value.t", "value.empty", "value.o.b.c", "value.ss[0]", "value.os[2].v", "'it\\'s'", '"x"',
         "r'\\d'", "string(value.i)", "'''a'b'''", "'\\u0041\\n'"]
    ),
    lambda inner: infix(["+"], inner, inner) | choice(inner),
)  # fmt: skip


def loops(items: str, body: Text) -> Text:
    return st.builds(
        lambda kind, test: f"{items}.{kind}(x, {test})", st.sampled_from(["exists", "all", "exists_one"]), body
    )


compared = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
booleans: Text = grown(
    st.sampled_from(
        ["true", "false", "value.yes", "value.no", "has(value.o.b)", "value.missing", "value.s in value.ss"]
    )
    | st.builds(lambda a, op, b: f"({a} {op} {b})", integers, compared, integers)
    | st.builds(lambda a, op, b: f"({a} {op} {b})", doubles, compared, integers)
    | st.builds(lambda a, op, b: f"({a} {op} {b})", texts, compared, texts)
    | st.builds(lambda a, b: f"({a}).contains({b})", texts, texts)
    | st.builds(lambda a, b: f"({a}).startsWith({b})", texts, texts)
    | st.builds(lambda a, b: f"({a}).endsWith({b})", texts, texts)
    | st.builds(lambda a, b: f"({a} in [{b}, value.n])", integers, integers)
    | st.builds(lambda a: f"({a} == null)", st.sampled_from(["value.nothing", "value.s", "value.o", "null"]))
    | loops("value.is", st.sampled_from(["x > 1", "x == 3 || x == 2", "x == value.n", "6 / x == value.i", "x > 0"]))
    | loops("value.os", st.sampled_from(["x.k == 2", "has(x.v)", "x.k > 1", "has(x.v) && x.v == 'a'"]))
    | loops("value.o", st.sampled_from(["x == 'a'", "x != 'z'"])),
    lambda inner: infix(["&&", "||", "==", "!="], inner, inner) | inner.map(lambda a: f"!({a})") | choice(inner),
)

lists = grown(
    st.sampled_from(
        ["value.is", "value.none", "value.is.map(x, x * 2)", "value.is.filter(x, x > 1)", "value.is.map(x, x > 1, -x)",
         "value.is.map(x, [1, x].map(y, y + x))", "value.is.map(value, value + 1)", "value.os.map(o, o.k)"]
    )
    | st.lists(integers, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    lambda inner: infix(["+"], inner, inner) | choice(inner),
)  # fmt: skip

maps = st.builds(lambda a, b, c: f"{{'a': {a}, 'b': {b}, 'c': {c}}}", integers, texts, lists)
times = st.sampled_from(
    ["timestamp('2024-02-29T23:30:00Z')", "timestamp('1969-12-31T23:59:59Z')", "timestamp('2024-12-31T00:00:00Z')"]
)
durations = st.sampled_from(["duration('90m')", "duration('1.5s')", "duration('-2h45m')", "duration('0')"])
moments = (
    st.builds(lambda t, d: f"{t} + {d}", times, durations)
    | st.builds(lambda a, b: f"{a} - {b}", times, times)
    | st.builds(lambda a, b: f"{a} - {b}", durations, durations)
    | st.builds(lambda a, b: f"{a} < {b}", times, times)
    | st.builds(
        lambda t, part: f"{t}.{part}()",
        times,
        st.sampled_from(
            ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours",
             "getMinutes", "getSeconds", "getMilliseconds"]
        ),
    )
)  # fmt: skip


def canonical(value: Any) -> Any:
    """What both sides give, made comparable: numbers of JSON know no sign of zero, and times are texts."""
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    if isinstance(value, datetime.timedelta):
        return canonical(value.total_seconds())
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    return value


def ours(source: str) -> Any:
    found = json.loads(compile_expression(source).evaluate(Scene(value=VALUE)))
    if isinstance(found, str) and found.endswith("s") and found[:-1].lstrip("-").replace(".", "").isdigit():
        return float(found[:-1])
    if isinstance(found, str) and found[4:5] == "-" and found.endswith("Z"):
        return datetime.datetime.fromisoformat(found).isoformat()
    return found


def is_writable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_writable, value.values()))
    if isinstance(value, list):
        return all(map(is_writable, value))
    return not isinstance(value, float) or math.isfinite(value)


@given(integers | doubles | texts | booleans | lists | maps | moments)
@settings(suppress_health_check=[HealthCheck.too_slow])
@example("value.missing || true")
@example("false && value.missing")
@example("(value.missing ? 1 : 2)")
@example("value.is.map(x, [1, x].map(x, x + 1))")
@example("value.is[0] + value.is[1] * value.is[2] - 4 / 2 % 3")
@example("true ? 1 : false ? 2 : 3")
@example("1 < 2 == true && !false")
def test_as_cel_has_it(source: str) -> None:
    try:
        theirs = cel.compile(source).execute({"value": VALUE})
    except Exception:
        with pytest.raises(EvaluationFailed):
            compile_expression(source).evaluate(Scene(value=VALUE))
        return
    if not is_writable(theirs):
        with pytest.raises(EvaluationFailed, match="cannot be written as JSON"):
            ours(source)
        return
    expected, found = canonical(theirs), ours(source)
    assert found == expected
    assert type(found) is type(expected)
