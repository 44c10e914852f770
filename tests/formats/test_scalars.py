"""Durations and sizes, at their edges."""

from __future__ import annotations

import pytest

from legato.formats.document import read_document
from legato.formats.scalars import meant, read_duration, read_size, spell_duration

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("150ms", 0.15),
        ("2s", 2.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("2d", 172800.0),
        ("0.5s", 0.5),
        ("0s", 0.0),
        ("1ms", 0.001),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    node, report = read_document("f", text.encode())
    assert node is not None
    assert read_duration(report, node, "x", 0, 2 * DAY) == seconds
    assert report.ok


@pytest.mark.parametrize(
    "text",
    [
        *("5", "5.5", "'5'", "1h30m", "5 s", "s", "-1s", "1.s", ".5s", "1e3s", "1us", "5S", "5sec", "\u0665s"),
        *("true", "[5s]", "~", "3d", "9" * 400 + "d"),
    ],
)
def test_no_durations(text: str) -> None:
    node, report = read_document("f", text.encode())
    assert node is not None
    assert read_duration(report, node, "x", 0, 2 * DAY) is None
    [problem] = report.problems()
    assert problem.remedy


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("'512'", 512),
        ("7B", 7),
        ("64KiB", 65536),
        ("16MiB", 16 * 1024**2),
        ("1GiB", 1024**3),
        ("0x10", 16),
    ],
)
def test_sizes(text: str, size: int) -> None:
    node, report = read_document("f", text.encode())
    assert node is not None
    assert read_size(report, node, "x", 0, 1024**3) == size
    assert report.ok


@pytest.mark.parametrize("text", ["64KB", "64K", "1.5MiB", "-1", "1025MiB", "kiB", "true", "{}", "2.0", "~", "9" * 400])
def test_no_sizes(text: str) -> None:
    node, report = read_document("f", text.encode())
    assert node is not None
    assert read_size(report, node, "x", 0, 1024**3) is None
    [problem] = report.problems()
    assert problem.remedy


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.001, "1ms"), (0.15, "150ms"), (1, "1s"), (90, "90s"), (3600, "1h"), (DAY, "1d")]
)
def test_spelling(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text


def test_meant() -> None:
    assert meant("get", ("GET", "PUT"), "one of") == "did you mean `GET`? one of GET, PUT"
    assert meant("zzz", ("GET", "PUT"), "one of") == "one of GET, PUT"
    assert meant("GET" * 100_000, ("GET",), "one of") == "one of GET"
