"""Time that stands still until everybody waits, then jumps: hours of timeouts and backoff in milliseconds, repeatably.

`run_in_manual_time(main)` runs a coroutine on an event loop whose clock is a `ManualClock`, and shows the same clock to
every part of Legato that asks for the monotonic time. Real sockets and threads do not belong in there: they take real
time, which this loop never waits for.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

INSTANT = 1e-6  # seconds that one turn of the loop takes at least: time never stands still while something is done


class ManualClock:
    """A monotonic clock that moves only when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on. Negative seconds are an AssertionError: a monotonic clock never goes back."""
        assert seconds >= 0, "a monotonic clock never goes back"
        self.now += seconds


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock to when the wait would have ended."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("everybody waits and no timer is set: this would never end")
            self._clock.advance(max(timeout, INSTANT))
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: ManualClock) -> None:
        self._legato_clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._legato_clock.now


def run_in_manual_time(main: Callable[[ManualClock], Coroutine[Any, Any, T]]) -> T:
    """Run `main(clock)` to its end; raises RuntimeError when nothing could ever wake it."""
    clock = ManualClock()
    with _shown_to_legato(clock), asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        return runner.run(main(clock))


@contextmanager
def _shown_to_legato(clock: ManualClock) -> Generator[None]:
    # The hot path calls `monotonic` as a global of its module; a clock to be passed in would cost every request.
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("legato.") and vars(module).get("monotonic") is time.monotonic
    ]
    for module in modules:
        module.monotonic = clock  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.monotonic = time.monotonic  # type: ignore[attr-defined]
