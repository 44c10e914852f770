"""Runs that failed or are parked, and go on: from where they stopped, by an operator's choice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.durable import Durable
from tests.admin.serving import until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    gateway = Durable(tmp_path_factory.mktemp("durable"))
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared: Durable) -> Iterator[Durable]:
    shared.calls()
    yield shared
    for name in ("a", "b", "c", "d", "undo-a", "undo-b", "tidy"):
        shared.trouble(name, None)


def failed(gateway: Durable, flow: str, value: object = None, *states: str) -> str:
    """A run that has failed, whose functions are as they should be again."""
    run = gateway.begin(flow, value)
    gateway.until_state(run, *(states or ("failed",)))
    for name in ("a", "b", "c", "d", "tidy"):
        gateway.trouble(name, None)
    gateway.calls()
    return run


def events(gateway: Durable, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.ask(run, "/events", method="GET", accept="application/json").json()
    return found


def test_what_succeeded_is_not_called_again(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "line", 5)
    reply = gateway.ask(run, "/retry")
    assert (reply.status, reply.json()["id"]) == (202, run)
    document = gateway.until_state(run, "succeeded", "failed")
    assert document["state"] == "succeeded"
    assert gateway.calls() == ["b", "c"]
    assert document["result"] == {"by": "c", "got": {"by": "b", "got": {"by": "a", "got": 5}}}
    assert "error" not in document
    assert [(step["path"], step["state"], step["attempts"]) for step in document["steps"]] == [
        (name, "succeeded", 1) for name in ("a", "b", "c")
    ]
    assert gateway.ask(run, "/retry").status == 409, "it has succeeded"


def test_as_often_as_it_takes(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    for name in ("b", "c", "c"):
        gateway.trouble(name, "refused")
        assert gateway.ask(run, "/retry").status == 202
        assert gateway.until_state(run, "failed")["error"]["step"] == name
        gateway.trouble(name, None)
    assert gateway.calls() == ["b", "b", "c", "c"]
    assert gateway.ask(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded")["state"] == "succeeded"
    assert gateway.calls() == ["c"]
    assert [event["kind"] for event in events(gateway, run)].count("retried") == 4


def test_the_same_key_again(gateway: Durable) -> None:
    """A caller that starts it again by its key is answered with how it has ended in the end."""
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    gateway.ask(run, "/retry")
    gateway.until_state(run, "succeeded")
    gateway.trouble("b", "refused")
    keyed = gateway.run("line", b"1", {"idempotency-key": "retried"})
    assert keyed.status == 502
    gateway.trouble("b", None)
    gateway.ask(keyed.fields["legato-run"], "/retry")
    gateway.until_state(keyed.fields["legato-run"], "succeeded")
    again = gateway.run("line", b"1", {"idempotency-key": "retried"})
    assert (again.status, again.fields["legato-run"]) == (200, keyed.fields["legato-run"])
    assert again.json()["by"] == "c"


def test_branches_that_were_cut_off_go_on(gateway: Durable) -> None:
    gateway.trouble("a", "hang")
    gateway.trouble("b", "refused")
    run = gateway.begin("both")
    gateway.until_state(run, "running")
    gateway.trouble("a", None)
    gateway.until_state(run, "failed")
    gateway.trouble("b", None)
    before = gateway.calls()
    assert gateway.ask(run, "/retry").status == 202
    document = gateway.until_state(run, "succeeded", "failed")
    assert document["state"] == "succeeded"
    assert set(before) == {"a", "b"}
    assert "b" in gateway.calls()
    assert [step["state"] for step in document["steps"]] == ["succeeded"] * 3


def test_a_loop_keeps_what_it_tolerated(gateway: Durable) -> None:
    """The first failure was tolerated, and things came of that; only the one too many is done again."""
    run = failed_loop(gateway)
    assert gateway.ask(run, "/retry").status == 202
    document = gateway.until_state(run, "succeeded", "failed")
    assert document["state"] == "succeeded"
    assert gateway.calls() == ["d", "c"]
    assert document["result"]["got"] == [None, {"by": "a", "got": "ok"}, {"by": "d", "got": "d"}]


def failed_loop(gateway: Durable) -> str:
    gateway.trouble("b", "refused")
    gateway.trouble("d", "refused")
    return failed(gateway, "picky", ["b", "ok", "d"])


def test_a_wait_that_was_too_long_is_begun_anew(gateway: Durable) -> None:
    run = failed(gateway, "in-time")
    gateway.trouble("a", "refused")
    assert gateway.ask(run, "/retry").status == 202
    gateway.until_state(run, "failed", "waiting")
    until(lambda: [event["kind"] for event in events(gateway, run)].count("timer") == 2)
    gateway.until_state(run, "failed")
    assert gateway.ask(run, "/retry").status == 202
    assert gateway.ask(run, "/signals/late", "now").status in (202, 409)
    gateway.until_state(run, "failed", "succeeded")
    assert "a" not in gateway.calls()


def test_a_step_that_took_too_long(gateway: Durable) -> None:
    gateway.trouble("b", "hang")
    run = gateway.begin("hurried")
    assert gateway.until_state(run, "failed")["error"]["reason"] == "deadline"
    gateway.trouble("b", None)
    gateway.calls()
    assert gateway.ask(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    assert gateway.calls() == ["b"]


def test_a_run_that_was_cancelled_goes_on(gateway: Durable) -> None:
    run = gateway.begin("asks")
    gateway.until_state(run, "waiting")
    gateway.ask(run, "/cancel")
    gateway.until_state(run, "cancelled")
    assert gateway.ask(run, "/retry").status == 202
    document = gateway.until_state(run, "waiting")
    assert "cancelled" not in document
    assert gateway.ask(run, "/signals/approval", {"ok": True}).status == 202
    assert gateway.until_state(run, "succeeded")["result"]["got"] == {"ok": True}
    assert gateway.calls() == ["a", "b"]


def test_a_sleep_goes_on_to_its_own_end(gateway: Durable) -> None:
    run = gateway.begin("sleeps")
    [sleep] = gateway.until_state(run, "waiting")["waiting_for"]
    gateway.ask(run, "/cancel")
    gateway.until_state(run, "cancelled")
    gateway.ask(run, "/retry")
    assert gateway.until_state(run, "waiting")["waiting_for"] == [sleep]


def test_handlers_are_called_at_the_real_end(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("tidies")
    gateway.until_state(run, "failed")
    assert gateway.calls() == ["a", "b", "tidy"]
    gateway.trouble("b", None)
    assert gateway.ask(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    assert gateway.calls() == ["b", "tidy"]


def test_what_cannot_go_on(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "saga", None, "undone")
    reply = gateway.ask(run, "/retry")
    assert (reply.status, reply.json()["state"]) == (409, "undone")
    assert "start it anew" in reply.detail
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    gateway.ask(run, "/cancel")
    gateway.until_state(run, "cancelled")
    assert "was undone: start it anew" in gateway.ask(run, "/retry").detail
    run = failed(gateway, "states")
    assert "by what the flow itself says" in gateway.ask(run, "/retry").detail
    run = failed(gateway, "bounded")
    assert "(`timeout`) is over" in gateway.ask(run, "/retry").detail
    run = gateway.begin("sleeps")
    gateway.until_state(run, "waiting")
    assert "no step of it is parked" in gateway.ask(run, "/retry").detail


def test_a_retry_survives_a_crash(tmp_path: Path) -> None:
    gateway = Durable(tmp_path)
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    gateway.trouble("b", "hang")
    assert gateway.ask(run, "/retry").status == 202
    until(lambda: gateway.calls() == ["b"])
    gateway.kill()
    gateway.trouble("b", None)
    gateway.start()
    try:
        assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
        assert gateway.calls() == ["b", "c"]
    finally:
        gateway.stop()


# Parked.


def parked(gateway: Durable) -> str:
    gateway.trouble("undo-a", "again")
    gateway.trouble("b", "refused")
    run = gateway.begin("saga")
    document = gateway.until_state(run, "parked")
    assert [(each["path"], each["choices"]) for each in document["parked"]] == [("a/undo", ["retry", "skip", "done"])]
    assert "undo-a is busy" in document["parked"][0]["why"].replace("_", "-")
    gateway.calls()
    return run


def test_parked_and_tried_again(gateway: Durable) -> None:
    run = parked(gateway)
    assert gateway.ask(run, "/retry").status == 202
    gateway.until_state(run, "parked")
    until(lambda: gateway.document(run)["state"] == "parked")
    gateway.trouble("undo-a", None)
    assert gateway.ask(run, "/retry", {"path": "a/undo"}).status == 202
    document = gateway.until_state(run, "undone")
    assert "parked" not in document
    assert document["error"]["undone"] == ["a"]


def test_parked_and_done_by_hand(gateway: Durable) -> None:
    run = parked(gateway)
    body = {"path": "a/undo", "action": "done", "result": {"by": "hand"}}
    assert gateway.ask(run, "/retry", body).status == 202
    document = gateway.until_state(run, "undone")
    assert gateway.calls() == []
    told = gateway.document(run, "?payloads=true")["steps"]
    assert next(step for step in told if step["path"] == "a/undo")["result"] == {"by": "hand"}
    assert document["error"]["undone"] == ["a"]


def test_parked_and_left_undone(gateway: Durable) -> None:
    run = parked(gateway)
    assert gateway.ask(run, "/retry", {"path": "a/undo", "action": "skip"}).status == 202
    document = gateway.until_state(run, "failed", "undone")
    assert (document["state"], document["error"]["not_undone"]) == ("failed", ["a"])
    gateway.trouble("b", None)
    assert gateway.ask(run, "/retry").status == 202, "nothing was undone: it can go on"
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    assert gateway.calls() == ["b"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"path": "b"}, 409),
        ({"path": ""}, 409),
        ({"action": "skip"}, 400),
        ({"action": "done"}, 400),
        ({"path": "a/undo", "action": "retry", "result": 1}, 400),
        ({"path": "a/undo", "action": "undo"}, 400),
        ({"paths": ["a/undo"]}, 400),
        ([], 400),
    ],
)
def test_choices_that_there_are_not(gateway: Durable, body: object, status: int) -> None:
    run = parked(gateway)
    reply = gateway.ask(run, "/retry", body)
    assert reply.status == status, reply
    assert gateway.document(run)["state"] == "parked"
    gateway.ask(run, "/retry", {"path": "a/undo", "action": "skip"})
    gateway.until_state(run, "failed")
