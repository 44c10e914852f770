"""The catalog: which definitions there are, by what its stores hold and tell."""

from __future__ import annotations

import asyncio
import threading
import time

import msgspec
import pytest

from legato import catalog as catalog_module
from legato.catalog import BATCH, Catalog
from legato.errors import Conflict, StoreUnavailable
from legato.model.definition import Definition
from legato.model.source import Source
from legato.telemetry.log import Log
from legato.testing import MemoryStore
from tests.catalog.scene import BROKEN, Scene, gone, in_loop, source, text


def two() -> tuple[MemoryStore, MemoryStore]:
    return MemoryStore("first"), MemoryStore("second")


# Which one wins.


def test_the_first_store_wins_and_says_what_it_hides() -> None:
    first, second = two()
    first.add(source("a", origin="first a"), source("only-first", origin="first o"))
    second.add(source("a", BROKEN, origin="second a"), source("only-second", origin="second o"))
    scene = Scene(first, second)
    scene.catalog.load()
    assert scene.shown == {"a": "ok first a", "only-first": "ok first o", "only-second": "ok second o"}
    assert scene.catalog.definitions["a"].shadows == ("second a",)
    assert scene.catalog.definitions["only-first"].shadows == ()
    assert scene.catalog.shadowing("a") == msgspec.structs.replace(scene.catalog.definitions["a"], shadows=())
    assert scene.catalog.shadowing("only-second") is None
    hidden = scene.catalog.stored("a")
    assert hidden is not None
    assert hidden.origin == "second a"
    assert scene.catalog.stored("only-first") is None


def test_a_broken_one_of_the_first_store_hides_too() -> None:
    first, second = two()
    first.add(source("a", BROKEN, origin="first a"))
    second.add(source("a", origin="second a"))
    scene = Scene(first, second)
    scene.catalog.load()
    assert scene.shown == {"a": "broken first a"}


@in_loop
async def test_what_was_hidden_comes_forth() -> None:
    first, second = two()
    first.add(source("a", origin="first a"))
    second.add(source("a", text("a", "g"), origin="second a"))
    scene = Scene(first, second).begin()
    first.take_away("first a")
    assert await scene.turn() == [["a"]]
    assert scene.shown == {"a": "ok second a"}
    assert scene.catalog.definitions["a"].shadows == ()
    first.add(source("a", origin="first a"))
    assert await scene.turn() == [["a"]]
    assert scene.shown == {"a": "ok first a"}
    second.take_away("second a")
    assert await scene.turn() == [["a"]], "what it hides is part of a definition"
    assert scene.catalog.definitions["a"].shadows == ()
    first.take_away("first a")
    assert await scene.turn() == [["a"]]
    assert scene.shown == {}


@in_loop
async def test_a_change_of_what_is_hidden_is_nobody_s_business() -> None:
    first, second = two()
    first.add(source("a", origin="first a"))
    second.add(source("a", origin="second a"))
    scene = Scene(first, second).begin()
    second.add(source("a", BROKEN, origin="second a"))
    assert await scene.turn() == []
    hidden = scene.catalog.stored("a")
    assert hidden is not None
    assert hidden.state == "broken"


# A name that is there twice.


@in_loop
async def test_a_name_that_is_there_twice_is_broken_until_one_is_left() -> None:
    store = MemoryStore()
    store.add(source("a", origin="z"))
    scene = Scene(store).begin()
    store.add(source("a", BROKEN, origin="b"))
    assert await scene.turn() == [["a"]]
    twice = scene.catalog.definitions["a"]
    assert twice.state == "broken"
    assert twice.origin == "b, z"
    assert "defined 2 times: b, z" in twice.problems[0].message
    assert twice.problems[0].remedy == "keep one of them"
    assert len(twice.problems) > 1, "and what is wrong with each of them"
    assert twice.source is None
    store.take_away("b")
    await scene.turn()
    assert scene.shown == {"a": "ok z"}


