"""What a flow makes has a limit, wherever it is made: of little comes no more than a machine has.

The cases and their sizes are in `swollen`; they are played in a child process that has a gigabyte.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from legato.model.payload import JSON, MAX_BYTES, Payload
from tests.language.play import play
from tests.language.swollen import CASES, in_a_child
from tests.language.weighed import MEBIBYTE

weighed = functools.cache(in_a_child)

LIMIT = "would have more than 67,108,864 bytes"
LINE = "would have more than 1,048,576 bytes"

# By case: the step that is named, and what is said of it; reason `mistake` where no other is.
SAID: dict[str, tuple[str, ...]] = {
    "a list of itself": ("s15", "this, of which `${value}` has 33,718,269 bytes,", LIMIT),
    "an object of itself": ("s15", "this, of which `${value}` has 33,980,405 bytes,", LIMIT),
    "a list of a part": ("s0", "this, of which `${value.a[0]}` has 41,943,042 bytes,", LIMIT),
    "a text of itself": ("s15", "`${value}${value}` has 67,108,866 bytes", LIMIT),
    "a text of itself, of wide characters": ("s15", "the text `${value}${value}`", LIMIT),
    "a text that is quoted": ("s22", "`${value}!`", LIMIT),
    "an expression of itself": ("s14", "`${value + value}` makes a text of more than 16,777,216 characters"),
    "an expression in bytes": ("s0", "`${[value, value, value, value]}` gives more than 67,108,864 characters"),
    "a parallel of itself": ("s15", "the joined object, at branch b with its 33,980,405 bytes,", LIMIT),
    "a parallel of all there is": ("p", "the joined object, at branch b1 with its 41,943,042 bytes,", LIMIT),
    "a parallel of calls": ("s15", "the joined object, at branch b ", LIMIT),
    "a merged parallel": ("p", "the merged object, at branch b1 ", LIMIT),
    "a graph of itself": ("s15", "the joined object, at node b ", LIMIT),
    "a graph that comes together": ("s15", "the joined object, at node b ", LIMIT),
    "a choice of all": ("s15", "the joined object, at case b ", LIMIT),
    "a foreach": ("s0", "the list of results, at item 1 with its 41,943,042 bytes,", LIMIT),
    "a foreach, one by one": ("s0", "the list of results, at item 63 ", LIMIT),
    "a foreach of outcomes": ("s0", "the list of results, at item 63 ", LIMIT),
    "a foreach by key": ("s0", "the list of results, at item 1 ", LIMIT),
    "an input": ("s0", "this, of which `${value}` ", LIMIT),
    "an output": ("s0", "this, of which `${value}` ", LIMIT),
    "what follows a failure": ("s0", "the text `${value}${value}`", LIMIT),
    "what is answered": ("s0", "the text `${value}${value}`", LIMIT),
    "an edge": ("s0", "the text `${value}${value}`", LIMIT),
    "the result": ("", "this, of which `${value}` ", LIMIT),
    "what is renamed": ("s0", "the value with its fields renamed", LIMIT),
    "a path": ("s0", "a URL with `${value}`", LINE),
    "a path of many parts": ("s0", "the text `/${value}${value}", LINE),
    "a query": ("s0", "a URL with `${value}`", LINE),
    "a query of texts": ("s0", "the text `${value}-`", LINE),
    "a query of many": ("s0", "the query at `qqq", "...`, `${lists.range(100000)}`,", LINE),
    "a header": ("s0", "the text `${value}`", LINE),
    "a message": ("s0", "the text `no ${value}`", LINE),
    "answers that look small": ("p", "the joined object, at branch b1 with its 62,914,562 bytes,", LIMIT),
    "answers that look small, in a foreach": ("s0", "the list of results, at item 1 ", LIMIT),
    "answers that look small, in a graph": ("s0", "the joined object, at node b1 ", LIMIT),
    "failures that look small": ("s0", "`errors` cannot be read: `errors` ", LIMIT),
    "a text of control characters": ("s0", "branch a cannot be joined: text/plain of 20971520 bytes ", LIMIT),
    "an answer that is decoded": ("s0", "the answer cannot be decoded: the body of 20971520 bytes as JSON ", LIMIT),
    "a picture that is decoded": ("s0", "the answer cannot be decoded: the body of 62914560 bytes as JSON ", LIMIT),
    "an answer that is judged": ("s0", "the answer of 62914560 bytes as JSON ", LIMIT),
}
# What a function answered, and not what the flow made of it.
ANSWERS = {"an answer that is decoded", "a picture that is decoded", "an answer that is judged"}


@pytest.mark.parametrize("name", CASES)
def test_little_does_not_become_much(name: str) -> None:
    """It is the flow's own mistake, of the step that makes it; and it is known before the memory is needed."""
    entry = weighed()[name]
    reason, path, detail = json.loads(entry["end"])
    where, *words = SAID[name]
    assert (reason, path) == ("failed" if name in ANSWERS else "mistake", where), detail
    for each in words:
        assert each in detail
    assert entry["most"] - entry["before"] < 400 * MEBIBYTE, entry


