"""`/{function}[/rest]`: functions called directly, those that may be, and no trace of names that callers make up."""

from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import Iterator

import pytest

from legato.app import App
from legato.gateway import routes
from legato.gateway.routes import DirectRoutes
from legato.hosts.bound import BoundProgram
from legato.model.settings import Settings
from legato.telemetry.log import Log
from legato.testing import MemoryStore
from tests.admin.conftest import FUNCTIONS, Start
from tests.admin.serving import CALLER, Serving, pipeline
from tests.support.function_server import FunctionServer
from tests.support.texts import answer, request


@pytest.fixture(scope="module")
def function() -> Iterator[FunctionServer]:
    server = FunctionServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def some(start_shared: Start, function: FunctionServer) -> Serving:
    """A gateway of which three functions may be called so."""
    functions = {**FUNCTIONS, "remote": f"http://127.0.0.1:{function.port}/base"}
    return start_shared(
        flows={"f1": ["f2"]}, functions=functions, direct_functions=["f1", "remote", "missing", "Camel_Case", "nowhere"]
    )


@pytest.fixture(scope="module")
def every(start_shared: Start) -> Serving:
    return start_shared(direct_functions=True, functions={"default": "http://127.0.0.1:9/{name}", **FUNCTIONS})


def test_a_function_is_not_a_flow_of_its_name(some: Serving) -> None:
    assert some.api("POST", "/f1", b"{}").json() == "f1"
    assert some.run("f1").json() == "f2"
    runs = some.api("GET", "/api/runs?inline=true").json()["runs"]
    assert [run["flow"] for run in runs] == ["f1", "/f1"]
    assert some.metric("legato_runs_total", flow="/f1") == 1


def test_the_request_goes_as_it_came_and_the_answer_back(some: Serving, function: FunctionServer) -> None:
    function.reset()
    function.does(answer(299, b"\x00\xff", b"image/png"))
    sent = request("/remote/a%2Fb/c;d?q=1&q=%20", b"\x01\x02", "PUT", content_type="image/x", content_encoding="gzip")
    found = some.ask(sent)
    [received] = function.wait_for(1)
    assert (received.method, received.target, received.body) == ("PUT", "/base/a%2Fb/c;d?q=1&q=%20", b"\x01\x02")
    assert received.get(b"content-type") == b"image/x"
    assert received.get(b"content-encoding") == b"gzip"
    assert (found.status, found.body, found.get(b"content-type")) == (299, b"\x00\xff", b"image/png")
    assert found.get(b"legato-completed") == b"true"
    assert found.get(b"legato-run")


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "PATCH", "POST", "OPTIONS"])
def test_methods_are_kept(some: Serving, function: FunctionServer, method: str) -> None:
    function.reset()
    reply = some.api(method, "/remote/x")
    assert reply.status == 200
    [received] = function.wait_for(1)
    assert (received.method, received.target) == (method, "/base/x")


@pytest.mark.parametrize("status", [400, 404, 418, 500, 503, 599])
def test_a_function_s_own_failure_is_passed_on(some: Serving, function: FunctionServer, status: int) -> None:
    function.reset()
    function.does(answer(status, b"its own words", b"text/plain"))
    reply = some.api("POST", "/remote", b"{}")
    assert (reply.status, reply.body, reply.fields["content-type"]) == (status, b"its own words", "text/plain")
    assert "legato-completed" not in reply.fields
    assert reply.fields["legato-run"]


@pytest.mark.parametrize("status", [304, 600, 999])
def test_what_cannot_be_passed_on(some: Serving, function: FunctionServer, status: int) -> None:
    function.reset()
    function.does(answer(status, b""))
    assert some.api("GET", "/remote").status == 502


def test_nothing_comes_back_as_nothing(some: Serving, function: FunctionServer) -> None:
    function.reset()
    function.does(b"HTTP/1.1 204 No Content\r\n\r\n")
    reply = some.api("GET", "/remote")
    assert (reply.status, reply.body) == (204, b"")
    assert "content-type" not in reply.fields


def test_a_function_that_cannot_be_reached(some: Serving) -> None:
    reply = some.api("POST", "/nowhere", b"{}")
    assert reply.status == 502
    assert reply.fields["content-type"] == "application/problem+json"
    assert "connect" in reply.detail


@pytest.mark.parametrize("path", ["/f2", "/F1", "/f1x", "/f", "/f%32", "/unknown/f1", "/camel_case"])
def test_functions_that_must_not_be_called(some: Serving, path: str) -> None:
    reply = some.api("POST", path, b"{}")
    assert reply.status == 404
    assert "there is no function" in reply.detail
    assert "f3" not in reply.detail


def test_an_encoded_name(some: Serving) -> None:
    assert some.api("POST", "/%66%31", b"{}").json() == "f1"


