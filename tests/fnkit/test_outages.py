"""The server of definitions dies, comes back, forgets: who calls a known flow notices nothing."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import pytest

from legato.catalog import Catalog
from legato.stores.valkey import ValkeyStore
from legato.telemetry.log import Log
from tests.fnkit.conftest import StartGateway, StartServer
from tests.fnkit.stage import KEY, Callers, FnkitGateway, define, until, urls
from tests.support.function_server import FunctionServer, functions
from tests.support.texts import answer, request
from tests.support.valkey_server import ValkeyServer
from tests.support.wire import Answer

FLOWS = [f"known-{n}" for n in range(5)]
AWAY = 2.0  # seconds that the server is not there


@pytest.fixture
def two() -> Iterator[dict[str, FunctionServer]]:
    """Functions that say who they are."""
    with functions("a", "b") as those:
        for name, server in those.items():
            server.does(always=answer(200, f'"{name}"'.encode()))
        yield those


def define_all(server: ValkeyServer) -> None:
    for number, flow in enumerate(FLOWS):
        define(server, flow, "parallel" if number % 2 else "sequential", "b", "a")


def good(flow: str, came: Answer) -> bool:
    """The answer of the flow as `define_all` defines it, or of `b` alone."""
    whole = b'{"b":"b","a":"a"}' if FLOWS.index(flow) % 2 else b'"a"'
    return came.status == 200 and came.body in (whole, b'"b"')


def until_changed(gateway: FnkitGateway, server: ValkeyServer, name: str) -> None:
    """A change made now is served at once."""
    gateway.until_served(name, define(server, name, "sequential", "b"))
    assert gateway.ask(request(f"/orchestrate/{name}", b"{}")).body == b'"b"'


def test_killed_under_load_and_back_empty(
    start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]
) -> None:
    server = valkey()
    define_all(server)
    gateway = start({"functions": urls(two)}, CACHE_URL=server.url)
    gateway.until_ready()
    with Callers(gateway, FLOWS, good) as callers:
        server.kill()
        until(gateway.degraded)
        status, body = gateway.readyz()
        assert (status, body["status"]) == (200, "ok")
        assert f"127.0.0.1:{server.port}" in gateway.degraded()
        assert gateway.ask(request("/orchestrate/nosuch", b"{}")).status == 404
        callers.go_on(AWAY)
        server.start()
        until(lambda: gateway.degraded().count("came back without it") == len(FLOWS), told=gateway.degraded)
        assert gateway.readyz()[0] == 200
        callers.go_on()
        until_changed(gateway, server, FLOWS[0])
        until_changed(gateway, server, "new")
        until(lambda: gateway.degraded().count("came back without it") == len(FLOWS) - 1)
        callers.go_on()
    assert gateway.api("DELETE", f"/api/flows/{FLOWS[1]}").status == 204
    assert gateway.ask(request(f"/orchestrate/{FLOWS[1]}", b"{}")).status == 404
    assert [line["state"] for line in gateway.log("store")] == ["down", "up"]
    assert {line["flow"] for line in gateway.log("definition") if line["change"] == "lost"} == set(FLOWS)


def test_killed_under_load_and_back_with_its_data(
    start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]
) -> None:
    server = valkey("--appendonly", "yes", "--appendfsync", "always")
    define_all(server)
    gateway = start({"functions": urls(two)}, CACHE_URL=server.url)
    gateway.until_ready()
    with Callers(gateway, FLOWS, good) as callers:
        server.kill()
        until(gateway.degraded)
        callers.go_on(AWAY)
        server.start()
        until(lambda: not gateway.degraded(), told=gateway.degraded)
        callers.go_on()
        until_changed(gateway, server, FLOWS[0])
        server.cli("DEL", KEY + "new")
        until_changed(gateway, server, "new")
        callers.go_on()
    assert not [line for line in gateway.log("definition") if line["change"] in ("lost", "evicted", "deleted")]


def test_changed_while_the_gateway_could_not_see_it(
    start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]
) -> None:
    """It hangs as in a network that swallows everything; what changed meanwhile is found by comparing."""
    server = valkey()
    define_all(server)
    gateway = start({"functions": urls(two)}, CACHE_URL=server.url)
    gateway.until_ready()
    with Callers(gateway, FLOWS[1:], good) as callers:
        server.cli("CLIENT", "KILL", "TYPE", "pubsub")
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until_changed(gateway, server, FLOWS[0])
        server.pause()
        callers.go_on(0.5)
        server.resume()
        until_changed(gateway, server, "new")
        callers.go_on()


def test_redefined_under_load(start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]) -> None:
    """Every answer is that of the one definition or the other."""
    server = valkey()
    define_all(server)
    gateway = start({"functions": urls(two)}, CACHE_URL=server.url)
    gateway.until_ready()
    with Callers(gateway, FLOWS, good) as callers:
        for _ in range(10):
            for flow in FLOWS:
                define(server, flow, "sequential", "b")
            callers.go_on(answers=20)
            define_all(server)
            callers.go_on(answers=20)
        for flow in FLOWS:
            until_changed(gateway, server, flow)


def test_started_before_its_server(start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]) -> None:
    """What is not known may exist: 503 until it has been read once, and then by itself ready."""
    server = valkey("--appendonly", "yes", "--appendfsync", "always")
    define_all(server)
    server.kill()
    gateway = start({"functions": urls(two), "direct_functions": True}, CACHE_URL=server.url)
    for path in (f"/orchestrate/{FLOWS[0]}", "/orchestrate/nosuch"):
        came = gateway.ask(request(path, b"{}"))
        assert (came.status, came.get(b"content-type")) == (503, b"application/problem+json")
        assert came.get(b"retry-after") == b"1"
        assert f"127.0.0.1:{server.port}" in came.json()["detail"]
    status, body = gateway.readyz()
    assert (status, body["status"]) == (503, "starting")
    assert gateway.ask(request("/livez")).status == 200
    assert gateway.ask(request("/a", b"{}")).body == b'"a"'
    server.start()
    gateway.until_ready()
    assert gateway.degraded() == ""
    assert gateway.ask(request(f"/orchestrate/{FLOWS[0]}", b"{}")).body == b'"a"'
    assert gateway.ask(request("/orchestrate/nosuch", b"{}")).status == 404


def test_started_before_an_empty_server(start: StartGateway, valkey: StartServer) -> None:
    server = valkey()
    server.kill()
    gateway = start({}, CACHE_URL=server.url)
    assert gateway.readyz()[0] == 503
    server.start()
    gateway.until_ready()
    assert gateway.ask(request("/orchestrate/nosuch", b"{}")).status == 404


@pytest.mark.parametrize("empty", [True, False])
def test_a_server_that_comes_between_reading_and_watching(valkey: StartServer, empty: bool) -> None:
    """The first reading failed, the first connection of the watch does not: that is to be told, too."""
    server = valkey("--appendonly", "yes", "--appendfsync", "always")
    if not empty:
        define_all(server)
    server.kill()
    catalog = Catalog([ValkeyStore(server.url)], Log(io.StringIO()))
    catalog.load()
    assert catalog.unread
    server.start()

    async def watch() -> None:
        catalog.watch(lambda _: None)
        async with asyncio.timeout(5):
            while catalog.unread or catalog.troubles:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)

    try:
        asyncio.run(watch())
        assert len(catalog.definitions) == (0 if empty else len(FLOWS))
    finally:
        catalog.close()


def test_a_password_appears_nowhere(start: StartGateway, valkey: StartServer) -> None:
    server = valkey("--requirepass", "open-sesame")
    url = f"redis://:open-sesame@127.0.0.1:{server.port}/0"
    gateway = start({"functions": {"a": {"builtin": "echo"}}}, CACHE_URL=url)
    gateway.until_ready()
    with server.client(password="open-sesame") as client:
        client.execute_command("SET", KEY + "one", "{")
    until(lambda: gateway.ask(request("/orchestrate/one", b"{}")).status == 503)
    shown = b"".join(gateway.ask(request(path)).body for path in ("/orchestrate/one", "/api/flows")).decode()
    server.kill()
    until(lambda: any(line["state"] == "down" for line in gateway.log("store")))
    shown += gateway.degraded() + gateway.errors() + (gateway.folder / "log").read_text()
    assert "open-sesame" not in shown


def test_a_wrong_password_is_said(start: StartGateway, valkey: StartServer) -> None:
    server = valkey("--requirepass", "open-sesame")
    gateway = start({}, CACHE_URL=f"redis://:wrong-word@127.0.0.1:{server.port}/0")
    status, body = gateway.readyz()
    assert status == 503
    assert "password" in str(body["degraded"])
    assert "wrong-word" not in str(body) + gateway.errors()


def test_an_evicted_definition_is_served_and_noted(
    start: StartGateway, valkey: StartServer, two: dict[str, FunctionServer]
) -> None:
    """fnkit's cache is made with `allkeys-lru`: definitions were lost to whatever else was stored."""
    server = valkey("--maxmemory-policy", "allkeys-lru", "--notify-keyspace-events", "Ee")
    define_all(server)
    gateway = start({"functions": urls(two)}, CACHE_URL=server.url)
    gateway.until_ready()
    with Callers(gateway, FLOWS, good, threads=2) as callers:
        used = int(server.cli("INFO", "memory").get("used_memory", 0))
        server.cli("CONFIG", "SET", "maxmemory", used + 1_000_000)
        with server.client() as client:
            written = 0
            while any(client.execute_command("EXISTS", KEY + flow) for flow in FLOWS):
                assert written < 1000, "the server evicts nothing of ours"
                client.execute_command("SET", f"other:{written}", "x" * 50_000)
                written += 1
        until(lambda: gateway.degraded().count("evicted") == len(FLOWS), told=gateway.degraded)
        assert gateway.readyz()[0] == 200
        callers.go_on()
    noted = {line["flow"] for line in gateway.log("definition") if line["change"] == "evicted"}
    assert noted == set(FLOWS)
    server.cli("CONFIG", "SET", "maxmemory", 0)
    until_changed(gateway, server, FLOWS[0])
    until(lambda: gateway.degraded().count("evicted") == len(FLOWS) - 1)
