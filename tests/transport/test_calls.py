"""What steps say of their calls, over the running gateway: parts, formats, statuses, and how long there is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import StartGateway
from tests.support.function_server import Exchange, FunctionServer, functions
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request

ORDER = {"id": "a/b", "q": "x y", "header": "grüß", "n": 7}
AGAIN = {"attempts": 3, "backoff": "300ms", "max_backoff": "300ms"}

FLOWS: dict[str, object] = {
    "parts": [
        {
            "call": "a",
            "method": "PUT",
            "path": "/orders/${input.id}/x",
            "query": {"q": "${input.q}", "n": 3, "none": "${null}"},
            "headers": {"X-One": "${input.header}", "accept": "text/xml", "x-fixed": "1"},
        }
    ],
    "fixed": [{"call": "a", "path": "/x", "query": {"a": ["1", "2"]}, "headers": {"user-agent": "mine"}}],
    "get": [{"call": "a", "method": "GET", "path": "/${input.n}"}],
    "get-with-input": [{"call": "a", "method": "GET", "input": {"only": "${input.n}"}}],
    "undo-parts": [
        {
            "call": "a",
            "undo": {
                "call": "b",
                "method": "DELETE",
                "path": "/orders/${result.id}",
                "query": {"why": "failed"},
                "headers": {"accept": "text/plain", "x-sent": "${sent.n}"},
            },
        },
        {"call": "b", "path": "/no"},
    ],
    "missing-is-fine": [{"call": "a", "success": ["2xx", 404]}],
    "only-200": [{"call": "a", "success": 200}],
    "form": [{"call": "a", "encode": "form", "decode": "form"}],
    "text": [{"call": "a", "encode": "text", "decode": "text", "idempotent": True, "retry": AGAIN}],
    "xml": [{"call": "a", "decode": "xml"}],
    "each": [{"foreach": "${input}", "steps": [{"call": "a", "path": "/${item}"}]}],
    "short": {"timeout": "2s", "steps": ["a", "b"]},
    "again": {"timeout": "5s", "steps": [{"call": "a", "retry": AGAIN}]},
    "undone": {"timeout": "2s", "steps": [{"call": "a", "undo": "b"}, {"call": "b", "path": "/no"}]},
    "tiny": {"timeout": "400ms", "steps": ["a", "b"]},
}


@dataclass
class Scene:
    live: GatewayProcess
    a: FunctionServer
    b: FunctionServer


@pytest.fixture(scope="module")
def running(shared_gateway: StartGateway) -> Iterator[Scene]:
    with functions("a", "b") as servers:
        entries = {name: f"http://127.0.0.1:{server.port}/{name}" for name, server in servers.items()}
        yield Scene(shared_gateway(FLOWS, functions=entries), servers["a"], servers["b"])


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    yield running
    assert running.live.is_idle(), "a run has not ended"
    running.live.check_errors()
    running.a.reset()
    running.b.reset()


def post(scene: Scene, flow: str, value: object = None, **fields: str) -> object:
    came = scene.live.post(flow, json.dumps(ORDER if value is None else value).encode(), **fields)
    assert came.status == 200, came
    return came.json()


# Path, query and headers.


def test_what_a_step_says_of_its_request(scene: Scene) -> None:
    post(scene, "parts")
    request = scene.a.requests[0]
    assert (request.method, request.target) == ("PUT", "/a/orders/a%2Fb/x?q=x%20y&n=3")
    assert (request.get(b"x-one"), request.get(b"x-fixed")) == ("grüß".encode("latin-1"), b"1")
    assert request.get(b"accept") == b"text/xml"
    assert json.loads(request.body) == ORDER


def test_what_does_not_depend_on_the_run(scene: Scene) -> None:
    post(scene, "fixed")
    request = scene.a.requests[0]
    assert (request.target, request.get(b"user-agent"), request.get(b"accept")) == ("/a/x?a=1&a=2", b"mine", b"*/*")


def test_a_body_goes_with_a_get_only_when_it_is_asked_for(scene: Scene) -> None:
    post(scene, "get")
    post(scene, "get-with-input")
    plain, with_input = scene.a.requests
    assert (plain.target, plain.body, plain.get(b"content-length")) == ("/a/7", b"", b"")
    assert (with_input.method, json.loads(with_input.body)) == ("GET", {"only": 7})


def test_each_item_has_a_request_and_a_key_of_its_own(scene: Scene) -> None:
    post(scene, "each", ["x", "y z"])
    found = {request.target: request.get(b"idempotency-key").partition(b"/")[2] for request in scene.a.requests}
    assert set(found) == {"/a/x", "/a/y%20z"}
    assert len(set(found.values())) == 2


def test_an_undo_says_as_much(scene: Scene) -> None:
    scene.a.does(answer(200, b'{"id": "o/1"}'))
    scene.b.does(answer(422, b"no"), answer(204))
    assert scene.live.post("undo-parts", b'{"n": 5}').status == 502
    undo = scene.b.requests[1]
    assert (undo.method, undo.target) == ("DELETE", "/b/orders/o%2F1?why=failed")
    assert (undo.get(b"accept"), undo.get(b"x-sent"), undo.body) == (b"text/plain", b"5", b"")


def test_a_value_that_makes_no_path_is_the_flows_mistake(scene: Scene) -> None:
    for value in (None, "", [1], {"a": 1}, ".."):
        came = scene.live.post("parts", json.dumps({**ORDER, "id": value}).encode())
        assert (came.status, came.json()["step"]) == (500, "a"), value
    assert not scene.a.requests


def test_a_value_that_makes_no_header_is_the_flows_mistake(scene: Scene) -> None:
    for value in ("a\r\nx: y", "a\nb", "a\x00"):
        assert scene.live.post("parts", json.dumps({**ORDER, "header": value}).encode()).status == 500
    assert not scene.a.requests


# Statuses and formats.


def test_a_status_that_is_a_success_here(scene: Scene) -> None:
    scene.a.does(answer(404, b'{"found": false}'), answer(403, b"no"))
    assert post(scene, "missing-is-fine") == {"found": False}
    assert scene.live.post("missing-is-fine").json()["outcome"] == "refused"
    scene.a.does(answer(202, b"1"))
    came = scene.live.post("only-200").json()
    assert (came["status"], came["outcome"], came["upstream"]["status"]) == (502, "unknown", 202)


def test_forms_both_ways(scene: Scene) -> None:
    assert post(scene, "form", {"a": "x y", "b": [1, 2]}) == {"a": "x y", "b": ["1", "2"]}
    assert scene.a.requests[0].get(b"content-type") == b"application/x-www-form-urlencoded"
    came = scene.live.post("form", b"[1]")
    assert came.status == 500  # the flow's own mistake
    assert "the input cannot be sent as form: " in came.json()["detail"]
    assert len(scene.a.requests) == 1


def test_text_both_ways(scene: Scene) -> None:
    assert post(scene, "text", "grüß") == "grüß"
    assert scene.a.requests[0].body == "grüß".encode()
    assert "cannot be sent as text" in scene.live.post("text", b"{}").json()["detail"]
    assert len(scene.a.requests) == 1  # no attempt could have done better


def test_what_is_not_xml_is_garbage(scene: Scene) -> None:
    scene.a.does(answer(200, b"<a><b>1</b></a>", b"text/xml"), answer(200, b"<a>", b"text/xml"))
    assert post(scene, "xml") == {"a": {"b": "1"}}
    came = scene.live.post("xml").json()
    assert (came["status"], came["outcome"], came["upstream"]["status"]) == (502, "unknown", 200)


# How long there is.


def left(server: FunctionServer, at: int = 0) -> float:
    """What a request said of the time that is left."""
    text = server.requests[at].get(b"legato-timeout")
    assert text.replace(b".", b"", 1).isdigit(), text
    seconds = float(text)
    assert seconds >= 0.001
    assert len(text.partition(b".")[2]) == (1 if seconds > 1 else 3)
    return seconds


def pausing(seconds: float) -> object:
    def script(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.send(answer(200, b"1"))

    return script


def test_functions_are_told_how_long_there_is(scene: Scene) -> None:
    post(scene, "fixed")
    assert left(scene.a) == 60.0
    scene.a.does(pausing(0.5))
    post(scene, "short")
    assert left(scene.a, 1) == 2.0
    assert left(scene.b) <= 1.5


def test_each_attempt_says_what_is_left_then(scene: Scene) -> None:
    scene.a.does(always=answer(503, b"", b"", b"Retry-After: 1"))
    scene.live.post("again", b"1")
    first, second, third = (left(scene.a, at) for at in range(3))
    assert first == 5.0
    assert second <= 4.8
    assert third <= second - 0.2


def test_a_short_time_is_said_exactly(scene: Scene) -> None:
    scene.a.does(pausing(0.06))
    post(scene, "tiny")
    assert 0.3 < left(scene.a) <= 0.4
    assert left(scene.b) <= left(scene.a) - 0.06


def test_undo_has_a_time_of_its_own(scene: Scene) -> None:
    scene.a.does(pausing(0.3))
    scene.b.does(answer(422, b"no"), answer(200, b"1"))
    assert scene.live.post("undone", b"1").status == 502
    assert left(scene.b) <= 1.7
    assert left(scene.b, 1) == 300.0


@pytest.mark.parametrize("given", ["0.5", "0.50", "00000.5"])
def test_a_caller_may_give_less(scene: Scene, given: str) -> None:
    scene.a.does(lambda exchange: exchange.dropped())
    began = time.monotonic()
    came = scene.live.post("short", b"1", legato_timeout=given)
    assert 0.45 < time.monotonic() - began < 1.9
    assert (came.status, came.json()["step"]) == (504, "a")
    assert 0.4 < left(scene.a) <= 0.5


def test_what_a_caller_gives_is_passed_on(scene: Scene) -> None:
    post(scene, "short", 1, legato_timeout="1.5")
    assert left(scene.a) == 1.5
    assert 1.2 < left(scene.b) <= 1.5


@pytest.mark.parametrize("given", ["0", "0.0001"])
def test_a_caller_that_gives_nothing_gets_nothing(scene: Scene, given: str) -> None:
    scene.a.does(lambda exchange: exchange.dropped())
    assert scene.live.post("short", b"1", legato_timeout=given).status == 504


@pytest.mark.parametrize("given", ["100", "2.0", "999999999", "", "x", "-1", "1e-3", "0.1s", "1,5", ".5", "0x1", "nan"])
def test_no_caller_gives_more_and_nonsense_says_nothing(scene: Scene, given: str) -> None:
    post(scene, "short", 1, legato_timeout=given)
    assert left(scene.a) == 2.0


def test_a_shortened_run_holds_up_no_other(scene: Scene) -> None:
    """Runs of one flow are watched in the order in which they start; one that is due earlier must not wait for them."""
    scene.a.does(always=lambda exchange: exchange.dropped())
    with scene.live.connect() as first, scene.live.connect() as second:
        first.send(request("/orchestrate/short", b"1"))
        scene.a.wait_for(1)
        began = time.monotonic()
        second.send(request("/orchestrate/short", b"1", "POST", legato_timeout="0.3"))
        assert second.answer().status == 504
        assert time.monotonic() - began < 1.2
        assert first.answer().status == 504
        assert time.monotonic() - began > 1.2


def test_a_gateway_behind_a_gateway_keeps_to_the_time_of_the_first(scene: Scene, gateway: StartGateway) -> None:
    inner = scene.live
    host, port = inner.address
    outer = gateway(
        {"outer": {"timeout": "700ms", "steps": ["inner"]}},
        functions={"inner": f"http://{host}:{port}/orchestrate/short"},
    )
    scene.a.does(lambda exchange: exchange.dropped())
    assert outer.post("outer", b"1").status in (502, 504)  # whichever of the two is first to say so
    assert left(scene.a) <= 0.7
    assert inner.is_idle(1.0)  # not its own two seconds
