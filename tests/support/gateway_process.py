"""The real gateway in its own process, on a project written for the test."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.texts import request
from tests.support.wire import Address, Answer, Wire

STARTING = 20.0  # seconds
STOPPING = 20.0
TROUBLE = re.compile(
    r"Traceback|Exception ignored|Exception in |Fatal error|Warning:|never awaited|Task was"
    r"|ERROR(?!:    Cancel 0 running)"  # uvicorn's word for connections that do not end
)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def write_project(folder: Path, flows: Mapping[str, object], settings: Mapping[str, object]) -> None:
    """`legato.yaml` and a file for each flow: native ones by their steps or whole document, fnkit ones as text."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    (folder / "legato.yaml").write_text(json.dumps({"access_log": False, **settings}))
    for name, flow in flows.items():
        if isinstance(flow, str):
            (folder / "flows" / f"{name}.json").write_text(flow)
            continue
        document = {"steps": flow} if isinstance(flow, list) else flow
        assert isinstance(document, dict)
        (folder / "flows" / f"{name}.yaml").write_text(json.dumps({"flow": name, **document}))


class GatewayProcess:
    """`python -m legato serve`, from start to end."""

    arguments: tuple[str, ...] = ()

    def __init__(self, folder: Path, flows: Mapping[str, object], settings: Mapping[str, Any]) -> None:
        settings = dict(settings)
        self.listen: str = settings.setdefault("listen", f"127.0.0.1:{free_port()}")
        write_project(folder, flows, settings)
        self.folder = folder
        self.address: Address
        if self.listen.startswith("unix:"):
            self.address = self.listen.removeprefix("unix:")
        else:
            host, _, port = self.listen.rpartition(":")
            self.address = (host.strip("[]"), int(port))
        self.output = folder / "output"
        self.checked = 0  # characters of the output
        ours = ("LEGATO_TOKEN", "LEGATO_ADMIN_TOKEN", "CACHE_URL")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "serve", str(folder), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=environment,
            )

    def wait_until_live(self) -> None:
        until = time.monotonic() + STARTING
        while True:
            assert self.process.poll() is None, f"the gateway ended at its start:\n{self.errors()}"
            try:
                with Wire(self.address) as wire:
                    assert wire.ask(request("/livez")).status == 200
                    return
            except OSError:
                assert time.monotonic() < until, f"the gateway does not listen:\n{self.errors()}"
                time.sleep(0.02)

    def connect(self) -> Wire:
        return Wire(self.address)

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        """One request on a connection of its own."""
        with self.connect() as wire:
            return wire.ask(data, method)

    def post(self, flow: str, body: bytes | None = b"{}", **fields: str) -> Answer:
        return self.ask(request(f"/orchestrate/{flow}", body, "POST", **fields))

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in self.ask(request("/metrics")).body.decode().splitlines():
            match = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{label}="{value}"' in (match[1] or "") for label, value in labels.items()):
                total += float(match[2])
        return total

    def until_metric(self, value: float, name: str, seconds: float = 15.0, **labels: str) -> bool:
        """Wait until a metric has a value."""
        until = time.monotonic() + seconds
        while self.metric(name, **labels) != value:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def is_idle(self, seconds: float = 15.0) -> bool:
        """Whether no run is left, after some patience."""
        return self.until_metric(0, "legato_runs_active", seconds)

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOPPING) -> int:
        return self.process.wait(seconds)

    def errors(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        """End the process, and say so when it left anything that looks like a bug."""
        died = self.process.poll()
        self.terminate()
        try:
            self.process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the gateway did not stop:\n{self.errors()}") from None
        errors = self.errors()
        assert died is None, f"the gateway had ended with {died}:\n{errors}"
        self.check_errors()

    def check_errors(self) -> None:
        """Fail when something that looks like a bug has been written since the last check."""
        errors = self.errors()[self.checked :]
        self.checked += len(errors)
        assert not TROUBLE.search(errors), f"the gateway wrote:\n{errors[-8000:]}"
