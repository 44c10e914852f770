"""A pool of connections to one origin, with a bounded queue for whoever finds none free.

Last in, first out: under light load few connections stay warm, and the others are closed by the sweep. A connection
that closed while idle is passed over unseen; nothing was written, so nothing can be unknown.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

import msgspec

from legato.transport.client import AnswerHead, Connection, Data, Sink, Token
from legato.transport.memo import HeadMemo
from legato.transport.wheel import Timer, Wheel

CONNECT_TIME = 10.0  # seconds for DNS, TCP and TLS together
QUEUE_LENGTH = 1024  # contract 9: beyond this, waiting only hides the overload
QUEUE_TIME = 5.0
SWEEP = 30.0  # idle connections are closed after one to two sweeps, before most servers' own 75 s


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections go: host and port, or a unix socket; `tls` with certificates checked, `ca` trusting a file."""

    host: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False
    ca: str = ""

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


class _Waiting:
    """A request that waits for a connection."""

    __slots__ = ("data", "since", "sink", "special", "token")

    def __init__(self, sink: Sink[Any], token: Token, data: Data, special: int = 0) -> None:
        self.sink = sink
        self.token = token
        self.data = data
        self.special = special
        self.since = monotonic()


class Pool:
    """Connections to one origin, at most `limit` of them."""

    def __init__(self, origin: Origin, wheel: Wheel, limit: int, max_answer: int) -> None:
        self.origin = origin
        self.max_answer = max_answer
        self.heads = HeadMemo[AnswerHead]()
        self._limit = limit
        self._wheel = wheel
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._queue: OrderedDict[_Waiting, None] = OrderedDict()
        self._queue_timer = _Callback(function=self._expire_queue)
        self._sweep_timer = _Callback(function=self._sweep)
        self._context = _tls_context(origin)
        self._closed = False
        # Take back an idle connection. As long as nobody waits that is the list's own `append`: no call of ours.
        self.release: Callable[[Connection], None] = self._free.append

    @property
    def counts(self) -> tuple[int, int, int]:
        """Connections (idle, busy, connecting), for metrics."""
        return len(self._free), len(self._all) - len(self._free), len(self._connecting)

    def send(self, sink: Sink[Any], token: Token, data: Data, special: int = 0) -> None:
        """Send a request and have its end told to `sink`. Never raises."""
        free = self._free
        while free:
            connection = free.pop()
            if not connection.transport.is_closing():
                connection.start(sink, token, data, special)
                return
        self._enqueue(_Waiting(sink, token, data, special))

    def withdraw(self, token: Token) -> None:
        """Stop an exchange, whose sink is not told. In flight: the connection is closed."""
        handle = token.handle
        if isinstance(handle, Connection):
            if handle.token is token:
                handle.abort()
        elif isinstance(handle, _Waiting):
            self._queue.pop(handle, None)
            self._queue_changed()

    def _give_on(self, connection: Connection) -> None:
        """`release` as long as somebody waits: an idle connection goes to the first."""
        if self._closed:
            connection.transport.close()
            return
        waiting, _ = self._queue.popitem(last=False)
        self._queue_changed()
        connection.start(waiting.sink, waiting.token, waiting.data, waiting.special)

    def _queue_changed(self) -> None:
        self.release = self._give_on if self._queue or self._closed else self._free.append

    def lost(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        self._connect_as_needed()

    async def close(self) -> None:
        """Close every connection; requests that wait are refused, those in flight are broken by the close."""
        self._closed = True
        self._queue_changed()
        self._wheel.forget(self._sweep_timer)
        self._wheel.forget(self._queue_timer)
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        self._refuse_all("the gateway is stopping")
        for connection in list(self._all):
            connection.transport.abort()

    def _enqueue(self, waiting: _Waiting) -> None:
        if self._closed:
            waiting.sink.broken(waiting.token, False, "the gateway is stopping", True)
            return
        if len(self._queue) >= QUEUE_LENGTH:
            waiting.sink.broken(waiting.token, False, f"{QUEUE_LENGTH} calls already wait for {self.origin}", True)
            return
        waiting.token.handle = waiting
        self._queue[waiting] = None
        self._queue_changed()
        self._connect_as_needed()
        if len(self._queue) == 1:
            self._queue_timer.due = waiting.since + QUEUE_TIME
            self._wheel.watch(self._queue_timer)

    def _connect_as_needed(self) -> None:
        """One connection attempt for each request that waits, within the limit."""
        if self._closed:
            return
        while len(self._connecting) < len(self._queue) and len(self._all) + len(self._connecting) < self._limit:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)

    async def _connect(self) -> None:
        connection: Connection | None = None
        detail = ""
        try:
            async with asyncio.timeout(CONNECT_TIME):
                connection = await self._open()
        except TimeoutError:
            detail = f"no connection to {self.origin} within {CONNECT_TIME:g} s"
        except (OSError, ssl.SSLError, UnicodeError) as error:
            detail = f"cannot connect to {self.origin}: {error}"
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._connecting.discard(task)
        if connection is None:
            if self._queue:
                waiting, _ = self._queue.popitem(last=False)
                self._queue_changed()
                waiting.sink.broken(waiting.token, False, detail)
            self._connect_as_needed()
            return
        self._all.add(connection)
        if self._sweep_timer.idle:
            self._sweep_timer.due = monotonic() + SWEEP
            self._wheel.watch(self._sweep_timer)
        if not connection.transport.is_closing():  # else `lost` follows, and with it another try
            self.release(connection)

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        origin = self.origin
        if origin.socket:
            _, connection = await loop.create_unix_connection(lambda: Connection(self), origin.socket)
        else:
            _, connection = await loop.create_connection(
                lambda: Connection(self), origin.host, origin.port, ssl=self._context
            )
        return connection

    def _expire_queue(self, now: float) -> None:
        while self._queue:
            waiting = next(iter(self._queue))
            if len(self._all) < self._limit:  # a connection is being made for each, which has a time of its own
                self._queue_timer.due = now + QUEUE_TIME
                self._wheel.watch(self._queue_timer)
                return
            if waiting.since + QUEUE_TIME > now:
                self._queue_timer.due = waiting.since + QUEUE_TIME
                self._wheel.watch(self._queue_timer)
                return
            del self._queue[waiting]
            self._queue_changed()
            detail = f"no connection to {self.origin} became free within {QUEUE_TIME:g} s"
            waiting.sink.broken(waiting.token, False, detail, True)

    def _refuse_all(self, detail: str) -> None:
        while self._queue:
            waiting, _ = self._queue.popitem(last=False)
            self._queue_changed()
            waiting.sink.broken(waiting.token, False, detail, True)

    def _sweep(self, now: float) -> None:
        for connection in self._free[:]:
            if connection.sink is None:
                connection.transport.close()
            connection.sink = None
        if self._all:
            self._sweep_timer.due = now + SWEEP
            self._wheel.watch(self._sweep_timer)


class _Callback(Timer, eq=False, kw_only=True):
    """A timer that calls a function."""

    function: Callable[[float], None]

    def expired(self, now: float) -> None:
        self.function(now)

    @property
    def idle(self) -> bool:
        return self.due == inf


def _tls_context(origin: Origin) -> ssl.SSLContext | None:
    """Certificates and host names are always checked; raises OSError when the `ca` file cannot be read."""
    if not origin.tls:
        return None
    context = ssl.create_default_context(cafile=origin.ca or None)
    context.set_alpn_protocols(["http/1.1"])
    return context