def test_twice_is_a_draft_only_if_both_are() -> None:
    for drafts in ((True, True), (True, False), (False, False)):
        store = MemoryStore()
        store.add(source("a", origin="1", draft=drafts[0]), source("a", origin="2", draft=drafts[1]))
        scene = Scene(store)
        scene.catalog.load()
        assert scene.catalog.definitions["a"].draft == all(drafts)


# Changes.


@in_loop
async def test_one_change_is_one_parse() -> None:
    parsed: list[str] = []
    plain = catalog_module.read

    def counted(given: Source) -> Definition:
        parsed.append(given.name)
        return plain(given)

    catalog_module.read = counted
    try:
        store = MemoryStore()
        store.add(source("a"), source("b"))
        scene = Scene(store).begin()
        assert sorted(parsed) == ["a", "b"]
        parsed.clear()
        store.add(source("a", text("a", "g")))
        assert await scene.turn() == [["a"]]
        assert parsed == ["a"]
        scene.catalog._shelves[0].changed([source("a", text("a", "g"))], [])  # a store may repeat itself
        store.take_away("somewhere b")
        assert await scene.turn() == [["b"]]
        assert parsed == ["a"]
        parsed.clear()
        drafted = scene.catalog.draft("c", text("c"))  # whoever puts has read it to check it
        stored = await asyncio.to_thread(scene.catalog.put, drafted)
        assert stored.source is not None
        assert await scene.catalog.told("c", stored.source.digest, 5)
        assert scene.catalog.definitions["c"].source == stored.source
        assert scene.catalog.definitions["c"].origin == stored.origin
        assert parsed == ["c"]
        store.add(source("c", text("c", "h"), origin=stored.origin))  # by somebody else meanwhile
        await scene.turn()
        assert parsed == ["c", "c"]
    finally:
        catalog_module.read = plain


@in_loop
async def test_what_is_told_again_unchanged_is_passed_over() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    [shelf] = scene.catalog._shelves
    before = scene.catalog.definitions["a"]
    shelf.changed([source("a")], [])
    assert await scene.turn() == []
    assert scene.catalog.definitions["a"] is before


@in_loop
async def test_the_same_text_with_another_trouble_is_a_change() -> None:
    store = MemoryStore()
    store.add(source("a", trouble="no right to it"))
    scene = Scene(store).begin()
    assert [problem.message for problem in scene.catalog.definitions["a"].problems] == ["no right to it"]
    store.add(source("a", trouble="is a folder"))
    assert await scene.turn() == [["a"]]
    store.add(source("a"))
    assert await scene.turn() == [["a"]]
    assert scene.shown == {"a": "ok somewhere a"}


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 1])
def test_many_changes_come_in_batches(count: int) -> None:
    async def main() -> None:
        store = MemoryStore()
        scene = Scene(store).begin()
        names = [f"f-{number}" for number in range(count)]
        store.swap([source(name) for name in names], [])
        changes = await scene.turn()
        assert [name for batch in changes for name in batch] == names
        assert all(len(batch) <= BATCH for batch in changes)
        assert set(scene.catalog.definitions) == set(names)

    asyncio.run(main())


@pytest.mark.parametrize("at", [0, BATCH - 1, BATCH, 2 * BATCH + 3])
def test_what_makes_way_is_never_seen_beside_nor_missed(at: int) -> None:
    """A file that changes its language: the one is gone, the other found, wherever it is among many."""

    async def main() -> None:
        store = MemoryStore()
        store.add(source("moved", origin="moved.json"))
        scene = Scene(store).begin()
        seen: list[str] = []

        def look(names: object) -> None:
            definition = scene.catalog.definitions.get("moved")
            seen.append("missing" if definition is None else f"{definition.state} {definition.origin}")

        scene.catalog._changed = look
        found = [source(f"f-{number}") for number in range(3 * BATCH)]
        found.insert(at, source("moved", origin="moved.yaml"))
        store.swap(found, [gone("moved", "moved.json")])
        await scene.turn()
        assert set(seen) <= {"ok moved.json", "ok moved.yaml"}
        assert seen[-1] == "ok moved.yaml"

    asyncio.run(main())


