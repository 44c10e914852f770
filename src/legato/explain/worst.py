"""The longest that steps may take, as far as that can be known: seconds, so much for every few items, open ends.

It is a bound: nothing takes longer, and hardly anything ever as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from legato.pictures.words import span

MOST = 32  # loops, and open ends
OTHERS = "what else there is"


class Window(msgspec.Struct, frozen=True):
    """So many items of a foreach at a time; how many there are is not known."""

    path: str
    size: int


class Loop(msgspec.Struct, frozen=True):
    """Seconds for every window of items, of loops within loops innermost first."""

    seconds: float
    windows: tuple[Window, ...]


class Worst(msgspec.Struct, frozen=True, omit_defaults=True):
    """`seconds`, and `loops` besides, and whatever the steps at the paths of `open` take, which nobody can know."""

    seconds: float = 0.0
    loops: tuple[Loop, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether it is a number."""
        return not self.loops and not self.open

    def then(self, other: Worst) -> Worst:
        """One after the other."""
        return _few(self.seconds + other.seconds, (*self.loops, *other.loops), (*self.open, *other.open))

    def within(self, timeout: float | None) -> Worst:
        """Ended by a timeout, if there is one."""
        if timeout is None or (self.known and self.seconds <= timeout):
            return self
        return Worst(timeout)

    def for_each(self, path: str, size: int, items: int | None) -> Worst:
        """For each item of a foreach, `size` of them at a time; None for an unknown number."""
        if items is not None:
            times = math.ceil(items / size)
            loops = tuple(Loop(loop.seconds * times, loop.windows) for loop in self.loops) if times else ()
            return Worst(self.seconds * times, loops, self.open if times else ())
        window = Window(path, size)
        own = (Loop(self.seconds, (window,)),) if self.seconds else ()
        loops = tuple(Loop(loop.seconds, (*loop.windows, window)) for loop in self.loops)
        return Worst(0.0, (*own, *loops), self.open)

    def __str__(self) -> str:
        parts = [span(self.seconds)] if self.seconds or self.known else []
        parts += map(_loop_text, self.loops)
        parts += [f"as long as {path} takes" for path in self.open]
        return " + ".join(parts)


def longest(all_: Iterable[Worst]) -> Worst:
    """At the same time, or one of them: the most of each part, which is never less than the longest of all."""
    seconds = 0.0
    loops: dict[tuple[Window, ...], float] = {}
    open_: dict[str, None] = {}
    for each in all_:
        seconds = max(seconds, each.seconds)
        for loop in each.loops:
            loops[loop.windows] = max(loops.get(loop.windows, 0.0), loop.seconds)
        open_.update(dict.fromkeys(each.open))
    return _few(seconds, tuple(Loop(each, windows) for windows, each in loops.items()), tuple(open_))


def _few(seconds: float, loops: tuple[Loop, ...], open_: tuple[str, ...]) -> Worst:
    """No more loops and open ends than somebody reads, or than are quickly counted."""
    if len(loops) > MOST:
        loops, open_ = loops[:MOST], (*open_[:MOST], OTHERS)
    if len(open_) > MOST:
        open_ = (*open_[:MOST], OTHERS)
    return Worst(round(seconds, 9), loops, tuple(dict.fromkeys(open_)) if open_ else ())


def _loop_text(loop: Loop) -> str:
    windows = ", for ".join(
        f"every {window.size} items of {window.path}" if window.size > 1 else f"every item of {window.path}"
        for window in loop.windows
    )
    return f"{span(loop.seconds)} for {windows}"
