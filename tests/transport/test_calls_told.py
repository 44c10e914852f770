"""What Python code knows of its run, and what those are told who want to know its end; over the running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from legato.connectors.callback import signature
from tests.conftest import StartFunction, StartGateway
from tests.support.function_server import FunctionServer, Received
from tests.support.gateway_process import GatewayProcess
from tests.support.texts import answer, request

CODE = """
from legato.errors import Refused


def first(value, context):
    context.set("order", {"id": value["id"]})
    context.set("tries", context.get("tries", 0) + 1)
    return {"node": context.node, "state": context.state}


async def second(value, context):
    order = context.get("order")
    context.delete("tries")
    context.set("seen", context.headers.get("x-seen"))
    return {**value, "order": order, "query": dict(context.query), "run": context.run_id, "flow": context.flow}


def third(value, context):
    return {**value, "seen": context.get("seen"), "tries": context.get("tries", "gone"), "path": context.request.path}


def fails(value, context):
    context.set("lost", 1)
    raise Refused("no")


def handler(value, context):
    return {"state": context.state, "lost": context.get("lost", "never"), "order": context.get("order")}


def judge(answer):
    if answer["status"] == 404:
        return {"found": False, "said": answer["body"]}
    if answer["status"] == 200:
        return answer["body"]
    raise Refused("answered " + str(answer["status"]), 422)
"""

FLOWS: dict[str, object] = {
    "shares": [{"python": "code_of_test:first"}, {"python": "code_of_test:second"}, {"python": "code_of_test:third"}],
    "fails": {
        "steps": [{"python": "code_of_test:first"}, {"python": "code_of_test:fails"}],
        "on_failure": [{"python": "code_of_test:handler"}],
    },
    "judged": [{"call": "a", "on_response": "code_of_test:judge"}],
}


@pytest.fixture
def start(gateway: StartGateway, tmp_path: Path) -> Callable[..., GatewayProcess]:
    """Start the gateway with the code in its folder."""

    def started(flows: dict[str, object], **settings: object) -> GatewayProcess:
        folder = tmp_path / "gateway-0"
        folder.mkdir()
        (folder / "code_of_test.py").write_text(CODE)
        return gateway(flows, **settings)

    return started


def test_code_shares_values_and_knows_its_run(start: Callable[..., GatewayProcess], function: StartFunction) -> None:
    a: FunctionServer = function()
    live = start(FLOWS, functions={"a": f"http://127.0.0.1:{a.port}"})
    with live.connect() as wire:
        came = wire.ask(request("/orchestrate/shares/sub?q=1&q=2", b'{"id": 7}', "POST", x_seen="yes"))
    assert came.status == 200, came
    assert came.json() == {
        "node": "first", "state": "running", "order": {"id": 7}, "query": {"q": "1"}, "flow": "shares",
        "run": came.get(b"legato-run").decode(), "seen": "yes", "tries": "gone", "path": "/sub",
    }  # fmt: skip
    again = live.post("shares", b'{"id": 8}').json()
    assert (again["order"], again["seen"]) == ({"id": 8}, None)  # another run shares nothing with the first

    came = live.post("fails", b'{"id": 9}')
    assert came.status == 502
    assert came.json() == {"state": "failed", "lost": "never", "order": {"id": 9}}

    a.does(answer(404, b'"nobody"'), answer(200, b"[1]"), answer(503, b"busy"))
    assert live.post("judged").json() == {"found": False, "said": "nobody"}
    assert live.post("judged").json() == [1]
    document = live.post("judged").json()
    assert (document["status"], document["detail"]) == (502, "step a/response: answered 503")


SECRET = "a secret of some length"


def check_signature(post: Received, run: bytes) -> None:
    assert post.get(b"webhook-id") == run
    moment = int(post.get(b"webhook-timestamp"))
    assert post.get(b"webhook-signature") == b"v1," + signature(SECRET.encode(), run, moment, post.body)


def test_who_wants_to_be_told_is_told(gateway: StartGateway, function: StartFunction) -> None:
    a: FunctionServer = function()
    hook: FunctionServer = function()
    place = f"http://127.0.0.1:{hook.port}"
    retry = {"attempts": 3, "backoff": "10ms"}
    live = gateway(
        {
            "tells": {"callback": {"url": place + "/hook/${input.id}?k=v", "retry": retry}, "steps": ["a"]},
            "tells-failure": {"callback": {"url": place, "when": "failure", "retry": retry}, "steps": ["a"]},
        },
        functions={"a": f"http://127.0.0.1:{a.port}"},
        callback_secret=SECRET,
    )
    hook.does(answer(500, b""), answer(503, b"", b"", b"Retry-After: 0"), answer(204))
    came = live.post("tells", b'{"id": "x/y"}')
    assert (came.status, came.json()) == (200, {"id": "x/y"})
    posts = hook.wait_for(3)
    run = came.get(b"legato-run")
    for post in posts:  # what was not taken is told again, as the same
        assert (post.method, post.target) == ("POST", "/hook/x%2Fy?k=v")
        check_signature(post, run)
    document = json.loads(posts[2].body)
    assert (document["run"], document["flow"], document["state"]) == (run.decode(), "tells", "succeeded")
    assert document["result"] == {"id": "x/y"}
    assert live.is_idle()

    hook.does(answer(410, b"gone"))
    assert live.post("tells", b'{"id": "z"}').status == 200
    hook.wait_for(4)
    assert live.is_idle()
    assert len(hook.requests) == 4  # 410: whoever was there wants to hear no more

    a.does(answer(200, b"1"), answer(422, b'"no"'))
    assert live.post("tells-failure").status == 200
    came = live.post("tells-failure")
    assert came.status == 502
    check_signature(hook.wait_for(5)[4], came.get(b"legato-run"))
    document = json.loads(hook.requests[4].body)
    assert (document["state"], document["error"]["status"]) == ("failed", 422)
    assert live.is_idle()
    assert len(hook.requests) == 5


def test_a_callback_needs_a_secret(gateway: StartGateway, function: StartFunction) -> None:
    a: FunctionServer = function()
    place = f"http://127.0.0.1:{a.port}"
    live = gateway({"tells": {"callback": place, "steps": ["a"]}}, functions={"a": place})
    came = live.post("tells")
    assert came.status == 503
    assert "set `callback_secret`" in came.json()["errors"][0]["detail"]
