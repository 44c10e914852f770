"""Reading HTTP/1.1 from a blocking socket, strictly: what the tests believe, independent of the parser under test."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field


class Ended(Exception):
    """The peer closed before what was asked for had come; the text is empty for an orderly close."""


Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A head and a body. `raw` is every byte of it as it came."""

    start: bytes
    fields: Fields
    body: bytes = b""
    raw: bytes = b""
    chunked: bool = False

    def all(self, name: bytes) -> list[bytes]:
        return [value for other, value in self.fields if other == name]

    def get(self, name: bytes, default: bytes = b"") -> bytes:
        """The one value of a field; two of them fail the test."""
        values = self.all(name)
        assert len(values) <= 1, f"{name!r} came {len(values)} times"
        return values[0] if values else default


@dataclass
class Stream:
    """A socket with a buffer."""

    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    taken: bytearray = field(default_factory=bytearray)  # since the last `begin`
    ending: str = ""  # how it ended; empty after an orderly close

    def begin(self) -> None:
        self.taken.clear()

    def fill(self) -> None:
        try:
            data = self.socket.recv(256 * 1024)
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Ended(str(error)) from None
        if not data:
            raise Ended("")
        self.buffer += data

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.taken += data
        return data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark))
            self.fill()
        return self.take(at + len(mark))

    def rest(self) -> bytes:
        """Everything until the peer closes; a reset counts as the end, too."""
        try:
            while True:
                self.fill()
        except Ended as ended:
            self.ending = str(ended)
        return self.take(len(self.buffer))

    def head(self) -> Message:
        """The start line and the fields, names in lower case."""
        self.begin()
        first, *lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        fields: Fields = []
        for line in lines:
            name, colon, value = line.partition(b":")
            assert colon, f"a line without colon in the head: {line!r}"
            assert name == name.strip(), f"blanks around the name of a field: {line!r}"
            fields.append((name.lower(), value.strip()))
        return Message(first, fields, raw=bytes(self.taken))

    def body(self, message: Message) -> None:
        """The body as the head delimits it; nothing when the head says nothing."""
        if message.get(b"transfer-encoding").lower() == b"chunked":
            message.chunked = True
            message.body = self._chunks()
        elif length := message.get(b"content-length"):
            message.body = self.take(int(length))
        message.raw = bytes(self.taken)

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n", "a chunk longer than its size"
        while self.until(b"\r\n") != b"\r\n":
            pass
        return bytes(body)
