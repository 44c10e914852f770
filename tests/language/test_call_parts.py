"""What a call says beside its payload: prepared once where it is always the same; and what cannot be sent at all."""

from __future__ import annotations

import pytest

from legato.kernel import link
from legato.kernel.calls import LinkedCall, LinkedSequence, RichCall
from legato.testing import Act, refused
from tests.language.play import flow_of, play

FIXED = [
    "path: /x",
    "query: {q: 1, many: [a, b], none: null}",
    "headers: {x-a: b, accept: text/plain}",
    "path: /x, query: {q: 'a b'}, headers: {x-a: b}",
]
VARYING = [
    ("path: '/${value}'", b"/7", b"", b""),
    ("query: {q: 1, r: '${value}'}", b"", b"q=1&r=7", b""),
    ("query: {q: [1, '${value}']}", b"", b"q=1&q=7", b""),
    ("headers: {x-a: '${value}', x-b: c}", b"", b"", b"x-a: 7\r\nx-b: c\r\n"),
    ("path: /x, query: {q: 1}, headers: {x-a: '${value}'}", b"", b"q=1", b"x-a: 7\r\n"),
    ("query: {q: '$${value}'}", b"", b"q=%24%7Bvalue%7D", b""),
    ("headers: {x-a: '$${value}'}", b"", b"", b"x-a: ${value}\r\n"),
]


@pytest.mark.parametrize("parts", FIXED)
def test_what_is_always_the_same_is_not_made_again(parts: str) -> None:
    """The call is a plain one, and the host has its parts from the definition."""
    flow = flow_of(f"steps: [{{call: f, {parts}}}]")
    root = link(flow).root
    assert isinstance(root, LinkedSequence)
    assert [type(step) for step in root.steps] == [LinkedCall]
    assert play(flow, {}, 7).asked[0].parts is None


@pytest.mark.parametrize(("parts", "path", "query", "headers"), VARYING)
def test_what_varies_is_made_each_time(parts: str, path: bytes, query: bytes, headers: bytes) -> None:
    """All of it but the path that is fixed; also what only looks like an expression, which the host takes for one."""
    flow = flow_of(f"steps: [{{call: f, {parts}}}]")
    root = link(flow).root
    assert isinstance(root, LinkedSequence)
    assert [type(step) for step in root.steps] == [RichCall]
    made = play(flow, {}, 7).asked[0].parts
    assert made is not None
    assert (made.path, made.query, made.headers) == (path, query, headers)


def test_an_undo_with_fixed_parts() -> None:
    """It is sent what was sent and what came back, as any."""
    played = play("steps: [{call: f, undo: {call: g, query: {why: failed}}}, bad]", {"bad": refused(), "f": 8}, 7)
    undo = played.asked[-1]
    assert (undo.path, undo.value, undo.parts) == ("f/undo", {"sent": 7, "result": 8}, None)


def test_a_no_that_no_function_said_is_the_flows_own_mistake() -> None:
    """Nothing was sent, because what the flow made could not be: its author has to mend it, and no function."""
    unsendable = Act(kind="refused", status=0, detail="the input cannot be sent as form", sent=False)
    assert play("steps: [f]", {"f": unsendable}).mistake == ("f", "the input cannot be sent as form")
    assert play("steps: [f]", {"f": refused(400)}).error.reason == "failed"
    handled = play("steps: [{call: f, on_error: {value: '${error.reason + error.outcome}'}}]", {"f": unsendable})
    assert handled.value == "mistakerefused"
