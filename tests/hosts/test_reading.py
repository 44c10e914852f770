"""What becomes of answers before they are delivered: decoded, found to be garbage, or wrapped whole."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.model.function import Function
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.policy import Breaker, Retry
from legato.testing import Act, ScriptedConnector, Stage, ok
from tests.hosts.guarded import failure_of, guarded
from tests.hosts.scene import HANG
from tests.kernel.flows import call, flow, par

CODE = "shop:judge"  # echoes, as everything here that has no script


def answer(content_type: str, body: bytes, status: int = 200, kind: Any = "ok", encoding: bytes = b"") -> Act:
    payload = Payload(content_type.encode(), (body,), len(body), encoding) if body else EMPTY
    return Act(kind=kind, payload=payload, status=status)


@pytest.mark.parametrize(
    ("decode", "content_type", "body", "value"),
    [
        ("json", "text/plain", b'{"a":1}', {"a": 1}),
        ("text", "application/json", b'{"a":1}', '{"a":1}'),
        ("form", "text/plain", b"a=1&b=x+y", {"a": "1", "b": "x y"}),
        ("binary", "application/json", b"\xff\x00", "/wA="),
        ("json", "", b"", None),
        ("xml", "", b"", None),
    ],
)
def test_answers_are_decoded(decode: str, content_type: str, body: bytes, value: object) -> None:
    @guarded()
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", answer(content_type, body))
        stage.start(flow(call("f", decode=decode)))
        assert stage.ends[0].failure is None
        assert stage.ends[0].payload.value() == value

    scene()


@guarded()
async def test_what_cannot_be_decoded_is_unknown(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", answer("text/html", b"<p>ok</p>"))
    stage.start(flow(call("f", decode="json", undo="u")))
    outcome = failure_of(stage)
    assert (outcome.kind, outcome.status, outcome.payload.body) == ("unknown", 200, b"<p>ok</p>")
    assert outcome.detail.startswith("the answer cannot be decoded: ")
    assert len(script.of("f/undo")) == 1


@guarded()
async def test_garbage_is_tried_again_where_that_does_no_harm(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", answer("text/html", b"<p>"), answer("text/html", b"7"))
    retry = Retry(attempts=2, backoff=0.01)
    stage.start(flow(call("f", decode="json", idempotent=True, retry=retry)))
    await asyncio.sleep(1)
    assert stage.ends[0].payload.value() == 7
    script.script("f", answer("text/html", b"<p>"))
    stage.start(flow(call("f", decode="json", retry=retry)))
    await asyncio.sleep(1)
    assert failure_of(stage).kind == "unknown"
    assert len(script.attempts) == 3


@guarded()
async def test_only_what_went_well_is_decoded(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
    script.script("f", answer("text/html", b"<p>no</p>", 404, "refused"))
    stage.start(flow(call("f", decode="json")))
    outcome = failure_of(stage)
    assert (outcome.kind, outcome.payload.body, outcome.detail) == ("refused", b"<p>no</p>", "scripted: refused")


@pytest.mark.parametrize(
    ("act", "decode", "value"),
    [
        (ok({"a": 1}), "", {"status": 200, "content_type": "application/json", "body": {"a": 1}}),
        (
            answer("application/json", b'{"e":"x"}', 404, "refused"), "",
            {"status": 404, "content_type": "application/json", "body": {"e": "x"}},
        ),
        (
            answer("text/plain", b"down", 503, "retryable"), "",
            {"status": 503, "content_type": "text/plain", "body": "down"},
        ),
        (answer("", b"", 500, "unknown"), "", {"status": 500, "content_type": "", "body": None}),
        (answer("", b"[1]", 500, "unknown"), "", {"status": 500, "content_type": "", "body": [1]}),
        (answer("image/png", b"\x89\xff"), "", {"status": 200, "content_type": "image/png", "body": "if8="}),
        (
            answer("application/json", b"{", 502, "unknown"), "",
            {"status": 502, "content_type": "application/json", "body": "{"},
        ),
        (answer('x/"y"\xff', b"1"), "", {"status": 200, "content_type": 'x/"y"Ã¿', "body": "1"}),
        (answer("text/html", b"a=1"), "form", {"status": 200, "content_type": "text/html", "body": {"a": "1"}}),
        (
            answer("text/html", b"<p>", 502, "unknown"), "json",
            {"status": 502, "content_type": "text/html", "body": "<p>"},
        ),
    ],
)  # fmt: skip
def test_an_answer_as_a_whole(act: Act, decode: str, value: object) -> None:
    @guarded()
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", act)
        stage.start(flow(call("f", decode=decode, on_response=CODE, retry=Retry(attempts=3))))
        assert stage.ends[0].failure is None
        assert stage.ends[0].payload.value() == value
        assert len([a for a in script.attempts if a.function == "f"]) == 1

    scene()


@pytest.mark.parametrize(("act", "kind"), [
    (Act(kind="retryable", status=0, sent=False), "retryable"), (Act(kind="unknown", status=0), "unknown"),
    (HANG, "unknown"),
])  # fmt: skip
def test_no_answer_is_nothing_to_be_judged(act: Act, kind: str) -> None:
    @guarded(f=Function(name="f", timeout=1.0))
    async def scene(stage: Stage, script: ScriptedConnector, clock: Any) -> None:
        script.script("f", act)
        stage.start(flow(call("f", on_response=CODE)))
        await asyncio.sleep(2)
        assert failure_of(stage).kind == kind

    scene()


@guarded(f=Function(name="f", breaker=Breaker(failures=2)))
async def test_the_breaker_sees_what_the_function_said(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", answer("text/plain", b"down", 503, "retryable"))
    for _ in range(2):
        stage.start(flow(call("f", on_response=CODE)))
        assert stage.ends[-1].failure is None
    stage.start(flow(call("f", on_response=CODE)))
    assert failure_of(stage).detail.startswith("the breaker of f is open")


@guarded()
async def test_a_join_still_meets_what_is_json(stage: Stage, script: Any, clock: Any) -> None:
    script.script("f", answer("text/plain", b"a=1"))
    stage.start(flow(par(left=call("f", decode="form"), right=call("g"))), json_payload(5))
    assert stage.ends[0].payload.value() == {"left": {"a": "1"}, "right": 5}
