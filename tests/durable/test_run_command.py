"""`legato run` of a durable flow, with and without a gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.durable.conftest import Start
from tests.support.gateway_process import write_project

FLOWS: dict[str, object] = {
    "ends": {"durable": True, "steps": ["echo"]},
    "waits": {"durable": True, "answer_within": "100ms", "steps": ["echo", {"wait": "go"}]},
}
FUNCTIONS = {"echo": {"builtin": "echo"}}


def run(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "legato", "run", name, "-d", '{"x": 1}', "--project", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_without_a_gateway_it_is_written_down_and_a_gateway_goes_on(tmp_path: Path) -> None:
    write_project(tmp_path, FLOWS, {"functions": FUNCTIONS, "listen": "127.0.0.1:1"})
    ended = run(tmp_path, "ends")
    assert (ended.returncode, json.loads(ended.stdout), ended.stderr) == (0, {"x": 1}, "")
    waits = run(tmp_path, "waits")
    assert (waits.returncode, json.loads(waits.stdout)["state"]) == (0, "waiting")
    assert "`legato serve` goes on with it" in waits.stderr


def test_with_a_gateway(scene: Start) -> None:
    started = scene(FLOWS, functions=FUNCTIONS)
    assert json.loads(run(started.gateway.folder, "ends").stdout) == {"x": 1}
    waits = run(started.gateway.folder, "waits")
    assert "legato runs watch" in waits.stderr
    started.gateway.api("GET", f"/api/runs/{json.loads(waits.stdout)['id']}")


def test_a_journal_in_use(scene: Start) -> None:
    started = scene(FLOWS, functions=FUNCTIONS)
    settings = started.gateway.folder / "legato.yaml"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "listen": "127.0.0.1:1"}))
    refused = run(started.gateway.folder, "ends")
    assert refused.returncode == 3
    assert f"in use by process {started.gateway.process.pid}" in refused.stderr
    assert "Traceback" not in refused.stderr
