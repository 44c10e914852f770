"""Callbacks: what is posted, how it is signed, and what the answers mean; over a real socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterator

import pytest

from legato.connectors.callback import CallbackConnector, signature
from legato.connectors.http import HttpConnector
from legato.errors import DefinitionError
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import Payload, json_payload
from legato.model.steps import CallStep
from legato.transport.wheel import Wheel
from tests.connectors.attempts import Attempt, Parts
from tests.support.function_server import FunctionServer
from tests.support.texts import answer

SECRET = "a secret of some length"
CALLBACK = Function(name="callback")


@pytest.fixture
def server() -> Iterator[FunctionServer]:
    server = FunctionServer()
    yield server
    server.stop()


def called_back(server: FunctionServer, attempt: Attempt, path: str = "/hook", secret: str = SECRET) -> Outcome:
    """One callback to a server that listens."""

    async def main() -> Outcome:
        wheel = Wheel()
        http = HttpConnector(wheel, 1024 * 1024)
        step = CallStep(function="callback", path=f"http://127.0.0.1:{server.port}{path}")
        CallbackConnector(http, secret).bind(CALLBACK, step).begin(attempt)
        outcome = await attempt.end()
        await http.close()
        wheel.close()
        return outcome

    return asyncio.run(main())


def test_a_known_signature() -> None:
    # the example that Svix, where the specification comes from, gives for its libraries
    key = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    assert signature(key, b"msg_loFOjxBNrRLzqYUf", 1731705121, body) == b"rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@pytest.mark.parametrize(
    ("secret", "key"), [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"\xff" * 24).decode(), b"\xff" * 24)]
)
def test_what_is_posted_is_signed(server: FunctionServer, secret: str, key: bytes) -> None:
    payload = json_payload({"state": "succeeded", "result": [1, 2]})
    before = int(time.time())
    attempt = Attempt(payload)
    outcome = called_back(server, attempt, "/hook?k=v", secret)
    assert (outcome.kind, outcome.status, attempt.sent) == ("ok", 200, True)
    request = server.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/hook?k=v", payload.body)
    assert request.get(b"host") == f"127.0.0.1:{server.port}".encode()
    assert request.get(b"content-type") == b"application/json"
    assert request.get(b"idempotency-key") == b"root/f"
    assert request.get(b"webhook-id") == attempt.view.id.encode()
    moment = request.get(b"webhook-timestamp")
    assert before <= int(moment) <= time.time()
    signed = b".".join([attempt.view.id.encode(), moment, payload.body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    assert request.get(b"webhook-signature") == b"v1," + expected


def test_a_large_result_is_signed_as_a_whole(server: FunctionServer) -> None:
    pieces = [b'"', b"x" * 100_000, b'"']
    attempt = Attempt(Payload.of(b"application/json", *pieces))
    assert called_back(server, attempt).kind == "ok"
    request = server.requests[0]
    assert request.body == b"".join(pieces)
    moment = int(request.get(b"webhook-timestamp"))
    expected = signature(SECRET.encode(), attempt.view.id.encode(), moment, request.body)
    assert request.get(b"webhook-signature") == b"v1," + expected


@pytest.mark.parametrize(
    ("path", "rendered", "target"),
    [
        ("", None, "/"),
        ("?a=1", None, "/?a=1"),
        ("/x/${input.id}", "/x/a%2Fb?y=1", "/x/a%2Fb?y=1"),
        ("?id=${input.id}", "?id=7", "/?id=7"),
    ],
)
def test_where_it_is_posted(server: FunctionServer, path: str, rendered: str | None, target: str) -> None:
    parts = None if rendered is None else Parts(f"http://127.0.0.1:{server.port}{rendered}".encode())
    assert called_back(server, Attempt(json_payload(1), parts), path).kind == "ok"
    assert server.requests[0].target == target


@pytest.mark.parametrize("url", ["http://evil/x", "http://127.0.0.1:{port}0/x", "http://127.0.0.1:{port}.evil/",
                                 "http://127.0.0.1:{port}@evil/", "/x", ""])  # fmt: skip
def test_it_never_leaves_its_server(server: FunctionServer, url: str) -> None:
    parts = Parts(url.replace("{port}", str(server.port)).encode())
    attempt = Attempt(json_payload(1), parts)
    outcome = called_back(server, attempt, "/${input.id}")
    assert (outcome.kind, outcome.status, attempt.sent) == ("refused", 0, False)
    assert outcome.detail == f"the callback would leave http://127.0.0.1:{server.port}"
    assert not server.requests


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "ok"), (201, "ok"), (301, "unknown"), (404, "refused"), (410, "refused"), (429, "retryable"),
     (500, "unknown"), (503, "retryable")],
)  # fmt: skip
def test_what_answers_mean(server: FunctionServer, status: int, kind: str) -> None:
    server.does(answer(status, b"x"))
    outcome = called_back(server, Attempt(json_payload(1)))
    assert (outcome.kind, outcome.status) == (kind, status)


def test_it_may_always_be_repeated() -> None:
    step = CallStep(function="callback", path="https://example.com/hook", timeout=3.5)
    target = CallbackConnector(HttpConnector(Wheel(), 1024), SECRET).bind(CALLBACK, step)
    assert (target.safe, target.timeout) == (True, 3.5)
    assert target.idempotent(Attempt())


def test_without_a_secret_there_is_no_callback() -> None:
    connector = CallbackConnector(HttpConnector(Wheel(), 1024), "")
    with pytest.raises(DefinitionError, match=r"^a callback is signed, .*: set `callback_secret`$"):
        connector.bind(CALLBACK, CallStep(function="callback", path="https://example.com/"))


def test_a_secret_that_is_not_what_it_says() -> None:
    connector = CallbackConnector(HttpConnector(Wheel(), 1024), "whsec_not base64!")
    with pytest.raises(DefinitionError, match=r"^`callback_secret` begins with whsec_ and is not base64 then: "):
        connector.bind(CALLBACK, CallStep(function="callback", path="https://example.com/"))


@pytest.mark.parametrize(
    "url",
    ["", "/path", "ftp://host/", "http://", "http:///x", "https://${input.host}/", "https://a${input.x}.com/",
     "https://user:password@host/", "https://host${x}", "http://host#x", "http://ho st/"],
)  # fmt: skip
def test_urls_that_name_no_server(url: str) -> None:
    connector = CallbackConnector(HttpConnector(Wheel(), 1024), SECRET)
    with pytest.raises(DefinitionError):
        connector.bind(CALLBACK, CallStep(function="callback", path=url))
