"""Who may do what: scopes, what is open without a token, and how a caller is told."""

from __future__ import annotations

import pytest

from legato.gateway.credentials import Credentials, granted, is_loopback, scope_of
from legato.model.settings import CALLER_SCOPES, Scope, Settings
from legato.transport.request import Answer, Head
from tests.admin.conftest import Start
from tests.admin.serving import ADMIN, CALLER, Serving, pipeline
from tests.support.gateway_process import free_port
from tests.support.texts import request

LOOKER, RUNNER, WRITER = "only-observe", "only-run", "only-define"


@pytest.fixture(scope="module")
def guarded(start_shared: Start) -> Serving:
    """A gateway with a token of each kind."""
    scoped = [
        {"token": LOOKER, "scopes": ["observe"]},
        {"token": RUNNER, "scopes": ["run"]},
        {"token": WRITER, "scopes": ["define"]},
        CALLER,
    ]
    variables = {"LEGATO_ADMIN_TOKEN": ADMIN, "LEGATO_TOKEN": "of-the-variable"}
    return start_shared(flows={"x": ["f1"]}, auth={"tokens": scoped}, variables=variables)


REQUESTS: dict[Scope, list[tuple[str, str]]] = {
    "run": [("POST", "/orchestrate/x"), ("GET", "/orchestrate/x/sub")],
    "observe": [("GET", "/api/flows"), ("GET", "/api/flows/x"), ("GET", "/api/runs?inline=true"), ("GET", "/metrics"),
                ("HEAD", "/api/flows"), ("GET", "/nothing"), ("POST", "/metrics"), ("POST", "/")],
    "define": [("PUT", "/api/flows/y"), ("DELETE", "/api/flows/y"), ("POST", "/api/flows"), ("PATCH", "/api/x"),
               ("OPTIONS", "/api/flows/y"), ("PUT", "/%61pi/flows/y"), ("PUT", "/api%2Fflows%2Fy"),
               ("DELETE", "/%61%70%69/flows/y"), ("PUT", "/api%2fflows/y")],
}  # fmt: skip

TOKENS: dict[str, tuple[Scope, ...]] = {
    LOOKER: ("observe",),
    RUNNER: ("run",),
    WRITER: ("define",),
    CALLER: ("run", "observe"),
    "of-the-variable": ("run", "observe"),
    ADMIN: ("run", "observe", "define"),
}


@pytest.mark.parametrize("token", TOKENS)
def test_scopes(guarded: Serving, token: str) -> None:
    for scope, requests in REQUESTS.items():
        for method, path in requests:
            body = pipeline("f2") if method == "PUT" else None
            reply = guarded.api(method, path, body, {"authorization": f"Bearer {token}"})
            if scope in TOKENS[token]:
                assert reply.status not in (401, 403), (method, path, reply)
                continue
            assert reply.status == 403, (method, path, reply)
            challenge = reply.fields["www-authenticate"]
            assert challenge == f'Bearer realm="legato", error="insufficient_scope", scope="{scope}"'
            if method == "HEAD":
                continue
            assert f"lacks the scope `{scope}`" in reply.detail
            assert ("LEGATO_ADMIN_TOKEN" in reply.detail) == (scope == "define")
            assert token not in reply.detail
    admin = {"authorization": f"Bearer {ADMIN}"}
    written = guarded.delete("y", admin).status
    assert written == (204 if "define" in TOKENS[token] else 404)


@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {ADMIN}x", f"Bearer {ADMIN[:-1]}", f"Basic {ADMIN}",
        ADMIN, f"Bearer {ADMIN},", f"Bearer{ADMIN}", f"Bearer {ADMIN} {ADMIN}", f'Bearer "{ADMIN}"', "Bearer \u00e9",
    ],
)  # fmt: skip
def test_without_a_good_token(guarded: Serving, authorization: str | None) -> None:
    fields = {} if authorization is None else {"authorization": authorization}
    for method, path in (
        ("POST", "/orchestrate/x"),
        ("GET", "/api/flows"),
        ("PUT", "/api/flows/y"),
        ("GET", "/metrics"),
    ):
        reply = guarded.api(method, path, pipeline("f1") if method == "PUT" else None, fields)
        assert reply.status == 401
        assert reply.fields["www-authenticate"] == 'Bearer realm="legato"'
        assert "Authorization: Bearer" in reply.detail
    assert guarded.api("GET", "/livez", None, fields).status == 200
    assert guarded.api("GET", "/readyz", None, fields).status == 200


@pytest.mark.parametrize("form", ["bearer {}", "BEARER {}", "Bearer   {}", "Bearer {} "])
def test_forms_of_a_good_token(guarded: Serving, form: str) -> None:
    assert guarded.api("GET", "/api/flows", None, {"authorization": form.format(ADMIN)}).status == 200


def test_with_a_token_the_host_does_not_matter(guarded: Serving) -> None:
    fields = {"authorization": f"Bearer {ADMIN}", "host": "gateway.example"}
    assert guarded.api("PUT", "/api/flows/y", pipeline("f1"), fields).status == 201
    assert guarded.api("DELETE", "/api/flows/y", None, fields).status == 204


# Where no token is configured.


