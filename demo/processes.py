"""What the demo starts: functions and gateways as processes, each ended by its own id, whatever happens."""

from __future__ import annotations

import http.client
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
STARTING = 20.0  # seconds; a loaded machine is slow at importing
STOPPING = 10.0

# What a user has set for gateways elsewhere is not for this one.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "CACHE_URL" and not name.startswith("LEGATO_")
}


class Trouble(Exception):
    """Something could not be started; the text says what."""


@dataclass(frozen=True)
class Call:
    """A call as the function that was called saw it. Times in seconds, by a clock that all processes share."""

    function: str
    key: str
    began: float
    ended: float
    status: int


class Function:
    """A sample function in its own process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo.functions", name],
            cwd=HERE.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends what it has started
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=_pass_on, args=(self.process.stdout, self._lines), daemon=True)
        self._reader.start()

    @property
    def variable(self) -> str:
        """The environment variable that tells the gateway where this function is."""
        return self.name.upper().replace("-", "_") + "_PORT"

    def port(self) -> str:
        """Wait until the function listens."""
        try:
            return self._lines.get(timeout=STARTING)
        except queue.Empty:
            raise Trouble(f"the function {self.name} does not say where it listens") from None

    def calls(self, run: str, count: int, patience: float) -> list[Call]:
        """The calls that came from a run; waits for `count` of them, with patience."""
        found: list[Call] = []
        until = time.monotonic() + patience
        while len(found) < count or not self._lines.empty():
            try:
                call = Call(**json.loads(self._lines.get(timeout=max(0.0, until - time.monotonic()))))
            except queue.Empty:
                break
            if call.key.startswith(run):
                found.append(call)
        return found

    def stop(self) -> None:
        """End the process, and let go of its pipes."""
        _stop(self.process)
        self._reader.join(STOPPING)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Gateway:
    """`legato serve` in its own process, on a port that is free."""

    def __init__(self, settings: str, environment: Mapping[str, str], log: Path) -> None:
        self.port = _free_port()
        self._settings = HERE / settings
        self._environment = {**ENVIRONMENT, **environment, "GATEWAY_PORT": str(self.port)}
        self._log = log
        self.start()

    def start(self) -> None:
        """Start the process, again if it was killed."""
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "legato", "serve", str(self._settings)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until the gateway is ready."""
        until = time.monotonic() + STARTING
        while self.process.poll() is None and time.monotonic() < until:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise Trouble(f"the gateway did not start:\n{self._log.read_text(errors='replace')}")

    def ask(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request over HTTP: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def legato(self, *arguments: str) -> tuple[int, str]:
        """One command, which speaks to this gateway: (exit status, what it prints)."""
        done = subprocess.run(
            [sys.executable, "-m", "legato", *arguments, "--project", str(self._settings)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STARTING,
            check=False,
        )
        return done.returncode, done.stdout

    def kill(self) -> None:
        """End the process as a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process; it answers first what it has begun."""
        _stop(self.process)


def _stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pass_on(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line.strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