def large(size: int) -> Payload:
    """A JSON string of so many bytes, the quotation marks included."""
    return Payload.of(JSON, b'"%b"' % (b"x" * (size - 2)))


# By flow: how many bytes it adds to its input.
ROUNDS: dict[str, int] = {
    "{set: ['${value}']}": 2,
    "{set: '-${value}-'}": 2,
    "{set: '${value}', output: {wrap: w}}": 6,
    "{parallel: {a: {set: '${input}'}, b: {set: 1}}}": 12,
    "{parallel: {a: {set: '${input}'}, b: {set: 1}, c: {set: 1, when: '${false}'}}}": 12,
    "{graph: {a: {set: '${input}'}, b: {set: 1}}}": 12,
    "{foreach: '${[1]}', steps: [{set: '${input}'}]}": 2,
    "{foreach: '${[1, 2]}', steps: [{choose: [{when: '${item == 1}', steps: [{set: '${input}'}]}]}]}": 4,
}


@pytest.mark.parametrize("step", ROUNDS)
def test_exactly_the_limit_may_be_made(step: str) -> None:
    """One byte more may not."""
    text, fits = f"steps: [{step}]", MAX_BYTES - ROUNDS[step]
    assert play(text, {}, large(fits), record=False).payload.size == MAX_BYTES
    failure = play(text, {}, large(fits + 1), record=False).failure
    assert failure is not None
    assert failure.reason == "mistake"
    assert "67,108,864 bytes" in failure.outcome.detail


def test_what_comes_is_passed_on_however_large() -> None:
    """The limit is on what is made: a payload of somebody else's goes through, and parts of it can be taken."""
    whole = Payload.of(JSON, b'{"a": %b, "b": 1}' % large(MAX_BYTES + 100).body)
    flow = "steps: [f, {set: '${value}'}, {choose: [{when: '${value.b == 1}', call: f}]}, {set: '${value.a}'}]"
    assert play(flow, {"f": lambda _: whole}, record=False).payload.size == MAX_BYTES + 100


def test_work_done_before_the_limit_is_undone() -> None:
    """A foreach that grows too large fails like any step, whatever it tolerates; what its items did is undone."""
    undone: list[Any] = []

    def give_back(value: Any) -> None:
        undone.append(value["sent"])

    text = """
    steps:
      - foreach: "${[1, 2, 3, 4]}"
        concurrency: 1
        tolerate: 4
        id: each
        steps: [{call: take, undo: give-back}, {set: "${input}"}]
    """
    played = play(text, {"take": lambda v: v, "give-back": give_back}, large(30 * MEBIBYTE))
    path, said = played.mistake
    assert path == "each"
    assert said.startswith("the list of results, at item 2 with its 31,457,280 bytes, ")
    assert undone == [3, 2, 1]
