"""A listener of a store of definitions that keeps what it is told; and a Valkey store being watched."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from legato.model.source import Gone, Source
from legato.ports import StoreListener
from legato.stores.valkey import ValkeyStore

PATIENCE = 10.0


class Told:
    """`calls` is what was called, in order; `there` the texts by name; `gone` the ends, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.there: dict[str, bytes] = {}
        self.found: list[Source] = []
        self.gone: list[Gone] = []
        self.whys: list[str] = []
        self.at = 0.0
        self._news = threading.Condition()

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        with self._news:
            self.at = time.perf_counter()
            self.calls.append("changed")
            self.gone += gone
            self.found += found
            for end in gone:
                self.there.pop(end.name, None)
            self.there.update({source.name: source.text for source in found})
            self._news.notify_all()

    def down(self, why: str) -> None:
        with self._news:
            self.calls.append("down")
            self.whys.append(why)
            self._news.notify_all()

    def up(self) -> None:
        with self._news:
            self.calls.append("up")
            self._news.notify_all()

    def until(self, what: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until something is true of what was told."""
        with self._news:
            assert self._news.wait_for(what, seconds), f"{self.calls} {self.there} {self.gone} {self.whys}"

    def until_there(self, **texts: bytes) -> None:
        """Wait until exactly these definitions are there."""
        self.until(lambda: self.there == texts)

    def until_up(self) -> None:
        self.until(lambda: self.calls and self.calls[-1] == "up")


@contextlib.contextmanager
def watched(url: str, told: StoreListener) -> Iterator[ValkeyStore]:
    """A store being watched, in step."""
    with contextlib.closing(ValkeyStore(url)) as store:
        store.load()
        store.watch(told)
        until(lambda: store.mode)
        yield store


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)
