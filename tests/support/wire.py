"""A raw caller: sends any bytes and reads answers, one by one, the way a picky client would."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from tests.support.stream import Ended, Message, Stream

PATIENCE = 8.0  # seconds until a test gives up on the other side
Address = tuple[str, int] | str


class Answer:
    """An answer as read from the wire."""

    def __init__(self, message: Message) -> None:
        version, _, rest = message.start.partition(b" ")
        assert version == b"HTTP/1.1", f"not a status line: {message.start!r}"
        assert len(rest) >= 4, f"a status line without its last blank: {message.start!r}"
        assert rest[3:4] == b" ", f"not a status line: {message.start!r}"
        self.status = int(rest[:3])
        self.message = message
        self.body = message.body

    def get(self, name: bytes) -> bytes:
        return self.message.get(name)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.get(b"connection").lower() == b"close"

    def __repr__(self) -> str:
        return f"{self.status} {self.message.fields} {self.body[:300]!r}"


class Wire:
    """One connection to the gateway."""

    def __init__(self, address: Address) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection(address, PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = Stream(self.socket)

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> Wire:
        self.socket.sendall(data)
        return self

    def send_what_is_taken(self, data: bytes) -> Wire:
        """Send although the other side may have closed already."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)
        return self

    def send_slowly(self, pieces: Iterable[bytes]) -> Wire:
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def next(self, method: str = "GET") -> Answer:
        """The next answer, interim ones included."""
        message = self.stream.head()
        answer = Answer(message)
        if method != "HEAD" and answer.status >= 200 and answer.status not in (204, 304):
            assert message.all(b"content-length") or message.all(b"transfer-encoding"), f"no length: {message!r}"
            self.stream.body(message)
            answer.body = message.body
        return answer

    def answer(self, method: str = "GET") -> Answer:
        """The next final answer."""
        while (answer := self.next(method)).status < 200:
            pass
        return answer

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        return self.send(data).answer(method)

    def last(self) -> Answer:
        """The next final answer, after which nothing comes but the end."""
        answer = self.answer()
        assert self.rest() == b"", "bytes after the last answer"
        return answer

    def rest(self) -> bytes:
        return self.stream.rest()

    def has_ended(self, within: float = PATIENCE) -> bool:
        """Whether the other side closes without another byte."""
        self.socket.settimeout(within)
        try:
            self.stream.fill()
        except Ended:
            return True
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)
        raise AssertionError(f"bytes instead of the end: {bytes(self.stream.buffer)!r}")

    def is_silent(self, seconds: float) -> bool:
        """Whether for some seconds neither a byte nor the end comes."""
        self.socket.settimeout(seconds)
        try:
            self.stream.fill()
        except TimeoutError:
            return True
        except Ended:
            return False
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def half_close(self) -> Wire:
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