def test_a_broken_entry(some: Serving) -> None:
    for _ in range(2):
        reply = some.api("POST", "/missing/x", b"{}")
        assert reply.status == 503
        assert "no_such_module" in reply.json()["errors"][0]["detail"]
    some.check_errors()


@pytest.mark.parametrize(
    "path",
    [
        "/orchestrate", "/api", "/api/x", "/API", "/Api/flows", "/Orchestrate/f1", "/localhost", "/metrics/x",
        "/livez/x", "/openapi.json", "/openapi", "/", "//", "//f1", "/12", "/0x1F", "/a.b", "/favicon.ico", "/%00",
        "/%20", "/%C3%A9", "/..", "/%2e%2e/f1", "/" + "x" * 256, "/LOCALHOST", "/Metrics", "/readyz/", "/*",
    ],
)  # fmt: skip
def test_names_that_are_no_function(every: Serving, path: str) -> None:
    for method in ("GET", "POST"):
        reply = every.ask(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert reply.status == 404, (method, reply)


def test_our_own_paths_stay_ours(every: Serving) -> None:
    assert every.api("GET", "/livez").json() == {"status": "ok"}
    assert every.api("GET", "/metrics").status == 200
    assert every.api("GET", "/api/flows").status == 200
    assert every.put("x", pipeline("f1")).status == 201
    assert every.run("x").json() == "f1"


@pytest.mark.parametrize("path", ["/f1", "/f1/", "/f1/a/b", "/f1?x=..", "/f1/..a", "/f1//"])
def test_any_function_with_an_entry_or_without(every: Serving, path: str) -> None:
    assert every.api("POST", path, b"{}").json() == "f1"


def test_any_name_is_tried(every: Serving) -> None:
    assert every.api("POST", "/made-up", b"{}").status == 502


@pytest.mark.parametrize(
    "path", ["/f1/..", "/f1/../f2", "/f1/%2e%2E/x", "/f1/a/./b", "/f1/..%2fx", "/f1/..;a=1/x", "/f1/..%5Cx"]
)
def test_sub_paths_that_lead_elsewhere(every: Serving, path: str) -> None:
    reply = every.ask(request(path, b"{}"))
    assert reply.status == 400
    assert b"segments" in reply.body


def test_not_at_all_by_default(start_shared: Start) -> None:
    gateway = start_shared()
    assert gateway.api("POST", "/f1", b"{}").status == 404
    assert "nothing here" in gateway.api("POST", "/f1", b"{}").detail


def test_a_token_is_asked_for(start_shared: Start) -> None:
    scoped = [{"token": "looks", "scopes": ["observe"]}, CALLER]
    gateway = start_shared(direct_functions=True, auth={"tokens": scoped})
    assert gateway.api("POST", "/f1", b"{}").status == 401
    assert gateway.api("POST", "/f1", b"{}", {"authorization": "Bearer looks"}).status == 403
    assert gateway.api("GET", "/f1", None, {"authorization": "Bearer looks"}).status == 403
    assert gateway.api("POST", "/f1", b"{}", {"authorization": f"Bearer {CALLER}"}).json() == "f1"
    assert gateway.api("POST", "/nobody", b"{}").status == 401, "whether there is one is told to nobody without a token"


def test_a_loop_ends(every: Serving) -> None:
    assert every.ask(request("/f1", b"{}", legato_hops="8")).status == 508


# Names that callers make up.


def programs() -> int:
    gc.collect()
    return sum(type(each) is BoundProgram for each in gc.get_objects())


def test_only_the_last_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "REMEMBERED", 16)

    async def main() -> None:
        app = App(Settings(direct_functions=True), Log(io.StringIO()), [MemoryStore()])
        direct = DirectRoutes(app.settings, app.orchestrator)
        before = programs()
        kept = direct.find("kept")
        for number in range(500):
            assert direct.find(f"made-up-{number}") is not None
            assert direct.find("kept") is kept, "what is used stays"
        assert programs() - before == 16
        assert len(app.metrics._flows) == 16
        assert len(app.http._pools) == 16
        assert len(direct._routes) == 16
        newest = direct.find("made-up-499")
        assert newest is direct.find("made-up-499")
        for name in ("", "a b", "api", "12", "x" * 256):
            assert direct.find(name) is None
        assert len(direct._routes) == 16
        await app.close()

    asyncio.run(main())


def test_a_name_that_was_pushed_out_is_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "REMEMBERED", 1)

    async def main() -> None:
        app = App(Settings(direct_functions=True), Log(io.StringIO()), [MemoryStore()])
        direct = DirectRoutes(app.settings, app.orchestrator)
        first = direct.find("a")
        second = direct.find("b")
        assert first is not None
        assert first.bound is not None
        assert first.bound.retired
        assert second is not None
        assert second.bound is not None
        assert not second.bound.retired
        assert not app.host._lanes
        await app.close()

    asyncio.run(main())