@in_loop
async def test_many_gone_and_none_found() -> None:
    store = MemoryStore()
    names = [f"f-{number}" for number in range(200)]
    store.add(*[source(name) for name in names])
    scene = Scene(store).begin()
    store.take_away(*[f"somewhere {name}" for name in names])
    await scene.turn()
    assert scene.shown == {}
    assert scene.catalog._shelves[0].names == {}
    assert scene.catalog._shelves[0].by_origin == {}


@in_loop
async def test_the_loop_has_turns_between_batches() -> None:
    """A store that comes back with thousands of flows must not hold up requests meanwhile."""
    store = MemoryStore()
    scene = Scene(store).begin()
    told: list[int] = []
    scene.catalog._changed = lambda names: told.append(len(names))
    store.swap([source(f"f-{number}") for number in range(4 * BATCH)], [])
    await asyncio.sleep(0)
    assert sum(told) == 4 * BATCH
    assert len(told) >= 4


# What a store no longer has.


@pytest.mark.parametrize("how", ["evicted", "lost"])
def test_what_the_server_dropped_is_served_with_a_note(how: str) -> None:
    async def main() -> None:
        store = MemoryStore()
        store.add(source("a"), source("b"))
        scene = Scene(store).begin()
        store.take_away("somewhere a", how=how)  # type: ignore[arg-type]
        assert await scene.turn() == [["a"]]
        kept = scene.catalog.definitions["a"]
        assert kept.state == "ok"
        assert ("evicted" if how == "evicted" else "came back without it") in kept.note
        assert scene.catalog.definitions["b"].note == ""
        assert f'"change":"{how}"' in scene.lines.getvalue()

    asyncio.run(main())


@in_loop
async def test_a_note_goes_when_the_text_is_there_again() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    for body in (text("a"), text("a", "g")):
        store.take_away("somewhere a", how="lost")
        await scene.turn()
        assert scene.catalog.definitions["a"].note
        store.add(source("a", body))
        assert await scene.turn() == [["a"]]
        assert scene.catalog.definitions["a"].note == ""


@in_loop
async def test_gone_and_there_again_before_the_loop_looks() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    store.take_away("somewhere a", how="evicted")
    store.add(source("a"))
    await scene.turn()
    assert scene.shown == {"a": "ok somewhere a"}
    assert scene.catalog.definitions["a"].note == ""
    store.take_away("somewhere a")
    store.add(source("a"))
    await scene.turn()
    assert scene.shown == {"a": "ok somewhere a"}
    store.add(source("a", text("a", "x")))
    store.add(source("a"))
    await scene.turn()
    assert scene.catalog.definitions["a"].source == source("a")


@in_loop
async def test_evicted_then_deleted_is_deleted() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    [shelf] = scene.catalog._shelves
    store.take_away("somewhere a", how="evicted")
    shelf.changed((), [gone("a")])
    await scene.turn()
    assert scene.shown == {}
    shelf.changed((), [gone("a", how="evicted")])
    assert await scene.turn() == []
    assert scene.shown == {}


@in_loop
async def test_forget_ends_the_service_of_what_was_dropped_only() -> None:
    first, second = two()
    first.add(source("c", origin="first c"))
    second.add(source("a", origin="second a"), source("b", origin="second b"))
    scene = Scene(first, second).begin()
    first.take_away("first c", how="lost")
    second.take_away("second a", how="lost")
    await scene.turn()
    assert not scene.catalog.forget("b")
    assert not scene.catalog.forget("nobody")
    assert not scene.catalog.forget("c"), "of another store than that for writing"
    assert scene.catalog.forget("a")
    assert set(scene.shown) == {"b", "c"}
    assert not scene.catalog.forget("a")
    second.add(source("a", origin="second a"))
    await scene.turn()
    assert scene.shown["a"] == "ok second a"


