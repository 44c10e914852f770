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
    found: list[dict[str, Any]] = gateway.about(run, "/events", method="GET", accept="application/json").json()
    return found


def test_what_succeeded_is_not_called_again(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "line", 5)
    reply = gateway.about(run, "/retry")
    assert (reply.status, reply.json()["id"]) == (202, run)
    document = gateway.until_state(run, "succeeded", "failed")
    assert document["state"] == "succeeded"
    assert gateway.calls() == ["b", "c"]
    assert document["result"] == {"by": "c", "got": {"by": "b", "got": {"by": "a", "got": 5}}}
    assert "error" not in document
    assert [(step["path"], step["state"], step["attempts"]) for step in document["steps"]] == [
        (name, "succeeded", 1) for name in ("a", "b", "c")
    ]
    assert gateway.about(run, "/retry").status == 409, "it has succeeded"


def test_as_often_as_it_takes(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    for name in ("b", "c", "c"):
        gateway.trouble(name, "refused")
        assert gateway.about(run, "/retry").status == 202
        assert gateway.until_state(run, "failed")["error"]["step"] == name
        gateway.trouble(name, None)
    assert gateway.calls() == ["b", "b", "c", "c"]
    assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded")["state"] == "succeeded"
    assert gateway.calls() == ["c"]
    assert [event["kind"] for event in events(gateway, run)].count("retried") == 4


def test_the_same_key_again(gateway: Durable) -> None:
    """A caller that starts it again by its key is answered with how it has ended in the end."""
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    gateway.about(run, "/retry")
    gateway.until_state(run, "succeeded")
    gateway.trouble("b", "refused")
    keyed = gateway.run("line", b"1", {"idempotency-key": "retried"})
    assert keyed.status == 502
    gateway.trouble("b", None)
    gateway.about(keyed.fields["legato-run"], "/retry")
    gateway.until_state(keyed.fields["legato-run"], "succeeded")
    again = gateway.run("line", b"1", {"idempotency-key": "retried"})
    assert (again.status, again.fields["legato-run"]) == (200, keyed.fields["legato-run"])
    assert again.json()["by"] == "c"


def test_branches_that_were_cut_off_go_on(gateway: Durable) -> None:
    gateway.trouble("a", "hang")
    gateway.trouble("b", "refused")
    run = gateway.begin("both")
    gateway.until_state(run, "failed")
    gateway.trouble("a", None)
    gateway.trouble("b", None)
    before = gateway.calls()
    assert gateway.about(run, "/retry").status == 202
    document = gateway.until_state(run, "succeeded", "failed")
    assert document["state"] == "succeeded"
    assert set(before) == {"a", "b"}
    assert "b" in gateway.calls()
    assert [step["state"] for step in document["steps"]] == ["succeeded"] * 3


def test_a_loop_keeps_what_it_tolerated(gateway: Durable) -> None:
    """The first failure was tolerated, and things came of that; only the one too many is done again."""
    run = failed_loop(gateway)
    assert gateway.about(run, "/retry").status == 202
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
    assert gateway.about(run, "/retry").status == 202
    gateway.until_state(run, "failed", "waiting")
    until(lambda: [event["kind"] for event in events(gateway, run)].count("timer") == 2)
    gateway.until_state(run, "failed")
    assert gateway.about(run, "/retry").status == 202
    assert gateway.about(run, "/signals/late", "now").status in (202, 409)
    gateway.until_state(run, "failed", "succeeded")
    assert "a" not in gateway.calls()


def test_a_step_that_took_too_long(gateway: Durable) -> None:
    gateway.trouble("b", "hang")
    run = gateway.begin("hurried")
    assert gateway.until_state(run, "failed")["error"]["reason"] == "deadline"
    gateway.trouble("b", None)
    gateway.calls()
    assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    assert gateway.calls() == ["b"]


def test_a_run_that_was_cancelled_goes_on(gateway: Durable) -> None:
    run = gateway.begin("asks")
    gateway.until_state(run, "waiting")
    gateway.about(run, "/cancel")
    gateway.until_state(run, "cancelled")
    assert gateway.about(run, "/retry").status == 202
    document = gateway.until_state(run, "waiting")
    assert "cancelled" not in document
    assert gateway.about(run, "/signals/approval", {"ok": True}).status == 202
    assert gateway.until_state(run, "succeeded")["result"]["got"] == {"ok": True}
    assert gateway.calls() == ["a", "b"]


def test_a_sleep_goes_on_to_its_own_end(gateway: Durable) -> None:
    run = gateway.begin("sleeps")
    [sleep] = gateway.until_state(run, "waiting")["waiting_for"]
    gateway.about(run, "/cancel")
    gateway.until_state(run, "cancelled")
    gateway.about(run, "/retry")
    assert gateway.until_state(run, "waiting")["waiting_for"] == [sleep]


def test_handlers_are_called_at_the_real_end(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = gateway.begin("tidies")
    gateway.until_state(run, "failed")
    assert gateway.calls() == ["a", "b", "tidy"]
    gateway.trouble("b", None)
    assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    assert gateway.calls() == ["b", "tidy"]


def test_what_cannot_go_on(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "saga", None, "undone")
    reply = gateway.about(run, "/retry")
    assert (reply.status, reply.json()["state"]) == (409, "undone")
    assert "start it anew" in reply.detail
    run = gateway.begin("asks-in-saga")
    gateway.until_state(run, "waiting")
    gateway.about(run, "/cancel")
    gateway.until_state(run, "cancelled")
    assert "was undone: start it anew" in gateway.about(run, "/retry").detail
    run = failed(gateway, "states")
    assert "by what the flow itself says" in gateway.about(run, "/retry").detail
    run = failed(gateway, "bounded")
    assert "(`timeout`) is over" in gateway.about(run, "/retry").detail
    run = gateway.begin("sleeps")
    gateway.until_state(run, "waiting")
    assert "no step of it is parked" in gateway.about(run, "/retry").detail


def test_a_retry_survives_a_crash(tmp_path: Path) -> None:
    gateway = Durable(tmp_path)
    gateway.trouble("b", "refused")
    run = failed(gateway, "line")
    gateway.trouble("b", "hang")
    assert gateway.about(run, "/retry").status == 202
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
    assert gateway.about(run, "/retry").status == 202
    gateway.until_state(run, "parked")
    until(lambda: gateway.document(run)["state"] == "parked")
    gateway.trouble("undo-a", None)
    assert gateway.about(run, "/retry", {"path": "a/undo"}).status == 202
    document = gateway.until_state(run, "undone")
    assert "parked" not in document
    assert document["error"]["undone"] == ["a"]


def test_parked_and_done_by_hand(gateway: Durable) -> None:
    run = parked(gateway)
    body = {"path": "a/undo", "action": "done", "result": {"by": "hand"}}
    assert gateway.about(run, "/retry", body).status == 202
    document = gateway.until_state(run, "undone")
    assert gateway.calls() == []
    told = gateway.document(run, "?payloads=true")["steps"]
    assert next(step for step in told if step["path"] == "a/undo")["result"] == {"by": "hand"}
    assert document["error"]["undone"] == ["a"]


def test_parked_and_left_undone(gateway: Durable) -> None:
    run = parked(gateway)
    assert gateway.about(run, "/retry", {"path": "a/undo", "action": "skip"}).status == 202
    document = gateway.until_state(run, "failed", "undone")
    assert (document["state"], document["error"]["not_undone"]) == ("failed", ["a"])
    gateway.trouble("b", None)
    assert gateway.about(run, "/retry").status == 202, "nothing was undone: it can go on"
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
    reply = gateway.about(run, "/retry", body)
    assert reply.status == status, reply
    assert gateway.document(run)["state"] == "parked"
    gateway.about(run, "/retry", {"path": "a/undo", "action": "skip"})
    gateway.until_state(run, "failed")


# What is known of calls is not forgotten.


def test_what_may_have_been_done_is_undone_though_a_later_attempt_was_refused(gateway: Durable) -> None:
    gateway.trouble("b", "it broke")  # it may have done its work before
    gateway.trouble("undo-b", "refused")
    run = gateway.begin("maybe")
    gateway.until_state(run, "parked")
    gateway.about(run, "/retry", {"path": "b/undo", "action": "skip"})
    gateway.until_state(run, "failed")
    gateway.trouble("b", "refused")
    gateway.trouble("undo-b", None)
    gateway.calls()
    assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "failed", "undone")["state"] == "undone"
    assert gateway.calls() == ["b", "undo_b"]


def test_a_step_that_is_called_at_most_once_is_called_again_when_somebody_says_so(gateway: Durable) -> None:
    gateway.trouble("b", "refused")
    run = failed(gateway, "once")
    gateway.trouble("b", "refused")
    assert gateway.about(run, "/retry").status == 202
    gateway.until_state(run, "failed")
    gateway.trouble("b", None)
    assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed", "parked")["state"] == "succeeded"
    assert gateway.calls() == ["b", "b"]
    assert [event["kind"] for event in events(gateway, run)].count("intent") == 3


CODED = """
from legato import Context, flow


@flow(durable=True, version="1")
async def coded(ctx: Context, value):
    await ctx.call("FIRST", 1)
    await ctx.wait("go")
    return await ctx.call("b", 2)
"""


def coded(gateway: Durable, first: str) -> None:
    (gateway.folder / "written.py").write_text(CODED.replace("FIRST", first))


@pytest.fixture
def of_code(tmp_path: Path) -> Iterator[Durable]:
    (tmp_path / "written.py").write_text(CODED.replace("FIRST", "a"))
    gateway = Durable(tmp_path, module="written")
    yield gateway
    gateway.stop()


def test_a_run_that_is_parked_as_a_whole(of_code: Durable) -> None:
    """What it recorded does not fit the code any more; it goes on when that has been put back."""
    gateway = of_code
    run = gateway.begin("coded")
    gateway.until_state(run, "waiting")
    other = gateway.begin("coded")
    gateway.until_state(other, "waiting")
    gateway.kill()
    coded(gateway, "c")
    gateway.start()
    for each in (run, other):
        reply = gateway.about(each, "/signals/go", 1)
        assert (reply.status, reply.json()["state"]) == (409, "parked")
    document = gateway.document(run)
    assert (document["state"], document["parked"][0]["path"]) == ("parked", "")
    assert "asks for c" in document["parked"][0]["why"]
    assert document["parked"][0]["choices"] == ["retry"]
    assert gateway.about(run, "/retry", {"path": "a"}).status == 409
    again = gateway.about(run, "/retry")
    assert (again.status, "parked again" in again.detail) == (409, True)
    assert gateway.document(run)["state"] == "parked"
    soft = gateway.about(other, "/cancel")
    assert (soft.status, "a hard cancel gives it up" in soft.detail) == (409, True)
    assert gateway.about(other, "/cancel", {"hard": True}).status == 202
    assert gateway.document(other)["state"] == "cancelled"
    assert "given up by an operator" in gateway.document(other)["error"]["detail"]
    gateway.kill()
    coded(gateway, "a")
    gateway.start()
    assert gateway.about(run, "/retry").status == 202
    document = gateway.until_state(run, "waiting")
    assert "parked" not in document
    assert gateway.about(run, "/signals/go", 1).status == 202
    assert gateway.until_state(run, "succeeded")["result"] == {"by": "b", "got": 2}
