"""The short form of the campaign; the long one is `python -m tests.soak.fuzz_http`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.fuzz_http import fuzz


def test_damaged_requests_and_answers_harm_nobody_else(tmp_path: Path) -> None:
    statuses = fuzz(4, 7, tmp_path)
    assert statuses["200"] > 50
    assert statuses["400"] > 10
    assert statuses["502"] > 10
