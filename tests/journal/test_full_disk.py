"""A real gateway whose disk takes nothing more for a while: the operating system limits the size of its files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.serving import Serving, until
from tests.support.function_server import FunctionServer
from tests.support.texts import answer

FLOWS = {
    "two": {"durable": True, "answer_within": "30s", "steps": ["a", "b"]},
    "waits": {"durable": True, "answer_within": "0s", "steps": [{"wait": "go"}, "b"]},
}


class Disk:
    """The disk of a process."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        self._before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Let the log grow no more."""
        size = os.stat(self._folder / "legato-journal.db-wal").st_size
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, self._before[1]))

    def empty(self) -> None:
        """Let everything grow again."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


@pytest.fixture
def function() -> Iterator[FunctionServer]:
    server = FunctionServer()
    yield server
    server.stop()


def test_a_full_disk_holds_runs_back_and_refuses_starts_until_there_is_room(
    tmp_path: Path, function: FunctionServer
) -> None:
    url = f"http://127.0.0.1:{function.port}/{{name}}"
    serving = Serving(tmp_path, FLOWS, functions={"default": url}, access_log=False)
    disk = Disk(serving.process.pid, tmp_path)
    try:
        assert serving.run("two", b'{"n": 1}').status == 200
        held = serving.run("waits").fields["legato-run"]
        waiting = serving.run("two", b'{"n": 2}', {"prefer": "respond-async"})
        until(lambda: len(function.requests) == 4)
        function.does(lambda exchange: (exchange.pause(0.3), exchange.send(answer(200, b"{}"))))
        late = serving.run("two", b'{"n": 3}', {"prefer": "respond-async"})
        function.wait_for(5)
        disk.fill()
        refused = serving.run("two", b'{"n": 4}')
        assert refused.status == 503
        assert "could not be stored" in refused.detail
        assert "; " in refused.detail  # and what to do
        assert "legato-run" not in refused.fields
        signal = serving.api("POST", f"/api/runs/{held}/signals/go", b"1")
        assert signal.status == 503, signal
        ready = serving.api("GET", "/readyz")
        assert b"cannot be written" in ready.body, ready
        assert len(function.requests) == 5, "what follows from an answer was done before that was stored"
        disk.empty()
        until(lambda: b"cannot be written" not in serving.api("GET", "/readyz").body)
        until(lambda: len(function.requests) == 6)
        assert serving.run("two", b'{"n": 5}').status == 200
        assert serving.api("POST", f"/api/runs/{held}/signals/go", b"1").status in (200, 202)
        for run in (held, waiting.fields["legato-run"], late.fields["legato-run"]):
            until(lambda run=run: serving.api("GET", f"/api/runs/{run}").json()["state"] == "succeeded")
        assert not any(b'"n": 4' in request.body for request in function.requests)
    finally:
        disk.empty()
        serving.checked = len(serving.errors())  # it has told of its trouble, which is no bug
        serving.stop()
