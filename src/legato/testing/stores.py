"""A store of definitions in memory: what it tells, and when, and when it is out of reach, is the test's to say.

store = MemoryStore("memory:a")
other = MemoryStore("memory:a", beside=store)   # the same definitions, as another process would see them
store.lose("pulled the plug")                   # whoever asks gets StoreUnavailable, whoever watches is told
store.hold()                                    # tells nothing until `release`
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from legato.errors import Conflict, StoreUnavailable
from legato.model.source import Gone, Language, Revision, Source
from legato.ports import StoreListener


@dataclass
class _Place:
    """What is stored, and who looks on."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    sources: dict[str, Source] = field(default_factory=dict[str, Source])  # by origin
    revisions: dict[str, list[Revision]] = field(default_factory=dict[str, list[Revision]])
    stores: list[MemoryStore] = field(default_factory=list["MemoryStore"])


class MemoryStore:
    """A DefinitionStore. It tells in the thread of whoever changes something, under a lock: never two calls at once.

    Holds what `put` can and what only others could have left there (`add`, `take_away`). `calls` records who asked.
    """

    def __init__(self, label: str = "memory", beside: MemoryStore | None = None) -> None:
        self._label = label
        self._place = _Place() if beside is None else beside._place
        self._place.stores.append(self)
        self._known: dict[str, Source] = {}
        self._listener: StoreListener | None = None
        self._held: list[Callable[[StoreListener], None]] | None = None
        self._lost = ""
        self._is_unread = False  # whether the last `load` failed
        self.calls: list[str] = []

    @property
    def label(self) -> str:
        """As given."""
        return self._label

    def load(self) -> list[Source]:
        """See DefinitionStore."""
        with self._place.lock:
            self._is_unread = True
            self._check("load")
            self._is_unread = False
            self._known = dict(self._place.sources)
            return sorted(self._known.values(), key=lambda source: (source.name, source.origin))

    def put(self, name: str, language: Language, text: bytes, version: str, expected: str | None = None) -> Source:
        """See DefinitionStore."""
        source = Source(name=name, language=language, text=text, origin=f"{self._label} {name}")
        with self._place.lock:
            self._check("put")
            others = [other for other in self._expect(name, expected) if other.origin != source.origin]
            kept = self._place.revisions.setdefault(name, [])
            kept.insert(0, Revision(version=version, language=language, text=text, created="2026-01-01T00:00:00Z"))
            self._change([source], [Gone(name=name, origin=other.origin) for other in others])
        return source

    def delete(self, name: str, expected: str | None = None) -> bool:
        """See DefinitionStore."""
        with self._place.lock:
            self._check("delete")
            there = self._expect(name, expected)
            self._change([], [Gone(name=name, origin=source.origin) for source in there])
        return bool(there)

    def revisions(self, name: str) -> list[Revision]:
        """See DefinitionStore."""
        with self._place.lock:
            self._check("revisions")
            return list(self._place.revisions.get(name, ()))

    def watch(self, listener: StoreListener) -> None:
        """See DefinitionStore."""
        with self._place.lock:
            self._listener = listener
            if self._lost:
                self._tell(lambda listener: listener.down(self._lost))
            else:
                self._catch_up()
                if self._is_unread:
                    self._tell(lambda listener: listener.up())

    def close(self) -> None:
        """See DefinitionStore."""
        with self._place.lock:
            self._listener = None

    # What tests say.

    def add(self, *sources: Source) -> None:
        """Have sources there that nobody would put: of any origin, with a trouble, drafts."""
        with self._place.lock:
            self._change(list(sources), [])

    def take_away(self, *origins: str, how: Literal["deleted", "evicted", "lost"] = "deleted") -> None:
        """Have sources go, by their origins, and in which way."""
        with self._place.lock:
            there = [self._place.sources[origin] for origin in origins if origin in self._place.sources]
            self._change([], [Gone(name=source.name, origin=source.origin, how=how) for source in there])

    def swap(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        """Have some come and some go, told at once."""
        with self._place.lock:
            self._change(list(found), list(gone))

    def hold(self) -> None:
        """Tell nothing until `release`."""
        self._held = []

    def release(self, count: int | None = None) -> None:
        """Tell what was held back, in order: so many calls of it, or all, after which nothing is held any more."""
        with self._place.lock:
            held = self._held or []
            now, later = (held, None) if count is None else (held[:count], held[count:])
            self._held = None
            for call in now:
                self._tell(call)
            self._held = later

    def lose(self, why: str) -> None:
        """Be out of reach from now on."""
        with self._place.lock:
            self._lost = why
            self._tell(lambda listener: listener.down(why))

    def find_again(self) -> None:
        """Be back; what has changed meanwhile is told, then `up`."""
        with self._place.lock:
            self._lost = ""
            self._catch_up()
            self._tell(lambda listener: listener.up())

    # How it is done.

    def _check(self, call: str) -> None:
        self.calls.append(call)
        if self._lost:
            raise StoreUnavailable(f"{self._label}: {self._lost}")

    def _expect(self, name: str, expected: str | None) -> list[Source]:
        there = [source for source in self._place.sources.values() if source.name == name]
        if expected is not None and expected not in ([source.digest for source in there] or [""]):
            raise Conflict(f"{self._label}: {name} is not what was expected; read it again and repeat")
        return there

    def _change(self, found: list[Source], gone: list[Gone]) -> None:
        before = dict(self._place.sources)
        for each in gone:
            self._place.sources.pop(each.origin, None)
        self._place.sources.update({source.origin: source for source in found})
        found = [source for source in found if before.get(source.origin) != source]
        for store in self._place.stores:
            if not store._lost:
                store._changed(found, gone)

    def _changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        if self._listener is None:
            return  # what has changed is found out by `watch`
        for each in gone:
            self._known.pop(each.origin, None)
        self._known.update({source.origin: source for source in found})
        if found or gone:
            self._tell(lambda listener: listener.changed(found, gone))

    def _catch_up(self) -> None:
        there, known = self._place.sources, self._known
        found = [source for origin, source in there.items() if known.get(origin) != source]
        gone = [Gone(name=source.name, origin=origin) for origin, source in known.items() if origin not in there]
        self._changed(found, gone)

    def _tell(self, call: Callable[[StoreListener], None]) -> None:
        if self._listener is None:
            return
        if self._held is not None:
            self._held.append(call)
            return
        with contextlib.suppress(Exception):  # a listener's mistake ends no watching
            call(self._listener)
