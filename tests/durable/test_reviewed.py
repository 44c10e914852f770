"""What a review of the journal host found, and must not come back."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest

from tests.durable.conftest import ENDS, Start
from tests.durable.test_crashes import Gate, begin
from tests.support.function_server import Exchange
from tests.support.texts import answer


def slowly(seconds: float) -> object:
    def script(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.send(answer(200, b"1"))

    return script


def test_a_stop_does_not_say_that_a_call_was_about_to_be_made(scene: Start) -> None:
    """Of a call that must not be made twice the intent is written down before; not while nothing is sent any more."""
    started = scene({"pay": {"durable": True, "steps": ["a", {"call": "b", "at_most_once": True}]}})
    started.function.does(slowly(1.0))
    run = begin(started, "pay")
    started.function.wait_for(1)
    started.gateway.process.terminate()
    assert started.gateway.process.wait(15.0) == 0
    assert started.called() == ["a"]
    started.gateway.let_go()
    started.gateway.start()
    assert started.until(run, *ENDS, "parked") == "succeeded"
    assert started.called() == ["a", "b"]


def test_a_stop_does_not_wait_for_the_next_attempt(scene: Start) -> None:
    retry = {"attempts": 3, "backoff": "5m", "max_backoff": "5m"}
    started = scene({"tries": {"durable": True, "steps": [{"call": "a", "retry": retry}]}}, limits={"drain": "20s"})
    started.function.does(always=answer(503, b"no", b"text/plain", b"retry-after: 250"))
    run = begin(started, "tries")
    started.wait(lambda: any(kind.startswith("attempt") for kind, _ in started.events(run)))
    began = time.monotonic()
    started.gateway.process.terminate()
    assert started.gateway.process.wait(15.0) == 0
    assert time.monotonic() - began < 10
    started.gateway.let_go()
    started.gateway.start()
    time.sleep(0.3)
    assert len(started.function.requests) == 1
    assert started.row(run)[0] == "running"


def test_what_is_tried_again_later_was_not_sent_twice(scene: Start) -> None:
    """A definite no, and the next attempt is due later: a crash in between leaves no doubt."""
    retry = {"attempts": 3, "backoff": "3s", "max_backoff": "3s"}
    steps = [{"call": "a", "at_most_once": True, "retry": retry}]
    started = scene({"once": {"durable": True, "steps": steps}})
    started.function.does(answer(503, b"no", b"text/plain", b"retry-after: 3"))
    run = begin(started, "once")
    started.wait(lambda: any(kind.startswith("attempt") for kind, _ in started.events(run)))
    started.crash()
    assert started.until(run, *ENDS, "parked") == "succeeded"
    assert started.called() == ["a", "a"]


def test_timers_beside_a_parked_step_go_on(scene: Start) -> None:
    once = {"call": "b", "at_most_once": True}
    branches = {"one": once, "two": {"steps": [{"sleep": "4s"}, "c"]}}
    started = scene({"both": {"durable": True, "steps": [{"parallel": branches}]}})
    gate = Gate()
    started.function.does(gate)
    run = begin(started, "both")
    started.function.wait_for(1)
    started.crash()
    gate.opened.set()
    started.until(run, "parked")
    assert started.row(run)[1] is not None
    started.wait(lambda: started.called() == ["b", "c"])
    assert started.until(run, "parked") == "parked"


def test_a_run_that_fits_again_is_not_parked_any_more(scene: Start) -> None:
    """Its definition could not be linked for a while; then a signal comes before an operator."""
    flow = {"durable": True, "steps": [{"wait": "go"}, "a"]}
    started = scene({"waits": flow}, functions={"a": {"python": "code:a"}})
    code = started.gateway.folder / "code.py"
    started.gateway.stop()
    code.write_text("def a(value):\n    return 'done'\n")
    started.gateway.start()
    run = begin(started, "waits")
    started.until(run, "waiting")
    started.gateway.stop()
    code.unlink()
    started.gateway.start()
    path = f"/api/runs/{run}/signals/go"
    assert started.gateway.api("POST", path, b"1", {"content-type": "application/json"}).status >= 400
    started.until(run, "parked")
    keyed = started.gateway.api("GET", f"/api/runs/{run}").json()
    assert keyed["parked"][0]["path"] == ""
    started.gateway.stop()
    code.write_text("def a(value):\n    return 'done'\n")
    started.gateway.start()
    assert started.gateway.api("POST", path, b"1", {"content-type": "application/json"}).status == 202
    assert started.until(run, *ENDS) == "succeeded"
    assert "parked" not in started.gateway.api("GET", f"/api/runs/{run}").json()


def test_a_start_that_comes_while_the_gateway_stops_is_told_where_to_look(scene: Start) -> None:
    started = scene({"slow": {"durable": True, "steps": ["a"]}}, limits={"drain": "8s"})
    started.function.does(slowly(3.0), slowly(3.0))
    import http.client

    assert isinstance(started.gateway.address, tuple)
    late = http.client.HTTPConnection(*started.gateway.address, timeout=20)
    late.putrequest("POST", "/orchestrate/slow")
    late.putheader("content-type", "application/json")
    late.putheader("content-length", "1")
    late.endheaders()
    begin(started, "slow")
    started.function.wait_for(1)
    started.gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    late.send(b"1")
    came = late.getresponse()
    assert came.status in (202, 503)
    assert came.read()
    late.close()
    assert started.gateway.process.wait(20.0) == 0
    started.gateway.let_go()
    started.gateway.start()


def test_preferences_together(scene: Start) -> None:
    started = scene({"slow": {"durable": True, "steps": ["a"]}})
    started.function.does(slowly(0.5), slowly(2.0))
    both = started.start("slow", prefer="respond-async, wait=10")
    assert (both.status, both.fields["preference-applied"]) == (200, "respond-async, wait=10")
    hurried = started.start("slow", prefer="wait=10", legato_timeout="0.5")
    assert hurried.status == 202
    assert "preference-applied" not in hurried.fields


def test_many_that_wake_together_meet_no_limit_of_ours(scene: Start) -> None:
    """A function that takes two at a time, and a queue that is full at once: each run waits its turn."""
    flow = {"durable": True, "steps": [{"wait": "go", "timeout": "3s", "default": 1}, "a"]}
    entry = {"url": "http://127.0.0.1:{port}/a", "concurrency": 1, "breaker": {"failures": 1, "open": "1s"}}
    started = scene({"wakes": flow, "fails": {"steps": ["a"]}}, functions={})
    settings = started.gateway.folder / "legato.yaml"
    document = json.loads(settings.read_text())
    document["functions"]["a"] = {**entry, "url": f"http://127.0.0.1:{started.function.port}/a"}
    settings.write_text(json.dumps(document))
    started.gateway.stop()
    started.gateway.start()
    runs = [begin(started, "wakes") for _ in range(5)]
    time.sleep(2.0)
    started.function.does(answer(500, b"no"))
    assert started.start("fails").status == 502  # opens the breaker
    assert {started.until(run, *ENDS) for run in runs} == {"succeeded"}


CODE = """
from legato import Context, flow

