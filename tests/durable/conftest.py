"""A gateway with durable flows, and a function that the tests script; the gateway may be killed and started again."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.admin.serving import Reply, Serving
from tests.support.function_server import FunctionServer

PATIENCE = 20.0
ENDS = ("succeeded", "failed", "undone", "cancelled")


class Scene:
    """`function` serves every name, at a path of that name."""

    def __init__(self, folder: Path, flows: Mapping[str, object], **settings: Any) -> None:
        self.function = FunctionServer()
        url = f"http://127.0.0.1:{self.function.port}/{{name}}"
        functions = {"default": url, **settings.pop("functions", {})}
        self.gateway = Serving(folder, flows, functions=functions, **settings)

    def start(self, flow: str, value: object = None, **fields: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in fields.items()}
        return self.gateway.run(flow, json.dumps(value).encode(), named)

    def crash(self) -> None:
        """Kill the gateway, and start it again."""
        self.gateway.kill()
        self.gateway.start()

    def serve_code(self, code: str) -> None:
        """Stop serving flows of files, and serve this module."""
        self.gateway.stop()
        (self.gateway.folder / "shop.py").write_text(code)
        self.serve_module()

    def serve_module(self) -> None:
        """Start the gateway with the module."""
        with self.gateway.output.open("ab") as output:
            self.gateway.process = subprocess.Popen(
                [sys.executable, "-m", "legato", "serve", "shop"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.gateway.folder,
            )
        self.gateway.wait_until_live()

    def row(self, run_id: str) -> tuple[str, float | None]:
        """(state, due) of a run in the journal."""
        with closing(sqlite3.connect(self.gateway.folder / "legato-journal.db")) as journal:
            return journal.execute(
                "SELECT state, due FROM run WHERE id = ?", (bytes.fromhex(run_id.replace("-", "")),)
            ).fetchone()

    def events(self, run_id: str) -> list[tuple[str, str]]:
        """(kind, path) of a run's events."""
        with closing(sqlite3.connect(self.gateway.folder / "legato-journal.db")) as journal:
            return journal.execute(
                "SELECT kind, path FROM event WHERE run = ? ORDER BY seq", (bytes.fromhex(run_id.replace("-", "")),)
            ).fetchall()

    def until(self, run_id: str, *states: str) -> str:
        """Wait until a run is in one of these states."""
        return self.wait(lambda: self.row(run_id)[0] if self.row(run_id)[0] in states else "")

    def wait(self, what: Callable[[], Any]) -> Any:
        """Wait until something is true, and give it."""
        until = time.monotonic() + PATIENCE
        while not (found := what()):
            assert time.monotonic() < until, "it never came true"
            time.sleep(0.01)
        return found

    def called(self) -> list[str]:
        """The names of functions in the order of their calls."""
        return [request.target.strip("/") for request in self.function.requests]


Start = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Start]:
    """Starts a scene of flows."""
    started: list[Scene] = []

    def start(flows: Mapping[str, object], **settings: Any) -> Scene:
        started.append(Scene(tmp_path / "project", flows, **settings))
        return started[-1]

    yield start
    for each in started:
        each.gateway.stop()
        each.function.stop()
