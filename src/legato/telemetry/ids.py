"""Ids of runs and traces. Unique, sortable by time, not secret: nothing is granted by knowing one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from time import time

_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?", re.ASCII
)
_BLOCK = 512  # random numbers drawn at once: one system call for many requests


class _Random:
    """Random numbers of 64 bits in hexadecimal, drawn in blocks; a forked child draws its own."""

    __slots__ = ("_block", "next")

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._block: Iterator[bytes] = iter(())
        self.next = self._block.__next__

    def draw(self) -> bytes:
        """Refill, and give the next number."""
        text = os.urandom(8 * _BLOCK).hex().encode()
        self._block = iter([text[i : i + 16] for i in range(0, 16 * _BLOCK, 16)])
        self.next = self._block.__next__
        return self.next()


_random = _Random()


class _Clock:
    """The part of a UUID version 7 that the time gives, renewed once a millisecond."""

    __slots__ = ("millisecond", "prefix")

    def __init__(self) -> None:
        self.millisecond = 0
        self.prefix = b""


_clock = _Clock()


def new_run_id() -> bytes:
    """A UUID version 7 (RFC 9562, 5.7) in its usual text form; of its 74 random bits 72 are used."""
    millisecond = int(time() * 1000)
    if millisecond != _clock.millisecond:
        digits = b"%012x" % millisecond
        _clock.millisecond, _clock.prefix = millisecond, b"%b-%b-7" % (digits[:8], digits[8:])
    try:
        digits, more = _random.next(), _random.next()
    except StopIteration:
        digits, more = _random.draw(), _random.draw()
    return b"%b%b-8%b-%b" % (_clock.prefix, digits[:3], digits[3:6], more[:12])


def id_key(run_id: bytes) -> bytes:
    """A run id as 16 bytes. Raises ValueError for what is none."""
    if len(run_id) != 36:
        raise ValueError("a run id has 36 characters")
    return bytes.fromhex(run_id.decode("ascii").replace("-", ""))


def id_text(key: bytes) -> bytes:
    """A run id of 16 bytes in its usual text form."""
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def new_span_id() -> bytes:
    """Eight random bytes in hexadecimal."""
    try:
        return _random.next()
    except StopIteration:
        return _random.draw()


def trace_of(traceparent: bytes | None, run_id: bytes) -> tuple[bytes, bytes]:
    """(trace id, flags) of a run: the caller's (W3C Trace Context, 3.2), else the run's own id, sampled."""
    if traceparent is not None:
        match = _TRACEPARENT.fullmatch(traceparent.strip())
        if match and (match[3] is None or not traceparent.startswith(b"00")):
            return match[1], match[2]
    return run_id.replace(b"-", b""), b"01"
