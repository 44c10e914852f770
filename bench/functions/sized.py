"""Functions a, b and c for bodies of any size: each answers the body it got with its counter one higher.

    python -m bench.functions.sized PORT [spoil]
A body starts with `{"n":0,`. a accepts only 0, b only 1, c only 2: a gateway that skips, swaps or forgets to pass on an
answer gets a 500. With `spoil`, every 50th answer has one wrong byte.
"""

import asyncio
import itertools
import sys

import httptools
import uvloop

DIGIT = 5  # where the counter stands in the body
EXPECTS = {b"/a": b"0", b"/b": b"1", b"/c": b"2"}
HEAD = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SPOIL_EVERY = 50 if sys.argv[2:] == ["spoil"] else 0
COPY_UP_TO = 65536
answers = itertools.count(1)


def body_of(size: int, counter: int) -> bytes:
    """A JSON object of exactly `size` bytes whose text never repeats at the length of a buffer."""
    frame = b'{"n":%d,"text":""}' % counter
    pad = size - len(frame)
    text = b"".join(b"%07d " % i for i in range(pad // 8 + 1))[:pad]
    return frame[:-2] + text + frame[-2:]


class Function(asyncio.Protocol):
    transport: asyncio.WriteTransport

    def __init__(self) -> None:
        self.url = b""
        self.parts: list[bytes] = []
        self.data_received = httptools.HttpRequestParser(self).feed_data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        body, url = b"".join(self.parts), self.url
        self.parts, self.url = [], b""
        counter = body[DIGIT : DIGIT + 1]
        if EXPECTS.get(url) != counter:
            problem = b'{"error":"%b got counter %b"}' % (url, counter)
            self.transport.write(HEAD % (b"500 Internal Server Error", len(problem)) + problem)
            return
        wrong = SPOIL_EVERY and next(answers) % SPOIL_EVERY == 0
        start = body[:DIGIT] + (b"9" if wrong else b"%d" % (int(counter) + 1))
        head = HEAD % (b"200 OK", len(body)) + start
        if len(body) <= COPY_UP_TO:
            self.transport.write(head + body[DIGIT + 1 :])
        else:
            self.transport.write(head)
            self.transport.write(memoryview(body)[DIGIT + 1 :])


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Function, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