@flow(name="coded", durable=True, version="1")
async def coded(ctx: Context, order):
    return await ctx.call("a", order, timeout=1.0, idempotent=True, retry={"attempts": 2, "backoff": "%s"})
"""


@pytest.mark.parametrize("crashes", [False, True])
def test_code_that_hangs_is_timed_out_in_every_attempt(scene: Start, crashes: bool) -> None:
    started = scene({})
    started.serve_code(CODE % "1500ms")
    released = threading.Event()
    started.function.does(always=lambda _: released.wait(15.0))
    run = begin(started, "coded")
    started.function.wait_for(1)
    if crashes:
        started.gateway.kill()
        started.gateway.let_go()
        started.serve_module()
    assert started.until(run, *ENDS) == "failed"
    released.set()
    assert len(started.function.requests) == 2 + crashes


def test_code_that_ends_the_process_ends_it_once(scene: Start) -> None:
    """It is parked by the next one, instead of ending that, too."""
    code = """
import sys
from legato import Context, flow

@flow(name="coded", durable=True, version="1")
async def coded(ctx: Context, order):
    await ctx.call("a", order)
    sys.exit(3)
"""
    started = scene({}, limits={"drain": "1s"})
    started.serve_code(code)
    run = begin(started, "coded")
    assert started.gateway.process.wait(20.0) == 0
    started.gateway.let_go()
    started.serve_module()
    started.until(run, "parked")
    assert started.gateway.process.poll() is None
    document = started.gateway.api("GET", f"/api/runs/{run}").json()
    assert "ends the process" in document["parked"][0]["why"]
    assert started.called() == ["a"]
