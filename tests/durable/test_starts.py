"""Starts of durable flows over HTTP (contract 5): how long the caller waits, what it gets, and once for each key."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing

import pytest

from tests.durable.conftest import Start
from tests.support.function_server import Exchange
from tests.support.texts import answer

FLOWS: dict[str, object] = {
    "three": {"durable": True, "steps": ["a", "b", "c"]},
    "waits": {"durable": True, "steps": ["a", {"wait": "go"}], "answer_within": "300ms"},
    "fails": {"durable": True, "steps": [{"call": "a", "undo": "b"}, {"fail": "no luck", "status": 409}]},
    "early": {
        "durable": True,
        "steps": [{"respond": {"got": "${value}"}, "status": 201, "headers": {"x-own": "1"}}, {"wait": "go"}],
    },
    "schema": {"durable": True, "input": {"type": "object"}, "steps": ["a"]},
    "inline": ["a"],
}


def slowly(seconds: float) -> object:
    def script(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.send(answer(200, b'"slow"'))

    return script


def test_the_result_when_it_comes_in_time(scene: Start) -> None:
    started = scene(FLOWS)
    came = started.start("three", {"x": 1})
    assert (came.status, came.json()) == (200, {"x": 1})
    assert came.fields["legato-stored"] == "fsync"
    assert came.fields["legato-completed"] == "true"
    assert "location" not in came.fields
    run = came.fields["legato-run"]
    assert started.row(run) == ("succeeded", None)
    assert [kind for kind, _ in started.events(run)] == ["started", "outcome", "outcome", "outcome", "ended 4"]
    keys = [request.get(b"idempotency-key").decode() for request in started.function.requests]
    assert keys == [f"{run}/a", f"{run}/b", f"{run}/c"]
    assert all(not request.get(b"legato-timeout") for request in started.function.requests)  # there is no deadline


def test_what_a_caller_prefers(scene: Start) -> None:
    started = scene(FLOWS)
    at_once = started.start("waits", prefer="respond-async")
    assert at_once.status == 202
    assert at_once.fields["preference-applied"] == "respond-async"
    assert at_once.fields["location"] == f"/api/runs/{at_once.fields['legato-run']}"
    document = at_once.json()
    assert (document["id"], document["flow"]) == (at_once.fields["legato-run"], "waits")
    assert document["state"] in ("running", "waiting")
    by_default = started.start("waits")
    assert by_default.status == 202
    assert "preference-applied" not in by_default.fields
    assert by_default.json()["state"] == "waiting"
    assert [step["path"] for step in by_default.json()["steps"]] == ["a", "go"]
    started.function.does(slowly(0.6))
    waited = started.start("three", prefer="wait=20")
    assert (waited.status, waited.fields["preference-applied"]) == (200, "wait=20")
    inline = started.start("inline", prefer="respond-async")
    assert inline.status == 200
    assert "preference-applied" not in inline.fields
    assert "legato-stored" not in inline.fields


def test_a_caller_with_little_time_is_answered_before_it_gives_up(scene: Start) -> None:
    started = scene(FLOWS)
    started.function.does(slowly(2.0))
    assert started.start("three", legato_timeout="0.5").status == 202


def test_a_failed_run_answers_as_an_inline_one(scene: Start) -> None:
    started = scene(FLOWS)
    came = started.start("fails", {"n": 1})
    document = came.json()
    assert (came.status, document["detail"], document["undone"]) == (409, "no luck", ["a"])
    assert started.row(came.fields["legato-run"])[0] == "undone"


def test_what_does_not_fit_is_no_run(scene: Start) -> None:
    started = scene(FLOWS)
    assert started.start("schema", [1]).status == 422
    with closing(sqlite3.connect(started.gateway.folder / "legato-journal.db")) as journal:
        assert journal.execute("SELECT count(*) FROM run").fetchone() == (0,)


def test_the_same_key_is_the_same_run(scene: Start) -> None:
    started = scene(FLOWS)
    first = started.start("three", {"x": 1}, idempotency_key="k1")
    again = started.start("three", {"x": 1}, idempotency_key="k1")
    assert again.fields["legato-run"] == first.fields["legato-run"]
    assert (again.status, again.json()) == (200, {"x": 1})
    assert again.fields["legato-completed"] == "true"
    assert started.called() == ["a", "b", "c"]
    other = started.start("three", {"x": 2}, idempotency_key="k1")
    assert other.status == 422
    assert "another body" in other.detail
    assert started.start("three", {"x": 1}, idempotency_key="k2").fields["legato-run"] != first.fields["legato-run"]
    started.crash()
    later = started.start("three", {"x": 1}, idempotency_key="k1")
    assert (later.fields["legato-run"], later.json()) == (first.fields["legato-run"], {"x": 1})
    assert started.start("three", {"x": 2}, idempotency_key="k1").status == 422
    assert len(started.called()) == 6


def test_a_failure_is_told_again_too(scene: Start) -> None:
    started = scene(FLOWS)
    first = started.start("fails", 1, idempotency_key="k").json()
    started.crash()
    assert started.start("fails", 1, idempotency_key="k").json() == first


@pytest.mark.parametrize("count", [2, 16])
def test_many_at_once_with_one_key(scene: Start, count: int) -> None:
    started = scene(FLOWS)
    started.function.does(slowly(0.3))
    runs: list[str] = []

    def start() -> None:
        came = started.start("three", 1, idempotency_key="same")
        assert came.status == 200
        runs.append(came.fields["legato-run"])

    threads = [threading.Thread(target=start) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(runs) == count
    assert len(set(runs)) == 1
    assert started.called() == ["a", "b", "c"]


def test_a_key_of_a_run_that_waits(scene: Start) -> None:
    started = scene(FLOWS)
    first = started.start("waits", 1, idempotency_key="k")
    again = started.start("waits", 1, idempotency_key="k", prefer="wait=0")
    assert (first.status, again.status) == (202, 202)
    assert again.fields["legato-run"] == first.fields["legato-run"]


def test_an_early_answer(scene: Start) -> None:
    started = scene(FLOWS)
    first = started.start("early", 7, idempotency_key="k")
    assert (first.status, first.json(), first.fields["x-own"]) == (201, {"got": 7}, "1")
    run = first.fields["legato-run"]
    started.until(run, "waiting")
    for _ in range(2):  # from the run, and from its record
        again = started.start("early", 7, idempotency_key="k")
        assert (again.status, again.json(), again.fields["x-own"]) == (201, {"got": 7}, "1")
        started.crash()


def test_a_caller_that_leaves_changes_nothing(scene: Start) -> None:
    started = scene(FLOWS)
    started.function.does(slowly(0.5))
    import http.client

    assert isinstance(started.gateway.address, tuple)
    connection = http.client.HTTPConnection(*started.gateway.address, timeout=20)
    connection.request("POST", "/orchestrate/three", json.dumps(1).encode(), {"content-type": "application/json"})
    started.function.wait_for(1)
    connection.close()
    assert len(started.function.wait_for(3)) == 3


def test_a_gateway_that_stops_tells_who_waits_where_to_look(scene: Start) -> None:
    started = scene({**FLOWS, "waits": {"durable": True, "steps": [{"wait": "go"}]}})
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(started.start("waits").status))
    waiting.start()
    started.wait(lambda: b'legato_journal{what="in_memory"} 1.0' in started.gateway.api("GET", "/metrics").body)
    started.gateway.process.terminate()
    waiting.join(5.0)
    assert got == [202]
    assert started.gateway.process.wait(10.0) == 0
    started.gateway.let_go()
    started.gateway.start()


def test_several_processes_serve_no_durable_flow(scene: Start) -> None:
    started = scene({"three": FLOWS["three"], "inline": ["a"]})
    gateway = started.gateway
    gateway.stop()
    gateway.arguments = ["--workers", "2"]
    gateway.start()
    came = started.start("three")
    assert came.status == 503
    assert "one process" in str(came.json())
    assert started.start("inline").status == 200


def test_another_gateway_cannot_have_the_journal(scene: Start) -> None:
    started = scene(FLOWS)
    import subprocess
    import sys

    project = started.gateway.folder
    ended = subprocess.run(
        [sys.executable, "-m", "legato", "serve", str(project), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 3
    assert f"in use by process {started.gateway.process.pid}" in ended.stderr
    assert started.start("three").status == 200
