"""The gateway as `legato dev` runs it: a process whose output comes line by line, and of which nothing stays behind.

It holds the reading end of a pipe as its standard input, and stops when that ends: however its parent dies, it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

DRAIN = 5.0  # seconds that the gateway has to answer what it has begun; an edit must not wait for longer
REMAINS = 1.0  # seconds for the last words of a gateway that has ended
MAX_LINE = 1024 * 1024  # bytes; a longer line is shown in parts


class GatewayProcess(asyncio.SubprocessProtocol):
    """A gateway. `take` gets each line that it writes, without its end, and whether it is of standard error."""

    def __init__(self, take: Callable[[bytes, bool], None]) -> None:
        self._take = take
        self._transport: asyncio.SubprocessTransport | None = None
        self._leash = -1
        self._ended = asyncio.Event()
        self._silent = asyncio.Event()
        self._rest = {1: b"", 2: b""}

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs; as in a shell for one that a signal ended."""
        code = None if self._transport is None else self._transport.get_returncode()
        return 128 - code if code is not None and code < 0 else code

    async def start(self, command: Sequence[str]) -> None:
        """Start it, in a session of its own: Ctrl-C is for us, and we tell it to stop."""
        held, self._leash = os.pipe()
        try:
            self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self, *command, stdin=held, start_new_session=True, env=_environment()
            )
        finally:
            os.close(held)

    async def wait(self) -> None:
        """Wait for its end."""
        await self._ended.wait()

    async def last_words(self) -> None:
        """Wait until all that it wrote is read; not for long: a process that it started may go on to write."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._silent.wait(), REMAINS)

    async def stop(self) -> None:
        """End it, gracefully if that does not take long."""
        if self._transport is None:
            self._let_go()
            return
        if not self._ended.is_set():
            with suppress(ProcessLookupError):
                self._transport.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._ended.wait(), DRAIN)
            except TimeoutError:
                self.kill()
                await self._ended.wait()
        await self.last_words()
        self._transport.close()
        self._let_go()

    def kill(self) -> None:
        """End it at once, and whatever it has started."""
        if self._transport is not None and not self._ended.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), signal.SIGKILL)

    def _let_go(self) -> None:
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1

    # What asyncio tells.

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """See asyncio."""
        *lines, rest = (self._rest[fd] + data).split(b"\n")
        for line in lines:
            self._take(line.removesuffix(b"\r"), fd == 2)
        if len(rest) > MAX_LINE:
            self._take(rest, fd == 2)
            rest = b""
        self._rest[fd] = rest

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """See asyncio."""
        if rest := self._rest.pop(fd, b""):
            self._take(rest, fd == 2)
        if not self._rest:
            self._silent.set()

    def process_exited(self) -> None:
        """See asyncio."""
        self._ended.set()


def _environment() -> dict[str, str]:
    # Prints appear when they are made. No compiled code is kept: Python takes code that was edited twice within a
    # second for the same.
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
