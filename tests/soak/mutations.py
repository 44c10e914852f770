"""Damage to HTTP messages: what broken, hostile and unlucky peers send."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

LINES = [
    b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 70000",
    b"Expect: 100-continue", b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Host: other", b"X: " + b"y" * 3000, b"Content-Encoding: gzip", b"Trailer: X", b" folded", b"Legato-Hops: 7",
    b"Idempotency-Key: k", b"Retry-After: 1", b"Location: /x", b"Content-Type: text/plain",
]  # fmt: skip
PIECES = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b"0\r\n\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"GET ", b"HEAD ",
    b"CONNECT ", b"5\r\nhello\r\n", b"ffffffff\r\n", b";", b":", b" ", b"%2e%2e/", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 X\r\n\r\n",
    b"204", b"304", b"503", b"999", b"HTTP/1.1 200 OK\r\n\r\n",
]  # fmt: skip

Mutation = Callable[[Random, bytes], bytes]


def _place(random: Random, data: bytes) -> int:
    """A position, more often in the first part, where the head is."""
    limit = len(data) if random.random() < 0.5 else min(len(data), 160)
    return random.randrange(limit + 1)


def flip(random: Random, data: bytes) -> bytes:
    at = _place(random, data[:-1])
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def remove(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + data[at + random.choice((1, 1, 2, 5, 30)) :]


def repeat(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    end = at + random.choice((1, 2, 10, 60, 300))
    return data[:end] + data[at:end] + data[end:]


def insert(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    piece = random.choice(PIECES) if random.random() < 0.8 else random.randbytes(random.randrange(1, 40))
    return data[:at] + piece + data[at:]


def overwrite(random: Random, data: bytes) -> bytes:
    at = _place(random, data)
    piece = random.choice(PIECES)
    return data[:at] + piece + data[at + len(piece) :]


def add_line(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(random.randrange(1, len(lines) + 1), random.choice(LINES))
    return b"\r\n".join(lines)


def drop_line(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    del lines[random.randrange(len(lines))]
    return b"\r\n".join(lines)


def repeat_line(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"\r\n".join(lines)


def change_number(random: Random, data: bytes) -> bytes:
    places = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not places:
        return data
    at = random.choice(places)
    return data[:at] + random.choice((b"0", b"1", b"9", b"", b"00", b"-1", b"a")) + data[at + 1 :]


def cut(random: Random, data: bytes) -> bytes:
    return data[: _place(random, data)]


MUTATIONS: list[Mutation] = [
    flip, flip, remove, repeat, insert, insert, overwrite, add_line, add_line, drop_line, repeat_line, change_number,
    cut,
]  # fmt: skip


def damaged(random: Random, data: bytes) -> bytes:
    """One to four mutations."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if data:
            data = random.choice(MUTATIONS)(random, data)
    return data


def pieces(random: Random, data: bytes) -> list[bytes]:
    """The data, cut at random places."""
    if random.random() < 0.4:
        return [data]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((1, 1, 2, 5, 20))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
