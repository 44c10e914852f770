"""A definition as its author wrote it, before it is read, and how one goes."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from legato.model.problem import Problem

MAX_BYTES = 1024 * 1024  # a definition of 10,000 steps fits twice; reading a larger one would hold up the gateway

Language = Literal["native", "fnkit"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one definition.

    `name` is what the store calls it; `origin` is where to find it (a file's path, a key of Valkey), unique in its
    store. `trouble` says why it could not be read; `text` is empty then. `draft` says that a broken text leaves the
    version before it in service: an editor saves half a thought.
    """

    name: str
    language: Language
    text: bytes
    origin: str
    trouble: Problem | None = None
    draft: bool = False

    @property
    def digest(self) -> str:
        """What tells this text from another one: for conditional writes, and to see whether anything has changed."""
        trouble = "" if self.trouble is None else self.trouble.message
        return hashlib.sha256(f"{self.language}\n{trouble}\n".encode() + self.text).hexdigest()[:32]


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that is no longer in its store.

    `deleted`: somebody took it away. `evicted`: the server made room for other keys. `lost`: the server came back
    without it. Only a deleted one ends the flow's service.
    """

    name: str
    origin: str
    how: Literal["deleted", "evicted", "lost"] = "deleted"


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier text of a definition. `version` is the digest of its meaning, `created` a time (ISO 8601, UTC)."""

    version: str
    language: Language
    text: bytes
    created: str
