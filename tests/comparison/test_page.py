"""docs/comparison.md promises what is shown: each test that it names is there, and each test here is named by it."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT, rows, section, text

PAGE = text("docs/comparison.md")
SECTIONS = {
    "KrakenD's components": "tests/comparison/test_krakend.py",
    "faas-flow's and goflow's operations and graphs": "tests/comparison/test_faasflow.py",
    "What was asked for": "tests/comparison/test_asked.py",
}
ROWS = [
    pytest.param(file, cells, id=cells[0][:60])
    for title, file in SECTIONS.items()
    for cells in rows(section(PAGE, title))[1:]
]


@cache
def those_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def named(file: str, cells: list[str]) -> list[tuple[str, str]]:
    """(file, test) of each test that a row names."""
    names = re.findall(r"`(?:([\w/.]+)::)?(test_\w+)`", cells[2])
    return [(other or file, test) for other, test in names]


@pytest.mark.parametrize(("file", "cells"), ROWS)
def test_row(file: str, cells: list[str]) -> None:
    assert len(cells) == 3, "a bar in a cell is written \\|"
    tests = named(file, cells)
    assert len(tests) == len(re.findall("`", cells[2])) // 2, f"not a test: {cells[2]}"
    assert tests or "not in this version" in cells[1], "neither shown nor said not to be there"
    for other, test in tests:
        assert test in those_in(other), f"there is no {test} in {other}"


@pytest.mark.parametrize(("title", "file"), SECTIONS.items())
def test_every_test_is_named(title: str, file: str) -> None:
    those = {test for cells in rows(section(PAGE, title))[1:] for other, test in named(file, cells) if other == file}
    assert those_in(file) == those
