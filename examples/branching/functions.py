"""Functions that leave their marks on a text."""

from __future__ import annotations

from typing import Any


def func1(text: str) -> str:
    """Mark a text."""
    return f"func1({text})"


def func2(text: str) -> str:
    """Mark a text in another way."""
    return f"func2({text})"


def fake_storage(value: object) -> dict[str, Any]:
    """Say what would be stored."""
    return {"stored": value}
