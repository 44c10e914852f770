"""`foreach`: what it goes over, its window, its order, how many items may fail, what is undone, and its size."""

from __future__ import annotations

import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.kernel import foreach
from legato.model.payload import EMPTY, Payload, json_payload
from legato.testing import ok, refused, unknown
from tests.kernel.strategies import seeds
from tests.language.play import Played, play, problems_of

ODD = {"odd": lambda value: ok(value) if value % 2 else refused(409), "double": lambda value: value * 2}


def each(steps: str, value: Any = None, functions: dict[str, Any] | None = None, **rest: Any) -> Played:
    """A flow of one foreach, `e`."""
    said = "".join(f", {name}: {text}" for name, text in rest.items())
    return play(f"steps: [{{foreach: '${{input}}', id: e, steps: [{steps}]{said}}}]", functions or ODD, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], []), ([5], [[5, 0, 5]]), ([None, 0, "", False, [], {}], [[None, 0, None], [0, 1, 0], ["", 2, ""],
         [False, 3, False], [[], 4, []], [{}, 5, {}]]),
        ({}, []), ({"k": 1}, [[{"key": "k", "value": 1}, 0, {"key": "k", "value": 1}]]),
        ({'q"\u00e9\n': [1]}, [[{"key": 'q"\u00e9\n', "value": [1]}, 0, {"key": 'q"\u00e9\n', "value": [1]}]]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("concurrency", [1, 2, 16])
def test_item_index_and_value(value: Any, expected: Any, concurrency: int) -> None:
    step = "{set: ['${item}', '${index}', '${value}']}"
    assert each(step, value=value, concurrency=concurrency).value == expected


def test_items_are_passed_on_as_they_were_written() -> None:
    payload = Payload.of(b"application/json", b' [ 1.10 , 12345678901234567890123 ,"\\u0041",{ "a" :1e2 } ] ')
    played = each("{set: '${item}'}", value=payload)
    assert played.payload.body == b'[1.10,12345678901234567890123,"\\u0041",{ "a" :1e2 }]'
    payload = Payload.of(b"application/json", b'{"a\\u0301": 1.10, "b": 2.0}')
    played = each("{set: '${item.value}'}", value=payload, collect="object")
    assert played.payload.body == b'{"a\xcc\x81":1.10,"b":2.0}'


WRONG: list[tuple[Any, str]] = [
    (7, "a number"), (-1.5, "a number"), ("text", "text"), (None, "null"), (True, "a boolean"), (False, "a boolean"),
    (EMPTY, "null"), (Payload.of(b"text/plain", b"[1, 2]"), "text"),
    (Payload.of(b"image/png", b"\x89PNG\xff"), "image/png of 5 bytes is neither JSON nor text"),
    (Payload.of(b"application/json", b"[1, 2"), "declared as JSON but"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "what"), WRONG)
def test_what_it_cannot_go_over_is_named_with_the_step_and_the_expression(value: Any, what: str) -> None:
    path, detail = play("steps: [{foreach: '${value}', id: e, steps: [f]}]", {}, value).mistake
    assert path == "e"
    assert "`foreach` goes over a list or an object" in detail
    assert "`${value}`" in detail
    assert what in detail
    if not isinstance(value, Payload):
        text = "steps: [{steps: [{foreach: '${input.of.it}', id: e, steps: [f]}], id: s}]"
        path, detail = play(text, {}, {"of": {"it": value}}).mistake
        assert (path, detail) == ("s.e", f"`foreach` goes over a list or an object, and `${{input.of.it}}` is {what}")


def test_a_list_that_is_written_out_may_hold_expressions() -> None:
    text = "steps: [{foreach: ['${input.a}', {b: '${input.a}'}, plain], id: e, steps: [{set: '${item}'}]}]"
    assert play(text, {}, {"a": 1}).value == [1, {"b": 1}, "plain"]
    text = "steps: [{foreach: {over: {x: '${input.a}'}, steps: [{set: '${item}'}]}, id: e}]"
    assert play(text, {}, {"a": 1}).value == [{"key": "x", "value": 1}]
    assert "`over`" in problems_of("steps: [{foreach: {x: 1}, steps: [f]}]")


@given(seeds, st.integers(0, 25), st.integers(1, 8))
def test_results_are_in_order_and_the_window_is_never_exceeded(seed: int, count: int, window: int) -> None:
    random = Random(seed)
    acts = [ok(n * 10).later(random.choice([0, 0, 0.5, 1, 2, 3])) for n in range(count)]
    played = each("f", value=list(range(count)), functions={"f": lambda n: acts[n]}, concurrency=window)
    assert played.value == [n * 10 for n in range(count)]
    assert [asked.value for asked in played.asked] == list(range(count))
    slow = sum(bool(act.after) for act in acts)
    assert min(window, slow) <= played.functions.most_in_flight <= min(window, count)
    # No worker rests while items are left: each begins when a place is free.
    free = [0.0] * window
    for asked, act in zip(played.asked, acts, strict=True):
        free.sort()
        assert asked.at == pytest.approx(free[0], abs=0.01)
        free[0] += act.after or 0


@pytest.mark.parametrize("window", [1, 2, 3, 16])
def test_the_window_counts_items_and_not_calls(window: int) -> None:
    played = each("{parallel: {a: f, b: f}}, f", value=[1] * 9, functions={"f": ok(1).later(1)}, concurrency=window)
    assert len(played.value) == 9
    assert played.functions.most_in_flight == min(2 * window, 18)


TOLERANCES: list[tuple[dict[str, Any], int, int, bool]] = [
    # (what is said, items, how many fail, whether the flow goes on)
    ({}, 4, 0, True), ({}, 4, 1, False),
    ({"tolerate": 0}, 4, 1, False), ({"tolerate": 1}, 4, 1, True), ({"tolerate": 1}, 4, 2, False),
    ({"tolerate": 4}, 4, 4, True), ({"tolerate": 9}, 4, 4, True), ({"tolerate": 9}, 0, 0, True),
    ({"tolerate": "'0%'"}, 4, 1, False), ({"tolerate": "'25%'"}, 4, 1, True), ({"tolerate": "'24.9%'"}, 4, 1, False),
    ({"tolerate": "'50%'"}, 3, 1, True), ({"tolerate": "'50%'"}, 3, 2, False), ({"tolerate": "'100%'"}, 4, 4, True),
    ({"tolerate": "'33.3%'"}, 3, 1, False), ({"tolerate": "'29%'"}, 100, 29, True),
    ({"tolerate": "'29%'"}, 100, 30, False),
    ({"tolerate": "'64.6%'"}, 500, 323, True), ({"tolerate": "'1%'"}, 99, 1, False),
    ({"min_successful": 3}, 4, 1, True), ({"min_successful": 3}, 4, 2, False), ({"min_successful": 4}, 4, 0, True),
    ({"min_successful": 4}, 4, 1, False), ({"min_successful": 0}, 4, 4, True), ({"min_successful": 0}, 0, 0, True),
    ({"collect": "outcomes"}, 4, 4, True), ({"collect": "outcomes", "tolerate": 1}, 4, 1, True),
    ({"collect": "outcomes", "tolerate": 1}, 4, 2, False), ({"collect": "outcomes", "min_successful": 3}, 4, 2, False),
]  # fmt: skip


@pytest.mark.parametrize(("said", "count", "failing", "goes_on"), TOLERANCES)
@pytest.mark.parametrize("concurrency", [1, 3, 200])
def test_how_many_may_fail(said: dict[str, Any], count: int, failing: int, goes_on: bool, concurrency: int) -> None:
    value = [0] * failing + [1] * (count - failing)
    played = each("odd", value=value, **said, concurrency=concurrency)
    if not goes_on:
        assert (played.error.reason, played.error.outcome.status) == ("failed", 409)
        assert played.error.path.endswith("].odd")
        return
    if said.get("collect") == "outcomes":
        assert [entry["ok"] for entry in played.value] == [False] * failing + [True] * (count - failing)
    else:
        assert played.value == [None] * failing + [1] * (count - failing)
    assert played.completed == (not failing)
    assert set(played.errors) == {f"e[{n}].odd" for n in range(min(failing, 100))}


def test_more_successes_than_there_are_items_are_a_mistake() -> None:
    played = each("odd", value=[1, 1], min_successful=3)
    assert played.mistake == ("e", "2 items cannot give the 3 successes of `min_successful`")
    assert played.paths == []


def test_when_too_many_have_failed_the_rest_is_cancelled_and_none_begins() -> None:
    functions = {"f": lambda n: refused(410).later(1) if n in (1, 2) else ok(n).later(5)}
    played = each("f", value=list(range(9)), functions=functions, concurrency=4, tolerate=1)
    assert played.error.path in ("e[1].f", "e[2].f")
    assert set(played.functions.aborted) == {"e[0].f", "e[3].f", "e[4].f"}  # the last in the place of the first to fail
    assert "e[5].f" not in played.paths


def test_outcomes() -> None:
    step = "{call: odd, input: '${item}'}"
    played = each(step, value=[1, 2, 3], collect="outcomes")
    good, bad, last = played.value
    assert (good, last) == ({"ok": True, "value": 1}, {"ok": True, "value": 3})
    assert set(bad) == {"ok", "error"}
    assert bad["error"] == {
        "step": "e[1].odd", "function": "odd", "reason": "failed", "outcome": "refused", "status": 409,
        "detail": "scripted: refused", "body": None,
    }  # fmt: skip
    assert not played.completed
    assert each("{set: '${item.none}'}", value=[{}], collect="outcomes").value[0]["error"]["reason"] == "mistake"
    assert each("{call: nothing}", value=[1], functions={"nothing": EMPTY}, collect="outcomes").value == [
        {"ok": True, "value": None}
    ]


@pytest.mark.parametrize("collect", ["values", "outcomes"])
def test_a_result_that_is_no_json_is_that_items_failure(collect: str) -> None:
    """The host finds it out where the call is the last step, and `unknown` it is; where not, it is a mistake."""
    image = Payload.of(b"image/png", b"\x89PNG\xff")
    played = each("f", value=[1], functions={"f": image}, collect=collect)
    if collect == "outcomes":
        assert (played.value[0]["ok"], played.value[0]["error"]["outcome"]) == (False, "unknown")
    else:
        assert (played.error.reason, played.error.outcome.kind) == ("failed", "unknown")
    text = "steps: [f, {foreach: [1], id: e, tolerate: 1, steps: [{set: '${steps.f}'}]}]"
    played = play(text, {"f": image})
    assert played.value == [None]
    (failure,) = played.errors.values()
    assert failure.reason == "mistake"
    assert "the item's result cannot be joined: image/png of 5 bytes" in failure.outcome.detail


def test_collect_object_keeps_keys_and_tolerated_ones() -> None:
    played = each("{call: odd, input: '${item.value}'}", value={"b": 1, "a": 2, "": 3}, collect="object", tolerate=1)
    assert played.payload.body == b'{"b":1,"a":null,"":3}'
    assert each("{set: '${item}'}", value=[1, 2], collect="object").value == [1, 2]
    assert each("{set: '${item}'}", value={}, collect="object").value == {}


def test_the_value_and_the_steps_of_an_item_are_its_own() -> None:
    text = """
        steps:
          - {set: {n: 7}, id: before}
          - foreach: "${input}"
            id: e
            concurrency: 3
            steps:
              - {call: wait, id: a, when: "${item > 1}"}
              - {set: "${[item, value, steps.a, steps.before.n, input[0], index]}"}
          - {set: {list: "${value}", item: "${item}", index: "${index}"}}
        """
    played = play(text, {"wait": lambda n: ok(n * 10).later(4 - n)}, [3, 1, 2])
    assert played.value == {
        "list": [[3, 30, 30, 7, 3, 0], [1, 1, None, 7, 3, 1], [2, 20, 20, 7, 3, 2]],
        "item": None,
        "index": -1,
    }
    assert "there is no step `a` here" in problems_of(
        "steps: [{foreach: [1], steps: [{call: f, id: a}]}, {set: '${steps.a}'}]"
    )


def test_nested_loops_know_the_item_of_the_innermost() -> None:
    text = """
        steps:
          - foreach: "${input}"
            id: o
            steps:
              - {set: "${item}", id: row}
              - foreach: "${item.cells}"
                id: i
                steps: [{set: "${[steps.row.name, string(index), string(item)]}"}]
              - {set: {cells: "${value}", index: "${index}", name: "${item.name}"}}
        """
    value = [{"name": "a", "cells": [1, 2]}, {"name": "b", "cells": []}, {"name": "c", "cells": [3]}]
    assert play(text, {}, value).value == [
        {"cells": [["a", "0", "1"], ["a", "1", "2"]], "index": 0, "name": "a"},
        {"cells": [], "index": 1, "name": "b"},
        {"cells": [["c", "0", "3"]], "index": 2, "name": "c"},
    ]


# Undo.


@pytest.mark.parametrize(("window", "order"), [(1, [2, 1, 0]), (3, None)])
def test_what_items_did_is_undone_each_in_reverse_and_those_before_it_after_it(window: int, order: Any) -> None:
    text = f"""
        steps:
          - {{call: before, undo: u}}
          - foreach: [0, 1, 2]
            id: e
            concurrency: {window}
            steps:
              - {{call: a, undo: u}}
              - {{call: b, undo: {{call: u, input: {{item: "${{item}}", index: "${{index}}"}}}}}}
          - {{call: after, undo: u}}
          - bad
        """
    played = play(text, {"bad": unknown(), "u": ok().later(1)})
    undone = [path for path in played.paths if path.endswith("/undo")]
    assert undone[0] == "after/undo"
    assert undone[-1] == "before/undo"
    assert sorted(undone[1:-1]) == sorted(f"e[{n}].{name}/undo" for n in range(3) for name in "ab")
    for n in range(3):
        assert undone.index(f"e[{n}].b/undo") < undone.index(f"e[{n}].a/undo")
        assert played.sent[f"e[{n}].b/undo"] == {"item": n, "index": n}
    if order is not None:
        assert [int(path[2]) for path in undone[1:-1:2]] == order


def test_no_more_undo_calls_than_the_window_are_in_flight() -> None:
    """What was done eight at a time is not undone a thousand at a time."""
    text = "steps: [{foreach: '${input}', id: e, concurrency: 8, steps: [{call: f, undo: u}]}, bad]"
    seen: list[int] = []
    functions: dict[str, Any] = {"f": 1, "bad": refused(), "u": lambda _: seen.append(1) or ok().later(1)}
    played = play(text, functions, list(range(200)))
    assert len(played.error.undo) == len(seen) == 200
    assert played.functions.most_in_flight == 8
    assert played.took == pytest.approx(25, abs=0.5)


def test_an_item_that_fails_is_undone_at_once_and_the_others_go_on() -> None:
    text = """
        steps:
          - foreach: [0, 1, 2]
            id: e
            concurrency: 2
            tolerate: 1
            steps: [{call: a, undo: u}, {call: b, undo: u}, {call: c}]
        """
    functions = {"c": lambda n: refused() if n == 1 else ok(n).later(5), "u": ok().later(1)}
    played = play(text, functions)
    assert played.value == [0, None, 2]
    assert [path for path in played.paths if "undo" in path] == ["e[1].b/undo", "e[1].a/undo"]
    assert played.functions.most_in_flight <= 2
    # And is not undone a second time when the flow fails.
    played = play(text + "  - bad\n", {**functions, "bad": refused()})
    undone = [path for path in played.paths if "undo" in path]
    assert sorted(undone) == sorted(f"e[{n}].{name}/undo" for n in range(3) for name in "ab")


def test_cancelled_in_the_middle_everything_that_was_done_is_undone() -> None:
    text = "steps: [{foreach: '${input}', id: e, concurrency: 3, steps: [{call: a, undo: u}, {call: b, undo: u}]}]"
    functions = {"a": ok(1).later(1), "b": ok(2).later(1)}
    played = play(text, functions, list(range(20)), disturb={4.5: lambda run: run.cancel("cancelled")})
    assert played.error.reason == "cancelled"
    done = {path for path in played.paths if "undo" not in path}
    assert {path.removesuffix("/undo") for path in played.paths if "undo" in path} == done
    assert len(done) == 3 * 2 * 2 + 3  # two rounds, and a third that has begun
    assert len(played.functions.aborted) == 3


def test_an_inner_loop_that_is_tolerated_outside() -> None:
    text = """
        steps:
          - foreach: [[1, 3], [5, 6, 7], [9]]
            id: o
            tolerate: 1
            steps: [{foreach: "${item}", id: i, steps: [{call: odd, undo: u}]}]
        """
    played = play(text, {**ODD, "u": ok()})
    assert played.value == [[1, 3], None, [9]]
    assert sorted(path for path in played.paths if "undo" in path) == ["o[1].i[0].odd/undo", "o[1].i[2].odd/undo"]
    assert list(played.errors) == ["o[1].i[1].odd"]


# Size.


@pytest.mark.parametrize("window", [1, 16])
def test_many_items_hold_a_window_and_no_more(window: int) -> None:
    """Memory beside the document and the results does not grow with the items, and as many are live as the window."""

    def measured(count: int) -> tuple[float, int]:
        items = Payload.of(b"application/json", b"[%b]" % b",".join([b"1"] * count))
        text = f"steps: [{{foreach: '${{input}}', concurrency: {window}, steps: [f, {{set: '${{value + 1}}'}}]}}]"
        tracemalloc.start()
        played = play(text, {"f": 1}, items, record=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(played.value) == count
        return peak, played.functions.most_in_flight

    small, _ = measured(1_000)
    large, most = measured(9_000)
    assert most <= window
    assert (large - small) / 8_000 < 400  # a few references and two small results for each item


def test_a_hundred_thousand_items() -> None:
    items = json_payload(list(range(100_000)))
    text = "steps: [{foreach: '${input}', concurrency: 16, steps: [{set: '${item}'}]}]"
    played = play(text, {}, items, record=False)
    assert played.payload.body == items.body
    text = "steps: [{foreach: '${input}', steps: [{fail: no, when: '${item % 2 == 1}'}], tolerate: '50%'}]"
    played = play(text, {}, items, record=False)
    assert played.value[:4] == [0, None, 2, None]
    assert len(played.errors) == 100


def test_more_items_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreach, "MAX_ITEMS", 3)
    assert each("f", value=[1, 2, 3]).value == [1, 2, 3]
    assert each("f", value=[1, 2, 3, 4]).mistake == ("e", "`foreach` goes over 4 items, more than 3")
    assert each("f", value={"a": 1, "b": 2, "c": 3, "d": 4}).mistake[0] == "e"
