"""`flow`: a scope, an input, an output, a timeout, handlers and undo of its own; what may not be called."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from legato.errors import DefinitionError
from legato.kernel import link, linked
from legato.testing import ok, refused, unknown
from tests.language.play import flow_of, play


def problems(text: str, flows: dict[str, str]) -> list[str]:
    """What is wrong with a flow that uses others."""
    others = {name: flow_of(each, name) for name, each in flows.items()}
    _, faults = linked(flow_of(text), others.get)
    return [f"{fault.message} ({fault.remedy})" for fault in faults]


def test_input_value_and_steps_are_its_own() -> None:
    flows = {
        "inner": """
            steps:
              - {set: "${[input, value, item, index, error]}", id: x}
              - {set: "${[steps.x, input]}"}
            output: {saw: "${value}", x: "${steps.x}"}
            """
    }
    text = """
        steps:
          - {set: outer, id: x}
          - foreach: [7]
            steps: [{flow: inner, id: y, input: "${item + 1}", output: "${[value.saw, item, steps.x]}"}]
          - {set: {left: "${value}", x: "${steps.x}", input: "${input}"}}
        """
    seen = [8, 8, None, -1, None]
    assert play(text, {}, "in", flows=flows).value == {"left": [[[seen, 8], 7, "outer"]], "x": "outer", "input": "in"}
    assert problems("steps: [{call: f, id: z}, {flow: inner}]", {"inner": "steps: [{set: 1}]"}) == []
    with pytest.raises(AssertionError, match="there is no step `z` here"):
        flow_of("steps: [{set: '${steps.z}'}]", "inner")


@pytest.mark.parametrize(
    ("flows", "circle"),
    [
        ({"main": "steps: [{flow: main}]"}, "main -> main"),
        ({"main": "steps: [{flow: a}]", "a": "steps: [{flow: main}]"}, "main -> a -> main"),
        ({"main": "steps: [{flow: a}]", "a": "steps: [{flow: a}]"}, "a -> a"),
        ({"main": "steps: [f, {flow: a}]", "a": "steps: [{flow: b}]",
          "b": "steps: [{foreach: [1], steps: [{flow: a}]}]"}, "a -> b -> a"),
        ({"main": "steps: [{parallel: {x: {flow: a}}}]", "a": "steps: [f]\nfinally: [{flow: main}]"},
         "main -> a -> main"),
        ({"main": "steps: [{call: f, on_error: {steps: [{flow: main}]}}]"}, "main -> main"),
        ({"main": "steps: [f]\non_failure: [{flow: main}]"}, "main -> main"),
        ({"main": "steps: [{graph: {x: {flow: a}}}]",
          "a": "steps: [{choose: [{when: '${true}', steps: [{flow: a}]}]}]"}, "a -> a"),
    ],
)  # fmt: skip
def test_a_flow_that_calls_itself_is_refused_with_the_way_round(flows: dict[str, str], circle: str) -> None:
    (said,) = problems(flows["main"], flows)
    assert f"the flow calls itself: {circle} (" in said
    with pytest.raises(DefinitionError, match="the flow calls itself"):
        link(flow_of(flows["main"]), {name: flow_of(text, name) for name, text in flows.items()}.get)


def test_a_flow_may_be_called_twice_side_by_side_and_by_two_others() -> None:
    flows = {"a": "steps: [{flow: c}]", "b": "steps: [{flow: c}]", "c": "steps: [{set: ['${value}']}]"}
    text = "steps: [{flow: c}, {parallel: {x: {flow: a}, y: {flow: b}, z: {flow: c}}}]"
    assert play(text, {}, 1, flows=flows).value == {"x": [[1]], "y": [[1]], "z": [[1]]}


def test_what_is_not_there_and_what_is_broken_is_told_at_the_step() -> None:
    assert problems("steps: [{flow: nosuch}]", {}) == [
        "there is no flow `nosuch` that can be run (define it, or mend it)"
    ]
    (said,) = problems("steps: [{flow: a}]", {"a": "steps: [{flow: b}, {flow: c}]"})
    assert said.startswith("in the flow `a`: there is no flow `b` that can be run")
    (said,) = problems("steps: [{flow: a}]", {"a": "steps: [{flow: b}]", "b": "steps: [{flow: c}]"})
    assert said.startswith("in the flow `a`: in the flow `b`: there is no flow `c`")


@pytest.mark.parametrize(("width", "deep"), [(2, 30), (1, 99), (3, 40), (100, 3)])
def test_flows_that_grow_by_powers_are_refused_at_once(width: int, deep: int) -> None:
    """Two uses of a flow that uses another twice, thirty levels deep, are a thousand million steps."""
    flows = {f"f{n}": f"steps: [{', '.join([f'{{flow: f{n + 1}}}'] * width)}]" for n in range(deep)}
    flows[f"f{deep}"] = "steps: [g]\ninput: {type: object}\noutput: '${value}'"
    started = time.process_time()
    said = problems("steps: [{flow: f0}]", flows)
    spent = time.process_time() - started
    assert len(said) == 1
    assert said[0].startswith("in the flow `f0`: ")
    assert ("more than 10000 steps" in said[0]) or ("nested deeper than" in said[0])
    plain = time.process_time()
    link(flow_of(f"steps: [{', '.join(['g'] * 9_999)}]"))
    assert spent < 20 * (time.process_time() - plain) + 1, "it costs more than the steps that there may be"


def test_flows_within_flows_as_deep_as_may_be_run() -> None:
    deep = 49
    flows = {f"f{n}": f"steps: [{{flow: f{n + 1}}}]\noutput: ['${{value}}']" for n in range(deep)}
    flows[f"f{deep}"] = "steps: [{call: g, undo: u}, {fail: no, when: '${value == 0}'}]"
    value: Any = play("steps: [{flow: f0}]", {}, 7, flows=flows).value
    for _ in range(deep):
        (value,) = value
    assert value == 7
    played = play("steps: [{flow: f0}]", {}, 0, flows=flows)
    path = ".".join(f"f{n}" for n in range(deep + 1))
    assert played.paths == [f"{path}.g", f"{path}.g/undo"]
    assert played.error.path == f"{path}.fail"


SCHEMA = "input: {type: object, required: [n], properties: {n: {type: integer}}}\nsteps: [{call: f, undo: u}]\n"


def test_an_input_that_does_not_fit_is_a_mistake_of_who_calls_and_nothing_of_it_begins() -> None:
    text = "steps: [{call: a, undo: u}, {flow: fussy, id: x, input: {n: '${value.n}'}}]"
    flows = {"fussy": SCHEMA + "finally: [never]\non_failure: [never]"}
    path, said = (played := play(text, {}, {"n": "seven"}, flows=flows)).mistake
    assert path == "x"
    assert said.startswith("the input of flow fussy does not fit its schema: /n: ")
    assert played.paths == ["a", "a/undo"]
    many = {name: {"type": "integer"} for name in "abcdef"}
    fussy = f"input: {json.dumps({'properties': many})}\nsteps: [f]"
    _, said = play("steps: [{flow: fussy}]", {}, dict.fromkeys("abcdef", "x"), flows={"fussy": fussy}).mistake
    assert said.count("; ") == 2, "as many as anybody reads"
    good = play(text, {}, {"n": 7}, flows={"fussy": SCHEMA})
    assert good.value == {"n": 7}
    caught = text.replace("}}]", "}, on_error: {value: '${error.reason}'}}]")
    assert play(caught, {}, {"n": "x"}, flows=flows).value == "mistake"


def test_its_timeout_bounds_it_and_its_handlers_are_beside_that() -> None:
    handlers = "on_failure: [{call: tell, input: '${error.reason}'}]\nfinally: [clean]"
    flows = {"slow": f"timeout: 2s\nsteps: [{{call: a, undo: u}}, hang]\n{handlers}"}
    functions = {"hang": ok().held(), "u": ok().later(3), "tell": ok().later(4), "clean": ok().later(5)}
    played = play(
        "steps: [{flow: slow, id: x, on_error: {value: '${[error.reason, error.step]}'}}]", functions, flows=flows
    )
    assert played.value == ["deadline", "x"]
    assert played.paths == ["x.a", "x.hang", "x.a/undo", "x/failure.tell", "x/finally.clean"]
    assert played.sent["x/failure.tell"] == "deadline"
    assert 14 <= played.took < 14.1


def test_its_timeout_and_that_of_the_step() -> None:
    flows = {"slow": "timeout: 2s\nsteps: [hang]"}
    played = play("steps: [{flow: slow, id: x, timeout: 5s}]", {"hang": ok().held()}, flows=flows)
    assert 2 <= played.took < 2.1
    assert set(played.run.kernel.issued) == {"x/timeout", "x/flow/timeout", "x.hang"}  # type: ignore[attr-defined]


HANDLED = """
    steps:
      - {call: one, undo: u}
      - {call: two, undo: u}
      - {call: bad, when: "${input == 'bad'}"}
      - {call: hang, when: "${input == 'hang'}"}
    on_failure: [{call: tell, input: "${[error.step, error.reason, run.state, steps.two, input, value]}"}]
    finally: [{call: clean, input: "${[error != null, run.state, value]}"}]
    """


def handled(value: str, rest: str = "", functions: dict[str, Any] | None = None, **keywords: Any) -> Any:
    """A flow that calls HANDLED as `x`."""
    text = f"steps: [{{call: before, undo: u}}, {{flow: inner, id: x, input: '{value}'{rest}}}, after]"
    given = {"two": 2, "bad": refused(409), "hang": ok().held(), **(functions or {})}
    return play(text, given, flows={"inner": HANDLED}, **keywords)


def test_handlers_of_one_that_ends_well() -> None:
    played = handled("good")
    assert played.paths == ["before", "x.one", "x.two", "x/finally.clean", "after"]
    assert played.sent["x/finally.clean"] == [False, "succeeded", 2]
    assert played.sent["after"] == 2


def test_handlers_of_one_that_fails_are_run_when_it_has_been_undone() -> None:
    played = handled("bad", functions={"u": ok().later(1)})
    assert played.paths == [
        "before", "x.one", "x.two", "x.bad", "x.two/undo", "x.one/undo", "x/failure.tell", "x/finally.clean",
        "before/undo",
    ]  # fmt: skip
    assert played.sent["x/failure.tell"] == ["x.bad", "failed", "undone", 2, "bad", "bad"]
    assert played.sent["x/finally.clean"] == [True, "undone", "bad"]
    assert played.error.path == "x.bad"
    assert played.error.undo == [("x.two/undo", True), ("x.one/undo", True), ("before/undo", True)]
    assert played.error.said is None, "what a flow within says is not for the caller of this one"
    assert handled("bad", ", on_error: {value: 5}").sent["after"] == 5


def test_what_its_handlers_fail_with_changes_nothing_and_is_logged() -> None:
    functions = {"tell": unknown(500), "clean": refused(418)}
    played = handled("bad", functions=functions)
    assert (played.error.path, played.error.outcome.status) == ("x.bad", 409)
    assert [failure.path for failure in played.run.kernel.handler_failures] == ["x/failure.tell", "x/finally.clean"]
    assert played.log.count("handler_failed") == 2
    played = handled("good", functions=functions)
    assert played.sent["after"] == 2
    assert played.completed
    assert played.log.count("handler_failed") == 1


def test_handlers_of_one_that_is_cut_off_by_a_sibling() -> None:
    text = "steps: [{parallel: {x: {flow: inner, input: hang}, y: bad}, id: p}]"
    functions = {"two": 2, "bad": refused(409).later(1), "hang": ok().held(), "u": ok().later(1)}
    played = play(text, functions, flows={"inner": HANDLED})
    assert sorted(played.paths[:4]) == ["p.x.hang", "p.x.one", "p.x.two", "p.y"]
    assert played.paths[4:] == ["p.x.two/undo", "p.x.one/undo", "p.x/failure.tell", "p.x/finally.clean"]
    assert played.sent["p.x/failure.tell"][:2] == ["p.y", "failed"]
    assert played.error.path == "p.y"


@pytest.mark.parametrize("reason", ["deadline", "cancelled", "disconnect"])
def test_handlers_of_one_that_is_cut_off_with_its_run(reason: Any) -> None:
    played = handled("hang", disturb={1: lambda run: run.cancel(reason)})
    assert played.error.reason == reason
    assert played.paths[4:] == ["x.two/undo", "x.one/undo", "x/failure.tell", "x/finally.clean", "before/undo"]
    assert played.sent["x/failure.tell"][1] == reason
    hard = handled("hang", disturb={1: lambda run: run.cancel(reason, hard=True)})
    assert hard.paths == ["before", "x.one", "x.two", "x.hang"]


def test_handlers_of_one_that_is_cut_off_by_a_timeout_or_loses() -> None:
    played = handled("hang", ", timeout: 2s, on_error: {value: late}")
    assert played.paths[4:] == ["x.two/undo", "x.one/undo", "x/failure.tell", "x/finally.clean", "after"]
    assert played.sent["x/failure.tell"][:2] == ["x", "deadline"]
    text = "steps: [{parallel: {x: {flow: inner, input: hang}, y: quick}, join: any, id: p}, after]"
    played = play(text, {"two": 2, "hang": ok().held(), "quick": ok().later(1)}, flows={"inner": HANDLED})
    assert played.failure is None
    assert played.paths[4:] == ["p.x.two/undo", "p.x.one/undo", "p.x/failure.tell", "p.x/finally.clean", "after"]
    assert played.sent["p.x/failure.tell"][:3] == ["p.x", "cancelled", "cancelled"]


def test_handlers_are_run_once_whatever_happens_while_they_are() -> None:
    functions = {"clean": ok().later(5), "tell": ok().later(5)}
    played = handled("bad", functions=functions, disturb={2: lambda run: run.cancel("cancelled")})
    assert played.paths.count("x/failure.tell") == 1
    assert "x/finally.clean" not in played.paths
    played = handled("good", functions=functions, disturb={2: lambda run: run.cancel("cancelled")})
    assert played.paths == ["before", "x.one", "x.two", "x/finally.clean", "x.two/undo", "x.one/undo", "before/undo"]
    assert played.functions.aborted == ["x/finally.clean"]


@pytest.mark.parametrize(
    ("handler", "path"),
    [("on_failure: [{call: tell}]", "x/failure.tell"), ("finally: [{call: clean}]", "x/finally.clean")],
)
@pytest.mark.parametrize("how", ["bad", "hang"])
def test_one_handler_alone_is_run_however_the_flow_ends(handler: str, path: str, how: str) -> None:
    text = "steps: [{flow: inner, id: x, timeout: 2s, on_error: skip}]"
    flows = {"inner": f"steps: [f, {how}]\n{handler}"}
    assert play(text, {"bad": refused(), "hang": ok().held()}, flows=flows).paths == ["x.f", f"x.{how}", path]
    good = play(text, flows={"inner": f"steps: [f]\n{handler}"})
    assert good.paths == (["x.f", path] if "finally" in handler else ["x.f"])


def test_what_ended_well_is_undone_later_without_its_handlers() -> None:
    text = "steps: [{flow: inner, id: x, input: good}, bad]"
    played = play(text, {"two": 2, "bad": refused()}, flows={"inner": HANDLED})
    assert played.paths == ["x.one", "x.two", "x/finally.clean", "bad", "x.two/undo", "x.one/undo"]


def test_handlers_leave_nothing_to_be_undone() -> None:
    flows = {"inner": "steps: [f]\nfinally: [{call: clean, undo: u}]"}
    assert play("steps: [{flow: inner}, bad]", {"bad": refused()}, flows=flows).paths == [
        "inner.f",
        "inner/finally.clean",
        "bad",
    ]


def test_undo_goes_across_flows_and_back_in_reverse() -> None:
    loop = "{foreach: [1, 2], concurrency: 1, steps: [{call: f, undo: u}]}"
    flows = {
        "a": "steps: [{call: f, undo: u}, {flow: b}, {call: g, undo: u}]",
        "b": f"steps: [{{parallel: {{x: {{call: f, undo: u}}, y: {loop}}}}}]",
    }
    played = play("steps: [{call: f, undo: u}, {flow: a}, bad]", {"bad": refused(), "u": ok().later(1)}, flows=flows)
    undone = [path for path, _ in played.error.undo]
    assert undone[0] == "a.g/undo"
    assert sorted(undone[1:4]) == ["a.b.parallel.x/undo", "a.b.parallel.y[0].f/undo", "a.b.parallel.y[1].f/undo"]
    assert undone.index("a.b.parallel.y[1].f/undo") < undone.index("a.b.parallel.y[0].f/undo")
    assert undone[4:] == ["a.f/undo", "f/undo"]


def test_a_flow_in_a_loop_has_its_undo_by_item() -> None:
    undo = "{call: u, input: ['${input}', '${steps.before}', '${sent}']}"
    steps = (
        f"{{set: x, id: before}}, {{call: f, input: '${{input}}', undo: {undo}}}, {{call: g, when: '${{input == 2}}'}}"
    )
    text = "steps: [{foreach: [1, 2], id: e, concurrency: 1, tolerate: 1, steps: [{flow: inner}]}]"
    played = play(text, {"g": refused()}, flows={"inner": f"steps: [{steps}]"})
    assert played.value == [1, None]
    assert played.calls[-1] == ("e[1].inner.f/undo", [2, "x", 2])


def test_an_output_that_cannot_be_made_fails_it_and_its_handlers_know() -> None:
    tell = "on_failure: [{call: tell, input: '${error.step}'}]"
    flows = {"inner": f"steps: [{{call: f, undo: u}}]\noutput: '${{value.none}}'\n{tell}"}
    played = play("steps: [{flow: inner, id: x}]", {"f": {"a": 1}}, flows=flows)
    assert played.mistake == ("x", "`${value.none}`: there is no `none` in the object with the keys `a`")
    assert played.paths == ["x.f", "x.f/undo", "x/failure.tell"]
    assert played.sent["x/failure.tell"] == "x"


def test_responding_from_within() -> None:
    flows = {"inner": "steps: [{respond: '${input}', status: 202}, f]"}
    played = play("steps: [{flow: inner}, {call: g}]", {"g": ok().later(3)}, 7, flows=flows)
    assert played.payload.value() == 7
    assert played.early is not None
    assert played.early.status == 202
    assert played.took >= 3
