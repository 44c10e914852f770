"""What means to exhaust a gateway does not; what a function answers and nobody can use is told where it is used."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from legato.model.payload import JSON, Payload
from legato.testing import refused
from tests.language.play import play
from tests.language.weighed import FOREACHES, MEBIBYTE, in_a_child
from tests.soak.bombs import BOMBS

GOLDEN = Path(__file__).parent / "golden" / "bombs.txt"
KINDS = [*BOMBS, "unreadable"]

weighed = functools.cache(in_a_child)


def end_of(entry: dict[str, Any]) -> str:
    """`refused` when it is loaded, `failed` when it is evaluated, or `value`."""
    return str(entry["end"]).split(":")[0].split(" ")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_no_expression_needs_much(kind: str) -> None:
    """A child process with a gigabyte does them all, and never needs half of that."""
    for entry in weighed(kind):
        assert end_of(entry) in ("refused", "failed", "value"), entry
        assert entry["most"] - entry["before"] < 400 * MEBIBYTE, entry
        if end_of(entry) == "failed":
            assert "${" in entry["end"], "the message shows the expression"


def test_what_becomes_of_each_expression() -> None:
    """A limit that is gone would let one of them have a value."""
    lines = [f"{kind}: {end_of(entry):7} {shortened(entry['name'])}" for kind in KINDS for entry in weighed(kind)]
    found = "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def shortened(source: str) -> str:
    """The beginning and the size of what is long."""
    return source if len(source) <= 80 else f"{source[:40]}... {len(source)} characters"


@pytest.mark.parametrize("name", FOREACHES)
def test_a_foreach_over_fifty_megabytes(name: str) -> None:
    """It needs the document a few times over, whatever is done with the items."""
    (entry,) = weighed(name)
    assert entry["end"].endswith("without a turn")
    assert entry["most"] - entry["before"] < 8 * 50 * MEBIBYTE, entry


def test_functions_that_take_a_turn_leave_turns_to_others() -> None:
    """A window of 16 in flight: the event loop comes round at least once for each window of the 250,000 items."""
    (entry,) = weighed("calls")
    assert entry["turns"] > 250_000 // 16


def test_ten_times_the_items_take_about_ten_times_as_long() -> None:
    """Anything quadratic would take a hundred times as long."""
    (small,), (large,) = weighed("a tenth of the calls"), weighed("calls")
    assert large["cpu"] < 25 * small["cpu"]


# What functions answer that `value.total` cannot be read of: the words that say what there is instead.
ANSWERS: dict[str, tuple[Any, str]] = {
    "a number": (5, "is a number, not an object"),
    "a text": ("total", "is text, not an object"),
    "nothing": (None, "is null, not an object"),
    "a boolean": (True, "is a boolean, not an object"),
    "a list": ([{"total": 1}], "is a list, not an object"),
    "another object": ({"sum": 1, "Total": 2}, "there is no `total` in the object with the keys `sum`, `Total`"),
    "an empty object": ({}, "there is no `total` in the empty object"),
    "a picture": (Payload.of(b"image/png", b"\x89PNG\xff"), "image/png of 5 bytes is neither JSON nor text"),
    "half of it": (Payload.of(JSON, b'{"total": 1'), "declared as JSON but"),
    "what is no UTF-8": (Payload.of(JSON, b'{"total": "\xff"}'), "declared as JSON but"),
    "a tower": (Payload.of(JSON, b"[" * 200 + b"]" * 200), "nested deeper than 128"),
    "no gzip": (Payload(JSON, (b"{}",), 2, b"gzip"), "is not the gzip that it declares"),
    "an encoding of others": (Payload(JSON, (b"{}",), 2, b"br"), "encoded as br"),
}

# Where it is read: the flow, and the path of the step that must be named.
PLACES: dict[str, tuple[str, str]] = {
    "input": ("steps: [get, {call: use, input: {amount: '${value.total}'}}]", "use"),
    "set": ("steps: [get, {set: {a: ['to ${value.total}']}, id: use}]", "use"),
    "when": ("steps: [get, {call: use, when: '${value.total > 1}'}]", "use"),
    "output": ("steps: [{call: get, output: '${value.total}', id: use}]", "use"),
    "foreach": ("steps: [get, {foreach: '${value.total}', id: use, steps: [echo]}]", "use"),
    "choose": ("steps: [get, {choose: [{when: '${value.total > 1}', call: echo}], id: use}]", "use"),
    "path": ("steps: [get, {call: use, path: '/x/${value.total}'}]", "use"),
    "query": ("steps: [get, {call: use, query: {q: '${value.total}'}}]", "use"),
    "headers": ("steps: [get, {call: use, headers: {x-a: 'a ${value.total}'}}]", "use"),
    "fail": ("steps: [get, {fail: 'no ${value.total}', id: use}]", "use"),
    "respond": ("steps: [get, {respond: {a: '${value.total}'}, id: use}]", "use"),
    "a later step": ("steps: [{call: get, id: one}, echo, {set: '${steps.one.total}', id: use}]", "use"),
    "on_error": ("steps: [get, {call: bad, id: use, on_error: {value: '${value.total}'}}]", "use"),
    "a branch": ("steps: [get, {parallel: {x: [{set: '${value.total}', id: use}], y: echo}}]", "parallel.x.use"),
    "a case": ("steps: [get, {choose: [{when: '${true}', steps: [{set: '${value.total}', id: use}]}]}]", "use"),
    "an item": ("steps: [{foreach: [1, 2], id: each, steps: [get, {set: '${value.total}', id: use}]}]", "each[0].use"),
    "another flow": ("steps: [get, {flow: other, id: inner}]", "inner.use"),
}
FUNCTIONS = {"bad": refused(), "echo": lambda value: None, "use": lambda value: value}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_field_of_what_has_none(place: str, answer: str) -> None:
    """The run fails with a mistake of the step that reads it: the expression as written, and what is there."""
    flow, path = PLACES[place]
    value, words = ANSWERS[answer]
    flows = {"other": "steps: [{set: '${input.total}', id: use}]"}
    played = play(flow, {**FUNCTIONS, "get": lambda _: value}, flows=flows)
    assert played.error.reason == "mistake"
    assert played.error.path.endswith(path)
    assert words in played.error.outcome.detail
    assert ".total" in played.error.outcome.detail.split("}`")[0]
    assert "use" not in [asked.function for asked in played.asked], "what cannot be made is not sent"


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_undo_whose_input_cannot_be_made_is_told_as_not_done(answer: str) -> None:
    """The flow's own failure stays what the caller is told."""
    flow = "steps: [{call: get, undo: {call: use, input: '${result.total}'}}, bad]"
    played = play(flow, {**FUNCTIONS, "get": lambda _: ANSWERS[answer][0]})
    assert (played.error.reason, played.error.path) == ("failed", "bad")
    ((path, done),) = played.error.undo
    assert path.startswith("get/undo")
    assert not done
