"""A definition as its author wrote it, before it is read."""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_BYTES = 1024 * 1024  # a definition of 10,000 steps fits twice; reading a larger one would hold up the gateway


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one definition. `name` is what the store calls it; `origin` is where to find it (a file's path)."""

    name: str
    language: Literal["native", "fnkit"]
    text: bytes
    origin: str
