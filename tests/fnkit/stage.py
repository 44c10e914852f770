"""A gateway as fnkit's users run one: definitions in Valkey, functions over HTTP; and callers who never stop asking."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from click.testing import CliRunner

from legato.cli import main
from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess, free_port, write_project
from tests.support.stream import Ended
from tests.support.texts import request
from tests.support.valkey_server import ValkeyServer
from tests.support.wire import Answer, Wire

PATIENCE = 20.0  # seconds for what takes milliseconds on an idle machine
KEY = "fnkit:pipeline:"
TOKENS = ("LEGATO_TOKEN", "LEGATO_ADMIN_TOKEN", "CACHE_URL")


def until(what: Callable[[], object], seconds: float = PATIENCE, told: Callable[[], object] = str) -> None:
    """Wait until something is true; `told` is what a failure shows."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, told()
        time.sleep(0.01)


def variables(**more: str) -> dict[str, str]:
    """This process' variables without those that the gateway reads, and with others."""
    return {name: value for name, value in os.environ.items() if name not in TOKENS} | more


class FnkitGateway(GatewayProcess):
    """`legato serve` with variables of its own; what it logs is kept."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], **environment: str) -> None:
        self.listen = str(settings.get("listen", f"127.0.0.1:{free_port()}"))
        host, _, port = self.listen.rpartition(":")
        self.folder, self.address = folder, (host, int(port))
        write_project(folder, {}, {"listen": self.listen, **settings})
        self.output, self.checked = folder / "output", 0
        self.began = time.monotonic()
        with self.output.open("wb") as errors, (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "serve", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                env=variables(**environment),
            )

    def log(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log that are about this."""
        lines = (self.folder / "log").read_bytes().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [line for line in found if line["event"] == event]

    def readyz(self) -> tuple[int, dict[str, Any]]:
        answer = self.ask(request("/readyz"))
        return answer.status, answer.json()

    def degraded(self) -> str:
        """What /readyz says is wrong, in lines."""
        return "\n".join(self.readyz()[1].get("degraded", []))

    def flow(self, name: str) -> dict[str, Any] | None:
        """A definition as the API shows it; None where there is none."""
        answer = self.ask(request(f"/api/flows/{name}"))
        return None if answer.status == 404 else answer.json()

    def until_ready(self, seconds: float = PATIENCE) -> None:
        until(lambda: self.readyz()[0] == 200, seconds, self.readyz)

    def until_served(self, name: str, text: str | None) -> None:
        """Wait until a definition has this text, or is gone."""

        def is_so() -> bool:
            flow = self.flow(name)
            return text is None if flow is None else flow.get("source", "") == text

        until(is_so, told=lambda: f"{name}: {self.flow(name)}")

    def api(self, method: str, path: str, body: bytes | None = None, **fields: str) -> Answer:
        """A request to the API, from this machine: without a token nobody else may define flows."""
        data = request(path, body, method, **fields)
        return self.ask(data.replace(b"Host: gateway", b"Host: localhost", 1), method)


def pipeline(mode: str, *steps: str) -> str:
    """A definition byte for byte as fnkit writes it (JavaScript's JSON.stringify)."""
    return json.dumps({"mode": mode, "steps": steps}, separators=(",", ":"))


def define(server: ValkeyServer, name: str, mode: str, *steps: str) -> str:
    """What fnkit's command does: SET."""
    text = pipeline(mode, *steps)
    assert server.cli("SET", KEY + name, text) in (b"OK", True)
    return text


def urls(functions: Mapping[str, FunctionServer]) -> dict[str, str]:
    """Functions as `functions` of the settings has them."""
    return {name: f"http://127.0.0.1:{server.port}" for name, server in functions.items()}


class Shop:
    """A gateway with its server of definitions and its functions."""

    def __init__(self, gateway: FnkitGateway, server: ValkeyServer, functions: dict[str, FunctionServer]) -> None:
        self.gateway = gateway
        self.server = server
        self.functions = functions
        self._numbers = itertools.count()

    def __getitem__(self, name: str) -> FunctionServer:
        return self.functions[name]

    def reset(self) -> None:
        for server in self.functions.values():
            server.reset()

    def sequence(self, *steps: str) -> str:
        """The path of a new sequential pipeline, served already."""
        return self._defined("sequential", *steps)

    def parallel(self, *steps: str) -> str:
        return self._defined("parallel", *steps)

    def ask(self, path: str, body: bytes | None = None, method: str | None = None, **fields: str) -> Answer:
        method = method or ("GET" if body is None else "POST")
        return self.gateway.ask(request(path, body, method, **fields), method)

    def _defined(self, mode: str, *steps: str) -> str:
        name = f"flow-{next(self._numbers)}"
        self.gateway.until_served(name, define(self.server, name, mode, *steps))
        return f"/orchestrate/{name}"


class Callers:
    """Threads that ask for flows again and again, each on a connection of its own, until the block ends.

    `good` says of (flow, answer) whether it is what it has to be; what is not is kept in `failures`.
    """

    def __init__(
        self, gateway: GatewayProcess, flows: Sequence[str], good: Callable[[str, Answer], object], threads: int = 4
    ) -> None:
        self._gateway = gateway
        self._flows = flows
        self._good = good
        self.failures: list[str] = []
        self._answers = [0] * threads
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(threads)]

    @property
    def answers(self) -> int:
        return sum(self._answers)

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        if kind is None:
            assert not self.failures, f"{len(self.failures)} of {self.answers}: {self.failures[:3]}"

    def go_on(self, seconds: float = 0, answers: int = 100) -> None:
        """Let them ask so long, and so often."""
        end, count = time.monotonic() + seconds, self.answers + answers
        until(lambda: (time.monotonic() >= end and self.answers >= count) or self.failures, seconds + PATIENCE)

    def _call(self, number: int) -> None:
        try:
            with Wire(self._gateway.address) as wire:
                for flow in itertools.islice(itertools.cycle(self._flows), number, None):
                    if self._stop.is_set():
                        return
                    answer = wire.ask(request(f"/orchestrate/{flow}", b'{"n": 1}', "POST"))
                    self._answers[number] += 1
                    if not self._good(flow, answer):
                        self.failures.append(f"{flow}: {answer!r}")
        except (OSError, Ended) as error:
            self.failures.append(repr(error))


def cli(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """`legato ARGUMENTS` in a folder: (exit code, output, errors)."""
    command = [sys.executable, "-m", "legato", *arguments]
    done = subprocess.run(command, cwd=folder, env=variables(**environment), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def cli_here(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """The same in this process, which a dozen commands in a row do not take seconds for."""
    nothing = {name: environment.get(name) for name in TOKENS}
    done = CliRunner().invoke(main, [*arguments, "--project", str(folder)], env=nothing)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.stdout, done.stderr


def stop_all(gateways: Iterable[FnkitGateway]) -> None:
    for gateway in gateways:
        if gateway.process.poll() is None:
            gateway.stop()
        else:
            gateway.check_errors()
