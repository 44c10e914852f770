"""What every store of definitions guarantees (`ports.DefinitionStore`): files, SQLite, Valkey, the one for tests."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from legato.errors import Conflict
from legato.model.source import MAX_BYTES, Gone, Language, Source
from legato.ports import DefinitionStore
from legato.stores.files import FileStore
from legato.stores.sqlite import SqliteStore
from legato.stores.valkey import ValkeyStore
from legato.testing import MemoryStore
from tests.support.valkey_server import ValkeyServer

PATIENCE = 10.0  # seconds; a busy machine is no mistake of a store

BINARY = bytes(range(256)) + b"\r\n\0\xff"

Open = Callable[[], DefinitionStore]


class Listener:
    """Keeps what it is told, and the picture that follows from it."""

    def __init__(self, store: DefinitionStore, known: Sequence[Source] = (), raises: bool = False) -> None:
        self.picture = {source.origin: source for source in known}
        self.told: list[str] = []
        self.states: list[str] = []
        self._raises = raises
        store.watch(self)

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        assert found or gone
        # What is gone first: it may have made way for what was found.
        self.told += [f"-{each.name} {each.how}" for each in gone] + [f"+{source.name}" for source in found]
        for each in gone:
            self.picture.pop(each.origin)
        self.picture |= {source.origin: source for source in found}
        if self._raises:
            raise ZeroDivisionError("a listener's own mistake")

    def down(self, why: str) -> None:
        self.states.append(why)

    def up(self) -> None:
        self.states.append("up")

    def until(self, *told: str) -> None:
        wait_until(lambda: tuple(self.told[-len(told) :]) == told, self)

    def until_like(self, store: DefinitionStore) -> None:
        """Wait until what was told is what is there."""
        there = {source.origin: source for source in store.load()}
        wait_until(lambda: self.picture == there, self)

    def __repr__(self) -> str:
        return f"told {self.told}, {self.states}"


def wait_until(is_so: Callable[[], bool], who: object) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < until, who
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module", params=["files", "sqlite", "valkey", "memory"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Open]:
    """Makes places for definitions, each of them empty: a way to open stores of the same one."""
    folder = tmp_path_factory.mktemp(request.param)
    numbers = itertools.count()
    server: ValkeyServer | None = request.getfixturevalue("server") if request.param == "valkey" else None

    def place() -> Open:
        number = next(numbers)
        if server is not None:
            server.cli("FLUSHALL")
            return lambda: ValkeyStore(server.url)
        if request.param == "memory":
            first = MemoryStore("memory")
            return lambda: MemoryStore("memory", beside=first)
        if request.param == "sqlite":
            return lambda: SqliteStore(folder / f"{number}.db")
        return lambda: FileStore(folder / f"flows-{number}")

    return place


@contextlib.contextmanager
def opened(place: Open, count: int = 1) -> Iterator[list[DefinitionStore]]:
    """Stores of one place; fails when one leaves a thread."""
    threads = set(threading.enumerate())
    stores = [place() for _ in range(count)]
    try:
        yield stores
    finally:
        for store in stores:
            store.close()
    assert set(threading.enumerate()) <= threads


@pytest.fixture
def stores(places: Callable[[], Open]) -> Iterator[list[DefinitionStore]]:
    """Two stores of one empty place."""
    with opened(places(), 2) as stores:
        yield stores


@pytest.fixture
def store(stores: list[DefinitionStore]) -> DefinitionStore:
    return stores[0]


def put(store: DefinitionStore, name: str, text: bytes = b"x", expected: str | None = None) -> Source:
    return store.put(name, "native", text, f"v-{len(text)}", expected)


# Reading and writing.


def test_an_empty_place(stores: list[DefinitionStore]) -> None:
    for store in stores:
        assert store.load() == []
        assert store.revisions("a") == []
        assert not store.delete("a")
        assert store.label
        assert store.load() == []


@pytest.mark.parametrize("language", ["native", "fnkit"])
@pytest.mark.parametrize(
    "text", [b"", b"flow: a\n", BINARY, b"\xff" * MAX_BYTES], ids=["empty", "text", "bytes", "most"]
)
def test_any_text_comes_back(stores: list[DefinitionStore], language: Language, text: bytes) -> None:
    source = stores[0].put("a", language, text, "v1")
    assert (source.name, source.language, source.text, source.trouble) == ("a", language, text, None)
    assert stores[0].load() == stores[1].load() == [source]


def test_names_are_sorted_and_any_text(store: DefinitionStore) -> None:
    names = ["b", "a-b", "a", "a.b", "A", "a_b", "10", "9", "\u00e4", "a b", "x.yaml", "\N{GRINNING FACE}", "z" * 200]
    origins = {put(store, name, name.encode()).origin for name in names}
    assert len(origins) == len(names)
    assert [(source.name, source.text) for source in store.load()] == [(name, name.encode()) for name in sorted(names)]


def test_one_language_replaces_the_other(stores: list[DefinitionStore]) -> None:
    for number, language in enumerate(("native", "fnkit", "native", "fnkit", "fnkit")):
        source = stores[number % 2].put("a", language, b"%d" % number, "v1")
        assert stores[0].load() == stores[1].load() == [source]
    assert stores[0].delete("a")
    assert stores[1].load() == []


def test_the_digest_tells_texts_and_languages_apart(store: DefinitionStore) -> None:
    digests: list[str] = []
    for language, text in (("native", b"1"), ("native", b"2"), ("fnkit", b"2"), ("fnkit", b"1")):
        digests.append(store.put("a", language, text, "v1").digest)
        assert [source.digest for source in store.load()] == digests[-1:]
    assert len(set(digests)) == 4
    assert store.put("a", "native", b"1", "another version").digest == digests[0]


def test_what_is_expected_is_there_or_nothing_happens(stores: list[DefinitionStore]) -> None:
    store, other = stores
    with pytest.raises(Conflict):
        put(store, "a", b"1", expected="0" * 32)
    with pytest.raises(Conflict):
        store.delete("a", "0" * 32)
    assert not store.delete("a", "")
    first = put(store, "a", b"1", expected="")
    for wrong in ("", "0" * 32, first.digest + "0", first.digest.upper() + "x"):
        with pytest.raises(Conflict):
            put(other, "a", b"2", expected=wrong)
        with pytest.raises(Conflict):
            other.put("a", "fnkit", b"2", "v2", wrong)
        with pytest.raises(Conflict):
            other.delete("a", wrong)
        assert store.load() == [first]
    second = other.put("a", "fnkit", b"2", "v2", first.digest)
    with pytest.raises(Conflict):
        put(store, "a", b"3", expected=first.digest)
    assert store.load() == [second]
    assert store.delete("a", second.digest)
    assert store.load() == []


def test_delete_says_whether_there_was_one(stores: list[DefinitionStore]) -> None:
    put(stores[0], "a")
    put(stores[0], "b")
    assert not stores[1].delete("c")
    assert stores[1].delete("a")
    assert not stores[0].delete("a")
    assert [source.name for source in stores[0].load()] == ["b"]


def test_revisions_hold_the_present_text_if_any(store: DefinitionStore) -> None:
    for number in range(3):
        store.put("a", "native", b"%d" % number, f"v{number}")
    assert [revision.text for revision in store.revisions("a")] in ([], [b"2", b"1", b"0"])
    assert store.revisions("b") == []


@pytest.mark.parametrize("before", [b"", b"first"], ids=["first", "next"])
def test_of_writers_who_expect_the_same_one_wins(places: Callable[[], Open], before: bytes) -> None:
    with opened(places(), 4) as stores:
        for _ in range(5):
            stores[0].delete("a")
            expected = put(stores[0], "a", before).digest if before else ""
            won: list[int] = []
            gate = threading.Barrier(8)

            def write(
                number: int, expected: str = expected, won: list[int] = won, gate: threading.Barrier = gate
            ) -> None:
                gate.wait()
                with contextlib.suppress(Conflict):
                    put(stores[number % 4], "a", b"by %d" % number, expected)
                    won.append(number)

            run_together([lambda number=number: write(number) for number in range(8)])
            assert [source.text for source in stores[1].load()] == [b"by %d" % number for number in won]
            assert len(won) == 1


def test_any_thread_may_call(stores: list[DefinitionStore]) -> None:
    def work(number: int) -> None:
        for turn in range(5):
            put(stores[turn % 2], f"flow-{number}", b"%d" % turn)
            assert f"flow-{number}" in [source.name for source in stores[number % 2].load()]

    run_together([lambda number=number: work(number) for number in range(6)])
    assert [source.text for source in stores[0].load()] == [b"4"] * 6


def run_together(calls: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread; raises what one of them raises."""
    errors: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


