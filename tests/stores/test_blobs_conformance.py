"""What every store of large data guarantees (`ports.DataStore`): files, S3, a class of a user's own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from legato.ports import DataStore
from legato.stores.blobs_open import open_data
from tests.stores.seaweed import BUCKET

OWN = """
THERE = {}

class Store:
    def put(self, key, data):
        THERE[key] = data
    def get(self, key):
        return THERE[key]
    def delete(self, key):
        THERE.pop(key, None)
    def keys(self, folder):
        return [key for key in list(THERE) if key.startswith(folder and folder + "/")]
"""
BAD_KEYS = [
    "", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "./a", ".new/x", "a/.x", "a b", "caf\u00e9", "a\n", "a\0",
    "a\\b", "a%2fb", "x" * 201, "/".join("x" * 100 for _ in range(5)),
]  # fmt: skip
GOOD_KEYS = ["a", "0", "A", "_", "-", "a.b", "a..b", "a_-.", "x" * 200, "/".join(["x" * 99] * 5), "a1/B-2/c_3/d.4"]

Open = Callable[[], DataStore]
_numbers = itertools.count()


@pytest.fixture(params=["files", "s3", "own"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens stores of one place, empty at first."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        spec = f"s3://{BUCKET}/{next(_numbers)}"
    elif request.param == "files":
        spec = "files:some/data"
    else:
        module = f"own_store_{next(_numbers)}"
        (tmp_path / f"{module}.py").write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path)
        spec = f"{module}:Store"
    return lambda: open_data(spec, tmp_path)


@pytest.fixture
def store(place: Open) -> DataStore:
    return place()


def test_nothing_is_there(store: DataStore) -> None:
    for key in ("a", "a/b"):
        with pytest.raises(KeyError):
            store.get(key)
        store.delete(key)
    assert [*store.keys("")] == [*store.keys("a")] == []


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 300, b"x" * (9 * 1024 * 1024)], ids=len)
def test_what_is_put_is_got_by_everybody(place: Open, data: bytes) -> None:
    store, other = place(), place()
    store.put("a/b", data)
    assert store.get("a/b") == other.get("a/b") == data
    assert type(other.get("a/b")) is bytes


def test_the_last_one_is_there(place: Open) -> None:
    store, other = place(), place()
    for data in (b"first", b"the second is longer", b"", b"3"):
        store.put("a", data)
        assert other.get("a") == data
    assert [*other.keys("")] == ["a"]


def test_what_is_deleted_is_gone_and_nothing_else(place: Open) -> None:
    store, other = place(), place()
    for key in ("f/a", "f/b", "g"):
        store.put(key, key.encode())
    other.delete("f/a")
    other.delete("f/a")
    with pytest.raises(KeyError):
        store.get("f/a")
    assert (store.get("f/b"), store.get("g")) == (b"f/b", b"g")
    store.delete("f/b")
    assert [*store.keys("")] == ["g"]
    store.put("f/a", b"again")
    assert store.get("f/a") == b"again"


def test_keys_below_a_folder(store: DataStore) -> None:
    keys = ["a/b", "a/bb/c", "a/bb/d/e", "ab/c", "a-b/c", "z", "A/b"]
    for key in keys:
        store.put(key, b"x")
    assert sorted(store.keys("")) == sorted(keys)
    assert sorted(store.keys("a")) == ["a/b", "a/bb/c", "a/bb/d/e"]
    assert sorted(store.keys("a/bb")) == ["a/bb/c", "a/bb/d/e"]
    assert [*store.keys("a/b")] == [*store.keys("z")] == [*store.keys("none/such")] == []


def test_more_keys_than_a_server_lists_at_once(store: DataStore) -> None:
    keys = [f"many/{number}" for number in range(130)]
    for key in keys:
        store.put(key, b"")
    assert sorted(store.keys("many")) == sorted(keys)


def test_keys_that_any_store_takes(store: DataStore) -> None:
    for key in GOOD_KEYS:
        store.put(key if "/" in key else f"{key}/x", key.encode())
    for key in GOOD_KEYS:
        assert store.get(key if "/" in key else f"{key}/x") == key.encode()
    assert len([*store.keys("")]) == len(GOOD_KEYS)


@pytest.mark.parametrize("place", ["files", "s3"], indirect=True)  # a user's own is never given any of these
@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_keys_that_none_takes(place: Open, key: str) -> None:
    ours = place()
    ours.put("a/b", b"x")
    for act in (lambda: ours.put(key, b"y"), lambda: ours.get(key), lambda: ours.delete(key)):
        with pytest.raises(ValueError, match="key"):
            act()
    if key:
        with pytest.raises(ValueError, match="key"):
            [*ours.keys(key)]
    assert [*ours.keys("")] == ["a/b"]


def test_whoever_reads_sees_one_whole_piece(place: Open) -> None:
    pieces = [bytes([number]) * (200_000 + number) for number in range(6)]
    place().put("k", pieces[0])
    stop, seen, failures = threading.Event(), set[bytes](), list[BaseException]()

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def read() -> None:
        store = place()
        while not stop.is_set():
            seen.add(store.get("k"))

    def write(piece: bytes) -> None:
        store = place()
        for _ in range(10):
            store.put("k", piece)

    readers = [guarded(read) for _ in range(2)]
    for writer in [guarded(lambda piece=piece: write(piece)) for piece in pieces]:
        writer.join()
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert seen <= set(pieces)
    assert place().get("k") in pieces


_parts = st.sampled_from(["a", "b", "ab", "A", "a.b", "0"])
_keys = st.lists(_parts, min_size=2, max_size=2).map("/".join)  # of one depth: none is another's folder
_acts = st.lists(st.tuples(st.sampled_from(["put", "delete"]), _keys, st.binary(max_size=30)), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_acts)
def test_like_a_dict(place: Open, acts: list[tuple[str, str, bytes]]) -> None:
    store, there = place(), dict[str, bytes]()
    for key in [*store.keys("")]:
        store.delete(key)
    for act, key, data in acts:
        if act == "put":
            store.put(key, data)
            there[key] = data
        else:
            store.delete(key)
            there.pop(key, None)
    other = place()
    assert {key: other.get(key) for key in other.keys("")} == there
    for folder in ("a", "ab", "a.b"):
        assert sorted(other.keys(folder)) == sorted(key for key in there if key.startswith(f"{folder}/"))
