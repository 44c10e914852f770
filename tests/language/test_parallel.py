"""`parallel`: all, any and quorum with every mixture of outcomes in every order; how values are merged."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest

from legato.model.payload import EMPTY, Payload
from legato.testing import Act, ok, refused, retryable, unknown
from tests.language.play import play, problems_of

NAMES = ("a", "b", "c")
HOW = ("ok", "fails", "skips", "off")  # a branch that succeeds, fails, fails and is spared, is not done at all


def text_of(how: dict[str, str], rest: str) -> str:
    steps = {
        "ok": "{call: NAME, undo: undo}",
        "fails": "{call: NAME, undo: undo}",
        "skips": "{call: NAME, undo: undo, on_error: skip}",
        "off": "{call: NAME, undo: undo, when: '${false}'}",
    }
    branches = ", ".join(f"{name}: {steps[kind].replace('NAME', name)}" for name, kind in how.items())
    return f"steps: [{{parallel: {{{branches}}}, id: p{rest}}}]"


@pytest.mark.parametrize("needed", [0, 1, 2, 3])
def test_every_mixture_in_every_order(needed: int) -> None:
    """Against a model of a few lines: branches end at 1, 2 and 3 s in some order; those that are off at once."""
    rest = f", join: {{quorum: {needed}}}" if needed else ""
    for kinds, order in product(product(HOW, repeat=3), permutations((1, 2, 3))):
        how, ends = dict(zip(NAMES, kinds, strict=True)), dict(zip(NAMES, order, strict=True))
        acts = {name: (ok({name: 1}) if kind == "ok" else unknown(500)).later(ends[name]) for name, kind in how.items()}
        played = play(text_of(how, rest), {**acts, "undo": ok()})
        check(needed, how, ends, played)


def check(needed: int, how: dict[str, str], ends: dict[str, int], played: Any) -> None:
    """What must have come of it."""
    case = f"{needed} {how} {ends}"
    running = sorted((ends[name], name) for name in NAMES if how[name] != "off")
    good, bad, over, winners = 0, list[str](), False, list[str]()
    ended: list[str] = []
    possible = len(running)
    failed = hopeless = needed > possible  # known before anything is issued
    for _, name in [] if failed else running:
        ended.append(name)
        if how[name] == "ok":
            good += 1
            winners.append(name)
        else:
            possible -= 1
            if how[name] == "fails":
                bad.append(name)
        if needed:
            over = good >= needed
            failed = possible < needed
        else:
            failed = how[name] == "fails"
        if over or failed:
            break
    left = [name for _, name in running if name not in ended and not hopeless]
    assert set(played.functions.aborted) == {f"p.{name}" for name in left}, case
    undone = {path for path in played.paths if path.endswith("/undo")}
    if failed:
        error = played.error
        assert error.reason == ("failed" if bad else "mistake"), case
        assert error.path == (f"p.{min(bad)}" if bad else "p"), case
        # Everything that was done, or maybe done, is undone.
        assert undone == {f"p.{name}/undo" for _, name in running if not hopeless}, case
    else:
        assert played.value == {name: {name: 1} for name in NAMES if name in winners}, case
        # What was spared is undone at its branch, the losers by the join.
        spared = [name for name in ended if how[name] in ("skips", "fails")]
        assert undone == {f"p.{name}/undo" for name in (*spared, *left)}, case
        assert played.completed == (not spared), case
        assert set(played.errors) == {f"p.{name}" for name in spared}, case


def test_a_loser_that_answers_after_all_is_there() -> None:
    """Cancelled is only what has not answered: here both have when the first answer is looked at."""
    text = "steps: [{parallel: {a: a, b: b}, join: any}]"
    assert play(text, {"a": 1, "b": 2}).value == {"a": 1, "b": 2}
    assert play(text.replace("join", "merge: first, join"), {"a": 1, "b": 2}).value == 1
    assert play(text, {"a": ok(1).later(1), "b": 2}).value == {"b": 2}


def test_losers_are_undone_before_the_flow_goes_on_each_with_what_it_has_done() -> None:
    text = """
        steps:
          - parallel:
              quick: [{call: one, undo: undo}]
              slow: [{call: two, undo: undo}, {call: three, undo: undo}, {call: hang, undo: undo}]
              slower: [{sleep: 1h}, {call: never}]
            join: any
            id: p
          - after
        """
    played = play(text, {"one": ok("won").later(2), "hang": ok().held(), "undo": ok().later(1)}, 0)
    assert played.value == {"quick": "won"}
    assert played.paths == [
        "p.quick.one", "p.slow.two", "p.slow.three", "p.slow.hang",
        "p.slow.hang/undo", "p.slow.three/undo", "p.slow.two/undo", "after",
    ]  # fmt: skip
    assert played.functions.aborted == ["p.slow.hang"]
    assert 5 <= played.took < 5.1


def test_a_winner_that_is_undone_later_is_undone_once_and_losers_no_second_time() -> None:
    text = """
        steps:
          - {parallel: {a: {call: a, undo: ua}, b: {call: b, undo: ub}}, join: any, id: p}
          - bad
        """
    played = play(text, {"a": ok().held(), "b": ok(1), "bad": refused()})
    assert played.paths == ["p.a", "p.b", "p.a/undo", "bad", "p.b/undo"]
    assert played.error.undo == [("p.b/undo", True)]


def test_all_branches_see_the_same_value_and_none_anothers_steps() -> None:
    text = """
        steps:
          - {set: {n: 1}, id: x}
          - parallel:
              a: [{set: {n: "${value.n + 1}"}, id: x}, {set: "${[value.n, steps.x.n, input]}"}]
              b: [{set: "${[value.n, steps.x.n, input]}"}]
        """
    assert play(text, {}, 9).value == {"a": [2, 2, 9], "b": [1, 1, 9]}
    assert "there is no step `y` here" in problems_of(
        "steps: [{parallel: {a: [{set: 1, id: y}], b: {set: '${steps.y}'}}}]"
    )
    assert "there is no step `a` here" in problems_of("steps: [{parallel: {a: f}}, {set: '${steps.a}'}]")


MERGES: list[tuple[str, dict[str, Any], Any]] = [
    ("merge: flat", {"a": {"x": 1, "y": [2]}, "b": {"z": 1.50}}, {"x": 1, "y": [2], "z": 1.5}),
    ("merge: flat", {"a": {}, "b": {}}, {}),
    (
        "merge: flat",
        {"a": {"x": 1}, "b": {"x": 1}},
        "branches 'a' and 'b' both have 'x': say which one counts with `prefer`",
    ),
    ("merge: flat, prefer: [a]", {"a": {"x": 1}, "b": {"x": 2}}, {"x": 1}),
    ("merge: flat, prefer: [b]", {"a": {"x": 1, "k": 0}, "b": {"x": 2}}, {"x": 2, "k": 0}),
    ("merge: flat, prefer: [b, a]", {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}, {"x": 2}),
    ("merge: flat, prefer: [c]", {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}, "branches 'a' and 'b' both have 'x'"),
    ("merge: flat, prefer: [a]", {"a": {"y": 1}, "b": {"x": 2}, "c": {"x": 3}}, "branches 'b' and 'c' both have 'x'"),
    ("merge: flat", {"a": {"x": 1}, "b": 3}, "branch 'b' cannot be merged flat: it is not an object"),
    ("merge: flat", {"a": {"x": 1}, "b": [1]}, "branch 'b' cannot be merged flat: it is not an object"),
    ("merge: flat", {"a": {"x": 1}, "b": None}, "branch 'b' cannot be merged flat: it is not an object"),
    ("merge: first", {"a": {"x": 1}, "b": 3}, {"x": 1}),
    ("merge: first", {"a": None, "b": 3}, None),
    ("merge: '${value.a.x + value.b}'", {"a": {"x": 1}, "b": 3}, 4),
    ("merge: '${value}'", {"b": 1, "a": 2}, {"b": 1, "a": 2}),
    (
        "merge: '${value.c}'",
        {"b": 1, "a": 2},
        "`${value.c}`: `value.c`: there is no `c` in the object with the keys `b`, `a`",
    ),
    ("merge: '${input}'", {"b": 1}, 77),
]


@pytest.mark.parametrize(("merge", "answers", "expected"), MERGES, ids=[f"{m} {a}" for m, a, _ in MERGES])
def test_merging(merge: str, answers: dict[str, Any], expected: Any) -> None:
    text = f"steps: [{{parallel: {{{', '.join(f'{name}: {name}' for name in answers)}}}, {merge}, id: p}}]"
    for delays in ({}, {name: 3 - n for n, name in enumerate(answers)}):
        acts = {name: (ok(value) if value is not None else ok(status=204)) for name, value in answers.items()}
        acts = {name: Act(payload=EMPTY) if answers[name] is None else act for name, act in acts.items()}
        played = play(text, {name: act.later(delays.get(name, 0)) for name, act in acts.items()}, 77)
        if isinstance(expected, str):
            path, detail = played.mistake
            assert path == "p"
            assert detail.startswith(expected) or expected.split("`: ")[-1] in detail
        else:
            assert played.value == expected


def test_a_flat_merge_splices_what_was_written() -> None:
    functions = {
        "a": Payload.of(b"application/json", b'{"n": 1.10, "e\\u0301": "\\u00e9", "big": 12345678901234567890}'),
        "b": Payload.of(b"application/json", b' {"s" : [ ] } '),
    }
    played = play("steps: [{parallel: {a: a, b: b}, merge: flat}]", functions)
    assert b'"n":1.10' in played.payload.body
    assert b'"big":12345678901234567890' in played.payload.body
    assert played.value == {"n": 1.1, "e\u0301": "\u00e9", "big": 12345678901234567890, "s": []}


def test_merge_with_branches_that_are_absent() -> None:
    bad = {"bad": refused()}
    skip = "a: {call: bad, on_error: skip}"
    assert play(f"steps: [{{parallel: {{{skip}, b: {{set: 2}}}}, merge: first}}]", bad, 9).value == 2
    assert play(f"steps: [{{parallel: {{{skip}}}, merge: first}}]", bad, 9).value == 9
    assert play(f"steps: [{{parallel: {{{skip}, b: {{set: {{x: 1}}}}}}, merge: flat}}]", bad).value == {"x": 1}
    assert play(f"steps: [{{parallel: {{{skip}}}, merge: flat}}]", bad).value == {}
    assert play(f"steps: [{{parallel: {{{skip}}}, merge: '${{size(value)}}'}}]", bad).value == 0
    # The first that is there is the first in the order of writing, not of time.
    text = "steps: [{parallel: {a: {call: a}, b: b, c: c}, join: {quorum: 2}, merge: first}]"
    assert play(text, {"a": ok("a").later(2), "b": ok("b").later(3), "c": ok("c").later(1)}).value == "a"
    assert play(text, {"a": ok("a").later(9), "b": ok("b").later(3), "c": ok("c").later(1)}).value == "b"


@pytest.mark.parametrize("merge", ["", ", merge: flat", ", merge: '${value}'", ", join: any"])
def test_what_no_answer_was_and_cannot_be_joined_is_a_mistake_that_names_the_branch(merge: str) -> None:
    """Answers are looked at while the call is still the host's; what other steps leave is looked at here."""
    image = Payload.of(b"image/png", b"\x89PNG\xff")
    text = f"steps: [f, {{parallel: {{good: {{set: {{}}}}, bad: {{set: '${{steps.f}}'}}}}{merge}, id: p}}]"
    path, said = play(text, {"f": image}).mistake
    assert path == "p"
    assert "bad" in said
    assert "cannot be joined: image/png of 5 bytes is neither JSON nor text" in said


