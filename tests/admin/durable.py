"""A gateway with durable flows, whose functions note that they were called and fail as long as a file says so."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.admin.serving import PATIENCE, Reply, Serving, until

CODE = """
import json
import pathlib
import time

from legato.errors import ComeAgain, Refused

HERE = pathlib.Path(__file__).parent


def _called(name, value):
    with (HERE / "calls").open("a") as file:
        file.write(json.dumps([name, value]) + "\\n")
    trouble = HERE / name
    if trouble.exists():
        word = trouble.read_text()
        if word == "refused":
            raise Refused(f"{name} is refused", status=409)
        if word == "again":
            raise ComeAgain(f"{name} is busy", 0.01)
        if word == "hang":
            while trouble.exists():
                time.sleep(0.01)
        else:
            raise ValueError(word)
    return {"by": name, "got": value}


def _function(name):
    def function(value):
        return _called(name, value)

    return function


for _name in ("a", "b", "c", "d", "undo_a", "undo_b", "tidy"):
    globals()[_name] = _function(_name)
"""
NAMES = ("a", "b", "c", "d", "undo-a", "undo-b", "tidy")
FUNCTIONS: dict[str, Any] = {name: {"python": f"shop:{name.replace('-', '_')}"} for name in NAMES}
FUNCTIONS["echo"] = {"builtin": "echo"}

WAITS: dict[str, Any] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
SOON: dict[str, Any] = {"attempts": 2, "backoff": "1ms"}
FLOWS: dict[str, object] = {
    "line": {"durable": True, "steps": ["a", "b", "c"]},
    "asks": {"durable": True, "steps": ["a", {"wait": "approval", "schema": WAITS}, "b"]},
    "asks-twice": {"durable": True, "steps": [{"wait": "x", "id": "one"}, {"wait": "x", "id": "two"}]},
    "sleeps": {"durable": True, "steps": [{"sleep": "1h"}, "a"]},
    "saga": {
        "durable": True,
        "steps": [{"call": "a", "undo": {"call": "undo-a", "retry": SOON}}, "b"],
    },
    "asks-in-saga": {
        "durable": True,
        "steps": [{"call": "a", "undo": {"call": "undo-a", "retry": SOON}}, {"wait": "approval"}],
    },
    "both": {"durable": True, "steps": [{"parallel": {"left": "a", "right": "b"}}, "c"]},
    "in-time": {"durable": True, "steps": ["a", {"wait": "late", "timeout": "50ms"}, "b"]},
    "bounded": {"durable": True, "timeout": "300ms", "steps": ["a", {"wait": "late"}]},
    "tidies": {"durable": True, "steps": ["a", "b"], "finally": ["tidy"]},
    "loop": {
        "durable": True,
        "steps": [
            {"foreach": {"over": "${input}", "tolerate": 1}, "concurrency": 1, "id": "each", "steps": ["a"]},
            "c",
        ],
    },
    "picky": {
        "durable": True,
        "steps": [
            {
                "foreach": {"over": "${input}", "tolerate": 1},
                "concurrency": 1,
                "id": "each",
                "steps": [
                    {
                        "choose": [
                            {"when": "${item == 'b'}", "steps": ["b"]},
                            {"when": "${item == 'd'}", "steps": ["d"]},
                            {"otherwise": True, "steps": ["a"]},
                        ]
                    }
                ],
            },
            "c",
        ],
    },
    "maybe": {
        "durable": True,
        "steps": [
            {"call": "b", "undo": {"call": "undo-b", "retry": SOON}},
            "c",
        ],
    },
    "once": {"durable": True, "steps": ["a", {"call": "b", "at_most_once": True}]},
    "hurried": {"durable": True, "steps": ["a", {"steps": ["b"], "timeout": "100ms"}]},
    "states": {"durable": True, "steps": ["a", {"fail": "no", "status": 422}]},
    "echoes": {"durable": True, "steps": ["echo"]},
    "inline": ["a"],
}


class Durable(Serving):
    """See Serving, with the runs of its journal."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "shop.py").write_text(CODE)
        settings.setdefault("functions", FUNCTIONS)
        self.module: str = settings.pop("module", "")
        super().__init__(folder, {**FLOWS, **settings.pop("flows", {})}, **settings)

    def start(self) -> None:
        """See Serving; with a `module`, its flows are served."""
        if not self.module:
            super().start()
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEGATO_", "CACHE_"))}
        with self.output.open("ab") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "serve", self.module],
                cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=output, env=environment,
            )  # fmt: skip
        self.wait_until_live()

    def trouble(self, name: str, word: str | None) -> None:
        """What happens to calls of a function from now on: `refused`, `again`, `hang`, None for nothing."""
        place = self.folder / name.replace("-", "_")
        if word is None:
            place.unlink(missing_ok=True)
        else:
            place.write_text(word)

    def calls(self) -> list[str]:
        """The functions called since this was asked last."""
        place = self.folder / "calls"
        lines = place.read_text().splitlines() if place.exists() else []
        place.unlink(missing_ok=True)
        return [json.loads(line)[0] for line in lines]

    def begin(self, flow: str, value: object = None, **fields: str) -> str:
        """The id of a run that has been started."""
        headers = {"prefer": "respond-async", **{name.replace("_", "-"): text for name, text in fields.items()}}
        reply = self.run(flow, json.dumps(value).encode(), headers)
        assert reply.status in (200, 202), reply
        return reply.fields["legato-run"]

    def about(self, run: str, rest: str = "", body: object = None, method: str = "POST", **fields: str) -> Reply:
        """A request about a run; `body` is JSON."""
        text = None if body is None else json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if text is not None:
            headers.setdefault("content-type", "application/json")
        return self.api(method, f"/api/runs/{run}{rest}", text, headers)

    def document(self, run: str, query: str = "") -> Any:
        reply = self.api("GET", f"/api/runs/{run}{query}")
        assert reply.status == 200, reply
        return reply.json()

    def until_state(self, run: str, *states: str) -> Any:
        """The document of a run as soon as it is in one of these states."""
        found: list[Any] = []

        def is_so() -> bool:
            found[:] = [self.document(run)]
            return found[0]["state"] in states

        until(is_so, lambda: found)
        return found[0]

    def list(self, query: str = "") -> Any:
        reply = self.api("GET", f"/api/runs{query}")
        assert reply.status == 200, reply
        return reply.json()

    @contextmanager
    def stream(self, run: str, query: str = "", **fields: str) -> Generator[http.client.HTTPResponse]:
        """An open stream of events."""
        assert isinstance(self.address, tuple)
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            headers = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request("GET", f"/api/runs/{run}/events{query}", headers=headers)
            yield connection.getresponse()
        finally:
            connection.close()


def next_event(answer: http.client.HTTPResponse) -> dict[str, Any] | None:
    """The next event of a stream, None at its end."""
    fields: dict[str, Any] = {}
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if not text:
            if "data" in fields:
                return fields
            fields = {}
        elif not text.startswith(":"):
            name, _, value = text.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value
    return None
