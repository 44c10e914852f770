"""What a killed gateway leaves, and what the one after it makes of that (contract 1)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.durable.conftest import ENDS, Scene, Start
from tests.support.function_server import Exchange
from tests.support.texts import answer


class Gate:
    """Answers when it is opened; until then the call is in flight."""

    def __init__(self, then: bytes = b"") -> None:
        self.opened = threading.Event()
        self.then = then

    def __call__(self, exchange: Exchange) -> None:
        self.opened.wait(20.0)
        exchange.send(self.then or answer(200, exchange.request.body))


def begin(scene: Scene, flow: str, value: Any = None) -> str:
    came = scene.start(flow, value, prefer="respond-async")
    assert came.status == 202, came
    return came.fields["legato-run"]


def test_a_call_in_flight_is_made_again_under_its_key(scene: Start) -> None:
    started = scene({"three": {"durable": True, "steps": ["a", "b", "c"]}})
    gate = Gate()
    started.function.does(answer(200, b'{"from": "a"}'), gate)
    run = begin(started, "three", {"x": 1})
    started.function.wait_for(2)
    started.crash()
    gate.opened.set()
    assert started.until(run, *ENDS) == "succeeded"
    assert started.called() == ["a", "b", "b", "c"]
    first, again = started.function.requests[1:3]
    assert first.get(b"idempotency-key") == again.get(b"idempotency-key") == f"{run}/b".encode()
    assert first.body == again.body == b'{"from": "a"}'
    assert first.get(b"traceparent")[:35] == again.get(b"traceparent")[:35]


def test_what_must_happen_once_at_most_is_left_to_an_operator(scene: Start) -> None:
    started = scene({"pay": {"durable": True, "steps": ["a", {"call": "b", "at_most_once": True}]}})
    gate = Gate()
    started.function.does(answer(200, b"1"), gate)
    run = begin(started, "pay")
    started.function.wait_for(2)
    started.crash()
    gate.opened.set()
    started.until(run, "parked")
    assert ("intent", "b") in started.events(run)
    started.crash()
    assert started.row(run)[0] == "parked"
    assert started.called() == ["a", "b"]


def test_attempts_are_counted_across_a_crash(scene: Start) -> None:
    retry = {"call": "a", "retry": {"attempts": 3, "backoff": "200ms", "max_backoff": "200ms"}}
    started = scene({"tries": {"durable": True, "steps": [retry]}})
    started.function.does(always=answer(503, b"no"))
    run = begin(started, "tries")
    started.function.wait_for(2)
    started.wait(lambda: sum(kind.startswith("attempt") for kind, _ in started.events(run)) == 2)
    started.crash()
    assert started.until(run, *ENDS) == "failed"
    assert len(started.function.requests) == 3
    assert len({request.get(b"idempotency-key") for request in started.function.requests}) == 1


def test_undo_goes_on_where_it_was(scene: Start) -> None:
    steps = [*({"call": name, "undo": f"un-{name}"} for name in "abc"), {"fail": "no"}]
    started = scene({"saga": {"durable": True, "steps": steps}})
    gate = Gate()
    started.function.does(*[answer(200, b"1")] * 4, gate)
    run = begin(started, "saga")
    started.function.wait_for(5)
    assert started.row(run)[0] == "undoing"
    started.crash()
    gate.opened.set()
    assert started.until(run, *ENDS) == "undone"
    assert started.called() == ["a", "b", "c", "un-c", "un-b", "un-b", "un-a"]
    assert json.loads(started.function.requests[-1].body) == {"sent": None, "result": 1}


def test_a_maybe_done_call_is_undone_after_a_crash(scene: Start) -> None:
    """In flight when a sibling fails for good, and then the process dies: nobody knows whether it was done."""
    branches = {"one": {"call": "a", "undo": "un-a"}, "two": "b"}
    started = scene({"pair": {"durable": True, "steps": [{"parallel": branches}]}})
    gate = Gate()

    def script(exchange: Exchange) -> None:
        target = exchange.request.target
        if target == "/a":
            gate(exchange)
        else:
            exchange.send(answer(422 if target == "/b" else 200, b"1"))

    started.function.does(always=script)
    run = begin(started, "pair")
    assert started.until(run, *ENDS) == "undone"
    assert started.called().count("un-a") == 1
    gate.opened.set()


def test_an_undo_that_cannot_be_done_parks_the_run(scene: Start) -> None:
    undo = {"call": "un-a", "retry": {"attempts": 2, "backoff": "10ms"}}
    started = scene({"saga": {"durable": True, "steps": [{"call": "a", "undo": undo}, {"fail": "no"}]}})
    started.function.does(answer(200, b"1"), always=answer(500, b"broken"))
    run = begin(started, "saga")
    started.until(run, "parked")
    assert started.called() == ["a", "un-a", "un-a"]
    started.crash()
    time.sleep(0.5)
    assert started.called() == ["a", "un-a", "un-a"]
    assert started.row(run) == ("parked", None)


def test_a_sleep_goes_on_through_a_crash_and_does_not_begin_anew(scene: Start) -> None:
    started = scene({"sleeps": {"durable": True, "steps": ["a", {"sleep": "4s"}, "b"]}})
    run = begin(started, "sleeps")
    state, due = started.wait(lambda: started.row(run) if started.row(run)[0] == "waiting" else None)
    assert state == "waiting"
    time.sleep(1.5)
    started.crash()
    assert started.row(run) == ("waiting", due)
    assert started.until(run, *ENDS) == "succeeded"
    late = time.time() - due
    assert 0 <= late < 1.5, late
    assert started.called() == ["a", "b"]


def test_a_timeout_of_a_wait_comes_to_a_run_that_left_memory(scene: Start) -> None:
    wait = {"wait": "go", "timeout": "3s", "default": {"nobody": "came"}}
    started = scene({"waits": {"durable": True, "steps": [wait, "a"]}})
    run = begin(started, "waits")
    started.wait(lambda: b'legato_journal{what="in_memory"} 0.0' in started.gateway.api("GET", "/metrics").body)
    assert started.until(run, *ENDS) == "succeeded"
    assert json.loads(started.function.requests[0].body) == {"nobody": "came"}


def test_a_run_keeps_the_definition_it_was_started_with(scene: Start) -> None:
    started = scene({"waits": {"durable": True, "steps": ["a", {"sleep": "3s"}, "b"]}})
    run = begin(started, "waits")
    started.until(run, "waiting")
    started.gateway.kill()
    flow = started.gateway.folder / "flows" / "waits.yaml"
    flow.write_text(json.dumps({"flow": "waits", "durable": True, "steps": ["x", "y"]}))
    started.gateway.start()
    assert started.until(run, *ENDS) == "succeeded"
    assert started.called() == ["a", "b"]
    assert started.start("waits").status == 200
    assert started.called() == ["a", "b", "x", "y"]


def test_a_flow_that_is_gone_still_ends_its_runs(scene: Start) -> None:
    started = scene(
        {
            "outer": {"durable": True, "steps": [{"sleep": "3s"}, {"flow": "inner"}]},
            "inner": {"steps": ["b"]},
        }
    )
    run = begin(started, "outer")
    started.until(run, "waiting")
    started.gateway.kill()
    for each in (started.gateway.folder / "flows").iterdir():
        each.unlink()
    started.gateway.start()
    assert started.until(run, *ENDS) == "succeeded"
    assert started.called() == ["b"]


@pytest.mark.parametrize("signal", ["kill", "terminate"])
def test_large_payloads_survive(scene: Start, signal: str) -> None:
    started = scene({"three": {"durable": True, "steps": ["a", {"sleep": "3s"}, "b"]}})
    value = {"text": "x" * 300_000}
    run = begin(started, "three", value)
    started.until(run, "waiting")
    if signal == "kill":
        started.crash()
    else:
        started.gateway.stop()
        started.gateway.start()
    assert started.until(run, *ENDS) == "succeeded"
    assert json.loads(started.function.requests[-1].body) == value
    assert (started.gateway.folder / "legato-journal.db").stat().st_size < 300_000
    started.gateway.stop()
    log = started.gateway.folder / "legato-journal.db-wal"
    assert not log.exists() or log.stat().st_size == 0  # it can be copied as it is
    started.gateway.start()


def test_code_runs_again_from_its_record(scene: Start) -> None:
    code = """
from legato import Context, flow

@flow(name="coded", durable=True, version="1")
async def coded(ctx: Context, order):
    first = await ctx.call("a", order)
    both = await ctx.gather(ctx.call("b", first), ctx.call("c", first))
    return {"both": both, "first": first}
"""
    started = scene({})
    started.serve_code(code)
    gate = Gate()
    started.function.does(answer(200, b'"a"'), answer(200, b'"x"'), gate)
    run = begin(started, "coded", {"n": 1})
    started.function.wait_for(3)
    started.wait(lambda: sum(kind == "outcome" for kind, _ in started.events(run)) == 2)
    started.gateway.kill()
    started.gateway.let_go()
    started.serve_module()
    gate.opened.set()
    assert started.until(run, *ENDS) == "succeeded"
    assert len(started.called()) == 4
    assert started.called()[-1] == started.called()[2]
