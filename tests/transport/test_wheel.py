"""The timer wheel: never early, late by a tick at most, whatever is moved, forgotten or watched meanwhile."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.testing import ManualClock, run_in_manual_time
from legato.transport.wheel import TICK, Timer, Wheel

SLACK = 1e-4  # of the clock, which takes a microsecond for each turn of the loop


class Bell(Timer, eq=False, kw_only=True, weakref=True):
    """A timer that writes down when it rang."""

    rang: list[float] = []
    then: Callable[[float], None] | None = None

    def expired(self, now: float) -> None:
        assert self.due == inf
        assert self.slot == 0
        self.rang.append(now)
        if self.then is not None:
            self.then(now)


def set_to(wheel: Wheel, bell: Bell, due: float) -> None:
    bell.due = due
    wheel.watch(bell)


def in_time(bell: Bell, due: float) -> bool:
    """Whether it rang once, for `due`."""
    return len(bell.rang) == 1 and due <= bell.rang[0] <= due + TICK + SLACK


Test = Callable[[Wheel, ManualClock], Any]


def with_wheel(test: Test) -> Callable[[], None]:
    async def main(clock: ManualClock) -> None:
        wheel = Wheel()
        await test(wheel, clock)
        wheel.close()

    def run() -> None:
        run_in_manual_time(main)

    return run


@with_wheel
async def test_a_timer_fires_once(wheel: Wheel, clock: ManualClock) -> None:
    bell, due = Bell(), clock.now + 0.5
    set_to(wheel, bell, due)
    await asyncio.sleep(5)
    assert in_time(bell, due)


@with_wheel
async def test_a_due_time_in_the_past_fires_soon(wheel: Wheel, clock: ManualClock) -> None:
    bell, start = Bell(), clock.now
    set_to(wheel, bell, clock.now - 100)
    await asyncio.sleep(0.1)
    assert len(bell.rang) == 1
    assert bell.rang[0] <= start + SLACK


@with_wheel
async def test_moving_later_needs_no_watch(wheel: Wheel, clock: ManualClock) -> None:
    bell, due = Bell(), clock.now + 9
    set_to(wheel, bell, clock.now + 1)
    bell.due = clock.now + 5
    await asyncio.sleep(3)
    bell.due = due
    await asyncio.sleep(20)
    assert in_time(bell, due)


@with_wheel
async def test_moving_earlier_needs_a_watch(wheel: Wheel, clock: ManualClock) -> None:
    bell, due = Bell(), clock.now + 1
    set_to(wheel, bell, clock.now + 50)
    set_to(wheel, bell, due)
    await asyncio.sleep(100)
    assert in_time(bell, due)


@with_wheel
async def test_a_timer_set_to_never_is_let_go(wheel: Wheel, clock: ManualClock) -> None:
    bell = Bell()
    set_to(wheel, bell, clock.now + 1)
    bell.due = inf
    await asyncio.sleep(10)
    assert (bell.rang, bell.slot) == ([], 0)
    due = clock.now + 1
    set_to(wheel, bell, due)
    await asyncio.sleep(10)
    assert in_time(bell, due)


@with_wheel
async def test_forgotten_is_forgotten_and_may_be_watched_again(wheel: Wheel, clock: ManualClock) -> None:
    bell = Bell()
    wheel.forget(bell)
    set_to(wheel, bell, clock.now + 1)
    wheel.forget(bell)
    wheel.forget(bell)
    await asyncio.sleep(10)
    assert bell.rang == []
    due = clock.now + 1
    set_to(wheel, bell, due)
    await asyncio.sleep(10)
    assert in_time(bell, due)


@with_wheel
async def test_who_is_forgotten_or_moved_is_not_kept_in_memory(wheel: Wheel, clock: ManualClock) -> None:
    bell = Bell()
    set_to(wheel, bell, clock.now + 3600)
    set_to(wheel, bell, clock.now + 1800)
    wheel.forget(bell)
    known = weakref.ref(bell)
    del bell
    gc.collect()
    assert known() is None


@with_wheel
async def test_a_callback_may_forget_and_move_others_of_its_slot(wheel: Wheel, clock: ManualClock) -> None:
    due, later = clock.now + 1, clock.now + 3
    bells = [Bell() for _ in range(30)]

    def meddle(_: float) -> None:
        first = next(bell for bell in bells if bell.rang)
        rest = [bell for bell in bells if bell is not first]
        for bell in rest[:10]:
            wheel.forget(bell)
        for bell in rest[10:20]:
            wheel.forget(bell)
            set_to(wheel, bell, later)
        for bell in rest[20:]:
            bell.then = None
            set_to(wheel, bell, due)
        for bell in bells:
            bell.then = None

    for bell in bells:
        bell.then = meddle
        set_to(wheel, bell, due)
    await asyncio.sleep(10)
    assert sum(in_time(bell, due) for bell in bells) == 1 + 9
    assert sum(in_time(bell, later) for bell in bells) == 10
    assert sum(bell.rang == [] for bell in bells) == 10


@with_wheel
async def test_a_callback_may_set_its_own_timer_again(wheel: Wheel, clock: ManualClock) -> None:
    bell, start = Bell(), clock.now
    bell.then = lambda now: set_to(wheel, bell, now + 1) if len(bell.rang) < 5 else None
    set_to(wheel, bell, start + 1)
    await asyncio.sleep(20)
    assert len(bell.rang) == 5
    assert all(1 <= b - a <= 1 + TICK + SLACK for a, b in zip([start, *bell.rang], bell.rang, strict=False))


@with_wheel
async def test_a_timer_that_is_always_due_does_not_hold_up_the_loop(wheel: Wheel, clock: ManualClock) -> None:
    bell, other = Bell(), Bell()
    bell.then = lambda now: set_to(wheel, bell, now - 1)
    due = clock.now + 0.001
    set_to(wheel, bell, clock.now)
    set_to(wheel, other, due)
    await asyncio.sleep(0.05)
    wheel.forget(bell)
    assert in_time(other, due)


@with_wheel
async def test_a_callback_that_raises_harms_no_other(wheel: Wheel, clock: ManualClock) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    due = clock.now + 1
    bells = [Bell() for _ in range(9)]
    for bell in bells[:3]:
        bell.then = lambda now: int(f"{now} is no int") and None
    for bell in bells:
        set_to(wheel, bell, due)
    last = Bell()
    set_to(wheel, last, due + 1)
    await asyncio.sleep(10)
    assert all(in_time(bell, due) for bell in bells)
    assert in_time(last, due + 1)
    assert [type(error) for error in told] == [ValueError] * 3


@with_wheel
async def test_closed_means_silent(wheel: Wheel, clock: ManualClock) -> None:
    bell = Bell()
    set_to(wheel, bell, clock.now + 1)
    wheel.close()
    wheel.forget(bell)
    await asyncio.sleep(10)
    assert bell.rang == []


def test_nothing_is_left_of_a_wheel_whose_timers_have_fired() -> None:
    async def main(clock: ManualClock) -> None:
        wheel = Wheel()
        for n in range(100):
            set_to(wheel, Bell(), clock.now + n / 10)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="no timer is set"):
        run_in_manual_time(main)


@given(st.integers(0, 2**32), st.sampled_from([1, 5, 40, 400]))
def test_against_a_reference(seed: int, count: int) -> None:
    random = Random(seed)
    expected: dict[int, float] = {}

    async def main(clock: ManualClock) -> None:
        wheel = Wheel()
        bells = [Bell() for _ in range(count)]
        for _ in range(4 * count):
            n = random.randrange(count)
            bell = bells[n]
            if n in expected and expected[n] <= clock.now + TICK + SLACK:
                check(bell, n, clock.now)
                continue
            action = random.randrange(10)
            due = clock.now + random.choice([0.0, 0.001, TICK, random.random() * 3, random.random() * 300])
            if action == 0:
                wheel.forget(bell)
                expected.pop(n, None)
            elif action < 3 and n in expected and due > expected[n]:
                bell.due = expected[n] = due
            else:
                expected[n] = due
                set_to(wheel, bell, due)
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * random.choice([0.01, 1.0]))
        await asyncio.sleep(400)
        for n in range(count):
            check(bells[n], n, clock.now)
        assert not expected

    def check(bell: Bell, n: int, now: float) -> None:
        due = expected.get(n)
        if due is None:
            assert bell.rang == []
        elif bell.rang:
            assert in_time(bell, due), (bell.rang, due)
            bell.rang.clear()
            del expected[n]
        else:
            assert now <= due + TICK + SLACK, "it should have rung"

    run_in_manual_time(main)
