"""A function as a raw socket server that does what the test says: any bytes, pauses, closes, resets.

Each connection is served by a thread. What came is recorded before the script runs, so a test can look at it at once.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from tests.support.stream import Ended, Message, Stream
from tests.support.texts import answer
from tests.support.wire import PATIENCE


@dataclass
class Received:
    """A request that a function got, and on which of its connections (from 1)."""

    message: Message
    connection: int

    @property
    def method(self) -> str:
        return self.message.start.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.message.start.split(b" ")[1].decode()

    @property
    def body(self) -> bytes:
        return self.message.body

    @property
    def raw(self) -> bytes:
        return self.message.raw

    def get(self, name: bytes) -> bytes:
        return self.message.get(name)


class Exchange:
    """A request and the connection on which to answer it."""

    def __init__(self, server: FunctionServer, stream: Stream, request: Received) -> None:
        self.server = server
        self.stream = stream
        self.request = request

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.stream.socket.sendall(data)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def read_body(self) -> None:
        self.stream.body(self.request.message)

    def half_close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close. An orderly end, as long as everything that was sent here has been read."""
        with contextlib.suppress(OSError):
            self.stream.socket.shutdown(socket.SHUT_RDWR)
        raise Ended

    def reset(self) -> None:
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Ended

    def dropped(self, within: float = PATIENCE) -> bool:
        """Wait until the gateway closes this connection; say whether it did."""
        self.stream.socket.settimeout(within)
        try:
            while True:
                self.stream.fill()
        except Ended:
            return True
        except TimeoutError:
            return False
        finally:
            self.stream.socket.settimeout(None)


Script = Callable[[Exchange], object]
Doing = bytes | Script


def echo(exchange: Exchange) -> None:
    """The body back, as JSON; `null` for none."""
    request = exchange.request
    exchange.send(answer(200, request.body or b"null", request.get(b"content-type") or b"application/json"))


class FunctionServer:
    """A function on a port of its own (or a unix socket). By default it echoes."""

    def __init__(self, address: tuple[str, int] | str = ("127.0.0.1", 0), tls: ssl.SSLContext | None = None) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self._listener = socket.socket(family)
        if family != socket.AF_UNIX:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen(512)
        self._tls = tls
        self._lock = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._script: deque[Doing] = deque()
        self._always: Doing = echo
        self._early = False
        self.on_accept: Callable[[socket.socket], bool] = lambda _: True
        self.requests: list[Received] = []
        self.accepted = self.peak = 0
        self.failed_handshakes = 0
        self._stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    # What tests say.

    def does(self, *script: Doing, always: Doing = echo, before_body: bool = False) -> None:
        """What to do with the next requests, one each: bytes are sent as they are. After those, `always`.

        `before_body` runs the script when the head has come, without reading a byte of the body.
        """
        with self._lock:
            self._script = deque(script)
            self._always = always
            self._early = before_body

    def until(self, what: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Wait until something is true of what came here."""
        with self._lock:
            return self._lock.wait_for(what, seconds)

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[Received]:
        """The first `count` requests, when so many have come."""
        assert self.until(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} requests, not {count}"
        return self.requests[:count]

    @property
    def now_open(self) -> int:
        with self._lock:
            return len(self._open)

    def reset(self) -> None:
        """As new: connections are closed, in order, and the gateway has noticed."""
        with self._lock:
            connections = list(self._open.values())
            self._script = deque()
            self._always, self._early = echo, False
            self.on_accept = lambda _: True
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        assert self.until(lambda: not self._open), "the gateway keeps connections that its function has closed"
        with self._lock:
            self.requests.clear()
            self.accepted = self.peak = self.failed_handshakes = 0

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open.values())
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # How it is done.

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                number = self.accepted
                self._open[number] = connection
                self.peak = max(self.peak, len(self._open))
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            if not self.on_accept(plain):
                return
            if plain.family != socket.AF_UNIX:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open[number] = connection
            self._requests(Stream(connection), number)
        except ssl.SSLError:
            with self._lock:
                self.failed_handshakes += 1
                self._lock.notify_all()
        except (Ended, OSError):
            pass
        finally:
            connection.close()
            with self._lock:
                self._open.pop(number, None)
                self._lock.notify_all()

    def _requests(self, stream: Stream, number: int) -> None:
        while True:
            received = Received(stream.head(), number)
            with self._lock:
                early = self._early
            if not early:
                stream.body(received.message)
            with self._lock:
                self.requests.append(received)
                doing = self._script.popleft() if self._script else self._always
                self._lock.notify_all()
            exchange = Exchange(self, stream, received)
            if isinstance(doing, bytes):
                exchange.send(doing)
            else:
                doing(exchange)
            with self._lock:
                self._lock.notify_all()


@contextlib.contextmanager
def functions(*names: str) -> Generator[dict[str, FunctionServer]]:
    """Servers by name."""
    servers = {name: FunctionServer() for name in names}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def on_unix_socket(path: Path) -> FunctionServer:
    return FunctionServer(str(path))