# Watching.


def test_a_watcher_is_told_of_another_store_in_order(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    listener = Listener(store, store.load())
    put(writer, "a", b"1")
    listener.until("+a")
    writer.put("b", "fnkit", b"1", "v1")
    listener.until("+a", "+b")
    put(writer, "a", b"2")
    listener.until("+a", "+b", "+a")
    writer.delete("b")
    listener.until("+b", "+a", "-b deleted")
    put(writer, "b", b"3")
    listener.until("-b deleted", "+b")
    listener.until_like(writer)
    assert listener.states == []


def test_a_change_of_language_leaves_one(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    put(writer, "a", b"1")
    listener = Listener(store, store.load())
    for language in ("fnkit", "native", "fnkit"):
        writer.put("a", language, b"1", "v1")
        listener.until_like(writer)
        assert [source.language for source in listener.picture.values()] == [language]


def test_what_changed_between_load_and_watch_is_told(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    for name in "abc":
        put(writer, name, b"1")
    known = store.load()
    put(writer, "a", b"2")
    writer.delete("b")
    put(writer, "d", b"1")
    listener = Listener(store, known)
    listener.until_like(writer)
    assert sorted(listener.told) == ["+a", "+d", "-b deleted"]


def test_everything_is_told_where_nothing_was_known(stores: list[DefinitionStore]) -> None:
    for name in "abc":
        put(stores[0], name)
    listener = Listener(stores[1])
    listener.until_like(stores[0])
    assert sorted(listener.told) == ["+a", "+b", "+c"]


def test_nothing_is_told_when_nothing_has_changed(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    for name in "abc":
        put(writer, name)
    listener = Listener(store, store.load())
    time.sleep(0.3)
    put(writer, "a")
    store.load()
    put(writer, "last")
    listener.until_like(writer)
    time.sleep(0.3)
    assert listener.told == ["+last"]


def test_two_watchers(places: Callable[[], Open]) -> None:
    with opened(places(), 3) as (writer, *watched):
        listeners = [Listener(store, store.load()) for store in watched]
        put(writer, "a")
        put(writer, "b")
        writer.delete("a")
        for listener in listeners:
            listener.until_like(writer)
            assert listener.states == []


def test_a_listener_that_raises_is_told_on(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    listener = Listener(store, store.load(), raises=True)
    for text in (b"1", b"2", b"3"):
        put(writer, "a", text)
        listener.until_like(writer)
    assert listener.states == []


def test_nothing_is_told_after_close(stores: list[DefinitionStore]) -> None:
    writer, store = stores
    before = threading.active_count()
    listener = Listener(store, store.load())
    put(writer, "a")
    listener.until("+a")
    store.close()
    assert threading.active_count() == before
    put(writer, "b")
    time.sleep(0.3)
    assert listener.told == ["+a"]


NAMES = st.sampled_from(["a", "b", "c.d"])
ACTIONS = st.tuples(
    st.integers(0, 1),
    NAMES,
    st.sampled_from(["put native", "put fnkit", "delete", "expect", "rest"]),
    st.binary(max_size=2),
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=30))
def test_what_was_told_is_what_is_there(places: Callable[[], Open], actions: list[tuple[int, str, str, bytes]]) -> None:
    with opened(places(), 3) as (*writers, watched):
        listener = Listener(watched, watched.load())
        model: dict[str, Source] = {}
        for number, name, action, text in actions:
            act(writers[number], model, name, action, text)
        assert watched.load() == sorted(model.values(), key=lambda source: source.name)
        listener.until_like(writers[0])
        assert listener.states == []


def act(store: DefinitionStore, model: dict[str, Source], name: str, action: str, text: bytes) -> None:
    expected = model[name].digest if name in model else ""
    if action == "rest":
        time.sleep(0.03)
    elif action == "delete":
        assert store.delete(name) == (model.pop(name, None) is not None)
    elif action == "expect":
        model[name] = store.put(name, "native", text, "v1", expected)
    else:
        model[name] = store.put(name, "native" if action == "put native" else "fnkit", text, "v1")
