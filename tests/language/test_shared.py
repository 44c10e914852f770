"""What Python code shares with the steps after it: `run.shared`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato.connectors.python import PythonConnector
from legato.connectors.python_context import PythonContext
from legato.kernel.run import MAX_SHARED
from legato.model.function import Function
from legato.model.payload import json_payload
from legato.testing import Stage, refused
from tests.language.play import Sharing, flow_of, play


def sharing(**shared: bytes | None) -> Sharing:
    return Sharing(payload=json_payload("done"), shared=shared)


def test_what_is_shared_is_seen_from_then_on_and_what_is_deleted_is_not() -> None:
    text = """
        steps:
          - {set: "${run.shared}", id: none}
          - {call: one}
          - {set: "${[run.shared.a, run.shared.b]}", id: two}
          - {call: delete}
          - {set: {none: "${steps.none}", two: "${steps.two}", left: "${run.shared}", has: "${has(run.shared.a)}"}}
        """
    functions = {"one": sharing(a=b"[1.10]", b=b'"x"'), "delete": sharing(a=None, nosuch=None, c=b"null")}
    played = play(text, functions)
    assert played.payload.body.startswith(b'{"none":{},"two":[[1.1')
    assert played.value["left"] == {"b": "x", "c": None}
    assert played.value["has"] is False


def test_branches_share_in_the_order_in_which_they_end() -> None:
    text = "steps: [{parallel: {a: a, b: b}}, {set: '${run.shared}'}]"
    played = play(text, {"a": sharing(k=b'"a"', x=b"1").later(2), "b": sharing(k=b'"b"', y=b"2").later(1)})
    assert played.value == {"k": "a", "x": 1, "y": 2}


def test_what_fails_shares_nothing() -> None:
    bad = Sharing(kind="refused", status=409, shared={"a": b"1"})
    played = play("steps: [{call: bad, on_error: skip}, {set: '${run.shared}'}]", {"bad": bad})
    assert played.value == {}


@pytest.mark.parametrize(
    "shared",
    [{f"k{n}": b"1" for n in range(MAX_SHARED + 1)}, {"big": b'"%b"' % (b"x" * (1024 * 1024))}],
    ids=["values", "bytes"],
)
def test_too_much_is_a_failure_and_nothing_of_it_is_shared(shared: dict[str, bytes | None]) -> None:
    much = "{call: much, undo: u, on_error: {value: '${error.detail}'}}"
    text = f"steps: [{{call: one}}, {much}, {{set: ['${{value}}', '${{run.shared}}']}}]"
    played = play(text, {"one": sharing(a=b"1"), "much": Sharing(shared=shared)})
    detail, left = played.value
    assert detail.endswith("are shared in this run")
    assert left == {"a": 1}
    assert played.paths == ["one", "much", "much/undo"], "the code itself was run, and is undone"


def test_as_much_as_there_may_be() -> None:
    full = Sharing(shared={f"k{n}": b"1" for n in range(MAX_SHARED)})
    text = "steps: [{call: f}, {call: g}, {set: '${size(run.shared)}'}]"
    played = play(text, {"f": full, "g": sharing(k0=None, new=b"2")})
    assert played.value == MAX_SHARED


def test_handlers_undo_and_flows_within_see_it() -> None:
    text = """
        steps:
          - {call: one, undo: {call: u, input: "${run.shared.a}"}}
          - {flow: inner}
          - bad
        on_failure: [{call: tell, input: "${run.shared}"}]
        """
    flows = {"inner": "steps: [{call: more}, {call: look, input: '${run.shared}'}]"}
    played = play(text, {"one": sharing(a=b"1"), "more": sharing(b=b"2"), "bad": refused()}, flows=flows)
    assert played.sent["inner.look"] == {"a": 1, "b": 2}
    assert played.sent["one/undo"] == 1
    assert played.sent["/failure.tell"] == {"a": 1, "b": 2}


def count(value: int, context: PythonContext) -> Any:
    """Counts its calls in the run."""
    context.set("count", context.get("count", 0) + value)
    if value == 3:
        context.delete("count")
    return context.get("count")


def test_real_python_code_shares() -> None:
    flow = flow_of(
        "steps: [{set: 1}, {python: 'm:count'}, {set: 4}, {python: 'm:count'}, {set: ['${value}', '${run.shared}']}]"
    )

    async def main() -> Any:
        connector = PythonConnector().with_code({"m:count": count})
        stage = Stage(connector, {"m:count": Function(name="m:count", python="m:count")})
        stage.start(flow)
        async with asyncio.timeout(20):
            while not stage.ends:  # noqa: ASYNC110 - who ends tells nobody
                await asyncio.sleep(0.001)
        stage.wheel.close()
        return stage.ends[0].payload.value()

    assert asyncio.run(main()) == [5, {"count": 5}]