# A store that is out of reach.


@in_loop
async def test_a_store_that_goes_and_comes() -> None:
    store = MemoryStore("memory:x")
    store.add(source("a"))
    scene = Scene(store).begin()
    assert scene.catalog.troubles == []
    assert scene.catalog.unread == ""
    store.lose("the cable")
    await scene.turn()
    assert scene.catalog.troubles == ["memory:x: the cable"]
    assert scene.catalog.unread == "", "it has been read once"
    assert scene.shown == {"a": "ok somewhere a"}
    other = MemoryStore("memory:x", beside=store)
    other.add(source("b"))
    store.find_again()
    await scene.turn()
    assert scene.catalog.troubles == []
    assert set(scene.shown) == {"a", "b"}
    states = [line for line in scene.lines.getvalue().splitlines() if '"event":"store"' in line]
    assert len(states) == 2
    assert '"why":"memory:x: the cable"' in states[0]
    assert '"state":"up"' in states[1]


@in_loop
async def test_a_store_that_is_down_at_the_start() -> None:
    files, store = MemoryStore("files"), MemoryStore("memory:x")
    files.add(source("a"))
    store.add(source("b"))
    store.lose("not there yet")
    scene = Scene(files, store).begin()
    await scene.turn()
    assert scene.catalog.unread == "memory:x"
    assert scene.catalog.troubles == ["memory:x: not there yet"], "the store's name stands there once"
    assert set(scene.shown) == {"a"}
    store.find_again()
    await until(lambda: not scene.catalog.unread)
    await scene.turn()
    assert scene.catalog.troubles == []
    assert set(scene.shown) == {"a", "b"}
    await asyncio.to_thread(scene.catalog.close)


@pytest.mark.parametrize("holds", [(), ("b",)])
def test_a_store_that_comes_between_the_first_look_and_the_second(holds: tuple[str, ...]) -> None:
    """Started together with the gateway: `load` fails, and when it is watched it is there, and never was down."""

    async def main() -> None:
        store = MemoryStore("memory:x")
        store.add(*[source(name) for name in holds])
        store.lose("not there yet")
        scene = Scene(store)
        scene.catalog.load()
        assert scene.catalog.unread == "memory:x"
        store._lost = ""
        scene.catalog.watch(scene.changed)
        await until(lambda: not scene.catalog.unread)
        assert scene.catalog.troubles == []
        await scene.turn()
        assert set(scene.shown) == set(holds)
        store.add(source("later"))
        await until(lambda: "later" in scene.shown)
        await asyncio.to_thread(scene.catalog.close)

    asyncio.run(main())


@in_loop
async def test_closing_while_a_store_is_sought() -> None:
    threads = set(threading.enumerate())
    store = MemoryStore("memory:x")
    store.lose("for ever")
    scene = Scene(store).begin()
    await scene.turn()
    await asyncio.to_thread(scene.catalog.close)
    left = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")} - threads
    assert not left
    store.find_again()
    store.add(source("a"))
    assert await scene.turn() == []
    assert scene.shown == {}


# Waiting for what was written.


@in_loop
async def test_told_waits_for_the_store() -> None:
    store = MemoryStore()
    scene = Scene(store).begin()
    store.hold()
    put = store.put("a", "native", text("a"), "v1")
    waiting = asyncio.create_task(scene.catalog.told("a", put.digest, 5.0))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert scene.shown == {}, "nothing is taken over before its time"
    store.release()
    assert await asyncio.wait_for(waiting, 1.0)
    assert scene.shown == {"a": "ok memory a"}
    assert await scene.catalog.told("a", put.digest, 0.0) or await scene.catalog.told("a", put.digest, 0.01)


