"""What a review of definitions that live has found, each with the test that showed it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.admin.conftest import Start
from tests.admin.serving import Serving, native, pipeline, until
from tests.support.texts import request
from tests.support.valkey_server import ValkeyServer


def joined(*branches: str) -> bytes:
    return json.dumps({"flow": "x", "steps": [{"parallel": dict.fromkeys(branches, "echo")}]}).encode()


def test_branches_in_another_order_are_another_flow(start: Start) -> None:
    """Their order is that of the result; dicts that differ in it alone are equal, and were taken for the same."""
    gateway = start()
    versions = [gateway.put("x", joined(*order)).json()["version"] for order in ("ab", "ba")]
    assert versions[0] != versions[1]
    assert gateway.show("x").json()["version"] == versions[1]
    assert list(gateway.run("x", b"1").json()) == ["b", "a"]


def test_a_draft_keeps_only_what_its_own_file_had(start: Start) -> None:
    """A broken file over a stored flow hides it: serving the stored version would outlive its deletion."""
    gateway = start()
    assert gateway.put("x", pipeline("f1")).status == 201
    (gateway.folder / "flows").mkdir(exist_ok=True)
    (gateway.folder / "flows" / "x.yaml").write_text("flow: x\nsteps: [")
    until(lambda: gateway.run("x").status == 503)
    (gateway.folder / "flows" / "x.yaml").write_text(native("x", "f2"))
    until(lambda: gateway.run("x").status == 200)
    (gateway.folder / "flows" / "x.yaml").write_text("flow: x\nsteps: [")
    until(lambda: gateway.show("x").json().get("problems"))
    assert gateway.run("x").json() == "f2"


def test_a_file_has_no_revisions_of_what_it_hides(start: Start) -> None:
    gateway = start()
    assert gateway.put("x", pipeline("f1")).status == 201
    assert gateway.show("x").json()["revisions"]
    (gateway.folder / "flows").mkdir(exist_ok=True)
    (gateway.folder / "flows" / "x.yaml").write_text(native("x", "f2"))
    until(lambda: gateway.run("x").json() == "f2")
    assert "revisions" not in gateway.show("x").json()


# Nobody waits for one request.


def longest_wait(gateway: Serving, during: Callable[[], object]) -> float:
    """Seconds that the slowest of many quick requests takes meanwhile."""
    waits = [0.0]
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            began = time.monotonic()
            assert gateway.api("GET", "/livez").status == 200
            waits.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        during()
    finally:
        stop.set()
        asking.join()
    return max(waits)


def test_code_is_imported_before_requests_come(start: Start, tmp_path: Path) -> None:
    slow = "import time, pathlib\nwith open({!r}, 'a') as file:\n    file.write('x')\ntime.sleep(1)\n"
    counts = {name: tmp_path / name for name in ("heavy", "broken")}
    gateway = start(
        files={
            "heavy_module.py": slow.format(str(counts["heavy"])) + "def f(value): return value\n",
            "broken_module.py": slow.format(str(counts["broken"])) + "1 / 0\n",
        },
        functions={"heavy": {"python": "heavy_module:f"}, "broken": {"python": "broken_module:f"}},
        direct_functions=True,
    )

    def use() -> None:
        assert gateway.put("x", native("x", "heavy")).status == 201
        for _ in range(2):
            assert gateway.put("y", native("y", "broken")).status == 422
            assert gateway.api("POST", "/broken", b"1").status == 503

    assert longest_wait(gateway, use) < 0.9
    assert {name: len(path.read_text()) for name, path in counts.items()} == {"heavy": 1, "broken": 1}


def test_what_is_remembered_is_bounded(start: Start) -> None:
    """A run's steps and what functions say are cut when they are kept, not when they are shown."""
    code = "from legato.errors import Refused\ndef f(value): raise Refused('x' * 1_000_000)\n"
    many = {"flow": "many", "steps": [{"parallel": {f"b{number}": "echo" for number in range(200)}}]}
    gateway = start(
        files={"wordy_module.py": code},
        functions={"echo": {"builtin": "echo"}, "wordy": {"python": "wordy_module:f"}},
        limits={"recent_runs": 100},
    )
    assert gateway.put("wordy", native("wordy", "wordy")).status == 201
    assert gateway.put("many", json.dumps(many).encode()).status == 201
    before = gateway.memory()
    for _ in range(60):
        assert gateway.run("wordy", b"1").status == 502
    assert gateway.memory() - before < 30 * 1024 * 1024
    for _ in range(30):
        assert gateway.run("many", b"1").status == 200
    runs = gateway.api("GET", "/api/runs?inline=true&limit=1000").json()["runs"]
    assert 0 < sum(len(run["steps"]) for run in runs) <= 100 * 20


