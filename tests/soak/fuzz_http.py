"""Fuzzing both sides of the HTTP transport of a real gateway: `python -m tests.soak.fuzz_http --seconds 600`.

Callers send damaged requests, functions give damaged answers, all at once. Each request carries marks of its own.
Checked: no answer holds another connection's mark, what comes back is a sequence of whole answers, undamaged requests
are answered exactly, good requests are answered meanwhile, nothing hangs, and at the end nothing is left over.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from random import Random

from tests.soak.mutations import damaged, pieces
from tests.support.function_server import Exchange, FunctionServer, functions
from tests.support.gateway_process import GatewayProcess
from tests.support.stream import Ended
from tests.support.texts import answer, chunked, of_head, request

FLOWS: dict[str, object] = {
    "echo": ["echo"], "one": ["a"], "two": ["a", "b"], "get": [{"call": "a", "method": "GET"}],
    "head": [{"call": "a", "method": "HEAD"}], "join": [{"parallel": {"x": "a", "y": "b"}}], "good": ["c"],
    "again": [{"call": "a", "retry": {"attempts": 3, "backoff": "1ms"}}], "undo": [{"call": "c", "undo": "c"}, "a"],
    "pipe": '{"mode": "sequential", "steps": ["a", "b"]}', "pipe-join": '{"mode": "parallel", "steps": ["a", "b"]}',
}  # fmt: skip
LIMITS = {"header_time": "1s", "body_time": "1s", "keep_alive": "1s", "request_body": "64KiB", "answer_body": "256KiB"}
MARK = re.compile(rb"<([0-9]+)-([0-9a-f]{8})>")
CALLERS = 6


def mark(number: int) -> bytes:
    text = b"%d" % number
    return b"<%b-%08x>" % (text, zlib.crc32(b"mark" + text))


def marks_in(data: bytes) -> set[bytes]:
    """The true marks; one that was damaged is none."""
    return {match[0] for match in MARK.finditer(data) if mark(int(match[1])) == match[0]}


class Campaign:
    """Callers and functions against one gateway, until the time is up."""

    def __init__(self, live: GatewayProcess, seed: int) -> None:
        self.live = live
        self.seed = seed
        self.numbers = itertools.count(1)
        self.statuses: Counter[str] = Counter()
        self.findings: list[str] = []
        self._random = threading.local()
        self._seeds = itertools.count()

    @property
    def random(self) -> Random:
        """One for each thread, so that a seed gives about the same campaign again."""
        if not hasattr(self._random, "it"):
            self._random.it = Random(self.seed * 1000 + next(self._seeds))
        return self._random.it

    # The functions.

    def answer(self, exchange: Exchange) -> None:
        """Mostly echo, in one of many framings; sometimes damaged, then in one write: a late byte is nobody's fault."""
        random, body = self.random, exchange.request.body
        head = exchange.request.method == "HEAD"
        data = random.choice(
            [
                answer(200, body),
                answer(200, body, b"text/plain", b"Connection: close"),
                of_head(b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Transfer-Encoding: chunked",
                        body=chunked(*[piece for piece in pieces(random, body) if piece])),
                of_head(b"HTTP/1.1 103 Early Hints", b"Link: x") + answer(201, body),
                answer(random.choice((400, 404, 409, 429, 500, 502, 503, 304, 204)), b"", b""),
            ]
        )  # fmt: skip
        if head:
            data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        luck = random.random()
        if luck < 0.5:
            for piece in pieces(random, data):
                exchange.send(piece)
            return
        if luck < 0.85:
            data = damaged(random, data)
        elif luck < 0.95:
            data += random.choice((data, answer(200, body), b"x", b"HTTP/1.1 200 OK\r\n"))
        exchange.send(data)
        match random.randrange(8):
            case 0:
                exchange.close()
            case 1:
                exchange.reset()
            case 2:
                exchange.half_close()
                exchange.dropped(2)
                exchange.close()
            case _:
                pass

    # The callers.

    def run(self, until: float) -> None:
        while time.monotonic() < until and not self.findings:
            case: list[bytes] = []
            try:
                self.one_connection(case)
            except Exception as error:
                if not isinstance(error, ConnectionError) or self.live.process.poll() is not None:
                    sent = re.sub(rb"x{8,}", lambda match: b"x*%d" % len(match[0]), b"".join(case))
                    self.findings.append(f"{type(error).__name__}: {error}\n  after sending {sent[:6000]!r}")

    def one_connection(self, case: list[bytes]) -> None:
        random = self.random
        whole = random.random() < 0.3
        flows = ["echo", "good"] if whole else list(FLOWS)
        requests = [self.new_request(random.choice(flows)) for _ in range(random.choice((1, 1, 2, 3, 8)))]
        own = [mark for _, mark in requests]
        data = b"".join(one for one, _ in requests)
        if not whole:
            data = damaged(random, data)
        case.append(data)
        with self.live.connect() as wire:
            try:
                for piece in pieces(random, data):
                    wire.send(piece)
                    if random.random() < 0.05:
                        time.sleep(0.005)
                ending = random.random()
                if ending < 0.1:
                    wire.reset()
                    return
                if whole or ending < 0.9:
                    wire.half_close()
            except OSError:
                pass  # refused already
            came = wire.rest()
        self.check(came, {*own}, own if whole else None)
        if random.random() < 0.2:
            self.check_good()

    def new_request(self, flow: str) -> tuple[bytes, bytes]:
        random = self.random
        own = mark(next(self.numbers))
        body = b'{"m":"%b%b"}' % (own, b"x" * random.choice((0, 0, 10, 3000, 40_000)))
        target = f"/orchestrate/{flow}"
        match random.randrange(6):
            case 0:
                start = f"POST {target} HTTP/1.1".encode()
                framed = chunked(*[piece for piece in pieces(random, body) if piece])
                return of_head(start, b"Host: x", b"Content-Type: application/json", b"Transfer-Encoding: chunked",
                               body=framed), own  # fmt: skip
            case 1:
                return request(target, body, x_own=own.decode(), idempotency_key=own.decode()), own
            case 2:
                return request(target, body, expect="100-continue"), own
            case _:
                return request(target, body), own

    def check(self, came: bytes, own: set[bytes], exact: list[bytes] | None) -> None:
        foreign = marks_in(came) - own
        assert not foreign, f"marks of other connections: {foreign} in {came[:3000]!r}"
        answers = list(whole_answers(came))
        self.statuses.update(status for status, _ in answers)
        if not answers:
            self.statuses["nothing"] += 1
        if exact is not None:
            assert [status for status, _ in answers] == ["200"] * len(exact), (
                f"{[one[0] for one in answers]} for good ones"
            )
            for (_, body), wanted in zip(answers, exact, strict=True):
                assert marks_in(body) == {wanted}, f"{body[:200]!r} is not the answer to {wanted!r}"

    def check_good(self) -> None:
        data, own = self.new_request(self.random.choice(("echo", "good")))
        came = self.live.ask(data)
        assert came.status == 200, f"a good request was answered {came}"
        assert marks_in(came.body) == {own}


