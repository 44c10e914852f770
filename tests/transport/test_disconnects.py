"""Callers that leave: half-closing is no leaving; what follows from a real one is the flow's policy (contract 1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.function_server import Exchange, FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request
from tests.support.wire import Wire
from tests.transport.stage import Stage

SLOW = 1.6  # seconds: more than the gateway takes to find out that a half-closed caller has left
Leaving = Callable[[Wire], None]
LEAVING: dict[str, Leaving] = {"reset": Wire.reset, "close": Wire.close}


class Slow:
    """A function that takes its time and notes whether the gateway let go of it meanwhile."""

    def __init__(self, seconds: float = SLOW) -> None:
        self.seconds = seconds
        self.drops: list[bool] = []

    def __call__(self, exchange: Exchange) -> None:
        self.drops.append(exchange.dropped(self.seconds))
        exchange.send(answer(200, b'"done"'))


@pytest.mark.parametrize("pause", [0.0, 1.2])
def test_a_half_closed_caller_is_answered(pause: float, live: GatewayProcess, a: FunctionServer) -> None:
    slow = Slow(pause or 0.05)
    a.does(always=slow)
    for flow in ("get-cancels",) if pause else ("one", "get", "get-cancels", "post-cancels"):
        with live.connect() as wire:
            wire.send(request(f"/orchestrate/{flow}", b"1")).half_close()
            came = wire.last()
            assert (came.status, came.json()) == (200, "done")
    assert not any(slow.drops)


def test_everything_pipelined_before_a_half_close_is_answered(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=Slow(0.1))
    targets = ["/livez", "/orchestrate/one", "/livez", "/orchestrate/nothing", "/livez", "/orchestrate/one", "/livez"]
    for count in range(1, len(targets) + 1):
        with live.connect() as wire:
            wire.send(b"".join(request(target, content_length="0") for target in targets[:count])).half_close()
            statuses = [wire.answer().status for _ in range(count)]
            assert statuses == [404 if "nothing" in target else 200 for target in targets[:count]]
            assert wire.rest() == b""


def test_a_half_close_in_the_middle_of_a_request_ends_it(live: GatewayProcess, a: FunctionServer) -> None:
    data = request("/orchestrate/one", b'{"n":1}')
    for cut in (0, 10, len(data) - 3):
        with live.connect() as wire:
            wire.send(data[:cut]).half_close()
            assert b"200" not in wire.rest()[:20]
        with live.connect() as wire:
            wire.send(data + data[:cut]).half_close()
            assert wire.answer().json() == {"n": 1}
            wire.rest()
    assert len(a.requests) == 3


def test_http_1_0_never_sees_an_interim_answer(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=Slow(1.2))
    with live.connect() as wire:
        wire.send(request("/orchestrate/one", b"1", version="1.0")).half_close()
        assert wire.rest().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("leaving", LEAVING)
@pytest.mark.parametrize(
    ("flow", "dropped"),
    [("get-cancels", True), ("get-finishes", False), ("post-finishes", False), ("post-cancels", True)],
)
def test_what_becomes_of_the_run(leaving: str, flow: str, dropped: bool, stage: Stage) -> None:
    a, b, live = stage.functions["a"], stage.functions["b"], stage.gateway
    slow = Slow(SLOW if leaving == "close" else 0.5)
    a.does(slow)
    before = live.metric("legato_runs_total", flow=flow)
    wire = live.connect().send(request(f"/orchestrate/{flow}", b"1"))
    a.wait_for(1)
    LEAVING[leaving](wire)
    assert live.until_metric(before + 1, "legato_runs_total", flow=flow)
    a.until(lambda: bool(slow.drops))
    assert slow.drops == [dropped]
    assert [received.body for received in b.requests] == ([] if dropped else [b'"done"'])
    outcome = "disconnect" if dropped else "ok"
    assert live.metric("legato_runs_total", flow=flow, outcome=outcome) >= 1


def test_a_run_that_was_unsafe_before_is_finished(stage: Stage) -> None:
    """The POST is over, the GET in flight could be dropped; but then the POST's work would be left half done."""
    a, b, live = stage.functions["a"], stage.functions["b"], stage.gateway
    slow = Slow(0.5)
    b.does(slow)
    wire = live.connect().send(request("/orchestrate/post-then-get", b"1"))
    b.wait_for(1)
    wire.reset()
    assert live.is_idle()
    assert (len(a.requests), slow.drops) == (1, [False])


def test_undo_runs_for_a_caller_that_left(stage: Stage) -> None:
    a, b, c, live = *(stage.functions[name] for name in "abc"), stage.gateway
    slow = Slow()
    b.does(slow)
    wire = live.connect().send(request("/orchestrate/undo-on-leave", b"1"))
    b.wait_for(1)
    wire.reset()
    assert live.is_idle()
    assert slow.drops == [True]
    assert [received.message.body for received in c.wait_for(1)] == [b'{"sent":1,"result":1}']
    assert len(a.requests) == 1


def test_leaving_behind_another_answer_is_seen_too(stage: Stage) -> None:
    """Reading pauses while requests wait; it must go on for the last of them."""
    a, live = stage.functions["a"], stage.gateway
    slow = Slow()
    a.does(Slow(0.3), slow)
    wire = live.connect().send(request("/orchestrate/get"))
    a.wait_for(1)
    wire.send(request("/orchestrate/get"))
    a.wait_for(2)
    wire.reset()
    assert live.is_idle()
    assert slow.drops == [True]


@pytest.mark.parametrize("leaving", LEAVING)
def test_leaving_at_any_point_harms_nobody(leaving: str, live: GatewayProcess, a: FunctionServer) -> None:
    data = request("/orchestrate/one", b'{"n":1}') + request("/livez") + request(body=b"x" * 100)
    for cut in range(0, len(data), 5):
        LEAVING[leaving](live.connect().send(data[:cut]))
    with live.connect() as wire:
        assert wire.ask(request("/orchestrate/one", b'{"n":2}')).json() == {"n": 2}
    assert live.is_idle()


def test_leaving_in_the_middle_of_a_large_answer(live: GatewayProcess, a: FunctionServer) -> None:
    a.does(always=answer(200, b"x" * 20_000_000, b"text/plain"))
    used: list[int] = []
    for _ in range(3):
        for _ in range(10):
            wire = live.connect().send(request("/orchestrate/one", b"1"))
            wire.stream.head()
            wire.reset()
        assert live.is_idle()
        used.append(live.memory())
    assert used[2] - used[0] < 60_000_000, "what nobody reads any more is kept"
