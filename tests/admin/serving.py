"""A gateway in its own process with what definitions that live need: variables, options, a start on what is there."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.gateway_process import GatewayProcess, free_port, write_project

ADMIN = "token-of-who-defines"
CALLER = "token-of-who-calls"
PATIENCE = 20.0  # seconds

Fields = Mapping[str, str]


class Reply:
    """An answer of the API."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.fields = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """What a problem document says."""
        document = self.json()
        assert self.fields["content-type"] == "application/problem+json"
        assert document["status"] == self.status
        assert document["title"]
        detail = document["detail"]
        assert isinstance(detail, str)
        return detail

    def __repr__(self) -> str:
        return f"{self.status} {self.fields} {self.body[:500]!r}"


class Serving(GatewayProcess):
    """`legato serve`; the default store is a database in the project's folder, which `flows` and `settings` make."""

    def __init__(
        self,
        folder: Path,
        flows: Mapping[str, object] | None = None,
        variables: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.listen = settings.setdefault("listen", f"127.0.0.1:{free_port()}")
        write_project(folder, flows or {}, settings)
        self.folder = folder
        self.is_unix = self.listen.startswith("unix:")
        if self.is_unix:
            self.address = self.listen.removeprefix("unix:")
        else:
            host, _, port = self.listen.rpartition(":")
            self.address = ({"0.0.0.0": "127.0.0.1"}.get(host, host).strip("[]"), int(port))
        self.output = folder / "output"
        self.log = folder / "log"
        self.checked = 0
        self.variables = dict(variables or {})
        self.arguments = arguments
        self.start()

    def start(self) -> None:
        """Start it, again if it has ended."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEGATO_", "CACHE_"))}
        with self.output.open("ab") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "serve", str(self.folder), *self.arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=output,
                env=environment | self.variables,
            )
        self.wait_until_live()

    def stop(self) -> None:
        """End the process, and say so when it left anything that looks like a bug."""
        super().stop()
        self.let_go()

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.let_go()

    def let_go(self) -> None:
        """Close its standard input; one that has been closed stays so."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def api(self, method: str, path: str, body: bytes | str | None = None, fields: Fields | None = None) -> Reply:
        """One request, on a connection of its own; `path` is sent as it is."""
        assert isinstance(self.address, tuple)
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, dict(fields or {}))
            return Reply(connection.getresponse())
        finally:
            connection.close()

    # Flows.

    def put(self, name: str, body: bytes | str, fields: Fields | None = None) -> Reply:
        return self.api("PUT", flow_path(name), body, fields)

    def show(self, name: str, query: str = "", fields: Fields | None = None) -> Reply:
        return self.api("GET", flow_path(name) + query, None, fields)

    def delete(self, name: str, fields: Fields | None = None) -> Reply:
        return self.api("DELETE", flow_path(name), None, fields)

    def names(self, query: str = "") -> list[str]:
        return [flow["name"] for flow in self.api("GET", f"/api/flows{query}").json()["flows"]]

    def run(self, name: str, body: bytes = b"{}", fields: Fields | None = None) -> Reply:
        return self.api("POST", f"/orchestrate/{name}", body, {"content-type": "application/json", **(fields or {})})

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def until_event(self, **wanted: object) -> dict[str, Any]:
        """Wait for a line with these members."""
        until = time.monotonic() + PATIENCE
        while True:
            for event in self.events():
                if all(event.get(key) == value for key, value in wanted.items()):
                    return event
            assert time.monotonic() < until, f"no {wanted} in {self.log.read_text()}"
            time.sleep(0.02)


def flow_path(name: str) -> str:
    return f"/api/flows/{quote(name, safe='')}"


def pipeline(*steps: str, mode: str = "sequential") -> str:
    return json.dumps({"mode": mode, "steps": list(steps)})


def native(name: str, *steps: str, **fields: object) -> str:
    return json.dumps({"flow": name, **fields, "steps": list(steps)})


def until(is_so: Any, what: object = "") -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.01)
