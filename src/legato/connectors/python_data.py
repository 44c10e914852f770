"""Large data for Python code: bytes by name, of one run or kept beyond it, in the store that the settings name.

What is put is there at once, whether the call ends well or not. A run's own data goes with the run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from legato.errors import NoSuchData
from legato.model.data_keys import checked_key
from legato.ports import DataStore

RUNS = "runs"  # the folder of the data of runs, each in one of its own
KEPT = "kept"  # the folder of what is kept
THREAD_NAME = "legato-data"
THREADS = 4  # runs whose data is deleted at once; a server of S3 takes its time for each piece
PATIENCE = 5.0  # seconds that a stopping gateway waits for them

_log = logging.getLogger(__name__)


class Data:
    """Pieces of data below one folder of a store. Every method blocks; from a coroutine it is called in a thread.

    Names are as the keys of ports.DataStore; others raise ValueError. Raises StoreUnavailable where the store cannot be
    reached or used.
    """

    __slots__ = ("_changing", "_folder", "_store")

    def __init__(self, store: DataStore, folder: str, changing: Callable[[], object] | None = None) -> None:
        self._store = store
        self._folder = folder
        self._changing = changing  # called before each `put`

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Store data under a name in place of what was there; on return it is stored for good."""
        if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data.put({key!r}): data is bytes, not {type(data).__name__}: encode it")
        whole = self._key("put", key)
        if self._changing is not None:
            self._changing()
        self._store.put(whole, bytes(data))

    def get(self, key: str) -> bytes:
        """What is stored under a name. Raises NoSuchData, which is a KeyError, where nothing is."""
        whole = self._key("get", key)
        try:
            return self._store.get(whole)
        except NoSuchData:
            raise
        except KeyError:
            raise NoSuchData(f"there is no {whole}") from None

    def delete(self, key: str) -> None:
        """Take away what is stored under a name, if anything is."""
        self._store.delete(self._key("delete", key))

    def keys(self) -> list[str]:
        """The names under which anything is stored, sorted."""
        _block("keys")
        start = f"{self._folder}/"
        return sorted(key.removeprefix(start) for key in self._store.keys(self._folder))

    def _key(self, method: str, key: str) -> str:
        _block(method)
        return checked_key(f"{self._folder}/{checked_key(key)}")


class RunData(Data):
    """The data of one run; `kept` is what outlives it. `changing` is called before each `put` into the run's own."""

    __slots__ = ("kept",)

    def __init__(self, store: DataStore, run_id: str, changing: Callable[[], object] | None = None) -> None:
        super().__init__(store, f"{RUNS}/{run_id}", changing)
        self.kept = Data(store, KEPT)  # of all runs and flows, until somebody deletes it


class DataOfRuns:
    """The data of all runs in one store; remembers those that have put some, until they are cleared."""

    def __init__(self, store: DataStore) -> None:
        self._store = store
        self.put: set[str] = set()  # runs that have put data
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)
        self._clearing: set[Future[None]] = set()

    def of(self, run_id: str) -> RunData:
        """The data of one run."""
        return RunData(self._store, run_id, lambda: self.put.add(run_id))

    def clear(self, run_id: str, recovered: bool) -> None:
        """Delete all data of a run, in a thread; one that has put none costs nothing. Called on the event loop.

        `recovered`: an earlier process may have put some. What cannot be deleted is noted in the log, and stays.
        """
        if recovered or run_id in self.put:
            self.put.discard(run_id)
            with suppress(RuntimeError):  # closed: then it stays
                future = self._threads.submit(self._clear, run_id)
                self._clearing.add(future)
                future.add_done_callback(self._clearing.discard)

    async def close(self) -> None:
        """Wait for what is being cleared, for a moment."""
        if clearing := [asyncio.wrap_future(each) for each in list(self._clearing)]:
            await asyncio.wait(clearing, timeout=PATIENCE)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _clear(self, run_id: str) -> None:
        try:
            clear_run(self._store, run_id)
        except Exception as error:  # of a user's own store it may be any; nobody waits for it
            _log.warning("the data of run %s stays in the store: %s: %s", run_id, type(error).__name__, error)


def clear_run(store: DataStore, run_id: str) -> int:
    """Delete all data of a run, and say how many pieces. Blocks; may be done again. Raises StoreUnavailable."""
    keys = list(store.keys(f"{RUNS}/{run_id}"))
    for key in keys:
        store.delete(key)
    return len(keys)


def _block(method: str) -> None:
    """Raise RuntimeError where waiting would hold up everybody: on an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"data.{method} blocks: in an `async def`, await asyncio.to_thread(context.data.{method}, ...)")
