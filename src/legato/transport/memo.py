"""Heads seen before. Callers and functions that keep a connection send the same head again and again, byte for byte.

A head that is found here needs no parsing: the same bytes mean the same (and httptools has judged them once). Only
heads of messages whose framing is plain are kept: a Content-Length, one message in one read. The find is by hash of
all bytes, and Python's hash of bytes is keyed, so nobody can construct collisions.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

SIZE = 512  # heads; when full all are forgotten, which costs one parse each
LONGEST = 2048  # bytes of a head that is worth keeping


class HeadMemo(Generic[T]):
    """What is known of a message by the bytes of its head."""

    __slots__ = ("_known", "find")

    def __init__(self) -> None:
        self._known: dict[bytes, T] = {}
        self.find = self._known.get

    def keep(self, head: bytes, meaning: T) -> None:
        """Remember a head."""
        if len(head) <= LONGEST:
            if len(self._known) >= SIZE:
                self._known.clear()
            self._known[head] = meaning

    def forget(self) -> None:
        """Forget every head, because what they mean has changed."""
        self._known.clear()