@in_loop
async def test_told_of_other_news_waits_on() -> None:
    store = MemoryStore()
    scene = Scene(store).begin()
    waiting = asyncio.create_task(scene.catalog.told("a", source("a").digest, 5.0))
    await asyncio.sleep(0)
    for number in range(5):
        store.add(source(f"other-{number}"))
        await asyncio.sleep(0.001)
    assert not waiting.done()
    store.add(source("a"))
    assert await asyncio.wait_for(waiting, 1.0)


@in_loop
async def test_told_gives_up() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    began = time.monotonic()
    assert not await scene.catalog.told("b", source("b").digest, 0.05)
    assert not await scene.catalog.told("a", source("a", BROKEN).digest, 0.05)
    assert not await scene.catalog.told("a", None, 0.05)
    assert await scene.catalog.told("b", None, 0.05)
    assert 0.14 < time.monotonic() - began < 2.0


@in_loop
async def test_told_of_a_deletion() -> None:
    store = MemoryStore()
    store.add(source("a"))
    scene = Scene(store).begin()
    waiting = asyncio.create_task(scene.catalog.told("a", None, 5.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    store.take_away("somewhere a")
    assert await asyncio.wait_for(waiting, 1.0)


@in_loop
async def test_told_looks_at_the_store_for_writing() -> None:
    first, second = two()
    scene = Scene(first, second).begin()
    first.add(source("a", origin="first a"))
    await scene.turn()
    assert not await scene.catalog.told("a", source("a").digest, 0.02)
    assert await scene.catalog.told("a", None, 0.02)


# Writing.


@in_loop
async def test_a_draft_is_not_stored_and_a_put_is() -> None:
    first, second = two()
    scene = Scene(first, second).begin()
    draft = scene.catalog.draft("a", text("a"))
    assert draft.state == "ok"
    assert draft.origin == "second a"
    assert scene.catalog.draft("a", b'{"mode": "sequential", "steps": ["x"]}').flow is not None
    assert scene.catalog.draft("a", BROKEN).problems
    assert scene.catalog.draft("b", text("a")).problems
    assert await scene.turn() == []
    stored = scene.catalog.put(draft)
    assert stored.source is not None
    assert await scene.turn() == [["a"]]
    assert scene.shown == {"a": "ok second a"}
    assert [revision.text for revision in scene.catalog.revisions("a")] == [text("a")]
    with pytest.raises(Conflict):
        scene.catalog.put(draft, "")
    with pytest.raises(Conflict):
        scene.catalog.delete("a", "0")
    assert scene.catalog.delete("a", stored.source.digest)
    assert not scene.catalog.delete("a")
    assert await scene.turn() == [["a"]]
    assert first.calls == ["load"]
    second.lose("gone")
    for call in (
        lambda: scene.catalog.put(draft),
        lambda: scene.catalog.delete("a"),
        lambda: scene.catalog.revisions("a"),
    ):
        with pytest.raises(StoreUnavailable, match="gone"):
            call()


# After the end.


def test_what_is_told_when_the_loop_has_ended_is_dropped() -> None:
    store = MemoryStore()
    scene = Scene(store)

    async def main() -> None:
        scene.begin()

    asyncio.run(main())
    [shelf] = scene.catalog._shelves
    shelf.changed([source("a")], [])
    shelf.down("x")
    shelf.up()
    assert scene.shown == {}
    assert scene.catalog.troubles == []


def test_what_is_told_before_anybody_looks_is_dropped() -> None:
    catalog = Catalog([MemoryStore()], Log())
    catalog.later(lambda: pytest.fail("there is no loop"))


@in_loop
async def test_after_close_nothing_is_taken() -> None:
    store = MemoryStore()
    scene = Scene(store).begin()
    [shelf] = scene.catalog._shelves
    await asyncio.to_thread(scene.catalog.close)
    shelf.changed([source("a")], [])
    shelf.down("x")
    assert await scene.turn() == []
    assert scene.shown == {}


async def until(is_so: object, seconds: float = 5.0) -> None:
    assert callable(is_so)
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
