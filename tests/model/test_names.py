"""Which names are allowed (contract 2)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.names import RESERVED, expression_name, fnkit_name_problem, name_problem

FIRST = string.ascii_lowercase
OTHERS = string.ascii_lowercase + string.digits + "-_"


@given(st.sampled_from(FIRST), st.text(OTHERS, max_size=62))
def test_names(first: str, rest: str) -> None:
    name = first + rest
    assert name_problem(name) == ("" if name not in RESERVED else f"the name {name!r} is reserved")


@given(st.text(max_size=5) | st.text(string.printable, max_size=4))
def test_what_is_no_name(text: str) -> None:
    fine = (
        0 < len(text) <= 63 and text[0] in FIRST and all(letter in OTHERS for letter in text) and text not in RESERVED
    )
    assert (name_problem(text) == "") == fine
    assert (fnkit_name_problem(text) == "") == (
        bool(text)
        and all(letter in string.ascii_letters + string.digits + "_-" for letter in text)
        and not (text.isdecimal())
        and text.lower() not in RESERVED
        and not hexadecimal(text)
    )


def hexadecimal(text: str) -> bool:
    return len(text) > 2 and text[:2] in ("0x", "0X") and all(letter in string.hexdigits for letter in text[2:])


@pytest.mark.parametrize("name", ["a" * 64, "", "A", "1a", "-a", "_a", "a.b", "a/b", "a\n", "é", "aé", "a b", "٣"])
def test_refused(name: str) -> None:
    assert "is not a name" in name_problem(name)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved(name: str) -> None:
    assert name_problem(name) == f"the name {name!r} is reserved"
    assert fnkit_name_problem(name.upper()) == f"the name {name.upper()!r} is reserved"


@pytest.mark.parametrize("name", ["0", "2130706433", "0x7f000001", "0XFF", "00"])
def test_numbers_would_reach_an_address(name: str) -> None:
    assert "would reach an address" in fnkit_name_problem(name)


@pytest.mark.parametrize("name", ["Validate", "1a", "_", "-", "0x", "0xg", "x" * 255])
def test_fnkits_wider_rule(name: str) -> None:
    assert fnkit_name_problem(name) == ""
    assert fnkit_name_problem(name + "x" * 255)


def test_a_hyphen_is_an_underscore_in_expressions() -> None:
    assert expression_name("validate-order-2_x") == "validate_order_2_x"
