"""How steps and durations are said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.mapping import Shape, Template
from legato.model.policy import Retry
from legato.pictures.words import condition, duration, retry, said, span, value

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.15, "150ms"), (1.0, "1s"), (1.5, "1.5s"), (90.0, "1.5m"), (100.0, "100s"), (172800.0, "2d"),
     (3600.0, "1h"), (0.0005, "0.5ms"), (42.6, "42.6s")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**9).map(lambda ms: ms / 1000))
def test_a_duration_is_what_it_says(seconds: float) -> None:
    match = re.fullmatch(r"([0-9.]+)(ms|s|m|h|d)", duration(seconds))
    assert match
    assert float(match[1]) * UNITS[match[2]] == pytest.approx(seconds, abs=0.001)


@given(st.integers(0, 10**9).map(lambda ms: ms / 1000))
def test_a_span_is_what_it_says(seconds: float) -> None:
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", span(seconds))
    assert " ".join(f"{number}{unit}" for number, unit in parts) == span(seconds)
    assert sum(float(number) * UNITS[unit] for number, unit in parts) == pytest.approx(seconds, abs=0.001)


def test_spans() -> None:
    assert span(172930.5) == "2d 2m 10.5s"
    assert span(60.0) == "1m"
    assert span(0.15) == "150ms"


@given(st.text(max_size=100), st.integers(5, 100))
def test_what_is_said_is_one_harmless_line(text: str, limit: int) -> None:
    line = said(text, limit)
    assert line.isprintable()
    assert len(line) <= limit


def test_conditions_lose_their_brackets() -> None:
    assert condition("${value.a > 1}") == "value.a > 1"
    assert condition("value.a") == "value.a"


def test_mappings() -> None:
    assert value(Template(value="${value}")) == "${value}"
    assert value(Template(value={"a": [1, None]})) == '{"a":[1,null]}'
    shape = Shape(under="data", pick=("a", "b"), drop=("c",), rename={"a": "x"}, wrap="w")
    assert value(shape) == "under data; pick a, b; drop c; rename a to x; wrap w"


def test_retries() -> None:
    assert retry(Retry(attempts=1)) == "1 attempt"
    assert retry(Retry(attempts=2)) == "2 attempts, waits up to 200ms"
    assert retry(Retry(attempts=5)) == "5 attempts, waits up to 200ms, then 1.6s"
    assert retry(Retry(attempts=20, backoff=1.0, max_backoff=4.0)) == "20 attempts, waits up to 1s, then 4s"
