"""How much time calls are told to have: never less than meant because two clock readings do not subtract exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.hosts.bound import call_tail


@given(st.floats(0, 10_000_000), st.integers(11, 86_400))
def test_a_difference_of_readings_is_the_time_that_was_meant(now: float, tenths: int) -> None:
    assert b"legato-timeout: %.1f\r\n" % (tenths / 10) in call_tail(b"01", 0, (now + tenths / 10) - now)


@pytest.mark.parametrize(("left", "told"), [(1.99, b"1.9"), (0.9994, b"0.999"), (0.0, b"0.001"), (-3.0, b"0.001")])
def test_what_is_told_is_rounded_down_and_never_nothing(left: float, told: bytes) -> None:
    assert b"legato-timeout: %b\r\n" % told in call_tail(b"01", 0, left)
