"""A coarse timer wheel: deadlines that nearly always move or vanish before they are due.

A timer that moves later costs one assignment to `due`: it is noticed when the slot in which it waits comes up. That
is what a connection's idle time or a run's attempts need, and why there is no timer of the event loop per call.
Timers fire late by up to one tick, never early.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from math import inf
from time import monotonic

import msgspec

TICK = 0.01  # seconds; timeouts are in tens of milliseconds at the least


class Timer(msgspec.Struct, eq=False):
    """Something that is due at `due` (seconds, monotonic; `inf` for never). Set `due`, then `Wheel.watch`."""

    due: float = inf
    slot: int = 0  # the wheel's: the tick in whose slot it waits, 0 for none

    def expired(self, now: float) -> None:
        """Called once when `due` has passed; by then `due` is `inf`. What is to happen is the subclass' to say."""


class Wheel:
    """Watches timers on one event loop."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timer]] = {}
        self._order: list[int] = []
        self._wake: asyncio.TimerHandle | None = None
        self._wake_tick = 0

    def watch(self, timer: Timer) -> None:
        """See to it that `timer` fires at its `due`. Needed when `due` becomes earlier, or after it fired."""
        tick = int(timer.due / TICK) + 1
        waiting = timer.slot
        if waiting:
            if waiting <= tick:
                return
            self._leave(waiting, timer)
        timer.slot = tick
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = {timer}
            heappush(self._order, tick)
            if self._wake is None or tick < self._wake_tick:
                self._schedule(tick)
        else:
            slot.add(timer)

    def forget(self, timer: Timer) -> None:
        """Let go of a timer that is no longer needed."""
        waiting = timer.slot
        if waiting:
            timer.slot = 0
            self._leave(waiting, timer)

    def _leave(self, tick: int, timer: Timer) -> None:
        slot = self._slots.get(tick)
        if slot is not None:  # else it is the slot whose turn it is right now
            slot.discard(timer)

    def close(self) -> None:
        """Forget every timer."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._slots.clear()
        self._order.clear()

    def _schedule(self, tick: int) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake_tick = tick
        delay = max(0.0, tick * TICK - monotonic())
        self._wake = asyncio.get_running_loop().call_later(delay, self._turn)

    def _turn(self) -> None:
        self._wake = None
        now = monotonic()
        ticks: list[int] = []
        while self._order and self._order[0] * TICK <= now:
            ticks.append(heappop(self._order))
        for tick in ticks:  # no others: who sets a timer to the past from within one must not hold up the loop
            for timer in self._slots.pop(tick, ()):
                if timer.slot != tick:
                    continue  # forgotten, or moved, by one that fired just before
                timer.slot = 0
                if timer.due <= now:
                    timer.due = inf
                    self._expire(timer, now)
                elif timer.due < inf:
                    self.watch(timer)
        if self._order:
            self._schedule(self._order[0])

    def _expire(self, timer: Timer, now: float) -> None:
        try:
            timer.expired(now)
        except Exception as error:  # the others in its slot have nothing to do with it
            context = {"message": f"a timer failed: {type(timer).__name__}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
