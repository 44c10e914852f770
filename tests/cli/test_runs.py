"""`legato runs`: what the gateway's last runs did, for people and for programs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.admin.conftest import Start, starting
from tests.admin.serving import CALLER, Serving, until
from tests.cli.commands import FUNCTIONS, as_json, legato, on_terminal, project, server

FLOWS: dict[str, Any] = {
    "good": ["echo", "slow"],
    "bad": ["echo", "fail"],
    "none": [{"call": "nowhere", "retry": {"attempts": 2, "backoff": "1ms"}}],
    "sleeps": ["slow"],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    starts = starting(tmp_path_factory.mktemp("shared"))
    start: Start = next(starts)
    functions = {**FUNCTIONS, "fail": {"builtin": "fail"}, "nowhere": "http://127.0.0.1:9"}
    yield start(flows=FLOWS, functions=functions)
    for _ in starts:
        pass


def test_ls(gateway: Serving) -> None:
    gateway.run("good", b'{"seconds": 0}')
    gateway.run("bad", b'{"status": 402}')
    gateway.run("none")
    lines = legato(gateway.folder, "runs", "ls", "--inline").stdout.splitlines()
    assert lines[0].split() == ["STARTED", "(UTC)", "STATE", "FLOW", "MS", "RUN", "STEPS"]
    assert [line.split()[1:3] for line in lines[1:]] == [["failed", "none"], ["failed", "bad"], ["succeeded", "good"]]
    assert "fail " in lines[2]
    assert lines[2].endswith(" refused")
    assert len(legato(gateway.folder, "runs", "ls", "--inline", "-n", "1").stdout.splitlines()) == 2


def test_filters(gateway: Serving) -> None:
    gateway.run("good", b'{"seconds": 0}')
    assert {run["flow"] for run in as_json(gateway.folder, "runs", "ls", "--inline", "--flow", "good")} == {"good"}
    assert {run["state"] for run in as_json(gateway.folder, "runs", "ls", "--inline", "--state", "failed")} <= {
        "failed"
    }
    for flow in ("a b", "a&state=odd", "\u00e4", "#", "\udcff"):
        assert as_json(gateway.folder, "runs", "ls", "--inline", "--flow", flow) == []
    refused = legato(gateway.folder, "runs", "ls", "--inline", "--state", "odd", code=1)
    assert "`state` is one of running, undoing, succeeded" in refused.stderr
    assert refused.stdout == ""
    for limit in ("0", "1001", "x"):
        legato(gateway.folder, "runs", "ls", "--inline", "-n", limit, code=2)


def test_durable_ones_are_none(gateway: Serving) -> None:
    nothing = legato(gateway.folder, "runs", "ls")
    assert nothing.stdout == ""
    assert "`--inline` lists the inline ones" in nothing.stderr
    assert as_json(gateway.folder, "runs", "ls") == []


def test_functions_and_events(gateway: Serving) -> None:
    gateway.run("none")
    gateway.run("bad", b'{"status": 402}')
    table = legato(gateway.folder, "runs", "ls", "--inline", "--functions").stdout.splitlines()
    assert table[0].split() == ["FUNCTION", "ATTEMPTS", "ERRORS", "LAST", "LAST", "ACTIVE"]
    rows = {line.split()[0]: line.split() for line in table[1:]}
    assert rows["fail"][3:5] == ["refused", "402"]
    assert rows["nowhere"][3] == "retryable"
    assert int(rows["nowhere"][2]) == int(rows["nowhere"][1])
    functions = as_json(gateway.folder, "runs", "ls", "--inline", "--functions")
    assert functions["fail"]["last_status"] == 402
    assert as_json(gateway.folder, "runs", "ls", "--functions") == {}
    events = legato(gateway.folder, "runs", "ls", "--inline", "--events").stdout
    assert " started listen=" in events
    assert [event["event"] for event in as_json(gateway.folder, "runs", "ls", "--inline", "--events")][-1] == "started"


def test_times_are_those_of_here_on_a_terminal(gateway: Serving) -> None:
    run_id = gateway.run("none").fields["legato-run"]
    arguments = ["runs", "ls", "--inline", "-n", "1", "--project", str(gateway.folder)]
    head, row = on_terminal(*arguments, TZ="XXX-5:30").splitlines()
    assert head.split()[:2] == ["STARTED", "STATE"]
    started = datetime.fromisoformat(as_json(gateway.folder, "runs", "show", run_id)["started"])
    assert row.split()[0] == (started + timedelta(hours=5, minutes=30)).strftime("%H:%M:%S.%f")[:-3]


def test_events_have_no_empty_fields(tmp_path: Path) -> None:
    event = {"time": "T", "event": "definition", "flow": "x", "state": None, "problems": [], "why": "", "tries": 0}
    body = json.dumps({"runs": [], "functions": {}, "events": [event]}).encode()

    def events(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with server(events) as listen:
        shown = legato(project(tmp_path, listen=listen), "runs", "ls", "--inline", "--events").stdout
    assert shown == "T definition flow=x tries=0\n"


def test_show(gateway: Serving) -> None:
    run_id = gateway.run("none").fields["legato-run"]
    shown = legato(gateway.folder, "runs", "show", run_id).stdout
    assert f"id       {run_id}\n" in shown
    assert "state    failed\n" in shown
    assert "error    " in shown
    [step] = [line for line in shown.splitlines() if line.startswith("nowhere ")]
    assert step.split()[:5] == ["nowhere", "nowhere", "retryable", "-", "2"]
    assert as_json(gateway.folder, "runs", "show", run_id)["id"] == run_id
    for name in ("nobody", "a b", "a/b", "..", "\u00e4", "?", "\udcff", "%"):
        refused = legato(gateway.folder, "runs", "show", name, code=1)
        assert refused.stderr
        assert refused.stdout == ""
    legato(gateway.folder, "runs", "show", code=2)


def test_a_run_that_goes_on(gateway: Serving) -> None:
    with gateway.connect() as wire:
        wire.send(b'POST /orchestrate/sleeps HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"seconds": 1.5}')
        until(lambda: gateway.metric("legato_runs_active", flow="sleeps") == 1)
        [run] = as_json(gateway.folder, "runs", "ls", "--inline", "--state", "running")
        shown = legato(gateway.folder, "runs", "show", run["id"]).stdout
        assert "state    running\n" in shown
        assert "ended    -\n" in shown
        assert "running" in legato(gateway.folder, "runs", "ls", "--inline").stdout
        assert wire.answer().status == 200


def test_without_a_gateway(tmp_path: Path) -> None:
    folder = project(tmp_path)
    for arguments in (["ls"], ["ls", "--inline", "--json"], ["show", "x"]):
        refused = legato(folder, "runs", *arguments, code=3)
        assert "`legato serve` starts one" in refused.stderr
        assert refused.stdout == ""


def test_a_gateway_that_is_lost(tmp_path: Path) -> None:
    def close(connection: socket.socket, _: bytes) -> None:
        del connection

    with server(close) as listen:
        folder = project(tmp_path, listen=listen)
        for arguments in (["ls", "--inline"], ["show", "x"]):
            assert "was lost" in legato(folder, "runs", *arguments, code=3).stderr


def test_a_token_that_may_not_look(tmp_path: Path) -> None:
    starts = starting(tmp_path)
    start: Start = next(starts)
    gateway = start(auth={"tokens": [{"token": "only-run", "scopes": ["run"]}]}, variables={"LEGATO_TOKEN": CALLER})
    refused = legato(gateway.folder, "runs", "ls", "--inline", code=1)
    assert "lacks the scope `observe`" in refused.stderr
    assert json.loads(legato(gateway.folder, "runs", "ls", "--inline", "--json", LEGATO_TOKEN=CALLER).stdout) == []
    for _ in starts:
        pass
