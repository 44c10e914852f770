"""One run of the benchmark: starts functions and contenders, waits until they answer, ends everything it started."""

import http.client
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.contenders import CONTENDERS, Absent, Contender
from bench.functions import nginx
from bench.machine import Machine
from bench.plan import COMPOSED, HEADERS, PATHS, Plan
from bench.process import ROOT, Launch, Running, free_port

START_LIMIT = 30.0


class StartFailed(Exception):
    pass


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] = HEADERS) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
    finally:
        connection.close()


@dataclass
class Stage:
    machine: Machine
    plan: Plan
    scratch: Path
    spoil: bool = False
    absent: dict[str, str] = field(default_factory=dict[str, str])
    _stack: ExitStack = field(default_factory=ExitStack)
    _started: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def scene(self) -> "Stage":
        """A stage within this one: what it starts ends with it."""
        self._started += 1
        folder = self.scratch / f"scene-{self._started}"
        folder.mkdir()
        return Stage(self.machine, self.plan, folder, self.spoil, self.absent)

    def begin(
        self, name: str, port: int, launch: Launch, *cores: int, ready: Callable[[int], object] | None = None
    ) -> Running:
        """Start a process and wait until it answers HTTP, or until `ready`, given its port, raises no OSError."""
        self._started += 1
        running = Running(name, port, launch, cores, self.scratch / f"{self._started}-{name}.log")
        self._stack.callback(running.stop)
        wait_for(running, ready)
        return running

    def start_nginx(self, port: int | None = None) -> int:
        """The functions of the cost measure; returns their port."""
        port = port or free_port()
        launch = nginx.launch(self.machine.nginx, port, self.scratch / f"nginx-{port}", self.spoil)
        return self.begin("nginx", port, launch, self.machine.load_core).port

    def start_sized(self) -> int:
        """The functions for bodies of any size; returns their port."""
        port = free_port()
        command = (sys.executable, "-m", "bench.functions.sized", str(port), *(["spoil"] if self.spoil else []))
        return self.begin("sized", port, Launch(command, {"PYTHONPATH": str(ROOT)}), self.machine.load_core).port

    def start(self, contender: Contender, functions: int) -> Running:
        port = free_port()
        launch = contender.launch(port, functions, self.scratch / f"{contender.name}-{port}")
        return self.begin(contender.name, port, launch, self.machine.gateway_core)

    def start_all(self, names: tuple[str, ...], functions: int) -> dict[str, Running]:
        """Start what can be started; the rest is noted as absent."""
        running: dict[str, Running] = {}
        for name in names:
            if name not in self.absent:
                try:
                    running[name] = self.start(CONTENDERS[name], functions)
                except (Absent, StartFailed, OSError, subprocess.SubprocessError) as problem:
                    self.absent[name] = str(problem)
        return running


def path_of(name: str, kind: str) -> str:
    return CONTENDERS[name].prefix + {**PATHS, **COMPOSED}[kind]


def wait_for(running: Running, ready: Callable[[int], object] | None = None) -> None:
    """Until it takes a connection and answers anything at all, or until `ready` raises no OSError."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if running.ended() is not None:
            raise StartFailed(f"{running.name} ended with code {running.ended()}: {running.last_words()}")
        try:
            ready(running.port) if ready else ask(running.port, "GET", "/livez")
            return
        except OSError:
            time.sleep(0.05)
        except http.client.HTTPException as problem:
            raise StartFailed(f"{running.name} does not speak HTTP: {problem!r}") from problem
    raise StartFailed(f"{running.name} does not answer within {START_LIMIT:.0f} s: {running.last_words()}")
