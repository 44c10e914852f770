"""Every golden file: source, `----`, the canonical JSON of what it means (or nothing), `----`, the problems as printed.

Warnings follow behind another `----`, where there are any.

The file's name begins with the language. The flow is always called `order`. UPDATE_GOLDEN=1 rewrites what follows the
source; look at the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from legato import formats
from legato.formats import document
from legato.model.flow import Flow
from legato.model.source import Source

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.txt"))
ENVIRONMENT = {
    "TOKEN": "secret-of-env", "HOST": "orders.internal", "EMPTY": "", "LOG": "false", "SECONDS": "5s", "TEN": "10",
    "LONG": "twenty-characters-ok",
}  # fmt: skip
ORIGINS = {"native": "order.yaml", "json": "order.json", "fnkit": "order.json", "settings": "legato.yaml"}


def outcome(language: str, text: bytes) -> tuple[Any, list[str]]:
    """What the reader of a language makes of a text: its value, and its problems as printed."""
    value, problems, _ = everything(language, text)
    return value, problems


def everything(language: str, text: bytes) -> tuple[Any, list[str], list[str]]:
    """The same with the warnings."""
    origin = ORIGINS[language]
    if language == "settings":
        settings, problems = formats.read_settings(text, origin, "shop", ENVIRONMENT)
        return settings, [str(problem) for problem in problems], []
    source = Source(name="order", language="native" if language == "native" else "fnkit", text=text, origin=origin)
    definition = formats.read(source)
    return definition.flow, [*map(str, definition.problems)], [*map(str, definition.warnings)]


def rendered(source: str, value: Any, problems: list[str], warnings: list[str]) -> str:
    """A golden file's text."""
    canonical = "" if value is None else msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    told = "".join(f"{problem}\n" for problem in problems)
    return f"{source}----\n{canonical}----\n{told}" + "".join(f"----\n{warning}\n" for warning in warnings)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_golden(path: Path) -> None:
    written = path.read_bytes().decode("utf-8")
    source = written.partition("----\n")[0]
    value, problems, warnings = everything(path.name.partition("-")[0], source.encode("utf-8"))
    found = rendered(source, value, problems, warnings)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_bytes(found.encode("utf-8"))
    else:
        assert found == written
    assert (value is None) == bool(problems)
    if isinstance(value, Flow):
        assert msgspec.json.decode(msgspec.json.encode(value), type=Flow) == value


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 120
    assert {path.name.partition("-")[0] for path in FILES} == set(ORIGINS)


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name.startswith("native-")], ids=lambda path: path.stem
)
def test_without_libyaml_the_same_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of a syntax error may differ then; what is a flow, and what is a problem of which line, may not."""
    source = path.read_bytes().partition(b"----\n")[0]
    value, problems = outcome("native", source)
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    other_value, other_problems = outcome("native", source)
    assert other_value == value
    if not any("YAML" in problem or "an escape" in problem for problem in [*problems, *other_problems]):
        assert list(map(without_column, other_problems)) == list(map(without_column, problems))


def without_column(problem: str) -> str:
    """A printed problem without its column: the parsers place an empty value differently."""
    return re.sub(r"^(\S+:\d+):\d+:", r"\1:", problem)
