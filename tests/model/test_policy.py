"""The decisions of contract 1: is another try allowed, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.outcome import Kind, Outcome
from legato.model.policy import IDEMPOTENT_METHODS, MAX_ATTEMPTS, NO_RETRY, UNDO_RETRY, Retry, worth_another_try

seconds = st.floats(0.0, 1e6)


@given(seconds, seconds, st.integers(1, MAX_ATTEMPTS), st.floats(0, 1), st.none() | seconds)
def test_a_delay_is_bounded(backoff: float, most: float, attempt: int, chance: float, wish: float | None) -> None:
    retry = Retry(backoff=backoff, max_backoff=most)
    delay = retry.next_delay(attempt, chance, wish)
    ceiling = min(most, backoff * 2.0 ** (attempt - 1))
    assert 0 <= delay <= max(ceiling, min(wish or 0, most))
    if wish is not None:
        assert delay >= min(wish, most)
    assert retry.next_delay(attempt, 0.0, None) == 0
    assert retry.next_delay(attempt, 1.0, None) == pytest.approx(ceiling)


def test_the_ceiling_doubles() -> None:
    retry = Retry(backoff=0.2, max_backoff=1.0)
    assert [retry.next_delay(n, 1.0, None) for n in (1, 2, 3, 4, 100, 100_000)] == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert [retry.next_delay(1, 0.5, wish) for wish in (None, 0.05, 0.5, 60.0)] == [0.1, 0.1, 0.5, 1.0]


@pytest.mark.parametrize(
    ("kind", "status", "idempotent", "undo", "when_status", "expected"),
    [
        ("ok", 200, True, True, (200,), False),
        ("refused", 404, True, True, (404,), False),
        ("cancelled", 0, True, True, (0,), False),
        ("retryable", 0, False, False, (), True),
        ("retryable", 503, False, False, (), True),
        ("unknown", 0, False, False, (), False),
        ("unknown", 0, True, False, (), True),
        ("unknown", 0, False, True, (), True),
        ("unknown", 500, False, False, (500,), True),
        ("unknown", 500, False, False, (502, 504), False),
        ("unknown", 504, False, False, (502, 504), True),
        ("retryable", 503, False, True, (500,), True),
    ],
)
def test_worth_another_try(
    kind: Kind, status: int, idempotent: bool, undo: bool, when_status: tuple[int, ...], expected: bool
) -> None:
    retry = Retry(attempts=3, when_status=when_status)
    assert worth_another_try(Outcome(kind, status=status), retry, idempotent, undo) == expected


def test_the_defaults_of_the_contract() -> None:
    assert NO_RETRY.attempts == 1
    assert UNDO_RETRY.attempts == 10
    assert MAX_ATTEMPTS == 100
    assert {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"} == IDEMPOTENT_METHODS
