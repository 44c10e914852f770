"""`/api/runs` of durable runs: the list, one run with its steps and payloads, its events, signals and cancel."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.admin.durable import Durable, next_event
from tests.admin.serving import PATIENCE, until

NOBODY = "01a20160-fac4-74f0-8a7c-5d4437c1cffc"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    gateway = Durable(tmp_path_factory.mktemp("durable"))
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared: Durable) -> Iterator[Durable]:
    shared.calls()
    yield shared
    for name in ("a", "b", "c", "undo-a", "tidy"):
        shared.trouble(name, None)


def steps(document: dict[str, Any]) -> dict[str, str]:
    return {step["path"]: step["state"] for step in document["steps"]}


def test_a_run_with_its_steps(gateway: Durable) -> None:
    reply = gateway.run("line", b'{"card": "hunter2"}')
    run = gateway.document(reply.fields["legato-run"])
    assert (run["id"], run["flow"], run["state"]) == (reply.fields["legato-run"], "line", "succeeded")
    assert run["version"] == gateway.show("line").json()["version"]
    assert run["result"] == reply.json()
    assert run["completed"] is True
    assert [(step["path"], step["function"], step["state"], step["attempts"]) for step in run["steps"]] == [
        (name, name, "succeeded", 1) for name in ("a", "b", "c")
    ]
    assert run["created"] <= run["steps"][0]["started"] <= run["steps"][0]["ended"] <= run["ended"]
    assert abs(datetime.fromisoformat(run["created"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "input" not in run
    assert all("result" not in step for step in run["steps"]), "bodies are shown to those who ask for them"
    told = gateway.document(run["id"], "?payloads=true")
    assert told["input"] == {"card": "hunter2"}
    assert told["steps"][0]["result"] == {"by": "a", "got": {"card": "hunter2"}}


def test_payloads_that_are_no_json(gateway: Durable) -> None:
    headers = {"content-type": "text/plain"}
    run = gateway.document(gateway.run("echoes", b"caf\xc3\xa9", headers).fields["legato-run"], "?payloads=true")
    assert (run["input"], run["input_type"]) == ("caf\u00e9", "text/plain")
    headers = {"content-type": "image/png"}
    run = gateway.document(gateway.run("echoes", b"\x89PNG\xff", headers).fields["legato-run"], "?payloads=true")
    shown = run["result"], run["result_type"], run["result_encoding"]
    assert shown == ("iVBOR/8=", "image/png", "base64")
    run = gateway.document(gateway.run("echoes", b"{no json").fields["legato-run"], "?payloads=true")
    assert (run["result"], run["result_type"]) == ("{no json", "application/json")
    large = json.dumps("x" * 300_000).encode()
    run = gateway.document(gateway.run("echoes", large).fields["legato-run"], "?payloads=true")
    assert len(run["result"]) == 300_000, "the result of the run is always whole"
    assert run["steps"][0]["result_size"] == len(large)
    assert "result" not in run["steps"][0]


def test_only_the_last_steps_unless_all_are_asked_for(gateway: Durable) -> None:
    run = gateway.run("loop", json.dumps(list(range(300))).encode()).fields["legato-run"]
    document = gateway.document(run)
    assert document["truncated"] is True
    assert len(document["steps"]) == 256
    assert document["steps"][-1]["path"] == "c"
    whole = gateway.document(run, "?steps=all")
    assert "truncated" not in whole
    assert next(step["path"] for step in whole["steps"]) == "each[0].a"
    assert len(whole["steps"]) == 301


def test_a_failed_run_says_what_its_caller_was_told(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    reply = gateway.run("saga")
    told = reply.json()
    run = gateway.document(told["run"])
    assert (run["state"], reply.status) == ("undone", 502)
    assert run["error"] == {
        key: told[key] for key in ("status", "detail", "step", "function", "outcome", "upstream", "undone")
    } | {"reason": "failed"}
    assert "result" not in run
    assert steps(run) == {"a": "succeeded", "b": "failed", "a/undo": "succeeded"}


def test_a_call_in_flight_is_a_step_that_runs(gateway: Durable) -> None:
    gateway.trouble("b", "hang")
    run = gateway.begin("line")
    until(lambda: gateway.calls() == ["b"] or gateway.document(run)["steps"][-1]["path"] == "b")
    document = gateway.document(run)
    assert (document["state"], document["ended"]) == ("running", None)
    assert steps(document) == {"a": "succeeded", "b": "running"}
    assert (document["steps"][1]["attempts"], document["steps"][1]["ended"]) == (1, None)
    gateway.trouble("b", None)
    assert steps(gateway.until_state(run, "succeeded")) == dict.fromkeys("abc", "succeeded")


def test_what_it_waits_for(gateway: Durable) -> None:
    document = gateway.until_state(gateway.begin("asks"), "waiting")
    assert document["waiting_for"] == [{"path": "approval", "signal": "approval"}]
    assert steps(document)["approval"] == "waiting"
    [sleep] = gateway.until_state(gateway.begin("sleeps"), "waiting")["waiting_for"]
    left = datetime.fromisoformat(sleep["until"]) - datetime.now(UTC)
    assert (sleep["path"], "signal" in sleep) == ("sleep", False)
    assert timedelta(minutes=58) < left <= timedelta(hours=1)


def test_the_list(gateway: Durable) -> None:
    ids = [gateway.begin("line", number) for number in range(5)]
    for run in ids:
        gateway.until_state(run, "succeeded")
    page = gateway.list("?flow=line&limit=2")
    assert [run["id"] for run in page["runs"]] == ids[:-3:-1]
    assert set(page["runs"][0]) == {"id", "flow", "version", "state", "created", "started", "ended", "ms"}
    after = gateway.list(f"?flow=line&limit=2&cursor={page['cursor']}")
    assert [run["id"] for run in after["runs"]] == ids[-3:-5:-1]
    assert gateway.list("?flow=nobody") == {"runs": []}
    waiting = gateway.begin("asks")
    gateway.until_state(waiting, "waiting")
    assert waiting in [run["id"] for run in gateway.list("?state=waiting")["runs"]]
    assert {run["state"] for run in gateway.list("?state=waiting")["runs"]} == {"waiting"}
    since = gateway.document(ids[3])["created"]
    late = [run["id"] for run in gateway.list(f"?flow=line&since={since.replace('+', '%2B')}")["runs"]]
    assert late[:2] == ids[:-3:-1]
    assert ids[0] not in late
    inline = gateway.run("inline").fields["legato-run"]
    assert next(run["id"] for run in gateway.list("?inline=true")["runs"]) == inline
    assert inline not in [run["id"] for run in gateway.list()["runs"]]


@pytest.mark.parametrize(
    "query", ["state=odd", "since=yesterday", "limit=0", "limit=1001", "cursor=me", "inline=maybe"]
)
def test_lists_that_cannot_be(gateway: Durable, query: str) -> None:
    reply = gateway.api("GET", f"/api/runs?{query}")
    assert (reply.status, bool(reply.detail)) == (400, True)


@pytest.mark.parametrize("rest", ["", "/events", "/signals/x", "/cancel", "/retry"])
@pytest.mark.parametrize("run", [NOBODY, "nobody", "-" * 36, "%00" * 36, "%C3%A4"])
def test_runs_that_are_not_there(gateway: Durable, run: str, rest: str) -> None:
    method = "POST" if rest and rest != "/events" else "GET"
    reply = gateway.api(method, f"/api/runs/{run}{rest}")
    assert reply.status == 404, reply
    assert "there is no run" in reply.detail


def test_what_of_an_inline_run_cannot_be_asked(gateway: Durable) -> None:
    run = gateway.run("inline").fields["legato-run"]
    assert gateway.document(run)["inline"] is True
    for rest in ("/signals/x", "/cancel", "/retry"):
        assert gateway.about(run, rest).status == 404
    assert gateway.api("POST", f"/api/runs/{run}").status == 405


@pytest.mark.parametrize("query", ["?payloads=1", "?steps=few"])
def test_documents_that_cannot_be(gateway: Durable, query: str) -> None:
    run = gateway.run("line").fields["legato-run"]
    assert gateway.api("GET", f"/api/runs/{run}{query}").status == 400


# Events.


def test_events_of_a_run_that_has_ended(gateway: Durable) -> None:
    run = gateway.run("line", b'"in"').fields["legato-run"]
    with gateway.stream(run) as answer:
        assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        events: list[dict[str, Any]] = []
        while (event := next_event(answer)) is not None:
            events.append(event)
    assert [event["event"] for event in events] == ["started", "outcome", "outcome", "outcome", "ended"]
    assert [event["id"] for event in events] == ["0", "1", "2", "3", "4"]
    assert [event["data"].get("path") for event in events] == [None, "a", "b", "c", None]
    assert events[1]["data"]["outcome"] == "ok"
    assert "result" not in events[1]["data"]
    assert events[4]["data"]["state"] == "succeeded"
    listed = gateway.about(run, "/events", method="GET", accept="application/json").json()
    assert listed == [event["data"] for event in events]
    told = gateway.about(run, "/events?payloads=true", method="GET", accept="application/json").json()
    assert (told[0]["input"], told[1]["result"]) == ("in", {"by": "a", "got": "in"})


def test_events_resume(gateway: Durable) -> None:
    run = gateway.run("line").fields["legato-run"]
    with gateway.stream(run, last_event_id="2") as answer:
        first = next_event(answer)
        assert first is not None
        assert first["id"] == "3"
    with gateway.stream(run, last_event_id="4") as answer:
        assert next_event(answer) is None, "it has ended, and all of it is known"
    with gateway.stream(run, last_event_id="9999") as answer:
        assert next_event(answer) is None
    assert gateway.about(run, "/events", method="GET", last_event_id="x").status == 400


def test_events_come_as_they_happen(gateway: Durable) -> None:
    gateway.trouble("b", "hang")
    run = gateway.begin("asks")
    gateway.until_state(run, "waiting")
    with gateway.stream(run) as answer:
        kinds = [next_event(answer) for _ in range(3)]
        assert [event and event["event"] for event in kinds] == ["started", "outcome", "timer"]
        assert gateway.about(run, "/signals/approval", {"ok": True}).status == 202
        found: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != "in_flight":
            event = next_event(answer)
            assert event is not None
            found.append(event)
        assert [event["event"] for event in found] == ["signal", "outcome", "in_flight"]
        assert found[1]["data"]["signal"].startswith("approval#")
        assert "id" not in found[2]
        assert [call["path"] for call in found[2]["data"]["calls"]] == ["b"]
        gateway.trouble("b", None)
        rest: list[str] = []
        while (event := next_event(answer)) is not None:
            rest.append(event["event"])
    assert [kind for kind in rest if kind != "in_flight"] == ["outcome", "ended"]


def test_streams_are_bounded_and_readers_who_leave_are_let_go(gateway: Durable) -> None:
    run = gateway.begin("sleeps")
    gateway.until_state(run, "waiting")
    wires = [gateway.connect() for _ in range(100)]
    for wire in wires:
        wire.send(f"GET /api/runs/{run}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def status() -> int:
        with gateway.stream(run) as answer:
            return answer.status

    until(lambda: status() == 503)
    refused = gateway.about(run, "/events", method="GET")
    assert (refused.status, refused.fields["retry-after"]) == (503, "5")
    assert gateway.about(run, "/events", method="GET", accept="application/json").status == 200
    for wire in wires:
        wire.reset()
    until(lambda: status() == 200)


def test_a_stop_does_not_wait_for_readers(tmp_path: Any) -> None:
    gateway = Durable(tmp_path)
    run = gateway.begin("sleeps")
    with gateway.stream(run) as answer:
        assert next_event(answer) is not None
        gateway.terminate()
        assert gateway.wait(10) == 0
        while next_event(answer) is not None:
            pass
    gateway.let_go()
    gateway.check_errors()


# Signals.


def test_a_signal_to_a_run_that_waits(gateway: Durable) -> None:
    run = gateway.begin("asks", 7)
    gateway.until_state(run, "waiting")
    reply = gateway.about(run, "/signals/approval", {"ok": True})
    assert (reply.status, reply.json()) == (202, {"run": run, "signal": "approval", "repeated": False})
    document = gateway.until_state(run, "succeeded")
    assert document["result"] == {"by": "b", "got": {"ok": True}}
    assert "waiting_for" not in document
    late = gateway.about(run, "/signals/approval", {"ok": True})
    assert (late.status, late.json()["state"]) == (409, "succeeded")


def test_a_signal_before_its_wait_is_kept(gateway: Durable) -> None:
    gateway.trouble("a", "hang")
    run = gateway.begin("asks")
    assert gateway.about(run, "/signals/approval", {"ok": False}).status == 202
    assert gateway.document(run)["signals"] == ["approval"]
    gateway.trouble("a", None)
    document = gateway.until_state(run, "succeeded")
    assert document["result"]["got"] == {"ok": False}
    assert "signals" not in document


def test_one_key_is_one_signal(gateway: Durable) -> None:
    run = gateway.begin("asks-twice")
    gateway.until_state(run, "waiting")
    replies: list[int] = []

    def send() -> None:
        replies.append(gateway.about(run, "/signals/x", 1, idempotency_key="k").status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(replies) == [200] * 7 + [202]
    until(lambda: [each["path"] for each in gateway.document(run).get("waiting_for", ())] == ["two"])
    assert [each["path"] for each in gateway.document(run)["waiting_for"]] == ["two"], "the second wait has got none"
    assert gateway.about(run, "/signals/x", 2, idempotency_key="k").status == 422
    assert gateway.about(run, "/signals/x", 2).status == 202
    assert gateway.until_state(run, "succeeded")["result"] == 2
    assert gateway.about(run, "/signals/x", 1, idempotency_key="k").status == 200, "it was taken, and still is"


def test_signals_without_a_key_are_each_new(gateway: Durable) -> None:
    run = gateway.begin("asks-twice")
    for value in (1, 2):
        assert gateway.about(run, "/signals/x", value).status == 202
    assert gateway.until_state(run, "succeeded")["result"] == 2


def test_signals_that_cannot_be_taken(gateway: Durable) -> None:
    run = gateway.begin("asks")
    reply = gateway.about(run, "/signals/aproval", {"ok": True})
    assert (reply.status, reply.json()["signals"]) == (404, ["approval"])
    reply = gateway.about(run, "/signals/approval", {"ok": "yes"})
    assert (reply.status, reply.json()["errors"][0]["pointer"]) == (422, "/ok")
    reply = gateway.api("POST", f"/api/runs/{run}/signals/approval", b"{", {"content-type": "application/json"})
    assert reply.status == 400
    reply = gateway.api("POST", f"/api/runs/{run}/signals/approval", b'"' + b"x" * 1024 * 1024 + b'"')
    assert reply.status == 413
    assert gateway.about(run, "/signals/approval", {"ok": True}, idempotency_key="k" * 256).status == 400
    assert "signals" not in gateway.document(run)
    assert gateway.document(run)["state"] == "waiting"


def test_kept_signals_are_bounded(tmp_path: Any) -> None:
    flows: dict[str, object] = {"many": {"durable": True, "steps": [{"sleep": "1h"}, {"wait": "x"}]}}
    gateway = Durable(tmp_path, flows=flows)
    try:
        run = gateway.begin("many")
        gateway.until_state(run, "waiting")
        with gateway.connect() as wire:
            for number in range(1000):
                path = f"/api/runs/{run}/signals/x".encode()
                wire.send(
                    b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%d" % (path, len(str(number)), number)
                )
                assert wire.answer().status == 202
        full = gateway.about(run, "/signals/x", 1000)
        assert (full.status, full.fields["retry-after"]) == (429, "1")
        assert len(gateway.document(run)["signals"]) == 1000
    finally:
        gateway.stop()


def test_signals_survive_a_crash(tmp_path: Any) -> None:
    gateway = Durable(tmp_path)
    run = gateway.begin("asks-twice")
    gateway.until_state(run, "waiting")
    assert gateway.about(run, "/signals/x", 1, idempotency_key="one").status == 202
    gateway.kill()
    gateway.start()
    try:
        until(lambda: [each["path"] for each in gateway.document(run).get("waiting_for", ())] == ["two"])
        assert gateway.about(run, "/signals/x", 1, idempotency_key="one").status == 200
        assert gateway.about(run, "/signals/x", 2, idempotency_key="two").status == 202
        assert gateway.until_state(run, "succeeded")["result"] == 2
    finally:
        gateway.stop()


# Cancel.


def test_a_cancel_undoes(gateway: Durable) -> None:
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    reply = gateway.about(run, "/cancel")
    assert (reply.status, reply.json()["cancelled"]) == (202, "cancelled")
    document = gateway.until_state(run, "cancelled")
    assert gateway.calls() == ["a", "undo_a"]
    assert document["error"]["undone"] == ["a"]
    assert gateway.about(run, "/cancel").status == 409


def test_a_hard_cancel_undoes_nothing(gateway: Durable) -> None:
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    assert gateway.about(run, "/cancel", {"hard": True}).status == 202
    assert "undone" not in gateway.until_state(run, "cancelled")["error"]
    assert gateway.calls() == ["a"]


def test_a_hard_cancel_ends_an_undo(gateway: Durable) -> None:
    gateway.trouble("undo-a", "hang")
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    assert gateway.about(run, "/cancel").status == 202
    until(lambda: "undo_a" in gateway.calls())
    assert gateway.about(run, "/cancel").json()["state"] == "undoing", "a second one that is not hard changes nothing"
    assert gateway.about(run, "/cancel?hard=true").status == 202
    document = gateway.until_state(run, "cancelled")
    assert document["error"]["not_undone"] == ["a"]
    gateway.trouble("undo-a", None)


def test_cancels_that_cannot_be(gateway: Durable) -> None:
    run = gateway.begin("sleeps")
    for query, body in (("?hard=yes", None), ("", {"hard": 1}), ("", {"soft": True}), ("", [])):
        assert gateway.about(run, f"/cancel{query}", body).status == 400
    assert gateway.until_state(run, "waiting")["state"] == "waiting"
