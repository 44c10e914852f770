"""`legato serve --workers`: several processes on one address, which live, count and end as one."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from legato.app import FOLD_EVERY, PUBLISH_EVERY
from tests.support.gateway_process import GatewayProcess, free_port, write_project
from tests.support.texts import request
from tests.support.wire import Wire

PATIENCE = 20.0
FUNCTIONS = {"echo": {"builtin": "echo"}, "slow": {"builtin": "slow"}}
FLOWS = {"echo": ["echo"], "slow": ["slow"], "broken": "{"}


def until(what: Callable[[], object], why: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def workers_of(gateway: GatewayProcess) -> list[int]:
    parent = gateway.process.pid
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


class Crew(GatewayProcess):
    """A gateway with workers."""

    arguments = ("--workers", "3")


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[GatewayProcess]:
    process = Crew(tmp_path / "crew", FLOWS, {"functions": FUNCTIONS})
    process.wait_until_live()
    yield process
    if process.process.poll() is None:
        process.stop()


def test_they_count_as_one(crew: GatewayProcess) -> None:
    assert len(workers_of(crew)) == 3
    for _ in range(60):
        assert crew.post("echo", b"1").status == 200
    assert crew.until_metric(60, "legato_runs_total", flow="echo")
    assert crew.until_metric(60, "legato_run_seconds_count", flow="echo")
    assert crew.until_metric(60, "legato_call_seconds_bucket", function="echo", le="+Inf")
    assert crew.metric("legato_definitions", state="ok") == 2  # every worker has the same ones
    told = crew.errors()
    assert told.count("crew/flows/broken.json") == 1
    assert "3 workers" in told


def test_one_that_dies_is_replaced_and_its_counts_stay(crew: GatewayProcess) -> None:
    before = workers_of(crew)
    for _ in range(30):
        crew.post("echo", b"1")
    assert crew.until_metric(30, "legato_runs_total", flow="echo")
    time.sleep(FOLD_EVERY * PUBLISH_EVERY + 1)  # every worker has published what it counted
    victim = before[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(workers_of(crew)) == 3 and victim not in workers_of(crew), "nobody takes its place")
    assert crew.metric("legato_runs_total", flow="echo") == 30
    assert crew.post("echo", b"1").status == 200
    assert f"worker {victim} ended with -9" in crew.errors()


def test_an_orphan_that_is_left_to_the_parent_is_no_worker(tmp_path: Path) -> None:
    """As the first process of a container, or a subreaper, it inherits what its workers' functions have started."""
    code = "import subprocess\ndef f(value):\n    subprocess.Popen(['sh', '-c', 'sleep 0.2 & exit 0']).wait()\n"
    folder = tmp_path / "crew"
    folder.mkdir()
    (folder / "orphans_module.py").write_text(code)
    starter = (
        "import ctypes, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); "
        "sys.argv = ['legato', 'serve', '.', '--workers', '2']; from legato.cli import main; main()"
    )
    port = free_port()
    functions = {"f": {"python": "orphans_module:f"}}
    write_project(folder, {"x": ["f"]}, {"listen": f"127.0.0.1:{port}", "functions": functions})
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", starter], cwd=folder, stdout=output, stderr=output)
    try:
        for _ in range(3):
            until(lambda: status_of(port, "/orchestrate/x") == 200, "it does not serve")
        time.sleep(0.5)
        assert process.poll() is None
        assert status_of(port, "/orchestrate/x") == 200
    finally:
        process.terminate()
    assert process.wait(PATIENCE) == 0


def status_of(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", path, b"1")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_what_one_defines_all_serve(crew: GatewayProcess) -> None:
    pipeline = b'{"mode": "sequential", "steps": ["echo"]}'
    connection = http.client.HTTPConnection(crew.listen, timeout=PATIENCE)
    connection.request("PUT", "/api/flows/new", pipeline)
    assert connection.getresponse().status == 201
    connection.close()
    until(lambda: all(crew.post("new", b"1").status == 200 for _ in range(20)), "some do not serve it")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_they_stop_gracefully_as_one(crew: GatewayProcess, number: signal.Signals) -> None:
    workers = workers_of(crew)
    with Wire(crew.address) as wire:
        wire.send(request("/orchestrate/slow", b'{"seconds": 1}', "POST"))
        until(lambda: crew.until_metric(1, "legato_runs_active", flow="slow"), "the run did not start")
        crew.process.send_signal(number)
        assert wire.answer().status == 200
    assert crew.wait() == 0
    assert not any(map(is_running, workers))


def test_none_stays_when_the_parent_is_killed(crew: GatewayProcess) -> None:
    workers = workers_of(crew)
    crew.process.kill()
    crew.process.wait()
    until(lambda: not any(map(is_running, workers)), "a worker stays")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "legato", "serve", "--workers", "2", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


def test_what_cannot_be_served_is_said_once(tmp_path: Path) -> None:
    port = free_port()
    write_project(tmp_path, {}, {"listen": f"127.0.0.1:{port}"})
    exposed = run(tmp_path, "--listen", f"0.0.0.0:{port}")
    assert (exposed.returncode, "without a credential" in exposed.stderr) == (2, True)
    assert run(tmp_path, "--workers", "0").returncode == 2
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        taken = run(tmp_path)
    assert taken.returncode == 1
    assert taken.stderr.count("cannot listen on") == 1


def test_a_unix_socket_is_shared_and_one_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for _ in range(2):
        process = Crew(tmp_path / "crew", FLOWS, {"functions": FUNCTIONS, "listen": f"unix:{path}"})
        process.wait_until_live()
        assert process.post("echo", b"1").status == 200
        process.process.kill()
        process.process.wait()