def test_threads_of_users_hold_up_neither_the_api_nor_the_end(start: Start) -> None:
    code = "import asyncio, time\nasync def f(value):\n    await asyncio.to_thread(time.sleep, 60)\n"
    gateway = start(
        files={"hanging_module.py": code},
        functions={"hang": {"python": "hanging_module:f", "timeout": "200ms"}, "echo": {"builtin": "echo"}},
        limits={"drain": "1s"},
    )
    assert gateway.put("x", native("x", "hang")).status == 201
    callers = [threading.Thread(target=gateway.run, args=("x", b"1")) for _ in range(40)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    began = time.monotonic()
    assert gateway.put("y", native("y", "echo")).status == 201
    gateway.terminate()
    assert gateway.wait() == 0
    assert time.monotonic() - began < 15


# Who defines flows.


@pytest.mark.parametrize("field", ["x-forwarded-for", "X-Forwarded-Host", "forwarded", "via", "x-real-ip"])
def test_without_a_token_nobody_defines_flows_through_a_proxy(start: Start, field: str) -> None:
    """A proxy on this machine sends a loopback Host for whoever is behind it."""
    gateway = start()
    refused = gateway.put("x", pipeline("f1"), {field: "203.0.113.9"})
    assert (refused.status, "LEGATO_ADMIN_TOKEN" in refused.detail) == (403, True)
    assert gateway.put("x", pipeline("f1")).status == 201
    assert gateway.api("POST", "/orchestrate/x", b"1", {field: "203.0.113.9"}).status == 200


@pytest.mark.parametrize("name", ["localhost", "ip6-localhost", "IP6-LOOPBACK", "localhost4"])
def test_this_machine_by_other_names(start: Start, name: str) -> None:
    gateway = start(direct_functions=True)
    assert gateway.put("x", pipeline(name)).status == 422
    assert gateway.api("GET", f"/{name}").status == 404


# Of the second review.


def test_runs_are_listed_while_runs_end(start: Start) -> None:
    """The list is made beside the event loop, of what it knew: not of what it goes on to change."""
    gateway = start(functions={"echo": {"builtin": "echo"}})
    assert gateway.put("x", native("x", "echo")).status == 201
    stop = threading.Event()

    def call() -> None:
        with gateway.connect() as wire:
            while not stop.is_set():
                assert wire.ask(request("/orchestrate/x", b"1", "POST"), "POST").status == 200

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(60):
            assert gateway.api("GET", "/api/runs?inline=true&limit=1000").status == 200
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def test_what_users_do_at_exit_is_done(start: Start, tmp_path: Path) -> None:
    code = (
        f"import atexit, pathlib\natexit.register(pathlib.Path({str(tmp_path / 'done')!r}).touch)\ndef f(value): pass\n"
    )
    gateway = start(files={"at_exit_module.py": code}, functions={"f": {"python": "at_exit_module:f"}})
    assert gateway.put("x", native("x", "f")).status == 201
    assert gateway.api("GET", "/api/runs?inline=true").status == 200
    gateway.stop()
    assert (tmp_path / "done").exists()


def test_code_that_cannot_be_imported_keeps_nothing_alive(start: Start) -> None:
    gateway = start(functions={"missing": {"python": "no_such_module:f"}})
    text = native("x", "missing") + "# " + "x" * 200_000
    for _ in range(20):
        assert gateway.put("x", text).status == 422
    before = gateway.memory()
    for _ in range(200):
        gateway.put("x", text)
    assert gateway.memory() - before < 15 * 1024 * 1024


def test_a_store_that_hangs_holds_up_neither_metrics_nor_runs(start: Start, tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "valkey") as server:
        gateway = start(variables={"CACHE_URL": server.url}, functions={"echo": {"builtin": "echo"}})
        server.pause()
        writers = [threading.Thread(target=gateway.put, args=(f"x{n}", native(f"x{n}", "echo"))) for n in range(6)]
        for writer in writers:
            writer.start()
        began = time.monotonic()
        assert gateway.api("GET", "/metrics").status == 200
        assert gateway.api("GET", "/api/runs?inline=true").status == 200
        assert time.monotonic() - began < 3
        server.resume()
        for writer in writers:
            writer.join()
        gateway.stop()
