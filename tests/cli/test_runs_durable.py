"""`legato runs` of durable runs: looking at them, watching one, and having a say in it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.admin.durable import Durable
from tests.admin.serving import PATIENCE, until
from tests.cli.commands import NOBODY, as_json, legato, on_terminal


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    gateway = Durable(tmp_path_factory.mktemp("durable"))
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared: Durable) -> Iterator[Durable]:
    shared.calls()
    yield shared
    for name in ("a", "b", "c", "undo-a"):
        shared.trouble(name, None)


def test_ls(gateway: Durable) -> None:
    run = gateway.begin("line")
    gateway.until_state(run, "succeeded")
    head, *rows = legato(gateway.folder, "runs", "ls", "--flow", "line").stdout.splitlines()
    assert head.split() == ["STARTED", "(UTC)", "STATE", "FLOW", "MS", "RUN"]
    assert rows[0].split()[1:3] + rows[0].split()[4:] == ["succeeded", "line", run]
    assert [each["id"] for each in as_json(gateway.folder, "runs", "ls", "-n", "1")] == [run]
    assert as_json(gateway.folder, "runs", "ls", "--since", "2999-01-01T00:00:00Z") == []
    assert "`--inline` lists" in legato(gateway.folder, "runs", "ls", "--state", "parked", "--flow", "x").stderr
    refused = legato(gateway.folder, "runs", "ls", "--state", "odd", code=1)
    assert "`state` is one of queued, running, waiting" in refused.stderr


def test_show(gateway: Durable) -> None:
    run = gateway.begin("asks", {"secret": "hunter2"})
    gateway.until_state(run, "waiting")
    shown = legato(gateway.folder, "runs", "show", run).stdout
    assert "state    waiting\n" in shown
    assert "waits    approval for the signal approval\n" in shown
    assert "hunter2" not in shown
    assert [line.split()[:3] for line in shown.splitlines()[-2:]] == [["a", "a", "ok"], ["approval", "-", "waiting"]]
    told = legato(gateway.folder, "runs", "show", run, "--payloads").stdout
    assert 'input    {"secret": "hunter2"}\n' in told
    assert '\na:\n{"by": "a", "got": {"secret": "hunter2"}}\n' in told
    assert as_json(gateway.folder, "runs", "show", run)["waiting_for"] == [{"path": "approval", "signal": "approval"}]


def test_show_why_it_failed(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("saga")
    gateway.until_state(run, "undone")
    shown = legato(gateway.folder, "runs", "show", run).stdout
    assert "error    step b: b is refused\n" in shown
    assert "  undone: a\n" in shown


def test_an_id_by_its_beginning(gateway: Durable) -> None:
    run = gateway.begin("line")
    gateway.until_state(run, "succeeded")
    inline = gateway.run("inline").fields["legato-run"]
    assert as_json(gateway.folder, "runs", "show", run[:28])["id"] == run
    assert as_json(gateway.folder, "runs", "show", inline[:28])["id"] == inline
    gateway.until_state(gateway.begin("line"), "succeeded")
    several = legato(gateway.folder, "runs", "show", run[:8], code=1)
    assert f"{run[:8]} is the beginning of several runs: " in several.stderr
    assert "there is no run '01a'" in legato(gateway.folder, "runs", "show", "01a", code=1).stderr
    assert "there is no run" in legato(gateway.folder, "runs", "show", "00000000-", code=1).stderr


def test_signal(gateway: Durable, tmp_path: Path) -> None:
    run = gateway.begin("asks")
    wrong = legato(gateway.folder, "runs", "signal", run, "aproval", "-d", "{}", code=1)
    assert "the flow knows no signal 'aproval': it waits for approval" in wrong.stderr
    unfit = legato(gateway.folder, "runs", "signal", run, "approval", "-d", '{"ok": 1}', code=1)
    assert "does not fit the schema" in unfit.stderr
    legato(gateway.folder, "runs", "signal", run, "approval", "-d", "{", code=2)
    (tmp_path / "yes.json").write_text('{"ok": true}')
    arguments = ["runs", "signal", run, "approval", "-d", f"@{tmp_path / 'yes.json'}", "--key", "boss"]
    assert legato(gateway.folder, *arguments).stdout == f"{run} has taken the signal approval\n"
    assert legato(gateway.folder, *arguments).stdout == f"{run} had taken the signal approval\n"
    assert gateway.until_state(run, "succeeded")["result"]["got"] == {"ok": True}


def test_cancel(gateway: Durable) -> None:
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    assert legato(gateway.folder, "runs", "cancel", run).stdout.startswith(f"{run} is ")
    gateway.until_state(run, "cancelled")
    assert gateway.calls() == ["a", "undo_a"]
    assert "it has ended: cancelled" in legato(gateway.folder, "runs", "cancel", run, code=1).stderr
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    legato(gateway.folder, "runs", "cancel", run, "--hard")
    gateway.until_state(run, "cancelled")
    assert gateway.calls() == ["a"]


def test_retry(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("line")
    gateway.until_state(run, "failed")
    gateway.trouble("b", None)
    gateway.calls()
    assert as_json(gateway.folder, "runs", "retry", run)["id"] == run
    gateway.until_state(run, "succeeded")
    assert gateway.calls() == ["b", "c"]
    assert "cannot be tried again: it succeeded" in legato(gateway.folder, "runs", "retry", run, code=1).stderr


def test_a_choice_about_what_is_parked(gateway: Durable) -> None:
    gateway.trouble("undo-a", "again")
    gateway.trouble("b", "refused")
    run = gateway.begin("saga")
    gateway.until_state(run, "parked")
    shown = legato(gateway.folder, "runs", "show", run)
    assert "parked   a/undo: the undo could not be done" in shown.stdout
    assert f"legato runs retry {run} --path a/undo [--skip | --done]" in shown.stderr
    for wrong in (
        ["--skip"],
        ["--done"],
        ["--path", "a/undo", "--result", "1"],
        ["--path", "x", "--done", "--result", "{"],
    ):
        legato(gateway.folder, "runs", "retry", run, *wrong, code=2)
    assert "no step is parked at 'b'" in legato(gateway.folder, "runs", "retry", run, "--path", "b", code=1).stderr
    legato(gateway.folder, "runs", "retry", run, "--path", "a/undo", "--done", "--result", '{"by": "hand"}')
    assert gateway.until_state(run, "undone")["error"]["undone"] == ["a"]


def test_events(gateway: Durable) -> None:
    run = gateway.begin("line")
    gateway.until_state(run, "succeeded")
    lines = legato(gateway.folder, "runs", "events", run).stdout.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["started", "-"], ["outcome", "a"], ["outcome", "b"], ["outcome", "c"], ["ended", "-"]
    ]  # fmt: skip
    assert "outcome=ok" in lines[1]
    events = as_json(gateway.folder, "runs", "events", run, "--payloads")
    assert [event["seq"] for event in events] == [0, 1, 2, 3, 4]
    assert events[1]["result"] == {"by": "a", "got": None}


def test_watch_line_by_line(gateway: Durable) -> None:
    run = gateway.begin("asks")
    gateway.until_state(run, "waiting")
    approving = threading.Timer(0.5, lambda: gateway.about(run, "/signals/approval", {"ok": True}))
    approving.start()
    lines = legato(gateway.folder, "runs", "watch", run).stdout.splitlines()
    approving.join(PATIENCE)
    assert [line.split()[1:3] for line in lines] == [
        ["started", "-"], ["outcome", "a"], ["timer", "approval"], ["signal", lines[3].split()[2]],
        ["outcome", "approval"], ["outcome", "b"], ["ended", "-"],
    ]  # fmt: skip


def test_watch_ends_as_the_run_does(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("saga")
    gateway.until_state(run, "undone")
    failed = legato(gateway.folder, "runs", "watch", run, code=1)
    assert failed.stdout.splitlines()[-1].split()[1] == "ended"
    assert "step b: b is refused" in failed.stderr
    assert "  undone: a" in failed.stderr
    inline = gateway.run("inline").fields["legato-run"]
    assert "cannot be watched" in legato(gateway.folder, "runs", "watch", inline, code=2).stderr
    legato(gateway.folder, "runs", "watch", "01a20160-fac4-74f0-8a7c-5d4437c1cffc", code=1)


def test_watch_on_a_terminal(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("line")
    gateway.until_state(run, "failed")
    gateway.trouble("b", None)
    gateway.about(run, "/retry")
    gateway.until_state(run, "succeeded")
    shown = on_terminal("runs", "watch", run, "--project", str(gateway.folder), NO_COLOR="1")
    last = shown[shown.rindex(f"line  {run}") :]
    assert "succeeded" in last.splitlines()[0]
    assert [line.split()[:2] for line in last.splitlines()[1:4]] == [["a", "ok"], ["b", "ok"], ["c", "ok"]]
    assert '"by": "c"' in last


def test_watch_over_a_restart(tmp_path: Path) -> None:
    gateway = Durable(tmp_path)
    run = gateway.begin("asks")
    gateway.until_state(run, "waiting")
    environment: dict[str, Any] = {name: value for name, value in os.environ.items() if name not in NOBODY}
    with subprocess.Popen(
        [sys.executable, "-m", "legato", "runs", "watch", run, "--project", str(tmp_path)],
        stdout=subprocess.PIPE, env=environment, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        first = [watching.stdout.readline().split()[1] for _ in range(3)]
        gateway.kill()
        gateway.start()
        assert gateway.about(run, "/signals/approval", {"ok": True}).status == 202
        rest = [line.split()[1] for line in watching.stdout]
        assert watching.wait(PATIENCE) == 0
    gateway.stop()
    assert first + rest == ["started", "outcome", "timer", "signal", "outcome", "outcome", "ended"]


def test_what_is_in_flight_is_seen_on_a_terminal(gateway: Durable) -> None:
    gateway.trouble("b", "hang")
    run = gateway.begin("line")
    leader, follower = pty.openpty()
    environment: dict[str, Any] = {name: value for name, value in os.environ.items() if name not in NOBODY}
    with subprocess.Popen(
        [sys.executable, "-m", "legato", "runs", "watch", run, "--project", str(gateway.folder)],
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment | {"COLUMNS": "200"},
    ) as watching:  # fmt: skip
        os.close(follower)
        shown = b""
        while b"running" not in shown.rpartition(b"  b  ")[2]:
            shown += os.read(leader, 65536)
        gateway.trouble("b", None)
        with suppress(OSError):  # how a terminal ends
            while data := os.read(leader, 65536):
                shown += data
        assert watching.wait(PATIENCE) == 0
    os.close(leader)


def test_scopes(tmp_path: Path) -> None:
    tokens = [{"token": "looks", "scopes": ["observe"]}, {"token": "calls", "scopes": ["run", "observe"]}]
    variables = {"LEGATO_ADMIN_TOKEN": "may"}
    gateway = Durable(tmp_path, variables=variables, auth={"tokens": tokens})

    def ask(token: str, rest: str, body: object = None, method: str = "POST") -> int:
        return gateway.about(run, rest, body, method, authorization=f"Bearer {token}").status

    headers = {"authorization": "Bearer calls", "prefer": "respond-async"}
    run = gateway.run("asks", b"1", headers).fields["legato-run"]
    until(lambda: gateway.about(run, "", None, "GET", authorization="Bearer looks").json()["state"] == "waiting")
    assert [ask("looks", rest) for rest in ("/signals/approval", "/cancel", "/retry")] == [403, 403, 403]
    assert [ask("calls", rest) for rest in ("/cancel", "/retry", "/signals/x/y")] == [403, 403, 403]
    assert ask("calls", "/signals/approval", {"ok": 1}) == 422
    assert ask("may", "/retry") == 409
    assert "lacks the scope `define`" in legato(gateway.folder, "runs", "cancel", run, code=1).stderr
    assert legato(gateway.folder, "runs", "cancel", run, **variables).stdout.startswith(f"{run} is ")
    assert json.loads(legato(gateway.folder, "runs", "show", run, "--json").stdout)["id"] == run
    gateway.stop()
