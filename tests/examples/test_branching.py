"""examples/branching: what faas-flow shows of its branches."""

from __future__ import annotations

import pytest

from tests.examples.project import Example, Functions

EXAMPLE = "branching"


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_parallel(example: Example, functions: Functions) -> None:
    stored = example.result("parallel-branching", "x")
    assert stored == {"stored": "func1(func1(x)) and func2(func1(x))"}
    assert functions.called[0] == "func1"
    assert sorted(functions.called[1:3]) == ["func1", "func2"]
    assert functions.called[3:] == ["fake-storage"]


def test_loop_within_a_condition(example: Example, functions: Functions) -> None:
    assert example.result("dynamic-branching", "a-b-c") == {
        "stored": "func2(func1(a)) and func2(func1(b)) and func2(func1(c))"
    }
    assert len(functions.called) == 7
    functions.reset()
    assert example.result("dynamic-branching", "abc") == {"stored": "func1(abc)"}
    assert functions.called == ["func1", "fake-storage"]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a-b", {"hyphenated": "func2(a-b)"}),
        ("a-bcd", {"long": "func1(func1(a-bcd))", "hyphenated": "func2(a-bcd)"}),
        ("bbbbbb", {"long": "func2(func1(bbbbbb))"}),
        ("abc", "abc"),  # no case holds, and nothing fails
    ],
)
def test_conditions(example: Example, text: str, stored: object) -> None:
    assert example.result("conditional-branching", text) == {"stored": stored}


def test_all_three_are_joined(example: Example, functions: Functions) -> None:
    assert example.result("aa-bb-cc", "xx-dd") == "func1(xx), func1(dd), func1(xx), func2(dd), func1(dd)"
    assert sorted(functions.called) == ["func1"] * 4 + ["func2"]


def test_one_branch_down(example: Example, functions: Functions) -> None:
    functions.hangs_up("func2")
    said = example.run("parallel-branching", "x")
    assert (said.status, said.json()["step"]) == (502, "parallel.right")
    assert "fake-storage" not in functions.called
