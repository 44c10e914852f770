"""Watchers: what a fiber waits for when it is not simply all of some nodes."""

from __future__ import annotations

from collections.abc import Sequence

from legato.kernel.scheduler import Fiber, Node, Scheduler, Watcher
from legato.model.payload import Payload


class Race(Watcher, eq=False, kw_only=True):
    """Ends when the first of some nodes does."""

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> Race:
        """A race of `nodes`, which tell it from now on."""
        race = cls(None)
        for node in nodes:
            node.waiter = race
            race.ended = race.ended or node.ended
        return race

    def told(self, run: Scheduler, node: Node) -> None:
        """The first counts."""
        _end(self, run)


class Quorum(Watcher, eq=False, kw_only=True):
    """Ends when `needed` of some nodes have succeeded, or so many have failed that they cannot any more.

    One that leaves `absent` has done neither.
    """

    needed: int = 0
    absent: Payload | None = None
    pending: int = 0
    succeeded: int = 0

    @classmethod
    def of(cls, nodes: Sequence[Node], needed: int, absent: Payload | None = None) -> Quorum:
        """A quorum of `nodes`, which tell it from now on."""
        quorum = cls(None, needed=needed, absent=absent)
        for node in nodes:
            if node.ended:
                quorum.succeeded += quorum._has_succeeded(node)
            else:
                node.waiter = quorum
                quorum.pending += 1
        quorum.ended = quorum._is_decided()
        return quorum

    def told(self, run: Scheduler, node: Node) -> None:
        """Count it."""
        self.pending -= 1
        self.succeeded += self._has_succeeded(node)
        if self._is_decided():
            _end(self, run)

    def _has_succeeded(self, node: Node) -> bool:
        return node.error is None and node.value is not self.absent

    def _is_decided(self) -> bool:
        return self.succeeded >= self.needed or self.succeeded + self.pending < self.needed


class Gate(Watcher, eq=False, kw_only=True):
    """Ends when somebody opens it."""

    def open(self, run: Scheduler) -> None:
        """Let pass who waits."""
        _end(self, run)


def _end(watcher: Watcher, run: Scheduler) -> None:
    if not watcher.ended:
        watcher.ended = True
        if isinstance(watcher.waiter, Fiber):
            run.wake(watcher.waiter)
