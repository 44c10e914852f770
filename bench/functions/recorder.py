"""Functions a, b and c inside the benchmark's own process: they answer as nginx does and remember every call.

In parallel mode each answer waits until all three calls have arrived: calls that do not overlap never get one.
"""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.plan import ANSWERS, NAMES

OVERLAP_LIMIT = 3.0


@dataclass(frozen=True)
class Call:
    name: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Recorder:
    port: int
    calls: list[Call] = field(default_factory=list[Call])
    barrier: threading.Barrier | None = None

    def expect(self, parallel: bool) -> None:
        self.calls.clear()
        self.barrier = threading.Barrier(len(NAMES), timeout=OVERLAP_LIMIT) if parallel else None


@contextmanager
def recording() -> Generator[Recorder, None, None]:
    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def do_POST(self) -> None:
            name = self.path.strip("/")
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            recorder.calls.append(Call(name, body, {key.lower(): value for key, value in self.headers.items()}))
            status, answer = 200, ANSWERS.get(name, b"{}")
            if recorder.barrier is not None:
                try:
                    recorder.barrier.wait()
                except threading.BrokenBarrierError:
                    status, answer = 500, b'{"error":"the calls do not overlap"}'
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass  # the calls are remembered, not printed

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder = Recorder(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        for connection in connections:  # kept alive by a contender, they would be answered here for ever
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
