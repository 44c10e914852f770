"""Dockerfile and compose.yaml without Docker: names fit, copies are there, and their commands do here what they say."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.docs.serving import serving
from tests.support.gateway_process import free_port
from tests.support.valkey_server import ValkeyServer

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
PIPELINES = {
    file.stem: json.loads(file.read_text())["steps"] for file in sorted((ROOT / "demo" / "fnkit-flows").glob("*.json"))
}
FUNCTIONS = sorted({step for steps in PIPELINES.values() for step in steps})
PORT = "8080"  # everything's in a network of its own; here everything has to share one


def exec_form(instruction: str) -> list[str]:
    match = re.search(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert match, f"no {instruction} in exec form"
    return json.loads(match[1])


def test_only_what_is_copied_is_sent() -> None:
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_what_runs_is_no_root_and_has_no_tools() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER legato$", final, re.MULTILINE)
    assert "pip" not in final
    assert "--without-pip" in DOCKERFILE


def test_names_are_those_of_the_pipelines() -> None:
    functions = {name for name, service in SERVICES.items() if "demo.functions" in service.get("command", "")}
    assert functions == set(FUNCTIONS)
    for name in functions:
        assert shlex.split(SERVICES[name]["command"])[-2:] == [name, PORT]
    assert SERVICES["gateway"]["environment"]["CACHE_URL"] == "redis://fnkit-cache:6379"
    assert all(service["networks"] == ["fnkit-network"] for service in SERVICES.values())
    volumes = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert all((ROOT / volume).exists() for volume in volumes if volume.startswith("."))


@pytest.fixture
def functions() -> Iterator[dict[str, int]]:
    """The sample functions by compose.yaml's own commands, each on a port of its own."""
    ports = {name: free_port() for name in FUNCTIONS}
    processes = []
    try:
        for name, port in ports.items():
            command = [{"python": sys.executable, PORT: str(port)}.get(w, w) for w in SERVICES[name]["command"].split()]
            processes.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        for port in ports.values():
            wait_for(port)
        yield ports
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(10) for process in processes] == [-15] * len(processes)


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < until, f"nothing listens on {port}"
            time.sleep(0.02)


def test_the_pipelines_run(functions: dict[str, int], tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    entries = {name: f"http://127.0.0.1:{port}/" for name, port in functions.items()}
    (tmp_path / "legato.yaml").write_text(
        json.dumps({"functions": entries, "flows": str(ROOT / "demo" / "fnkit-flows")})
    )
    program, command, *arguments = [word.replace("0.0.0.0:8080", listen) for word in exec_form("CMD")]
    assert program == "legato"
    with ValkeyServer(tmp_path / "valkey", "--notify-keyspace-events", "Ee") as cache:
        variables = {"CACHE_URL": cache.url, "LEGATO_TOKEN": "secret"}
        with serving(tmp_path, listen, variables, arguments, command):
            assert ask(listen, "process-order", {"orderId": 123})["email"] == "sent"
            assert set(ask(listen, "enrich-user", {"userId": 456})) == set(PIPELINES["enrich-user"])
            cache.cli("SET", "fnkit:pipeline:check", '{"mode":"sequential","steps":["validate-order"]}')
            until = time.monotonic() + 10
            while ask(listen, "check", {"orderId": 1}, until).get("total") != 120:
                time.sleep(0.02)
            assert is_healthy(listen)
    assert not is_healthy(listen)


def is_healthy(listen: str) -> bool:
    python, option, code = exec_form("HEALTHCHECK .* CMD")
    assert (python, option) == ("python", "-c")
    command = [sys.executable, option, code.replace(PORT, listen.partition(":")[2])]
    return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=20).returncode == 0


def ask(listen: str, flow: str, value: object, until: float = 0.0) -> dict[str, Any]:
    """What a flow answers: success, unless there is time yet."""
    connection = http.client.HTTPConnection(listen, timeout=10)
    try:
        headers = {"Authorization": "Bearer secret"}
        connection.request("POST", f"/orchestrate/{flow}", json.dumps(value), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200 or time.monotonic() < until, body
        return json.loads(body)
    finally:
        connection.close()
