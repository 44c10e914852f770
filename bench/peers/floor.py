"""The floor: what a bare Python process (uvloop + httptools) spends on a request that makes three calls.

    python floor.py PORT FUNCTIONS_PORT
One task for each request, one future for each call, a stack of kept-alive connections; no routing, checks, limits,
time-outs or errors. Legato's cost is quoted as a multiple of this program's, measured in the same run.
"""

import asyncio
import sys
from collections.abc import Callable

import httptools
import orjson
import uvloop

NAMES = ("a", "b", "c")
FUNCTIONS = int(sys.argv[2])
HEADS = {
    name: f"POST /{name} HTTP/1.1\r\nhost: 127.0.0.1:{FUNCTIONS}\r\ncontent-type: application/json\r\n"
    "content-length: %d\r\n\r\n%b".encode()
    for name in NAMES
}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
loop = asyncio.get_running_loop
COPY_UP_TO = 65536  # above this, a second write is cheaper than copying the body behind its head


def write_large(transport: asyncio.WriteTransport, head: bytes, body: bytes) -> None:
    transport.write(head % (len(body), b""))
    transport.write(body)


class Upstream(asyncio.Protocol):
    """One connection to the functions; a call ends by handing its body to `deliver`."""

    transport: asyncio.WriteTransport
    deliver: Callable[[bytes], None]

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.data_received = httptools.HttpResponseParser(self).feed_data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        parts = self.parts
        self.parts = []
        idle.append(self)
        self.deliver(parts[0] if len(parts) == 1 else b"".join(parts))


idle: list[Upstream] = []


async def call(name: str, body: bytes, deliver: Callable[[bytes], None]) -> None:
    if idle:
        upstream = idle.pop()
    else:
        _, upstream = await loop().create_connection(Upstream, "127.0.0.1", FUNCTIONS)
    upstream.deliver = deliver
    if len(body) <= COPY_UP_TO:
        upstream.transport.write(HEADS[name] % (len(body), body))
    else:
        write_large(upstream.transport, HEADS[name], body)


async def sequence(body: bytes) -> bytes:
    for name in NAMES:
        answer: asyncio.Future[bytes] = loop().create_future()
        await call(name, body, answer.set_result)
        body = await answer
    return body


async def parallel(body: bytes) -> bytes:
    answers: dict[str, bytes] = {}
    complete: asyncio.Future[None] = loop().create_future()

    def collector(name: str) -> Callable[[bytes], None]:
        def collect(answer: bytes) -> None:
            answers[name] = answer
            if len(answers) == len(NAMES):
                complete.set_result(None)

        return collect

    for name in NAMES:
        await call(name, body, collector(name))
    await complete
    return orjson.dumps({name: orjson.loads(answers[name]) for name in NAMES})


class Server(asyncio.Protocol):
    """One client's connection."""

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
        parts, url = self.parts, self.url
        self.parts, self.url = [], b""
        loop().create_task(self.answer(url, parts[0] if len(parts) == 1 else b"".join(parts)))

    async def answer(self, url: bytes, body: bytes) -> None:
        body = await (parallel(body) if url == b"/par" else sequence(body))
        if len(body) <= COPY_UP_TO:
            self.transport.write(ANSWER % (len(body), body))
        else:
            write_large(self.transport, ANSWER, body)


async def main() -> None:
    server = await loop().create_server(Server, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
