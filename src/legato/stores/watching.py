"""What stores that watch have in common: their threads, and telling a listener."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from legato.model.source import Gone, Source
from legato.ports import StoreListener

TICK = 0.1  # seconds between two looks for a change
MISSING_PATIENCE = 1.0  # seconds that a whole store may be away before all it held counts as deleted: it is swapped
CLOSING_PATIENCE = 5.0  # seconds to wait for a thread that is held up by its disk or its listener
ROBUST_PAUSE = 1.0  # seconds

_log = logging.getLogger(__name__)


class Teller:
    """Tells one listener, until `stop` is set; what the listener raises is logged, and ends nothing."""

    def __init__(self, listener: StoreListener, stop: threading.Event, nudge: threading.Event, is_down: bool) -> None:
        self.stop = stop
        self._nudge = nudge
        self._listener = listener
        self._is_down = is_down

    def wait(self, seconds: float) -> bool:
        """Wait until somebody has changed something here, at most so long; whether it is time to stop."""
        self._nudge.wait(seconds)
        self._nudge.clear()
        return self.stop.is_set()

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        """Tell of changes, if there are any."""
        if found or gone:
            self._tell(lambda: self._listener.changed(found, gone))

    def down(self, why: str) -> None:
        """Tell that the store is lost, once."""
        if not self._is_down:
            self._is_down = True
            self._tell(lambda: self._listener.down(why))

    def up(self) -> None:
        """Tell that the store is back, if it was lost."""
        if self._is_down:
            self._is_down = False
            self._tell(self._listener.up)

    def _tell(self, call: Callable[[], None]) -> None:
        if self.stop.is_set():
            return
        try:
            call()
        except Exception:
            _log.exception("a listener of a store failed")


class Watches:
    """The watching threads of one store."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stop = threading.Event()
        self._nudge = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, listener: StoreListener, work: Callable[[Teller], None], is_down: bool) -> None:
        """Run `work` in a thread of its own; it comes back when the teller's `stop` is set.

        `is_down` says that the store could not be read when it was last tried, and that whoever asked knows it.
        """
        teller = Teller(listener, self._stop, self._nudge, is_down)
        thread = threading.Thread(target=self._run, args=(work, teller), name=f"legato-{self._name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def nudge(self) -> None:
        """Have a look soon: this very process has changed something."""
        self._nudge.set()

    def close(self) -> None:
        """Stop every thread, and wait for it; nothing is told afterwards."""
        self._stop.set()
        self._nudge.set()
        until = time.monotonic() + CLOSING_PATIENCE
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def _run(self, work: Callable[[Teller], None], teller: Teller) -> None:
        while not self._stop.is_set():
            try:
                work(teller)
            except Exception as error:  # a mistake of ours must not end the watching, nor go unseen
                _log.exception("watching a store failed")
                teller.down(f"{type(error).__name__}: {error}")
                self._stop.wait(ROBUST_PAUSE)
