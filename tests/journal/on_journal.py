"""A plugin of pytest that has the tests of the language run on the journal host: `-p tests.journal.on_journal`.

Two rules of durable runs are set aside, as those tests say what inline ones do: an undo that cannot be done is told,
and not parked, and what follows the end of a run is bounded.
"""

from __future__ import annotations

import asyncio
from typing import Any

from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineRun
from legato.hosts.journal import host as journal_host
from legato.hosts.journal import run as journal_run
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.run import DurableRun
from legato.kernel import Sleep, Wait
from legato.telemetry.log import Log
from legato.transport.wheel import Wheel
from tests.journal.stage import Here, MemoryJournal
from tests.language import play

DAY = 2.0**30  # a time of day of which no fraction of a second is lost by adding to it


class Host(JournalHost):
    """Takes the place of the inline host in `tests.language.play`."""

    def __init__(self, wheel: Wheel, log: Log, over: asyncio.Event, functions: Any) -> None:
        super().__init__(wheel, log, MemoryJournal(), self)  # type: ignore[arg-type]
        self.beside = Here()  # type: ignore[assignment]
        self.over = over
        self.functions = functions

    wait = play.Host.wait  # signals come as those tests say

    def start(self, bound: BoundProgram, payload: Any, caller: Any, reply: Any) -> Any:
        bound.pin = bound.pin or (b"digest", b"{}")
        return self.begin(bound, payload, caller, None, None, lambda _: None, _never, reply)

    def rest(self, run: DurableRun) -> None:
        """Nobody would take it up again."""

    def ended(self, run: InlineRun) -> None:
        super().ended(run)
        self.over.set()


def _pause(run: DurableRun, leaf: Sleep | Wait) -> None:
    if isinstance(leaf, Sleep):
        PAUSE(run, leaf)
    elif not leaf.cancelled:
        run.home.wait(run, leaf)


PAUSE = DurableRun.pause


def _never(why: str) -> None:
    raise AssertionError(why)


def pytest_configure() -> None:
    play.Host = Host  # type: ignore[misc,assignment]
    DurableRun.parks = InlineRun.parks  # type: ignore[method-assign]
    DurableRun._bound_undo = InlineRun._bound_undo  # type: ignore[method-assign]
    for module in (journal_host, journal_run):
        module.time = lambda: DAY + asyncio.get_running_loop().time()  # type: ignore[attr-defined]
    DurableRun.pause = _pause  # type: ignore[method-assign]
