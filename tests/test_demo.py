"""The demo as a user runs it: it ends by itself, leaves no process behind, and fails when an answer is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import demo.__main__ as program
from demo.scenes import FNKIT, LIVE, NATIVE, Command, Scene
from demo.survival import SURVIVAL

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "demo")
ELSEWHERE = {"CACHE_URL": "redis://127.0.0.1:1", "LEGATO_TOKEN": "another", "LEGATO_ADMIN_TOKEN": "another"}


def processes(output: str) -> list[int]:
    return [int(number) for number in re.findall(r"process (\d+)", output)]


def is_gone(process: int, patience: float = 5.0) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_everything_is_shown_and_right() -> None:
    environment = {**os.environ, **ELSEWHERE}
    done = subprocess.run(
        COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for shown in (*NATIVE, *FNKIT, *LIVE, SURVIVAL):
        assert f"--- {shown.title}" in done.stdout
        assert (
            f"-d '{shown.body}'" if isinstance(shown, Scene) else "$ legato " + " ".join(shown.arguments)
        ) in done.stdout
    assert '{"orderId": 123, "total": 120, "payment": "p-123", "email": "sent"}' in done.stdout
    assert '"get-history": [{"action": "login", "ts": "2025-01-01"}]' in done.stdout
    assert '"undone": ["validate-order"]' in done.stdout
    assert "401 application/problem+json" in done.stdout
    assert done.stdout.endswith("Every answer was what it should be.\n")
    assert len(processes(done.stdout)) == 11
    assert all(is_gone(process) for process in processes(done.stdout))
    assert not list((ROOT / "demo").rglob("*.db*"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_stops_what_it_started(number: signal.Signals, status: int) -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stdout is not None
        output = ""
        while "legato serve" not in output:
            line = running.stdout.readline()
            assert line, f"it ended before the gateway was there:\n{output}"
            output += line
        running.send_signal(number)
        output += running.stdout.read()
        assert running.wait(30) == status
    assert len(processes(output)) == 8
    assert all(is_gone(process) for process in processes(output))


def test_a_wrong_answer_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        replace(NATIVE[0], status=201),
        replace(NATIVE[0], answer={"orderId": 124}),
        replace(NATIVE[0], calls=("charge-payment", "validate-order", "send-email")),
        replace(NATIVE[0], together=True),
        replace(NATIVE[-1], answer={"title": "Forbidden"}),
    ]
    wrong_commands = [
        Command(title="There is no such flow.", arguments=("rm", "nothing")),
        Command(title="It shows something else.", arguments=("ls",), shows="quick-order"),
    ]
    monkeypatch.setattr(program, "NATIVE", (NATIVE[0], *wrong))
    monkeypatch.setattr(program, "FNKIT", ())
    monkeypatch.setattr(program, "LIVE", (*LIVE, *wrong_commands))
    assert program.run() == 1
    output = capsys.readouterr().out
    assert output.count("\nWRONG: expected") == len(wrong) + len(wrong_commands)
    assert output.endswith(f"{len(wrong) + len(wrong_commands)} answers were wrong.\n")
    assert all(is_gone(process) for process in processes(output))
