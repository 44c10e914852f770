"""Ids of runs and traces. Unique, sortable by time, not secret: nothing is granted by knowing one."""

from __future__ import annotations

import re
from random import getrandbits
from time import time

_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?", re.ASCII
)


def new_run_id() -> bytes:
    """A UUID version 7 (RFC 9562, 5.7) in its usual text form."""
    number = (int(time() * 1000) << 80) | 0x7000_8000_0000_0000_0000 | _random_bits()
    text = b"%032x" % number
    return b"%b-%b-%b-%b-%b" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:])


def _random_bits() -> int:
    # 12 bits before the variant and 62 behind it.
    return (getrandbits(12) << 64) | getrandbits(62)


def trace_of(traceparent: bytes | None, run_id: bytes) -> tuple[bytes, bytes]:
    """(trace id, flags) of a run: the caller's (W3C Trace Context, 3.2), else the run's own id, sampled."""
    if traceparent is not None:
        match = _TRACEPARENT.fullmatch(traceparent.strip())
        if match and (match[2] is None or not traceparent.startswith(b"00")):
            return traceparent.strip()[3:35], match[1]
    return run_id.replace(b"-", b""), b"01"


def new_span_id() -> bytes:
    """Eight random bytes in hexadecimal, never all zero."""
    return b"%016x" % (getrandbits(64) or 1)
