"""Whatever two stores tell, in whichever order and batches: the catalog is what a simple model says."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from legato.model.source import Source
from legato.testing import MemoryStore
from tests.catalog.scene import BROKEN, Scene, gone, source, text

NAMES = st.sampled_from(["a", "b", "c"])
BODIES = st.sampled_from([None, BROKEN, "g", "h"])
STORES = st.integers(0, 1)
TWINS = st.sampled_from(["x", "y"])


class Stores(RuleBasedStateMachine):
    """`model[store][origin]` is a source, and the word of its note."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stores = [MemoryStore("first"), MemoryStore("second")]
        self.model: list[dict[str, tuple[Source, str]]] = [{}, {}]
        self.scene = Scene(*self.stores)
        self.served: dict[str, object] = {}
        self.is_held = [False, False]
        self.runner.run(self.begin())

    async def begin(self) -> None:
        self.scene.begin()

    @rule(at=STORES, name=NAMES, twin=TWINS, body=BODIES, draft=st.booleans())
    def add(self, at: int, name: str, twin: str, body: str | bytes | None, draft: bool) -> None:
        body = text(name, body) if isinstance(body, str) else body
        added = source(name, body, origin=f"{at} {name} {twin}", draft=draft)
        self.stores[at].add(added)
        known = self.model[at].get(added.origin)
        # What is told again as it was, is told nobody; unless it was gone.
        if known is None or known[0] != added or known[1]:
            self.model[at][added.origin] = (added, "")
            self.drop_what_was_lost(at, name)

    @rule(at=STORES, name=NAMES, twin=TWINS, how=st.sampled_from(["deleted", "evicted", "lost"]))
    def take_away(self, at: int, name: str, twin: str, how: str) -> None:
        origin = f"{at} {name} {twin}"
        if origin not in self.model[at] or self.model[at][origin][1]:
            return
        self.stores[at].take_away(origin, how=how)  # type: ignore[arg-type]
        if how == "deleted":
            del self.model[at][origin]
        else:
            self.model[at][origin] = (self.model[at][origin][0], how)
            self.drop_what_was_lost(at, name)

    def drop_what_was_lost(self, at: int, name: str) -> None:
        """What the store has is what it says of a name; what it had lost is remembered only where there is nothing."""
        same = {origin: note for origin, (each, note) in self.model[at].items() if each.name == name}
        if "" in same.values():
            for origin, note in same.items():
                if note:
                    del self.model[at][origin]

    @rule(at=STORES, name=NAMES, body=BODIES)
    def swap_twins(self, at: int, name: str, body: str | bytes | None) -> None:
        there = [twin for twin in "xy" if (known := self.model[at].get(f"{at} {name} {twin}")) and not known[1]]
        if len(there) != 1:
            return
        old, new = (f"{at} {name} {twin}" for twin in (there[0], "y" if there[0] == "x" else "x"))
        added = source(name, text(name, body) if isinstance(body, str) else body, origin=new)
        self.stores[at].swap([added], [gone(name, old)])
        del self.model[at][old]
        self.model[at][new] = (added, "")
        self.drop_what_was_lost(at, name)

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        if any(self.is_held):
            return
        self.turn()
        self.runner.run(self.forgotten(name))
        kept = {o: each for o, each in self.model[1].items() if not (each[0].name == name and each[1])}
        self.model[1] = kept

    async def forgotten(self, name: str) -> None:
        self.scene.catalog.forget(name)

    @rule(at=STORES)
    def hold(self, at: int) -> None:
        if not self.is_held[at]:
            self.stores[at].hold()
            self.is_held[at] = True

    @rule(at=STORES, count=st.integers(1, 3))
    @precondition(lambda self: any(self.is_held))
    def release_some(self, at: int, count: int) -> None:
        if self.is_held[at]:
            self.stores[at].release(count)

    @rule(at=STORES)
    @precondition(lambda self: any(self.is_held))
    def release(self, at: int) -> None:
        if self.is_held[at]:
            self.stores[at].release()
            self.is_held[at] = False

    @rule()
    def turn(self) -> None:
        """The names that are told of are those that changed, each of them once."""
        before = dict(self.served)
        names = [name for batch in self.runner.run(self.scene.turn()) for name in batch]
        self.served = dict(self.scene.catalog.definitions)
        changed = {name for name in before.keys() | self.served.keys() if before.get(name) != self.served.get(name)}
        assert changed <= set(names)

    @invariant()
    def is_as_the_model_says(self) -> None:
        if any(self.is_held):
            return
        self.turn()
        found = {
            name: (each.state, each.origin, each.shadows, each.note.split(" ")[2] if each.note else "", each.draft)
            for name, each in self.scene.catalog.definitions.items()
        }
        assert found == self.expected()

    def expected(self) -> dict[str, tuple[str, str, tuple[str, ...], str, bool]]:
        there: dict[str, tuple[str, str, tuple[str, ...], str, bool]] = {}
        for name in ("a", "b", "c"):
            layers = [self.layer(at, name) for at in (0, 1)]
            found = [layer for layer in layers if layer is not None]
            if found:
                state, origin, note, draft = found[0]
                there[name] = (state, origin, tuple(layer[1] for layer in found[1:]), note, draft)
        return there

    def layer(self, at: int, name: str) -> tuple[str, str, str, bool] | None:
        """What one store says of a name: state, origin, a word of the note, whether it is a draft."""
        same = sorted((origin, *each) for origin, each in self.model[at].items() if each[0].name == name)
        if not same:
            return None
        if len(same) > 1:
            return "broken", ", ".join(origin for origin, _, _ in same), "", all(each.draft for _, each, _ in same)
        [(origin, each, note)] = same
        word = {"evicted": "evicted", "lost": "came"}.get(note, "")
        return "broken" if each.text == BROKEN else "ok", origin, word, each.draft

    def teardown(self) -> None:
        self.scene.catalog.close()
        self.runner.close()


Stores.TestCase.settings = settings(stateful_step_count=30)
TestStores = Stores.TestCase
