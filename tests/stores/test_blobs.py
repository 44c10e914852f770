"""Payloads under their hash: kept once, and what comes back is what was kept, or an error that says so."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from legato.errors import PayloadLost, StoreUnavailable
from legato.stores.blobs import FOLDER, Blobs, key_of
from legato.stores.blobs_folder import FolderData

DATA = b"payload" * 20_000
DIGEST = hashlib.sha256(DATA).digest()


class Own:
    """A user's store, which raises a plain KeyError."""

    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> bytes:
        raise KeyError(key)

    def delete(self, key: str) -> None: ...

    def keys(self, folder: str) -> list[str]:
        return []


class Down(Own):
    """One that is out of reach."""

    def put(self, key: str, data: bytes) -> None:
        raise StoreUnavailable("pulled the plug")

    def get(self, key: str) -> bytes:
        raise StoreUnavailable("pulled the plug")


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=len)
def test_what_is_kept_is_fetched(tmp_path: Path, data: bytes) -> None:
    digest = Blobs(FolderData(tmp_path)).keep(data)
    assert digest == hashlib.sha256(data).digest()
    assert Blobs(FolderData(tmp_path)).fetch(digest, len(data)) == data


def test_the_same_payload_is_there_once(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    store.put("runs/1/a", DATA)
    blobs = Blobs(store)
    assert {blobs.keep(DATA) for _ in range(3)} == {DIGEST}
    name = DIGEST.hex()
    assert [*store.keys("payloads")] == [key_of(DIGEST)] == [f"{FOLDER}/{name[:2]}/{name[2:]}"]
    blobs.keep(DATA + b"!")
    assert len([*store.keys("payloads")]) == 2


def test_what_was_taken_away_is_kept_again(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    blobs = Blobs(store)
    blobs.keep(DATA)
    store.delete(key_of(DIGEST))
    blobs.keep(DATA)
    assert blobs.fetch(DIGEST, len(DATA)) == DATA


def test_what_is_gone_is_lost(tmp_path: Path) -> None:
    for blobs in (Blobs(FolderData(tmp_path)), Blobs(Own())):
        with pytest.raises(
            PayloadLost, match=rf"^the payload {key_of(DIGEST)} of 140000 bytes is gone; put the backup"
        ):
            blobs.fetch(DIGEST, len(DATA))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (DATA[:-1] + b"?", "is not what was kept: its hash is another"),
        (DATA[:-1], "has 139999 bytes, and was kept with 140000"),
        (DATA + b"x", "has 140001 bytes"),
        (b"", "has 0 bytes"),
    ],
)
def test_what_has_changed_is_lost(tmp_path: Path, data: bytes, why: str) -> None:
    blobs = Blobs(FolderData(tmp_path))
    blobs.keep(DATA)
    (tmp_path / key_of(DIGEST)).write_bytes(data)
    with pytest.raises(PayloadLost, match=f"{why}.*; put the backup of the store in its place, or cancel the run"):
        blobs.fetch(DIGEST, len(DATA))


def test_a_size_that_was_noted_wrong_is_told(tmp_path: Path) -> None:
    blobs = Blobs(FolderData(tmp_path))
    with pytest.raises(PayloadLost, match="and was kept with 3"):
        blobs.fetch(blobs.keep(DATA), 3)


def test_a_store_that_is_out_of_reach_has_lost_nothing() -> None:
    blobs = Blobs(Down())
    with pytest.raises(StoreUnavailable, match="pulled the plug"):
        blobs.keep(DATA)
    with pytest.raises(StoreUnavailable, match="pulled the plug"):
        blobs.fetch(DIGEST, len(DATA))


def test_the_threshold_is_for_those_who_ask() -> None:
    assert Blobs(Own()).threshold == 64 * 1024
    assert Blobs(Own(), 7).threshold == 7


def test_many_at_once(tmp_path: Path) -> None:
    blobs, kept = Blobs(FolderData(tmp_path)), dict[bytes, bytes]()

    def keep(number: int) -> None:
        for other in range(8):
            data = b"%d" % ((number + other) % 8) * 100_000
            kept[blobs.keep(data)] = data

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 8
    assert all(blobs.fetch(digest, len(data)) == data for digest, data in kept.items())
