"""Which definitions there are: those of several stores, by name, as they are now.

The first store that has a name wins; what the others say of it is shown as shadowed. Stores tell of changes from
threads of their own: texts are read there, and taken over by the event loop in small batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from legato.errors import StoreUnavailable
from legato.formats import language_of, read
from legato.model.definition import Definition
from legato.model.problem import Problem
from legato.model.source import Gone, Revision, Source
from legato.ports import DefinitionStore
from legato.telemetry.log import Log

BATCH = 64  # definitions that the event loop takes over at once: some milliseconds of its time

_NOTES = {
    "evicted": "the store evicted it to make room; it is served from memory until it is defined anew or deleted",
    "lost": "the store came back without it; it is served from memory until it is defined anew or deleted",
}

Changed = Callable[[Sequence[str]], None]


class Catalog:
    """The definitions of `stores`, in their order of precedence; the last is the one that is written to.

    Those that are `given` precede them all, and stay as they are.
    """

    def __init__(self, stores: Sequence[DefinitionStore], log: Log, given: Iterable[Definition] = ()) -> None:
        self.log = log
        self._given = {definition.name: definition for definition in given}
        self._shelves = [_Shelf(store, self) for store in stores]
        self._definitions: dict[str, Definition] = {}
        self._changed: Changed = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._drafts: dict[str, Definition] = {}  # by name, of those that are being put

    # Reading.

    def load(self) -> None:
        """Read every store, once, at the start. Blocks. A store that cannot be reached is in `troubles`."""
        for shelf in self._shelves:
            shelf.load()
        for name in {*self._given, *(name for shelf in self._shelves for name in shelf.names)}:
            self._settle(name)

    @property
    def definitions(self) -> dict[str, Definition]:
        """The definitions by name, as they are; not to be changed."""
        return self._definitions

    @property
    def troubles(self) -> list[str]:
        """What is wrong with the stores, for an operator."""
        return [shelf.trouble for shelf in self._shelves if shelf.trouble]

    @property
    def unread(self) -> str:
        """The stores that have never been read, so that nobody can say which flows there are; empty when all have."""
        return ", ".join(shelf.store.label for shelf in self._shelves if not shelf.read)

    def revisions(self, name: str) -> list[Revision]:
        """Texts that the store for writing has had under a name, newest first. Blocks; raises StoreUnavailable."""
        return self._shelves[-1].store.revisions(name)

    # Keeping up.

    def watch(self, changed: Changed) -> None:
        """Have `changed` called in this event loop with the names of definitions that changed, until `close`."""
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        for shelf in self._shelves:
            shelf.store.watch(shelf)

    def close(self) -> None:
        """Stop watching. Blocks for the threads of the stores."""
        self._loop = None
        for shelf in self._shelves:
            shelf.store.close()

    def later(self, take: Callable[[], None]) -> None:
        """Run `take` in the event loop, from any thread."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(take)
            except RuntimeError:  # the loop has ended: nobody is served any more
                self._loop = None

    def settle(self, names: Iterable[str]) -> None:
        """Find out anew which definition each name has, and tell whoever serves them."""
        changed = [name for name in dict.fromkeys(names) if self._settle(name)]
        if changed:
            self._changed(changed)
        self._news.set()
        self._news = asyncio.Event()

    def _settle(self, name: str) -> bool:
        """Whether the definition of a name has changed."""
        found = [self._given.get(name), *(shelf.find(name) for shelf in self._shelves)]
        there = [definition for definition in found if definition is not None]
        if not there:
            return self._definitions.pop(name, None) is not None
        shadows = tuple(definition.origin for definition in there[1:])
        definition = msgspec.structs.replace(there[0], shadows=shadows) if shadows else there[0]
        before = self._definitions.get(name)
        self._definitions[name] = definition
        return before is not definition and before != definition

    # Writing, to the last store.

    def draft(self, name: str, text: bytes) -> Definition:
        """What `put` would define; nothing is stored."""
        store = self._shelves[-1].store
        return read(Source(name=name, language=language_of(text), text=text, origin=f"{store.label} {name}"))

    def put(self, definition: Definition, expected: str | None = None) -> Definition:
        """Store a good definition, and give it as stored. Blocks. Raises Conflict and StoreUnavailable."""
        source, flow = definition.source, definition.flow
        assert source is not None
        assert flow is not None
        self._drafts[source.name] = definition  # the store tells of it soon: it need not be read again
        try:
            stored = self._shelves[-1].store.put(source.name, source.language, source.text, flow.version, expected)
        except BaseException:
            self._drafts.pop(source.name, None)
            raise
        return msgspec.structs.replace(definition, source=stored, origin=stored.origin, draft=stored.draft)

    def delete(self, name: str, expected: str | None = None) -> bool:
        """Delete a definition; whether there was one. Blocks. Raises Conflict and StoreUnavailable."""
        return self._shelves[-1].store.delete(name, expected)

    def stored(self, name: str) -> Definition | None:
        """What the store for writing has under a name, shadowed or not."""
        return self._shelves[-1].find(name)

    def shadowing(self, name: str) -> Definition | None:
        """The definition that hides whatever is put under this name."""
        given = self._given.get(name)
        return given or next((found for shelf in self._shelves[:-1] if (found := shelf.find(name))), None)

    def forget(self, name: str) -> bool:
        """Serve no more what the store has evicted or lost; whether there was any."""
        shelf = self._shelves[-1]
        kept = [origin for origin in shelf.names.get(name, ()) if shelf.by_origin[origin].note]
        shelf.take((), [Gone(name=name, origin=origin) for origin in kept])
        return bool(kept)

    def read(self, source: Source) -> Definition:
        """The definition in a source, which may be what `put` has just read."""
        draft = self._drafts.pop(source.name, None)
        if draft is None or draft.source is None or draft.source.digest != source.digest:
            return read(source)
        return msgspec.structs.replace(draft, source=source, origin=source.origin, draft=source.draft)

    async def told(self, name: str, digest: str | None, patience: float) -> bool:
        """Wait until the store has told of what was put (by its text's digest) or deleted (None); whether it has.

        Nothing is taken over before: who else writes is told of in the store's order, and the last one must win.
        """
        try:
            async with asyncio.timeout(patience):
                while not self._is_known(name, digest):
                    await self._news.wait()
        except TimeoutError:
            return False
        finally:
            self._drafts.pop(name, None)
        return True

    def _is_known(self, name: str, digest: str | None) -> bool:
        stored = self.stored(name)
        if stored is None or stored.source is None:
            return stored is None and digest is None
        return stored.source.digest == digest and not stored.note


