"""`/{function}[/rest]`, as fnkit's gateway had it for every container: passed on as it came; closed unless opened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fnkit.conftest import StartGateway
from tests.fnkit.stage import FnkitGateway, stop_all, urls
from tests.support.function_server import FunctionServer, functions
from tests.support.texts import answer, request
from tests.support.wire import Answer

NOT_FUNCTIONS = [
    "localhost", "LOCALHOST", "127.0.0.1", "[::1]", "%5B::1%5D", "0x7f000001", "0X7F000001", "2130706433", "10", "0",
    "a.b", "evil.example", "a:9000", "user@a", "a%2Fb", "a%00", "a%20", "%E2%84%A2", "..", "a" * 256,
]  # fmt: skip


class Direct:
    """A gateway with direct routes, and its function `a`; functions without an entry are at `everything`/{name}."""

    def __init__(self, gateway: FnkitGateway, a: FunctionServer, everything: FunctionServer) -> None:
        self.gateway = gateway
        self.a = a
        self.everything = everything

    def ask(self, path: str, body: bytes | None = None, method: str | None = None, **fields: str) -> Answer:
        method = method or ("GET" if body is None else "POST")
        return self.gateway.ask(request(path, body, method, **fields), method)


@pytest.fixture(scope="module")
def _direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    with functions("a", "everything") as those:
        known = urls({"a": those["a"]}) | {"nobody": "http://127.0.0.1:1"}
        settings = {"functions": {**known, "default": urls(those)["everything"] + "/{name}"}, "direct_functions": True}
        gateway = FnkitGateway(tmp_path_factory.mktemp("direct"), settings)
        try:
            gateway.wait_until_live()
            yield Direct(gateway, those["a"], those["everything"])
        finally:
            stop_all([gateway])


@pytest.fixture
def direct(_direct: Direct) -> Direct:
    _direct.a.reset()
    _direct.everything.reset()
    return _direct


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"])
@pytest.mark.parametrize("body", [None, b'{"n":1}'])
def test_method_and_body_pass_as_they_are(direct: Direct, method: str, body: bytes | None) -> None:
    came = direct.ask("/a", body, method)
    [got] = direct.a.wait_for(1)
    assert (came.status, got.method, got.body) == (200, method, body or b"")
    assert came.body == (body or b"null")


def test_head(direct: Direct) -> None:
    direct.a.does(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n")
    came = direct.ask("/a", None, "HEAD")
    assert (came.status, came.body, direct.a.requests[0].method) == (200, b"", "HEAD")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a", "/"),
        ("/a/", "/"),
        ("/a/api/users", "/api/users"),
        ("/a/api/users/", "/api/users/"),
        ("/a?q=1&q=%2F", "/?q=1&q=%2F"),
        ("/a/b%20c/%2Fd?x", "/b%20c/%2Fd?x"),
        ("/%61/x", "/x"),
    ],
)
def test_sub_path_and_query_pass_as_they_are(direct: Direct, path: str, target: str) -> None:
    assert direct.ask(path, b"{}").status == 200
    assert direct.a.wait_for(1)[0].target == target


@pytest.mark.parametrize("rest", ["/..", "/x/../y", "/%2e%2e/y", "/x/..;/y", "/."])
def test_no_sub_path_leads_out(direct: Direct, rest: str) -> None:
    assert direct.ask("/a" + rest).status == 400
    assert not direct.a.requests


@pytest.mark.parametrize(
    "status", [200, 201, 206, 299, 301, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504, 599]
)
def test_status_and_body_pass_as_they_are(direct: Direct, status: int) -> None:
    """Of failures, too: there is no pipeline whose failure would have to be told."""
    direct.a.does(answer(status, b"<p>so it is</p>", b"text/html; charset=utf-8"))
    came = direct.ask("/a", b"{}")
    assert (came.status, came.body) == (status, b"<p>so it is</p>")
    assert came.get(b"content-type") == b"text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("sent", "status"), [(answer(204, b""), 204), (answer(200, b""), 200), (answer(500, b""), 500)]
)
def test_nothing_stays_nothing(direct: Direct, sent: bytes, status: int) -> None:
    direct.a.does(sent)
    came = direct.ask("/a", b"{}")
    assert (came.status, came.body) == (status, b"")


def test_binary_bodies_are_not_harmed(direct: Direct) -> None:
    noise = random.Random(2).randbytes(1024 * 1024)
    came = direct.ask("/a", noise, "PUT", content_type="image/png")
    assert came.body == noise
    assert direct.a.requests[0].body == noise
    assert direct.a.requests[0].get(b"content-type") == b"image/png"


def test_a_function_that_cannot_be_reached(direct: Direct) -> None:
    came = direct.ask("/nobody/x", b"{}")
    assert (came.status, came.get(b"content-type")) == (502, b"application/problem+json")
    assert came.json()["function"] == "nobody"


def test_headers_of_the_caller_that_a_function_gets(direct: Direct) -> None:
    direct.ask("/a", b"{}", authorization="Bearer x", cookie="c=1", x_forwarded_for="192.0.2.1")
    assert {name for name, _ in direct.a.requests[0].message.fields}.isdisjoint(
        {b"authorization", b"cookie", b"x-forwarded-for"}
    )


def test_functions_without_an_entry_are_reached_by_the_default_rule(direct: Direct) -> None:
    for name in ("b", "Upper_1", "2nd", "_x", "health", "observe", "with-dash"):
        assert direct.ask(f"/{name}/rest?q", b"{}").status == 200
    targets = [received.target for received in direct.everything.wait_for(7)]
    assert targets[:2] == ["/b/rest?q", "/Upper_1/rest?q"]


@pytest.mark.parametrize("name", NOT_FUNCTIONS)
def test_what_is_no_function_s_name_is_404(direct: Direct, name: str) -> None:
    """Addresses above all: whoever may call functions must not reach what else this machine reaches."""
    came = direct.ask(f"/{name}/x", b"{}")
    assert (came.status, came.get(b"content-type")) == (404, b"application/problem+json")
    assert not direct.everything.requests


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("//a", 404),
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/api", 404),
        ("/api/flows", 200),
        ("/api/nosuch", 404),
        ("/openapi.json", 404),
        ("/openapi", 404),
        ("/orchestrate", 404),
        ("/orchestrate/", 404),
        ("/LIVEZ", 404),
        ("/Api/flows", 404),
        ("/livez/x", 404),
    ],
)
def test_our_own_routes_are_no_functions(direct: Direct, path: str, status: int) -> None:
    assert direct.ask(path).status == status
    assert not direct.everything.requests


def test_a_direct_call_is_seen(direct: Direct) -> None:
    direct.ask("/a/x", b"{}")
    runs = direct.ask("/api/runs?inline=true&limit=1").json()["runs"]
    assert (runs[0]["flow"], runs[0]["state"]) == ("/a", "succeeded")


def test_closed_by_default(start: StartGateway) -> None:
    gateway = start({"functions": {"a": {"builtin": "echo"}}})
    for path in ("/a", "/a/x", "/nosuch"):
        came = gateway.ask(request(path, b"{}"))
        assert (came.status, came.get(b"content-type")) == (404, b"application/problem+json")


def test_open_for_those_that_are_named(start: StartGateway) -> None:
    echo = {"builtin": "echo"}
    gateway = start({"functions": {"a": echo, "b": echo}, "direct_functions": ["a"]}, LEGATO_TOKEN="secret")
    assert gateway.ask(request("/a", b"{}", authorization="Bearer secret")).body == b"{}"
    assert gateway.ask(request("/b", b"{}", authorization="Bearer secret")).status == 404
    assert gateway.ask(request("/c", b"{}", authorization="Bearer secret")).status == 404
    for path in ("/a", "/b", "/c"):
        assert gateway.ask(request(path, b"{}")).status == 401


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "0x7f000001", "2130706433", "api", "a.b"])
def test_settings_refuse_such_names(tmp_path: Path, name: str) -> None:
    for settings in ({"functions": {name: {"builtin": "echo"}}}, {"direct_functions": [name]}):
        gateway = FnkitGateway(tmp_path / str(len(settings)), settings)
        assert gateway.wait() == 2
        assert "name" in gateway.errors()