def whole_answers(came: bytes) -> list[tuple[str, bytes]]:
    """The final answers in what came; fails when it is anything but whole answers, one after another."""
    answers: list[tuple[str, bytes]] = []
    while came:
        head, end, rest = came.partition(b"\r\n\r\n")
        assert end, f"half a head: {came[:500]!r}"
        match = re.match(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", head + b"\r\n")
        assert match, f"no status line: {came[:500]!r}"
        status = match[1].decode()
        length = re.search(rb"\r\ncontent-length: (\d+)(?=\r|$)", head)
        if status < "200" or status in ("204", "304"):
            came = rest
        else:
            assert length, f"no length: {head!r}"
            size = int(length[1])
            if (rest[size:] and not rest[size:].startswith(b"HTTP/1.1 ")) or len(rest) < size:
                size = 0 if not rest or rest.startswith(b"HTTP/1.1 ") else size  # to HEAD, which a mutation can make
            assert len(rest) >= size, f"a body cut short: {came[:500]!r}"
            came = rest[size:]
            answers.append((status, rest[:size]))
        if status < "200":
            continue
        if status in ("204", "304"):
            answers.append((status, b""))
    return answers


def check_the_end(live: GatewayProcess, servers: dict[str, FunctionServer], descriptors: int) -> None:
    """Nothing may be left: no run, no busy connection, no descriptor."""
    assert live.is_idle(), "runs are left"
    assert live.until_metric(0, "legato_upstream_connections", state="busy"), "busy connections are left"
    for server in servers.values():
        server.reset()
    deadline = time.monotonic() + 10
    while count_descriptors(live) > descriptors + 2:
        assert time.monotonic() < deadline, f"{count_descriptors(live)} descriptors, {descriptors} at the start"
        time.sleep(0.05)
    live.check_errors()


def count_descriptors(live: GatewayProcess) -> int:
    return len(os.listdir(f"/proc/{live.process.pid}/fd"))


def fuzz(seconds: float, seed: int, folder: Path) -> Counter[str]:
    """Run a campaign; give how often each status was answered. Raises AssertionError for what was found."""
    with functions("a", "b", "c") as servers, contextlib.ExitStack() as stack:
        entries: dict[str, object] = {
            name: {
                "url": f"http://127.0.0.1:{server.port}",
                "timeout": "500ms" if name != "c" else "10s",
                "connections": 20,
            }
            for name, server in servers.items()
        }
        live = GatewayProcess(folder, FLOWS, {"functions": {**entries, "echo": {"builtin": "echo"}}, "limits": LIMITS})
        stack.callback(live.stop)
        live.wait_until_live()
        assert live.post("good", b"1").status == 200
        campaign = Campaign(live, seed)
        servers["a"].does(always=campaign.answer)
        servers["b"].does(always=campaign.answer)
        descriptors = count_descriptors(live)
        until = time.monotonic() + seconds
        callers = [threading.Thread(target=campaign.run, args=(until,)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert not campaign.findings, "\n".join(campaign.findings[:5])
        check_the_end(live, servers, descriptors)
        return campaign.statuses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            statuses = fuzz(arguments.seconds, arguments.seed, Path(folder))
        except (AssertionError, Ended, OSError) as error:
            print(f"FOUND: {error}")
            sys.exit(1)
    print(f"{sum(statuses.values())} answers, nothing found: {dict(sorted(statuses.items()))}")


if __name__ == "__main__":
    main()
