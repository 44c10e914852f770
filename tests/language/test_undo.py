"""Undo: what it is told, in which order it comes, wherever it was done; and what can go wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from legato.model.payload import Payload
from legato.testing import Act, ok, refused, retryable, unknown
from tests.language.play import Played, play, problems_of


def undone(played: Played) -> dict[str, Any]:
    """What each undo was told, by path, in order."""
    return {path: value for path, value in played.calls if path.endswith("/undo")}


def failing(steps: str, functions: dict[str, Any] | None = None, value: Any = None, **rest: Any) -> Played:
    return play(f"steps: [{steps}, bad]", {"bad": refused(409), **(functions or {})}, value, **rest)


TOLD: list[tuple[str, Any]] = [
    ("undo: u", {"sent": {"n": 1}, "result": {"id": 7}}),
    ("undo: {call: u, input: '${result.id}'}", 7),
    ("undo: {call: u, input: '${sent.n}'}", 1),
    ("undo: {call: u, input: ['${sent}', '${result}']}", [{"n": 1}, {"id": 7}]),
    ("undo: {call: u, input: '${value.id}'}", 7),  # what the step left, whatever has come since
    ("undo: {call: u, input: '${input.order}'}", "o"),
    ("undo: {call: u, input: '${steps.before}'}", "b"),
    ("undo: {call: u, input: '${[error.step, error.status, error.reason]}'}", ["bad", 409, "failed"]),
    ("undo: {call: u, input: {pick: id}}", {"id": 7}),
    ("undo: {call: u, input: constant}", "constant"),
    ("undo: {call: u, input: '${run.step}'}", "it"),
    ("input: {n: 2}, undo: {call: u, input: '${[sent.n, result.id]}'}", [2, 7]),
    ("output: '${value.id}', undo: {call: u, input: '${result.id}'}", 7),
    ("on_error: skip, undo: {call: u, input: '${result.id}'}", 7),
]


AROUND = [
    "STEP",
    "{steps: [STEP]}",
    "{parallel: {a: [STEP]}}",
    "{graph: {n: {steps: [STEP]}}}",
    "{foreach: ['${value}'], steps: [STEP]}",
    "{choose: [{when: '${true}', steps: [STEP]}]}",
    "{choose: {all: true, cases: [{name: c, when: '${true}', steps: [STEP]}]}}",
]


@pytest.mark.parametrize(("said", "expected"), TOLD)
@pytest.mark.parametrize("around", AROUND)
def test_what_an_undo_is_told(said: str, expected: Any, around: str) -> None:
    step = around.replace("STEP", f"{{call: f, id: it, {said}}}")
    later = "{set: other, id: after}, {call: after, input: '${value}'}"
    steps = f"{{set: b, id: before}}, {{set: {{n: 1}}}}, {step}, {later}"
    played = failing(steps, {"f": {"id": 7}}, {"order": "o"})
    ((path, told),) = undone(played).items()
    if said.endswith("'${run.step}'}"):
        assert path == f"{told}/undo"
    else:
        assert told == expected


def test_what_is_not_known_is_null() -> None:
    played = play(
        "steps: [{call: f, undo: {call: u, input: ['${sent}', '${result}', '${value}']}}]", {"f": unknown(500)}, 5
    )
    assert undone(played) == {"f/undo": [5, None, None]}
    assert "`sent`" in problems_of("steps: [{call: f, input: '${sent}'}]")
    assert "`result`" in problems_of("steps: [{set: '${result}'}]")


def test_an_undo_sees_the_steps_before_its_own_and_none_after() -> None:
    assert "has not run" in problems_of("steps: [{call: f, undo: {call: u, input: '${steps.g}'}}, {call: g, id: g}]")
    assert "has not run" in problems_of("steps: [{call: f, id: it, undo: {call: u, input: '${steps.it}'}}]")


def test_path_query_and_headers_of_an_undo() -> None:
    undo = "{call: u, method: DELETE, path: '/p/${result.id}', query: {q: '${sent.n}'}, headers: {x-h: '${result.id}'}}"
    played = failing(f"{{foreach: [1], id: e, steps: [{{call: f, input: {{n: '${{item}}'}}, undo: {undo}}}]}}",
                     {"f": {"id": "a b"}})  # fmt: skip
    asked = played.asked[-1]
    assert asked.path == "e[0].f/undo"
    assert asked.parts is not None
    assert (asked.parts.path, asked.parts.query, asked.parts.headers) == (b"/p/a%20b", b"q=1", b"x-h: a b\r\n")
    assert asked.step.method == "DELETE"


@pytest.mark.parametrize(
    ("act", "is_undone"),
    [(refused(409), False), (retryable(503), False), (unknown(500), True), (unknown(), True),
     (Act(kind="cancelled", sent=False), False)],
)  # fmt: skip
def test_only_what_may_have_been_done_is_undone(act: Act, is_undone: bool) -> None:
    played = play("steps: [{call: f, undo: u}]", {"f": act})
    assert list(undone(played)) == (["f/undo"] if is_undone else [])
    caught = play("steps: [{call: f, undo: u, on_error: skip}, g]", {"f": act})
    assert caught.paths == ["f", *(["f/undo"] if is_undone else []), "g"]


def test_the_second_attempt_says_nothing_of_the_first() -> None:
    """`unknown`, then refused: the first may have done its work, so it is undone (contract 1)."""
    acts = iter([unknown(500), refused(409)])
    text = "steps: [{call: f, undo: u, idempotent: true, retry: {attempts: 2, backoff: 0s}}]"
    assert play(text, {"f": lambda _: next(acts)}).paths == ["f", "f", "f/undo"]


MIXED = """
    {call: a, undo: u}, {parallel: {x: [{call: b, undo: u}, {call: c, undo: u}], y: {call: d, undo: u}}, id: p},
    {foreach: [1, 2], id: e, concurrency: 1, steps: [{call: f, undo: u}]},
    {graph: {m: {call: g, undo: u}, n: {call: h, undo: u, after: m}}, id: g},
    {choose: [{when: '${true}', steps: [{call: i, undo: u}]}], id: w}, {flow: inner, id: s},
    {call: plain}, {python: 'm:code', undo: u}, {call: z, undo: u}"""


def test_everything_in_reverse() -> None:
    played = failing(MIXED, {"u": ok().later(1)}, flows={"inner": "steps: [{call: j, undo: u}, {call: k, undo: u}]"})
    order = [path.removesuffix("/undo") for path, _ in played.error.undo]
    assert order[:9] == ["z", "code", "s.k", "s.j", "w.case_1.i", "g.n", "g.m", "e[1].f", "e[0].f"]
    assert sorted(order[9:11]) == ["p.x.c", "p.y"]
    assert order[11:] == ["p.x.b", "a"]
    began = [event for event in played.events if event.endswith("/undo")]
    assert began.index("begin p.y/undo") < began.index("end p.x.c/undo"), "branches are undone side by side"
    assert all(done for _, done in played.error.undo)
    assert played.run.kernel.outward_state == "undone"


def test_one_that_fails_keeps_none_from_being_done() -> None:
    steps = """{call: a, undo: ua}, {call: b, undo: {call: ub, input: '${result.none}'}},
               {call: c, undo: {call: uc, path: '/${result}'}}, {call: d, undo: {call: ud, retry: {attempts: 1}}}"""
    played = failing(steps, {"ud": unknown(500), "b": {}, "c": {}})
    assert played.error.undo == [("d/undo", False), ("c/undo", False), ("b/undo", False), ("a/undo", True)]
    lines = [json.loads(line) for line in played.log.splitlines()]
    assert sorted((line["event"], line["step"], line["function"]) for line in lines) == [
        ("undo_failed", "b/undo", "ub"), ("undo_failed", "c/undo", "uc"), ("undo_failed", "d/undo", "ud"),
    ]  # fmt: skip
    assert played.run.kernel.outward_state == "failed"


def test_an_undo_is_tried_again_ten_times_but_not_when_refused() -> None:
    played = failing("{call: a, undo: u}", {"u": unknown(500)})
    assert played.paths.count("a/undo") == 10
    played = failing("{call: a, undo: u}", {"u": refused()})
    assert played.paths.count("a/undo") == 1


def test_a_hard_cancel_stops_undo_and_what_is_in_flight() -> None:
    functions = {"u": ok().later(10)}
    steps = "{call: a, undo: u}, {parallel: {x: {call: b, undo: u}, y: {call: c, undo: u}}, id: p}"
    played = failing(steps, functions, disturb={1: lambda run: run.cancel("cancelled", hard=True)})
    assert list(undone(played)) == ["p.y/undo", "p.x/undo"]
    assert sorted(played.functions.aborted) == ["p.x/undo", "p.y/undo"]
    assert played.error.path == "bad"
    assert [done for _, done in played.error.undo] == [False, False]
    soft = failing(steps, functions, disturb={1: lambda run: run.cancel("cancelled")})
    assert len(undone(soft)) == 3
    assert soft.functions.aborted == []


def test_all_undo_together_has_as_long_as_our_patience() -> None:
    steps = ", ".join(f"{{call: f{n}, undo: {{call: u, timeout: 100s}}}}" for n in range(5))
    played = failing(steps, {"u": ok().later(90)})
    assert len(undone(played)) == 4
    assert len(played.functions.aborted) == 1
    assert 300 <= played.took < 301


def test_what_python_and_on_response_did() -> None:
    steps = "{python: 'm:code', undo: u, id: p}, {call: f, on_response: 'm:judge', undo: {call: u, input: '${result}'}}"
    functions = {"m:code": {"c": 1}, "f": {"f": 1}, "m:judge": {"judged": True}}
    played = failing(steps, functions, 3)
    told = undone(played)
    assert list(told) == ["f/undo", "p/undo"]
    assert told["p/undo"] == {"sent": 3, "result": {"c": 1}}
    assert told["f/undo"]["body"] == {"f": 1}
    judged = play("steps: [{call: f, on_response: 'm:judge', undo: u}]", {"f": 1, "m:judge": refused()})
    assert judged.paths == ["f", "f/response", "f/undo"]


def test_bytes_and_text_are_told_as_text() -> None:
    functions = {"f": Payload.of(b"text/plain", b"caf\xc3\xa9"), "g": Payload.of(b"image/png", b"\x89\xff")}
    told = undone(failing("{call: f, undo: u}, {call: g, undo: u}", functions))
    assert told["g/undo"] == {"sent": "caf\u00e9", "result": "if8="}
    assert told["f/undo"] == {"sent": None, "result": "caf\u00e9"}


def test_a_flow_that_ends_well_undoes_nothing_and_holds_nothing() -> None:
    played = play("steps: [{call: a, undo: u}, {foreach: [1], steps: [{call: b, undo: u}]}]")
    assert undone(played) == {}


def test_deeply_nested_undo() -> None:
    text = "{call: f, undo: u}"
    for n in range(12):
        text = [
            f"{{steps: [{text}, {{call: f, undo: u}}]}}", f"{{parallel: {{a: {text}, b: {{call: f, undo: u}}}}}}",
            f"{{choose: [{{when: '${{true}}', steps: [{text}]}}]}}",
            f"{{foreach: [1], steps: [{text}, {{call: f, undo: u}}]}}",
            f"{{graph: {{a: {{steps: [{text}]}}, b: {{call: f, undo: u, after: a}}}}}}",
            f"{{steps: [{text}], timeout: 1h, on_error: {{steps: [{{fail: again}}]}}}}",
        ][n % 6]  # fmt: skip
    played = failing(text)
    did = [path for path in played.paths if not path.endswith("/undo") and path != "bad"]
    assert sorted(path.removesuffix("/undo") for path in undone(played)) == sorted(did)
    assert len(played.error.undo) == len(did) == 9
