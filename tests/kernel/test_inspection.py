"""Garbage where answers are joined is the function's doing, `unknown`; where they are not, it is nobody's concern."""

from __future__ import annotations

import pytest

from legato.model.payload import JSON, Payload
from legato.testing import refused
from tests.language.play import play

GARBAGE = Payload.of(JSON, b"{no json")
JOINED = {
    "call": "{a: bad}",
    "sequence": "{a: [bad, {sleep: 1ms}]}",
    "sequence within": "{a: [{steps: [bad]}, {call: fine, when: '${false}'}]}",
    "choose": "{a: {choose: [{when: '${true}', call: bad}]}}",
    "not chosen": "{a: [bad, {choose: [{when: '${false}', call: fine}]}]}",
    "skipped": "{a: [bad, {call: no, on_error: skip}]}",
    "graph": "{a: {graph: {one: fine, two: {call: bad, after: one}}}}",
    "flow": "{a: {flow: other}}",
}


@pytest.mark.parametrize("branches", JOINED.values(), ids=JOINED)
def test_garbage_in_a_join(branches: str) -> None:
    functions = {"bad": GARBAGE, "fine": 1, "no": refused()}
    played = play(f"steps: [{{parallel: {branches}}}]", functions, 1, flows={"other": "steps: [bad]"})
    assert (played.error.reason, played.error.outcome.kind, played.error.function) == ("failed", "unknown", "bad")


@pytest.mark.parametrize(
    "step",
    [
        "{graph: {one: bad, two: {call: fine, after: {one: order}}, three: {call: fine, after: {one: order}}}}",
        "{graph: {one: bad, two: {set: 1, after: one}}}",
        "{parallel: {a: [bad, {set: 1}]}}",
        "{parallel: {a: {call: bad, output: 1}}}",
    ],
)
def test_garbage_that_nobody_joins(step: str) -> None:
    assert play(f"steps: [{step}]", {"bad": GARBAGE, "fine": 2}, 1).failure is None


def test_cases_that_are_all_taken() -> None:
    text = "steps: [{choose: {all: true, cases: [{name: x, when: '${true}', call: bad}]}}]"
    assert play(text, {"bad": GARBAGE}, 1).error.reason == "failed"


def test_several_ends_are_joined() -> None:
    text = "steps: [{graph: {one: bad, two: fine}}]"
    assert play(text, {"bad": GARBAGE, "fine": 2}, 1).error.reason == "failed"
