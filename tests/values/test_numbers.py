"""The golden table of numbers (contract 4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.values.scene import evaluate, failure

TABLE = Path(__file__).parent / "golden" / "numbers.txt"


def rows() -> list[tuple[str, str, str]]:
    lines = [line for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    cells = [tuple(cell.strip() for cell in line.split(" | ")) for line in lines]
    assert all(len(row) == 3 for row in cells)
    return [(row[0], row[1], row[2]) for row in cells]


@pytest.mark.parametrize(("source", "value", "result"), rows())
def test_numbers(source: str, value: str, result: str) -> None:
    if result.startswith("!"):
        message = failure(source, value=value.encode())
        assert message.startswith(f"`${{{source}}}`")
        said = message.removeprefix(f"`${{{source}}}`: ")
        assert said.startswith(result[1:])
    else:
        assert evaluate(source, value=value.encode()) == result


def test_the_table_is_as_long_as_promised() -> None:
    assert len(rows()) >= 80
