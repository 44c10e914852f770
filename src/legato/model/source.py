"""A definition as its author wrote it, before it is read."""

from __future__ import annotations

from typing import Literal

import msgspec


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one definition. `name` is what the store calls it; `origin` is where to find it (a file's path)."""

    name: str
    language: Literal["native", "fnkit"]
    text: bytes
    origin: str