def test_any_of_one_that_skips_is_the_other_one() -> None:
    """A branch that is not done has not succeeded: it must not win."""
    text = "steps: [{parallel: {a: {call: a, when: '${input.a}'}, b: {call: b, when: '${input.b}'}}, join: any, id: p}]"
    functions = {"a": ok("A").later(1), "b": ok("B").later(2)}
    assert play(text, functions, {"a": False, "b": True}).value == {"b": "B"}
    assert play(text, functions, {"a": True, "b": False}).value == {"a": "A"}
    assert play(text, functions, {"a": False, "b": False}).mistake == (
        "p",
        "`join` needs 1 of 2 branches to succeed, and 2 were skipped",
    )


def test_what_failed_together_is_told_together() -> None:
    text = "steps: [{parallel: {a: a, b: b, c: c}, id: p, on_error: {value: '${[error.step, error.status]}'}}]"
    functions = {"a": ok(1).later(9), "b": refused(409).later(1), "c": retryable(503).later(1)}
    assert play(text, functions).value == ["p.b", 409]
    played = play(text.replace(", on_error: {value: '${[error.step, error.status]}'}", ""), functions)
    assert played.error.path == "p.b"
    assert played.functions.aborted == ["p.a", "p.c"]


def test_branches_nest_and_each_join_waits_for_its_own() -> None:
    text = """
        steps:
          - parallel:
              left:
                parallel: {x: {call: slow}, y: {call: quick}}
                join: any
                merge: first
              right:
                - parallel: {x: quick, y: {call: bad, on_error: {value: 0}}}
                - {set: "${value.x + value.y}"}
              third: {parallel: {z: {parallel: {deep: quick}}}}
        """
    functions = {"slow": ok(1).held(), "quick": ok(5).later(1), "bad": unknown()}
    assert play(text, functions).value == {"left": 5, "right": 5, "third": {"z": {"deep": 5}}}


