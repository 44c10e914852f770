"""What a careful reader found: callers that do not read, functions that misbehave in Python, paths that hide dots."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import StartFunction, StartGateway
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import request

CODE = """
import sys, time
from legato.errors import Refused

def exits(value): sys.exit("bye")
async def interrupts(value): raise KeyboardInterrupt
def surrogate(value): raise ValueError("bad \\udc80")
def secret(value): raise RuntimeError("postgres://user:pw@db refused")
def odd(value): raise Refused("no", status=value)
def sleeps(value): time.sleep(60)
"""


def python_gateway(gateway: StartGateway, folder: Path) -> GatewayProcess:
    names = ("exits", "interrupts", "surrogate", "secret", "odd", "sleeps")
    (folder / "reviewed.py").write_text(CODE)
    os.environ["PYTHONPATH"] = str(folder)
    try:
        functions = {name: {"python": f"reviewed:{name}"} for name in names} | {"echo": {"builtin": "echo"}}
        flows: dict[str, object] = {name: [{"call": name, "timeout": "1s"}] for name in names}
        undone = {"call": "echo", "undo": {"call": "surrogate", "retry": {"attempts": 1}}}
        return gateway({**flows, "undone": [undone, "odd"]}, functions=functions)
    finally:
        del os.environ["PYTHONPATH"]


@pytest.fixture
def live(gateway: StartGateway, tmp_path: Path) -> GatewayProcess:
    return python_gateway(gateway, tmp_path)


@pytest.mark.parametrize("name", ["exits", "interrupts", "surrogate"])
def test_whatever_a_python_function_raises_is_an_answer(live: GatewayProcess, name: str) -> None:
    for _ in range(2):
        answer = live.post(name)
        assert answer.status == 502
        assert json.loads(answer.body)["function"] == name
    assert live.is_idle()


@pytest.mark.parametrize("status", [b"99", b'"x"', b"101", b"200", b"600"])
def test_a_refusal_with_an_odd_status_is_a_refusal(live: GatewayProcess, status: bytes) -> None:
    answer = live.post("odd", status)
    assert answer.status == 502
    assert json.loads(answer.body)["upstream"]["status"] == 422


def test_an_undo_that_cannot_be_described_still_ends_the_run(live: GatewayProcess) -> None:
    answer = live.post("undone", b"404")
    assert (answer.status, json.loads(answer.body)["not_undone"]) == (502, ["echo"])
    assert live.is_idle()


def test_what_an_exception_says_is_not_for_the_caller(live: GatewayProcess) -> None:
    body = live.post("secret").body
    assert b"RuntimeError" in body
    assert b"user:pw" not in body


def test_a_thread_that_does_not_end_does_not_keep_the_gateway(live: GatewayProcess) -> None:
    assert live.post("sleeps").status == 502
    live.terminate()
    assert live.wait(10) == 0


def test_a_caller_that_does_not_read_is_not_answered_without_end(gateway: StartGateway) -> None:
    live = gateway({"echo": ["echo"]}, functions={"echo": {"builtin": "echo"}})
    one = request("/orchestrate/echo", b"x" * 500_000, "POST")
    with live.connect() as wire, socket.socket(wire.socket.family) as deaf:
        deaf.settimeout(3)
        deaf.connect(live.address)
        sent = sent_until_stuck(deaf, one, 200_000_000)
        assert sent < 60_000_000  # it stopped reading, having kept a few answers and what the kernel holds
        assert wire.ask(request("/livez")).status == 200
        deaf.settimeout(20)
        got = 0
        while got < 1_000_000:  # and it goes on as soon as the caller reads
            got += len(deaf.recv(65536))


def sent_until_stuck(sender: socket.socket, data: bytes, most: int) -> int:
    sent = 0
    while sent < most:
        try:
            sent += sender.send(data)
        except TimeoutError:
            break
    return sent


@pytest.mark.parametrize("rest", ["..%2fadmin", "..\\x", "%2e%2e/x", "a/..;/b", ".%2fx", "a#b"])
def test_hidden_dots_are_not_passed_on(gateway: StartGateway, function: StartFunction, rest: str) -> None:
    a = function()
    live = gateway({"p": '{"mode": "sequential", "steps": ["a"]}'}, functions={"a": f"http://127.0.0.1:{a.port}/base"})
    assert live.ask(request(f"/orchestrate/p/{rest}")).status == 400
    assert not a.requests


def test_the_slash_at_the_end_of_a_url_stays(gateway: StartGateway, function: StartFunction) -> None:
    a = function()
    live = gateway({"one": ["a"]}, functions={"a": f"http://127.0.0.1:{a.port}/validate/"})
    assert live.post("one").status == 200
    assert a.requests[0].target == "/validate/"


def test_a_deadline_does_not_say_that_nothing_was_sent(gateway: StartGateway) -> None:
    live = gateway({"late": {"timeout": "200ms", "steps": ["slow"]}}, functions={"slow": {"builtin": "slow"}})
    answer = live.post("late", b'{"seconds": 5}')
    assert answer.status == 504
    assert "outcome" not in json.loads(answer.body)


def test_a_short_keep_alive_is_kept(gateway: StartGateway) -> None:
    live = gateway({"echo": ["echo"]}, functions={"echo": {"builtin": "echo"}}, limits={"keep_alive": "1s"})
    with live.connect() as wire:
        start = time.monotonic()
        assert wire.ask(request("/livez")).status == 200
        assert wire.has_ended()
        assert time.monotonic() - start < 6


def test_a_run_is_not_repeated_when_the_gateway_is_lost(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def vanish() -> None:
            connection, _ = listening.accept()
            with connection:
                probe = connection.recv(65536)
                assert b"authorization" not in probe.lower()
                connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"status":"ok"}')
                connection.recv(65536)

        lost = threading.Thread(target=vanish)
        lost.start()
        (tmp_path / "flows").mkdir()
        (tmp_path / "flows" / "pay.yaml").write_text("flow: pay\nsteps: [pay]\n")
        port = listening.getsockname()[1]
        settings = f"listen: 127.0.0.1:{port}\nauth: {{tokens: [t]}}\nfunctions: {{pay: {{builtin: echo}}}}\n"
        (tmp_path / "legato.yaml").write_text(settings)
        command = [sys.executable, "-m", "legato", "run", "pay", "-d", "1", "--project", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
        lost.join()
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "was lost" in ended.stderr


def test_check_tells_the_problems_of_all_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("flow: bad\nsteps: [{cal: a}]\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "legato.yaml").write_text("flows: nowhere\nlisten: x\n")
    command = [sys.executable, "-m", "legato", "check", str(tmp_path / "bad.yaml"), str(tmp_path / "other")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "unknown kind of step `cal`" in ended.stderr
    assert "`listen`" in ended.stderr
    (tmp_path / "other" / "legato.yaml").write_text("flows: nowhere\n")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "the folder of flows does not exist" in ended.stderr
