"""`legato serve --dev`: each step's time in a header and in the log, and an end with whoever started it."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from tests.admin.conftest import Start
from tests.admin.serving import Serving, pipeline

METRIC = re.compile(r"""
    ([!#$%&'*+.^_`|~0-9A-Za-z-]+)          # a token (RFC 9110)
    (?:;desc="([^"\\]*)")?                 # a quoted string
    ;dur=([0-9]+(?:\.[0-9]+)?)             # milliseconds
""", re.VERBOSE)  # fmt: skip


def metrics(header: str) -> list[tuple[str, str, float]]:
    """The metrics of a Server-Timing header; fails where it is not well-formed."""
    found: list[tuple[str, str, float]] = []
    for part in header.split(", "):
        match = METRIC.fullmatch(part)
        assert match, part
        found.append((match[1], match[2] or "", float(match[3])))
    return found


LONG = "n" * 60
FLOWS: dict[str, Any] = {
    "good": ["echo", "f1"],
    "undone": [{"call": "echo", "id": "first", "undo": "echo"}, "fail"],
    "both": [{"parallel": {"a": "f1", "b": {"call": "slow"}}}],
    "retried": [{"call": "second-time", "retry": {"attempts": 3, "backoff": "1ms"}}],
    "many": [{"call": "f1", "id": f"s{number}"} for number in range(300)],
    "long": [{"parallel": {f"{LONG}{branch}": [{"call": "f1", "id": f"{LONG}{n}"} for n in range(30)]
                           for branch in "ab"}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def dev(start_shared: Start) -> Serving:
    return start_shared(flows=FLOWS, arguments=["--dev"], access_log=True, direct_functions=True)


def test_a_header_tells_the_time_of_each_step(dev: Serving) -> None:
    found = metrics(dev.run("good").fields["server-timing"])
    assert [(name, text) for name, text, _ in found] == [("total", ""), ("echo", "echo (ok)"), ("f1", "f1 (ok)")]
    assert found[0][2] >= found[1][2]


def test_a_slow_branch(dev: Serving) -> None:
    found = {name: time for name, _, time in metrics(dev.run("both", b'{"seconds": 0.1}').fields["server-timing"])}
    [slow] = [time for name, time in found.items() if name.endswith(".b")]
    [quick] = [time for name, time in found.items() if name.endswith(".a")]
    assert slow >= 90 > quick
    assert found["total"] >= slow


def test_failures_and_undo_have_times_too(dev: Serving) -> None:
    reply = dev.run("undone", b'{"status": 402}')
    assert reply.status == 502
    found = [(name, text) for name, text, _ in metrics(reply.fields["server-timing"])]
    assert found[1:] == [
        ("first", "first (ok)"), ("fail", "fail (refused)"), ("first-undo", "first/undo (ok)"),
    ]  # fmt: skip


@pytest.mark.parametrize("flow", ["many", "long"])
def test_a_header_stays_short(dev: Serving, flow: str) -> None:
    """Common clients refuse header lines beyond 8 KiB."""
    header = dev.run(flow).fields["server-timing"]
    assert len(header) <= 4096
    assert len(metrics(header)) > 10


def test_pipelines_and_functions_called_directly(dev: Serving) -> None:
    assert dev.put("x", pipeline("f1", "f2")).status == 201
    assert [name for name, _, _ in metrics(dev.run("x").fields["server-timing"])] == ["total", "f1", "f2"]
    reply = dev.api("POST", "/f3", b"{}")
    assert reply.json() == "f3"
    assert [name for name, _, _ in metrics(reply.fields["server-timing"])] == ["total", "f3"]
    assert "server-timing" not in dev.api("GET", "/api/flows").fields


def test_the_log_tells_the_steps(dev: Serving) -> None:
    reply = dev.run("retried")
    line = dev.until_event(event="request", run=reply.fields["legato-run"])
    [step] = line["steps"]
    assert (step["path"], step["function"], step["attempts"], step["outcome"]) == (
        "second-time",
        "second-time",
        2,
        "ok",
    )
    assert line["flow"] == "retried"
    failed = dev.run("undone", b'{"status": 402, "pin": "hunter2"}')
    line = dev.until_event(event="request", run=failed.fields["legato-run"])
    assert [(step["path"], step["outcome"], step["status"]) for step in line["steps"]] == [
        ("first", "ok", 200), ("fail", "refused", 402), ("first/undo", "ok", 200),
    ]  # fmt: skip
    assert "hunter2" not in dev.log.read_text()


def test_without_dev_nothing_of_that(start: Start) -> None:
    gateway = start(flows={"good": ["f1"]}, access_log=True)
    reply = gateway.run("good")
    assert "server-timing" not in reply.fields
    assert "steps" not in gateway.until_event(event="request", run=reply.fields["legato-run"])
    assert gateway.process.stdin is not None
    gateway.process.stdin.close()
    assert gateway.run("good").status == 200, "its standard input is nobody's business"


def test_it_ends_with_whoever_started_it(start: Start) -> None:
    gateway = start(flows={"good": ["f1"], "slow": ["slow"]}, arguments=["--dev"])
    assert gateway.process.stdin is not None
    gateway.process.stdin.write(b"keys that somebody hit\n")
    gateway.process.stdin.flush()
    assert gateway.run("good").status == 200
    with gateway.connect() as wire:
        wire.send(b'POST /orchestrate/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"seconds": 0.5}')
        assert gateway.until_metric(1, "legato_runs_active", flow="slow")
        gateway.process.stdin.close()
        assert wire.answer().status == 200, "what has begun is done"
    assert gateway.wait() == 0


def test_it_ends_by_a_signal_while_its_input_is_open(start: Start) -> None:
    gateway = start(flows={"good": ["f1"]}, arguments=["--dev"])
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait() == 0