def test_a_quorum_in_a_failing_parallel_is_cancelled_with_its_losers_undone_once() -> None:
    text = """
        steps:
          - parallel:
              q: {parallel: {a: {call: a, undo: ua}, b: {call: b, undo: ub}}, join: any}
              bad: bad
            id: p
        """
    # `bad` fails while the loser of `q` is being undone: its undo is in flight and goes on; nothing is undone twice.
    played = play(text, {"a": ok(1).held(), "b": ok(2), "ua": ok().later(5), "bad": refused().later(2)})
    assert sorted(played.paths) == ["p.bad", "p.q.a", "p.q.a/undo", "p.q.b", "p.q.b/undo"]
    assert played.paths[-1] == "p.q.b/undo"
    assert played.functions.aborted == ["p.q.a"]
    # And while both branches of `q` are in flight.
    played = play(text, {"a": ok(1).held(), "b": ok(2).held(), "bad": refused().later(2)})
    assert sorted(played.paths) == ["p.bad", "p.q.a", "p.q.a/undo", "p.q.b", "p.q.b/undo"]


def test_no_branch_begins_when_one_cannot_even_be_made() -> None:
    """An advance that ends in an error issues none of its commands (contract 7)."""
    text = "steps: [{parallel: {a: f, b: {call: g, input: '${value.none}'}, c: [h]}}]"
    played = play(text, {}, {})
    assert played.paths == []
    assert played.error.path == "parallel.b"


def test_as_many_branches_as_there_may_be() -> None:
    names = [f"b{n}" for n in range(256)]
    text = f"steps: [{{parallel: {{{', '.join(f'{name}: f' for name in names)}}}, join: {{quorum: 200}}}}]"
    played = play(text, {"f": lambda value: ok(value).later(1)}, 5)
    assert len(played.value) == 200
    assert len(played.functions.aborted) == 56