class _Shelf:
    """What one store holds, as read. A StoreListener."""

    def __init__(self, store: DefinitionStore, catalog: Catalog) -> None:
        self.store = store
        self.trouble = ""
        self.read = False
        self._catalog = catalog
        self.by_origin: dict[str, Definition] = {}
        self.names: dict[str, list[str]] = {}  # origins by name

    def load(self) -> None:
        try:
            sources = self.store.load()
        except StoreUnavailable as error:
            self.trouble = self._labelled(str(error))
            return
        except Exception as error:  # a server that answers what none should
            self.trouble = self._labelled(f"cannot be read: {error!r}")
            return
        self.trouble, self.read = "", True
        for source in sources:
            self._keep(read(source))

    def find(self, name: str) -> Definition | None:
        """The definition of a name; a name that is there twice is broken: which one is meant is not ours to say."""
        origins = self.names.get(name)
        if not origins:
            return None
        if len(origins) == 1:
            return self.by_origin[origins[0]]
        return _ambiguous([self.by_origin[origin] for origin in sorted(origins)])

    # What the store tells, in its own thread.

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        """See StoreListener."""
        # What is gone may have made way for what was found: nobody shall see both, or none.
        making_way: dict[str, list[Gone]] = {source.name: [] for source in found}
        for each in gone:
            making_way.setdefault(each.name, []).append(each)
        for start in range(0, len(found), BATCH):
            definitions = [self._read(source) for source in found[start : start + BATCH]]
            left = [each for definition in definitions for each in making_way.pop(definition.name, ())]
            self._catalog.later(lambda definitions=definitions, left=left: self.take(definitions, left))
        gone = [each for same in making_way.values() for each in same]
        for start in range(0, len(gone), BATCH):
            self._catalog.later(lambda left=gone[start : start + BATCH]: self.take((), left))

    def down(self, why: str) -> None:
        """See StoreListener."""
        self._catalog.later(lambda: self._became(self._labelled(why)))

    def up(self) -> None:
        """See StoreListener."""
        self._catalog.later(lambda: self._became(""))

    def _read(self, source: Source) -> Definition:
        """A definition, without reading again what is known."""
        before = self.by_origin.get(source.origin)
        if before is None or before.source != source:
            return self._catalog.read(source)
        return msgspec.structs.replace(before, note="") if before.note else before

    # In the event loop.

    def take(self, found: Sequence[Definition], gone: Sequence[Gone]) -> None:
        """Take over changes, unless they are known already."""
        names: list[str] = []
        for each in gone:
            before = self.by_origin.get(each.origin)
            if before is None:
                continue
            names.append(each.name)
            others = [self.by_origin[origin] for origin in self.names[each.name] if origin != each.origin]
            # Where another is there still, that is what the store says of this name.
            if each.how == "deleted" or any(not other.note for other in others):
                self._drop(each.name, each.origin)
            else:
                self.by_origin[each.origin] = msgspec.structs.replace(before, note=_NOTES[each.how])
            self._catalog.log.write("definition", flow=each.name, origin=each.origin, change=each.how)
        for definition in found:
            if self.by_origin.get(definition.origin) != definition:
                self._keep(definition)
                names.append(definition.name)
        self._catalog.settle(names)

    def _keep(self, definition: Definition) -> None:
        """Know a definition; what the store had lost by its name is defined anew by it, in whichever language."""
        for origin in list(self.names.get(definition.name, ())):
            if origin != definition.origin and self.by_origin[origin].note:
                self._drop(definition.name, origin)
        if definition.origin not in self.by_origin:
            self.names.setdefault(definition.name, []).append(definition.origin)
        self.by_origin[definition.origin] = definition

    def _drop(self, name: str, origin: str) -> None:
        del self.by_origin[origin]
        self.names[name].remove(origin)
        if not self.names[name]:
            del self.names[name]

    def _became(self, trouble: str) -> None:
        self.read = self.read or not trouble
        if trouble != self.trouble:
            self.trouble = trouble
            state = {"state": "down", "why": trouble} if trouble else {"state": "up"}
            self._catalog.log.write("store", store=self.store.label, **state)

    def _labelled(self, why: str) -> str:
        """A trouble that says of which store it is, once."""
        return why if why.startswith(self.store.label) else f"{self.store.label}: {why}"


def _ambiguous(same: list[Definition]) -> Definition:
    origins = ", ".join(definition.origin for definition in same)
    message = f"the flow {same[0].name!r} is defined {len(same)} times: {origins}"
    conflict = Problem(file=same[0].origin, message=message, remedy="keep one of them")
    problems = [problem for definition in same for problem in definition.problems]
    draft = all(definition.draft for definition in same)
    return Definition(name=same[0].name, origin=origins, problems=(conflict, *problems), draft=draft)
