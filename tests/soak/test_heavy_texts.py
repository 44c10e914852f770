"""What takes longest to read takes as long as it is long: four times the text, about four times as long."""

from __future__ import annotations

import time

import msgspec
import pytest

from legato.formats import read
from legato.formats.report import MAX_PROBLEMS
from legato.model.source import Source
from tests.soak.heavy_texts import HEAVY

SMALL, LARGE = 32 * 1024, 128 * 1024


def seconds(text: str) -> float:
    """CPU time of reading; the less of two."""
    source = Source(name="order", language="native", text=text.encode(), origin="order.yaml")
    taken: list[float] = []
    for n in range(2):
        start = time.process_time()
        definition = read(msgspec.structs.replace(source, text=source.text + b"\n" * n))
        taken.append(time.process_time() - start)
        assert len(definition.problems) <= MAX_PROBLEMS + 1
    return min(taken)


@pytest.mark.parametrize("name", HEAVY)
def test_four_times_the_text_takes_about_four_times_as_long(name: str) -> None:
    """What is quadratic would take sixteen times as long."""
    small, large = seconds(HEAVY[name](SMALL)), seconds(HEAVY[name](LARGE))
    assert large < 10 * small + 0.05
