"""Work that blocks, done beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Beside:
    """Threads of our own, at most `most` at once: asyncio's are for functions of users, who may fill them.

    They are daemons: one that hangs, on a store that does not answer, must not hold up the end of the process.
    """

    def __init__(self, most: int) -> None:
        self._turns = asyncio.Semaphore(most)

    async def run(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """Call a function in a thread, and give what it gives; raises what it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                settle = partial(_give, done, function(*args, **keywords))
            except Exception as error:
                settle = partial(_fail, done, error)
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(settle)

        async with self._turns:
            threading.Thread(target=work, name="legato-beside", daemon=True).start()
            return await done


def _give(done: asyncio.Future[T], result: T) -> None:
    if not done.cancelled():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: Exception) -> None:
    if not done.cancelled():
        done.set_exception(error)