@pytest.fixture(scope="module")
def unguarded(start_shared: Start) -> Serving:
    return start_shared()


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "127.9.9.9"],
)
def test_this_machine_defines(unguarded: Serving, host: str) -> None:
    assert unguarded.api("PUT", "/api/flows/x", pipeline("f1"), {"host": host}).status in (200, 201)
    assert unguarded.api("DELETE", "/api/flows/x", None, {"host": host}).status == 204


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "unix:8080", "unix:",
        "unix:/x", "10.0.0.1", "0.0.0.0", "[::2]", "localhost@evil.example", "a:localhost", "evil.example:localhost",
        "127.0.0.1@evil.example", "[::1].evil.example", "", ":", "::", "[::ffff:10.0.0.1]",
    ],
)  # fmt: skip
def test_web_pages_do_not_define(unguarded: Serving, host: str) -> None:
    """A page of a name that was made to resolve to loopback (DNS rebinding)."""
    for method, path in REQUESTS["define"]:
        reply = unguarded.api(method, path, pipeline("f1") if method == "PUT" else None, {"host": host})
        assert reply.status == 403, (method, path, reply)
        assert "unless a token is configured" in reply.detail
    assert unguarded.api("GET", "/api/flows", None, {"host": host}).status == 200
    assert unguarded.names() == []


def test_a_request_without_a_host_does_not_define(unguarded: Serving) -> None:
    text = pipeline("f1").encode()
    answer = unguarded.ask(b"PUT /api/flows/x HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
    assert answer.status == 403
    absolute = b"PUT http://localhost/api/flows/x HTTP/1.1\r\nHost: evil.example\r\nContent-Length: %d\r\n\r\n" % len(
        text
    )
    assert unguarded.ask(absolute + text).status == 403


def test_a_preflight_of_a_web_page_is_granted_nothing(unguarded: Serving) -> None:
    fields = {"origin": "http://evil.example", "access-control-request-method": "PUT"}
    reply = unguarded.api("OPTIONS", "/api/flows/x", None, fields)
    assert reply.status == 405
    assert not [name for name in reply.fields if name.startswith("access-control")]


def test_an_open_gateway_on_the_network_lets_nobody_define(start_shared: Start) -> None:
    gateway = start_shared(listen=f"0.0.0.0:{free_port()}", arguments=["--open"], flows={"x": ["f1"]})
    for method, path in REQUESTS["define"]:
        for host in ("127.0.0.1", "localhost", "gateway"):
            reply = gateway.api(method, path, pipeline("f1") if method == "PUT" else None, {"host": host})
            assert reply.status == 403
            assert "set LEGATO_ADMIN_TOKEN" in reply.detail
    assert gateway.run("x").json() == "f1"
    assert gateway.names() == ["x"]


def test_an_open_gateway_with_a_token_for_who_defines(start_shared: Start) -> None:
    """`--open` opens nothing where tokens are configured."""
    listen = f"0.0.0.0:{free_port()}"
    gateway = start_shared(listen=listen, arguments=["--open"], variables={"LEGATO_ADMIN_TOKEN": ADMIN})
    assert gateway.put("x", pipeline("f1")).status == 401
    assert gateway.put("x", pipeline("f1"), {"authorization": f"Bearer {ADMIN}"}).status == 201
    assert gateway.run("x").status == 401


# By themselves.


def head_of(path: bytes, method: bytes = b"PUT", **fields: bytes) -> Head:
    head = Head()
    head.path, head.method = path, method
    head.fields = {name.encode(): value for name, value in fields.items()}
    return head


@pytest.mark.parametrize(
    ("path", "method", "scope"),
    [
        (b"/livez", b"GET", None), (b"/readyz", b"POST", None), (b"/livez/", b"GET", "observe"),
        (b"/metrics", b"GET", "observe"), (b"/api/flows", b"GET", "observe"), (b"/api/flows", b"HEAD", "observe"),
        (b"/api/flows", b"get", "define"), (b"/api/flows", b"PUT", "define"), (b"/%61pi/x", b"PUT", "define"),
        (b"/%2561pi/x", b"PUT", "observe"), (b"/apix", b"PUT", "observe"), (b"/api%2Fx", b"DELETE", "define"),
    ],
)  # fmt: skip
def test_scope_of(path: bytes, method: bytes, scope: str | None) -> None:
    assert scope_of(head_of(path, method)) == scope


def test_what_stands_for_a_caller_is_not_its_token() -> None:
    credentials = Credentials(Settings(tokens={"a": CALLER_SCOPES, "b": CALLER_SCOPES}))
    found = {credentials.check(head_of(b"/x", authorization=b"Bearer " + token), "run") for token in (b"a", b"b")}
    assert len(found) == 2
    assert not found & {b"a", b"b", b"Bearer a"}
    assert credentials.check(head_of(b"/x", authorization=b"bearer  a"), "run") in found
    assert credentials.check(head_of(b"/x"), None) == b""
    assert isinstance(credentials.check(head_of(b"/x"), "run"), Answer)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/x", "127.1.2.3:1"])
def test_loopback(listen: str) -> None:
    assert is_loopback(listen)


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example:1", "localhost.example:1", ""])
def test_not_loopback(listen: str) -> None:
    assert not is_loopback(listen)


def test_the_token_for_a_scope() -> None:
    tokens: dict[str, tuple[Scope, ...]] = {"a": ("run",), "b": ("run", "define"), "c": ("define",)}
    assert [granted(tokens, scope) for scope in ("run", "observe", "define")] == ["a", None, "b"]


def test_a_known_head_is_judged_anew_after_a_change(unguarded: Serving) -> None:
    """Heads seen before are remembered with the flow they led to."""
    unguarded.put("x", pipeline("f1"))
    with unguarded.connect() as wire:
        for tag in ("f1", "f2", "f3"):
            unguarded.put("x", pipeline(tag))
            assert [wire.ask(request("/orchestrate/x", b"{}")).json() for _ in range(3)] == [tag] * 3
        unguarded.delete("x")
        assert wire.ask(request("/orchestrate/x", b"{}")).status == 404
