"""A periodic alarm finer than the event loop's millisecond timers: Linux's timerfd, which Python 3.11 does not wrap."""

import ctypes
import os

MONOTONIC = 1
NONBLOCK = os.O_NONBLOCK


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanos", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Time), ("first", _Time))


def alarm(period: float) -> int:
    """A file descriptor; each read gives how many periods have passed since the last (8 bytes, native order)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.timerfd_create(MONOTONIC, NONBLOCK)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    nanos = max(1, round(period * 1e9))
    span = _Time(nanos // 1_000_000_000, nanos % 1_000_000_000)
    if libc.timerfd_settime(descriptor, 0, ctypes.byref(_Timer(span, span)), None) < 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime")
    return descriptor
