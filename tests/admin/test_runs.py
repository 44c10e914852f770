"""`/api/runs`: what the last runs did, and nothing of what was sent or answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.admin.conftest import Start
from tests.admin.serving import Serving, pipeline, until

SECRET = "hunter2"
UNDOABLE = [{"call": "echo", "id": "first", "undo": "echo"}, "fail"]
FLOWS: dict[str, object] = {
    "good": ["echo", "f1"],
    "bad": ["echo", "fail"],
    "undone": UNDOABLE,
    "retried": [{"call": "second-time", "retry": {"attempts": 3, "backoff": "1ms"}}],
    "unreachable": [{"call": "nowhere", "retry": {"attempts": 2, "backoff": "1ms"}}],
    "sleeps": ["slow"],
    "left": {"steps": ["slow"], "on_disconnect": "cancel"},
    "refused": ["refuse"],
    "raised": ["raise"],
    "many": ["f1"] * 300,
    "both": [{"parallel": {"a": "f1", "b": "echo"}}],
}


@pytest.fixture(scope="module")
def gateway(start_shared: Start) -> Iterator[Serving]:
    flows = {**FLOWS, "many": [{"call": "f1", "id": f"s{number}"} for number in range(300)]}
    gateway = start_shared(flows=flows, access_log=False)
    yield gateway
    gateway.checked = len(gateway.errors())  # the traceback of a function that raises is meant to be there


def runs(gateway: Serving, **query: str) -> dict[str, Any]:
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in {"inline": "true", **query}.items())
    reply = gateway.api("GET", f"/api/runs?{text}")
    assert reply.status == 200, reply
    assert SECRET.encode() not in reply.body
    document = reply.json()
    assert isinstance(document, dict)
    return document


def last(gateway: Serving, flow: str) -> dict[str, Any]:
    run = runs(gateway, flow=flow, limit="1")["runs"][0]
    assert gateway.api("GET", f"/api/runs/{run['id']}").json() == run
    return run


def test_a_run_that_went_well(gateway: Serving) -> None:
    before = datetime.now(UTC)
    reply = gateway.run("good", f'{{"card": "{SECRET}"}}'.encode())
    run = last(gateway, "good")
    assert run["id"] == reply.fields["legato-run"]
    assert (run["state"], run["inline"]) == ("succeeded", True)
    assert run["version"] == gateway.show("good").json()["version"]
    assert [step["path"] for step in run["steps"]] == ["echo", "f1"]
    assert run["steps"][0]["outcome"] == "ok"
    assert run["steps"][0]["attempts"] == 1
    assert "error" not in run
    assert "truncated" not in run
    started = datetime.fromisoformat(run["started"])
    assert abs(started - before) < timedelta(seconds=10)
    assert run["started"] <= run["steps"][0]["started"] <= run["steps"][1]["ended"] <= run["ended"]
    assert run["ms"] >= run["steps"][0]["ms"]


@pytest.mark.parametrize(
    ("flow", "body", "state", "reason", "path"),
    [
        ("bad", b'{"status": 402, "pin": "hunter2"}', "failed", "failed", "fail"),
        ("undone", b'{"status": 422, "pin": "hunter2"}', "undone", "failed", "fail"),
        ("unreachable", b'"hunter2"', "failed", "failed", "nowhere"),
        ("raised", b'"hunter2"', "failed", "failed", "raise"),
    ],
)
def test_runs_that_failed(gateway: Serving, flow: str, body: bytes, state: str, reason: str, path: str) -> None:
    assert gateway.run(flow, body).status >= 400
    run = last(gateway, flow)
    assert run["state"] == state
    assert run["error"]["reason"] == reason
    assert run["error"]["step"] == path
    assert run["error"]["detail"]
    assert "secret-of-an-exception" not in str(run), "what an exception says goes to the log alone"
    if flow == "undone":
        assert [step["path"] for step in run["steps"]] == ["first", "fail", "first/undo"]
    if flow == "unreachable":
        assert run["steps"][0]["attempts"] == 2
        assert run["steps"][0]["state"] == "failed"
        assert "status" not in run["steps"][0]


def test_attempts_are_counted(gateway: Serving) -> None:
    assert gateway.run("retried").json() == "done"
    run = last(gateway, "retried")
    assert [(step["attempts"], step["state"]) for step in run["steps"]] == [(2, "succeeded")]
    function = runs(gateway)["functions"]["second-time"]
    assert (function["attempts"], function["errors"], function["last_outcome"]) == (2, 1, "ok")
    assert function["last_active"] == run["steps"][0]["ended"]


def test_a_detail_that_is_no_text(gateway: Serving) -> None:
    """What a function says may hold anything; the list of runs must be readable all the same."""
    assert gateway.run("refused").status in (500, 502)
    run = last(gateway, "refused")
    assert run["error"]["status"] == 402
    assert "today" in run["error"]["detail"]


def test_a_run_that_goes_on_and_is_left(gateway: Serving) -> None:
    with gateway.connect() as wire:
        body = b'{"seconds": 30}'
        wire.send(b"POST /orchestrate/left HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        until(lambda: gateway.metric("legato_runs_active", flow="left") == 1)
        run = last_running(gateway)
        assert (run["flow"], run["ended"], run.get("steps", [])) == ("left", None, [])
        assert run["ms"] > 0
        assert gateway.api("GET", f"/api/runs/{run['id']}").json()["state"] == "running"
        assert runs(gateway)["runs"][0]["id"] == run["id"], "the newest first"
    until(lambda: runs(gateway, flow="left")["runs"][0]["state"] == "cancelled")
    run = last(gateway, "left")
    assert run["error"]["reason"] == "disconnect"
    assert runs(gateway, state="running")["runs"] == []
    assert [each["id"] for each in runs(gateway, state="cancelled")["runs"]] == [run["id"]]


def last_running(gateway: Serving) -> dict[str, Any]:
    [run] = runs(gateway, state="running")["runs"]
    return run


def test_steps_beyond_a_number_are_left_out(gateway: Serving) -> None:
    assert gateway.run("many").json() == "f1"
    run = last(gateway, "many")
    assert run["truncated"] is True
    assert len(run["steps"]) == 256
    assert run["state"] == "succeeded"


def test_filters(gateway: Serving) -> None:
    for flow in ("good", "bad", "good", "both"):
        gateway.run(flow, b'{"status": 400}')
    assert {run["flow"] for run in runs(gateway, flow="good")["runs"]} == {"good"}
    assert {run["state"] for run in runs(gateway, state="failed")["runs"]} == {"failed"}
    assert runs(gateway, flow="nobody")["runs"] == []
    assert runs(gateway, flow="good", state="failed")["runs"] == []
    everything = runs(gateway, limit="1000")["runs"]
    started = [run["started"] for run in everything]
    middle = started[len(started) // 2]
    since = [run["started"] for run in runs(gateway, since=middle, limit="1000")["runs"]]
    assert since == [each for each in started if each >= middle]
    assert middle in since
    offset = datetime.fromisoformat(middle).astimezone(tz=None).isoformat()
    assert [run["started"] for run in runs(gateway, since=offset, limit="1000")["runs"]] == since
    unescaped = gateway.api("GET", f"/api/runs?inline=true&limit=1000&since={middle}").json()["runs"]
    assert [run["started"] for run in unescaped] == since, "a + that nobody escaped came as a blank"
    assert runs(gateway, since="2999-01-01")["runs"] == []
    assert len(runs(gateway, since="2000-01-01T00:00:00Z", limit="1000")["runs"]) == len(everything)


def test_pages(gateway: Serving) -> None:
    for number in range(7):
        gateway.run(f"{'good' if number % 2 else 'both'}", b"{}")
    everything = [run["id"] for run in runs(gateway, limit="1000")["runs"]]
    assert len(everything) == len(set(everything))
    for limit in (1, 3, len(everything)):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = runs(gateway, limit=str(limit), **cursor)
            found += [run["id"] for run in page["runs"]]
            assert len(found) <= len(everything)
            if "cursor" not in page:
                break
            assert len(page["runs"]) == limit
            cursor = {"cursor": page["cursor"]}
        assert found == everything
    good = [run["id"] for run in runs(gateway, flow="good", limit="1000")["runs"]]
    first = runs(gateway, flow="good", limit="2")
    assert [run["id"] for run in runs(gateway, flow="good", cursor=first["cursor"], limit="1000")["runs"]] == good[2:]


def test_durable_runs_are_none(gateway: Serving) -> None:
    for query in ("", "?inline=false", "?state=running"):
        assert gateway.api("GET", f"/api/runs{query}").json() == {"runs": []}


def test_a_run_that_is_not_there(gateway: Serving) -> None:
    for name in ("x", "%00", "\u00e9", "01a1ff6c-7895-7748-88c6-1993562be4eb", "..", "%FF"):
        reply = gateway.api("GET", f"/api/runs/{quote(name, safe='%')}")
        assert reply.status == 404
        assert "only the last are remembered" in reply.detail


def test_the_ends_of_time(gateway: Serving) -> None:
    gateway.run("good")
    assert runs(gateway, since="0001-01-01T00:00:00+23:00")["runs"]
    assert not runs(gateway, since="9999-12-31T23:59:59-23:00")["runs"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "limit=", "inline=yes", "inline=", "inline=True", "state=done", "state=",
        "since=yesterday", "since=", "since=2026-13-01", "since=1", "since=%00", "cursor=x", "cursor=",
    ],
)  # fmt: skip
@pytest.mark.parametrize("inline", ["", "&inline=true"])
def test_bad_parameters(gateway: Serving, query: str, inline: str) -> None:
    if query.startswith("cursor") and not inline:
        return  # of no runs there are no pages
    reply = gateway.api("GET", f"/api/runs?{query}{'' if query.startswith('inline') else inline}")
    assert reply.status == 400, reply
    key = query.partition("=")[0]
    assert f"`{key}`" in reply.detail
    assert re.search("is a|is `|is one of|begin again", reply.detail)


def test_events(gateway: Serving) -> None:
    gateway.put("event", pipeline("f1"))
    gateway.delete("event")
    events = runs(gateway)["events"]
    about = [(event["event"], event["change"]) for event in events if event.get("flow") == "event"]
    assert about == [("definition", "deleted"), ("definition", "defined")], "the newest first"
    assert all(event["time"] for event in events)
    assert len(runs(gateway, limit="1")["events"]) == 1
    assert "request" not in {event["event"] for event in events}


def test_nothing_of_bodies_is_kept(gateway: Serving) -> None:
    bodies = [f'{{"a": "{SECRET}"}}'.encode(), SECRET.encode(), b'{"a": ' + SECRET.encode(), b"\xff" + SECRET.encode()]
    for flow in ("good", "both", "bad", "undone", "raised", "refused", "retried"):
        for body in bodies:
            gateway.run(flow, body)
            gateway.run(flow, body, {"content-encoding": "gzip"})
    assert SECRET not in str(runs(gateway, limit="1000"))
    assert SECRET not in gateway.log.read_text()


def test_none_are_remembered_where_none_shall_be(start: Start) -> None:
    gateway = start(flows={"good": ["f1"], "sleeps": ["slow"]}, limits={"recent_runs": 0})
    run_id = gateway.run("good").fields["legato-run"]
    page = runs(gateway)
    assert page["runs"] == []
    assert page["functions"] == {}
    assert gateway.api("GET", f"/api/runs/{run_id}").status == 404
    with gateway.connect() as wire:
        wire.send(b'POST /orchestrate/sleeps HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"seconds":20}')
        until(lambda: gateway.metric("legato_runs_active", flow="sleeps") == 1)
        assert last_running(gateway)["flow"] == "sleeps"
    gateway.kill()


def test_only_so_many_are_remembered(start: Start) -> None:
    gateway = start(flows={"good": ["f1"]}, limits={"recent_runs": 3})
    ids = [gateway.run("good").fields["legato-run"] for _ in range(5)]
    assert [run["id"] for run in runs(gateway)["runs"]] == ids[:1:-1]
    assert gateway.api("GET", f"/api/runs?inline=true&cursor={ids[0]}").status == 400
    assert gateway.metric("legato_runs_total", flow="good") == 5
