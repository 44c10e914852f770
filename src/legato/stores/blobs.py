"""Payloads that are too large for a journal: kept in a store of data under their hash, which the journal holds.

What has the same bytes is there once, however often it is kept. When one may go is for whoever knows all journals.
"""

from __future__ import annotations

import hashlib

from legato.errors import PayloadLost
from legato.ports import DataStore

FOLDER = "payloads"  # of the store, which may hold other data too
THRESHOLD = 64 * 1024  # bytes; SQLite reads and writes smaller ones faster than a file system opens a file

_REMEDY = "put the backup of the store in its place, or cancel the run"


class Blobs:
    """Payloads in `store`. `threshold`: bytes above which a payload should be kept here, for whoever decides that.

    Methods block, and may be called from any thread.
    """

    def __init__(self, store: DataStore, threshold: int = THRESHOLD) -> None:
        self.threshold = threshold
        self._store = store

    def keep(self, data: bytes) -> bytes:
        """Store data for good, and give its SHA-256 (32 bytes). Raises StoreUnavailable: then it counts as not kept."""
        digest = hashlib.sha256(data).digest()
        # Never left out because it was kept before: it may have been taken away since, or not be for good yet.
        self._store.put(key_of(digest), data)
        return digest

    def fetch(self, digest: bytes, size: int) -> bytes:
        """The data that was kept under a digest, checked.

        Raises PayloadLost where it is gone or is other data, StoreUnavailable where nobody can say.
        """
        key = key_of(digest)
        try:
            data = self._store.get(key)
        except KeyError:
            raise PayloadLost(f"the payload {key} of {size} bytes is gone; {_REMEDY}") from None
        if len(data) != size:
            raise PayloadLost(f"the payload {key} has {len(data)} bytes, and was kept with {size}; {_REMEDY}")
        if hashlib.sha256(data).digest() != digest:
            raise PayloadLost(f"the payload {key} is not what was kept: its hash is another; {_REMEDY}")
        return data

    def drop(self, digest: bytes) -> None:
        """Let go of data that nobody holds any more. Raises StoreUnavailable."""
        self._store.delete(key_of(digest))


def key_of(digest: bytes) -> str:
    """The key of a payload: `payloads/aa/` and the rest of its SHA-256 in hexadecimal: no folder gets too full."""
    name = digest.hex()
    return f"{FOLDER}/{name[:2]}/{name[2:]}"
