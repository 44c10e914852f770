"""How functions are reached: TLS with certificates that are checked, IPv6, unix sockets."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer

BIG = b"x" * 3_000_000


def identity(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_tls(gateway: StartGateway, function: StartFunction, authority: trustme.CA, ca: str) -> None:
    a: FunctionServer = function(tls=identity(authority, "localhost", "127.0.0.1"))
    live: GatewayProcess = gateway(
        {"name": ["n"], "address": ["i"], "get": [{"call": "n", "method": "GET"}]},
        functions={"n": {"url": f"https://localhost:{a.port}/n", "ca": ca},
                   "i": {"url": f"https://127.0.0.1:{a.port}/i", "ca": ca}},
    )  # fmt: skip
    for flow in ("name", "address"):
        for number in range(3):
            assert live.post(flow, b"%d" % number).body == b"%d" % number
        assert live.post(flow, BIG, content_type="text/plain").body == BIG
    assert {received.connection for received in a.requests} == {1, 2}
    a.does(lambda exchange: exchange.close())
    assert live.post("name", b"1").json()["outcome"] == "unknown"
    assert live.post("name", b"2").body == b"2"
    a.does(lambda exchange: exchange.reset())
    assert live.post("name", b"1").json()["outcome"] == "unknown"
    a.does(answer(413, b"no"), before_body=True)
    assert live.post("name", BIG).json()["outcome"] in ("refused", "unknown")
    a.does()
    assert live.post("name", b"2").body == b"2"


@pytest.mark.parametrize("wrong", ["name", "authority", "expired"])
def test_a_certificate_that_is_not_good_is_refused_before_anything_is_sent(
    wrong: str, gateway: StartGateway, function: StartFunction, authority: trustme.CA, ca: str
) -> None:
    import datetime

    context = identity(
        trustme.CA() if wrong == "authority" else authority, "other.example" if wrong == "name" else "localhost"
    )
    if wrong == "expired":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        authority.issue_cert("localhost", not_before=past, not_after=past.replace(year=2021)).configure_cert(context)
    a: FunctionServer = function(tls=context)
    entry = {"url": f"https://localhost:{a.port}", "ca": ca}
    retry = {"attempts": 2, "backoff": "1ms"}
    live: GatewayProcess = gateway({"one": ["a"], "again": [{"call": "a", "retry": retry}]}, functions={"a": entry})
    for flow in ("one", "again"):
        came = live.post(flow, b'"secret"')
        assert (came.status, came.json()["outcome"]) == (502, "retryable")
        assert "certificate" in came.json()["detail"].lower()
    assert a.until(lambda: a.failed_handshakes >= 3)
    assert a.requests == []


def test_the_machines_own_authorities_do_not_know_ours(
    gateway: StartGateway, function: StartFunction, authority: trustme.CA
) -> None:
    a: FunctionServer = function(tls=identity(authority, "localhost"))
    live: GatewayProcess = gateway({"one": ["a"]}, functions={"a": f"https://localhost:{a.port}"})
    assert live.post("one", b"1").json()["outcome"] == "retryable"
    assert a.requests == []


def test_a_port_that_never_answers_the_tls_hello(gateway: StartGateway, function: StartFunction) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        entry = {"url": f"https://127.0.0.1:{silent.getsockname()[1]}", "timeout": "500ms"}
        live: GatewayProcess = gateway({"one": ["a"]}, functions={"a": entry})
        began = time.monotonic()
        came = live.post("one", b"1")
        assert time.monotonic() - began < 4
        assert (came.status, came.json()["outcome"]) == (502, "retryable"), "nothing was sent"


def test_tls_is_not_spoken_by_mistake(gateway: StartGateway, function: StartFunction, authority: trustme.CA) -> None:
    plain, tls = function(), function(tls=identity(authority, "localhost"))
    live: GatewayProcess = gateway(
        {"plain": ["p"], "tls": ["t"]},
        functions={
            "p": {"url": f"https://localhost:{plain.port}", "timeout": "1s"},
            "t": f"http://localhost:{tls.port}",
        },
    )
    assert live.post("plain", b"1").json()["outcome"] == "retryable"
    assert live.post("tls", b"1").json()["outcome"] == "unknown"


def test_a_missing_authority_breaks_its_flow_alone(gateway: StartGateway) -> None:
    live: GatewayProcess = gateway(
        {"bad": ["a"], "good": ["echo"]},
        functions={"a": {"url": "https://localhost:1", "ca": "/no/such/file"}, "echo": {"builtin": "echo"}},
    )
    assert live.post("bad", b"1").status == 503
    assert live.post("good", b"1").body == b"1"


def test_ipv6(gateway: StartGateway, function: StartFunction) -> None:
    try:
        a: FunctionServer = function(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    live: GatewayProcess = gateway({"one": ["a"]}, functions={"a": f"http://[::1]:{a.port}/x"})
    assert live.post("one", b"1").body == b"1"
    assert a.requests[0].get(b"host") == b"[::1]:%d" % a.port


def test_unix_sockets(gateway: StartGateway, function: StartFunction, tmp_path: Path) -> None:
    path = tmp_path / "f.sock"
    a: FunctionServer = function(str(path))
    url = "http+unix://" + str(path).replace("/", "%2F")
    live: GatewayProcess = gateway({"one": ["a"], "bare": ["b"]}, functions={"a": url + "/x/y", "b": url})
    for number in range(3):
        assert live.post("one", b"%d" % number).body == b"%d" % number
    assert live.post("one", BIG).body == BIG
    live.post("bare", b"1")
    assert [received.target for received in a.requests] == ["/x/y"] * 4 + ["/"]
    assert a.requests[0].get(b"host") == b"localhost"
    a.does(lambda exchange: exchange.close())
    assert live.post("one", b"1").json()["outcome"] == "unknown"
