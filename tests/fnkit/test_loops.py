"""A gateway that calls itself, which fnkit's did until something gave way."""

from __future__ import annotations

import json

import pytest

from tests.fnkit.conftest import StartGateway, StartServer
from tests.fnkit.stage import FnkitGateway, define
from tests.support.function_server import functions
from tests.support.gateway_process import free_port
from tests.support.texts import request
from tests.support.valkey_server import ValkeyServer

HOPS = 4


@pytest.fixture
def server(valkey: StartServer) -> ValkeyServer:
    server = valkey()
    define(server, "itself", "sequential", "itself")
    define(server, "after-one", "sequential", "one", "after-one")
    define(server, "twice", "parallel", "twice", "again")
    return server


def gateway_to_itself(start: StartGateway, server: ValkeyServer, one: str) -> FnkitGateway:
    here = f"127.0.0.1:{free_port()}"
    paths = {"itself": "itself", "after-one": "after-one", "twice": "twice", "again": "twice"}
    called = {name: f"http://{here}/orchestrate/{path}" for name, path in paths.items()}
    called |= {"one": one, "round": f"http://{here}/round"}
    settings = {"listen": here, "functions": called, "limits": {"hops": HOPS}, "direct_functions": True}
    gateway = start(settings, CACHE_URL=server.url)
    gateway.until_ready()
    return gateway


def test_loops_end_with_508(start: StartGateway, server: ValkeyServer) -> None:
    """By the hop count, and with no more calls than that allows: 2 + 4 + 8 + 16 where each turn calls itself twice."""
    with functions("one") as those:
        gateway = gateway_to_itself(start, server, f"http://127.0.0.1:{those['one'].port}")
        for path, most in (("itself", HOPS), ("after-one", 2 * HOPS), ("twice", 2 * (2**HOPS - 1))):
            before = gateway.metric("legato_calls_total")
            came = gateway.ask(request(f"/orchestrate/{path}", b"{}"))
            assert came.status == 508, f"{path}: {came!r}"
            assert gateway.is_idle()
            assert 0 < gateway.metric("legato_calls_total") - before <= most, path
        assert len(those["one"].requests) == HOPS
        before = gateway.metric("legato_calls_total")
        came = gateway.ask(request("/round/sub?q=1", b"{}"))
        assert came.status == 508
        assert gateway.metric("legato_calls_total") - before == HOPS
        assert gateway.ask(request("/livez")).status == 200


def test_the_innermost_says_why(start: StartGateway, server: ValkeyServer) -> None:
    gateway = gateway_to_itself(start, server, "http://127.0.0.1:1")
    body = gateway.ask(request("/orchestrate/itself", b"{}")).json()
    for _ in range(HOPS - 1):
        assert (body["error"], body["step"], body["status"]) == ("Step failed", "itself", 508)
        body = json.loads(body["body"])
    assert "a flow calls itself" in json.loads(body["body"])["detail"]
