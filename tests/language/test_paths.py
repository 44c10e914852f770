"""Where everything is: ids, paths and keys of every kind of step (contract 2)."""

from __future__ import annotations

import pytest

from legato.errors import DefinitionError
from legato.kernel import Call, Sleep, link
from legato.model.steps import CallStep, PythonStep
from legato.pictures.parts import Part, parts_of
from legato.testing import refused, unknown
from tests.language.play import Played, flow_of, play, problems_of

FLOWS = {
    "inner": "steps: [f, {parallel: {a: f}}]",
    "handled": "steps: [{call: f, undo: u}, bad]\non_failure: [f]\nfinally: [f, f]",
    "twice": "steps: [{flow: inner}, {flow: inner}]",
}
FUNCTIONS = {"bad": refused(409), "lost": unknown()}

# (steps, the paths of all leaves in the order in which they are issued)
ROWS: list[tuple[str, str]] = [
    ("f", "f"),
    ("f, f, f", "f f_2 f_3"),
    ("f, {call: g, id: f}", "f_2 f"),
    ("{call: a-b}, {call: a_b}", "a-b a_b_2"),
    ("{steps: [f, {steps: [f]}]}, f", "steps.f steps.steps_2.f_2 f_3"),
    ("{steps: [f], id: s}, {steps: [f], id: t}", "s.f t.f_2"),
    ("{parallel: {a: f, b: [f, f], c: {steps: [f]}}}", "parallel.a parallel.b.f parallel.c.f parallel.b.f_2"),
    ("{parallel: {a: {parallel: {a: f}}}}, {parallel: {a: f}}", "parallel.a.a parallel_2.a"),
    ("{parallel: {a: {call: f, id: own}, own-2: f}, id: p}", "p.own p.own-2"),
    ("{graph: {a: f, b: {call: f, after: a}}}", "graph.a graph.b"),
    ("{graph: {a: {steps: [f, f]}, b: {parallel: {x: f}, after: a}}, id: g}", "g.a.f g.a.f_2 g.b.x"),
    ("{graph: {a: {call: f, id: own}, b: {call: f, after: a}}, id: g}", "g.own g.b"),
    ("{graph: {a: {call: f, id: b}, b: {call: f, after: a}}, id: g}", "g.b g.b_2"),
    ("{graph: {a: {foreach: [0], id: own, steps: [f]}}, id: g}", "g.own[0].f"),
    ("{foreach: [1, 2], steps: [f, f], concurrency: 1}",
     "foreach[0].f foreach[0].f_2 foreach[1].f foreach[1].f_2"),
    ("{foreach: [1], steps: [{foreach: [1, 2], steps: [{foreach: [1], steps: [f], id: c}], id: b}], id: a}",
     "a[0].b[0].c[0].f a[0].b[1].c[0].f"),
    ("{foreach: [0], id: a, steps: [{parallel: {x: {foreach: [0, 1], steps: [f]}}}]}",
     "a[0].parallel.x[0].f a[0].parallel.x[1].f"),
    ("{foreach: [0], id: a, steps: [{graph: {n: {foreach: [0], steps: [{choose: [{when: '${true}', call: f}]}]}}}]}",
     "a[0].graph.n[0].choose.case_1.f"),
    ("{choose: [{when: '${false}', call: f}, {when: '${true}', steps: [f, f]}]}", "choose.case_2.f choose.case_2.f_2"),
    ("{choose: [{when: '${false}', call: f}, {otherwise: true, call: f}], id: c}", "c.otherwise.f"),
    ("{choose: [{when: '${true}', name: yes-it-is, call: f}], id: c}", "c.yes-it-is.f"),
    ("{choose: {all: true, cases: [{when: '${true}', name: a, call: f}, {when: '${true}', name: b, call: f}]}}",
     "choose.a.f choose.b.f"),
    ("{flow: inner}", "inner.f inner.parallel.a"),
    ("{flow: inner}, {flow: inner, id: again}, {flow: inner}",
     "inner.f inner.parallel.a again.f again.parallel.a inner_2.f inner_2.parallel.a"),
    ("{flow: twice}", "twice.inner.f twice.inner.parallel.a twice.inner_2.f twice.inner_2.parallel.a"),
    ("{foreach: [7, 8], concurrency: 1, steps: [{flow: inner}]}",
     "foreach[0].inner.f foreach[0].inner.parallel.a foreach[1].inner.f foreach[1].inner.parallel.a"),
    ("{call: f, undo: u}, {fail: x}", "f f/undo"),
    ("{foreach: [1], steps: [{foreach: [1], id: b, steps: [{call: f, undo: u}]}], id: a}, {fail: x}",
     "a[0].b[0].f a[0].b[0].f/undo"),
    ("{parallel: {a: {call: f, undo: u, id: own}}, id: p}, {fail: x}", "p.own p.own/undo"),
    ("{call: lost, on_error: {steps: [f, f]}}", "lost lost/error.f lost/error.f_2"),
    ("{call: bad, on_error: {steps: [{call: bad, on_error: {steps: [f]}}]}}",
     "bad bad/error.bad bad/error.bad/error.f"),
    ("{foreach: [1], steps: [{call: bad, id: x, on_error: {steps: [{call: f, undo: u}, {fail: y}]}}], tolerate: 1}",
     "foreach[0].x foreach[0].x/error.f foreach[0].x/error.f/undo"),
    ("{steps: [bad], on_error: {steps: [f]}, id: s}", "s.bad s/error.f"),
    ("{sleep: 1s}, {sleep: 1s}, {sleep: 1s, id: nap}", "sleep sleep_2 nap"),
    ("{foreach: [1, 2], concurrency: 1, steps: [{sleep: 1s}]}", "foreach[0].sleep foreach[1].sleep"),
    ("{steps: [f], timeout: 1s, id: s}", "s/timeout s.f"),
    ("{foreach: [1], steps: [{parallel: {a: f}, timeout: 1s}], id: e}", "e[0].parallel/timeout e[0].parallel.a"),
    ("{flow: inner, timeout: 1s}", "inner/timeout inner.f inner.parallel.a"),
    ("{flow: handled, on_error: skip}", "handled.f handled.bad handled.f/undo handled/failure.f handled/finally.f "
     "handled/finally.f_2"),
    ("{python: 'm:f'}, {python: 'm.n:C.f'}, {python: 'm:__F__'}", "f f_2 f_3"),
    ("{python: 'm:f', undo: u}, {fail: x}", "f f/undo"),
    ("{call: f, on_response: 'm:judge'}", "f f/response"),
    ("{foreach: [1], steps: [{call: f, on_response: 'm:judge', undo: u}]}, {fail: x}",
     "foreach[0].f foreach[0].f/response foreach[0].f/undo"),
]  # fmt: skip


def leaves(played: Played) -> list[str]:
    """The paths of all leaves that were issued."""
    return list(played.run.kernel.issued)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("steps", "expected"), ROWS, ids=[steps for steps, _ in ROWS])
def test_paths(steps: str, expected: str) -> None:
    """That no two are the same, and that keys are the paths, is checked of every run."""
    played = play(f"steps: [{steps}]", FUNCTIONS, 1, flows=FLOWS)
    assert leaves(played) == expected.split()


@pytest.mark.parametrize("steps", [steps for steps, _ in ROWS])
def test_pictures_show_the_same_paths(steps: str) -> None:
    """What is drawn, explained and exported names a step as errors, keys and the log do."""
    flows = {name: flow_of(flow, name) for name, flow in FLOWS.items()}
    flow = flow_of(f"steps: [{steps}]")
    shown: list[str] = []

    def walk(parts: tuple[Part, ...]) -> None:
        for part in parts:
            if isinstance(part.step, CallStep | PythonStep):
                shown.append(part.path)
            for body in part.bodies:
                walk(body.parts)
            if part.whole is not None:
                walk((*part.whole.parts, *part.whole.on_failure, *part.whole.finally_))

    walk(parts_of(flow, flows.get).parts)
    calls = [call.path for call in link(flow, flows.get).calls if not call.is_undo]
    assert sorted(shown) == sorted(path for path in calls if not path.endswith("/response"))


def test_handlers_and_callbacks_have_paths_of_their_own() -> None:
    text = """
        steps: [{call: f, undo: u}, {foreach: [1], steps: [f], id: failure}, bad]
        on_failure: [f, f, {foreach: [1, 2], concurrency: 1, steps: [f]}, {call: bad, on_error: {steps: [f]}}]
        finally: [{steps: [f], id: f}, {call: g}]
        callback: "http://there.example/done"
        """
    played = play(text, FUNCTIONS, 1)
    assert leaves(played)[:4] == ["f", "failure[0].f", "bad", "f/undo"]
    assert leaves(played)[4:] == [
        "/failure.f", "/failure.f_2", "/failure.foreach[0].f", "/failure.foreach[1].f", "/failure.bad",
        "/failure.bad/error.f", "/finally.f.f_2", "/finally.g", "/callback",
    ]  # fmt: skip


def test_every_call_of_a_program_has_a_path_and_a_key_of_its_own() -> None:
    text = """
        steps:
          - foreach: [1]
            id: a
            steps:
              - {parallel: {x: {call: f, undo: u, on_response: "m:r"}, y: [f, {flow: inner}]}, timeout: 1s}
              - {graph: {x: f, y: {call: f, after: x}}}
              - {choose: [{when: "${true}", call: f}, {when: "${true}", call: f}, {otherwise: true, call: f}]}
              - {call: f, on_error: {steps: [f, {call: f, on_error: {steps: [f]}}]}}
          - {flow: inner}
          - {flow: handled}
        on_failure: [f, f]
        finally: [f]
        """
    program = link(flow_of(text), {name: flow_of(flow, name) for name, flow in FLOWS.items()}.get)
    paths = [call.path for call in program.calls]
    assert len(set(paths)) == len(paths) == 26
    assert [call.index for call in program.calls] == list(range(len(paths)))


COLLIDING = [
    ("[{call: f, id: x}, {call: g, id: x}]", "the id `x` is taken"),
    ("[{call: f, id: a-b}, {call: g, id: a_b}]", "the id `a_b` is taken"),
    ("[{call: f, id: x}, {steps: [{call: g, id: x}]}]", "the id `x` is taken"),
    ("[{call: f, id: x}, {foreach: [1], id: x, steps: [f]}]", "the id `x` is taken"),
    ("[{parallel: {a: {call: f, id: x}, b: {call: g, id: x}}}]", "the id `x` is that of `a` as well"),
    ("[{graph: {a: {call: f, id: x}, b: {call: g, id: x}}}]", "the id `x` is that of `a` as well"),
    ("[{parallel: {a: [{call: f, id: x}, {call: g, id: x}]}}]", "the id `x` is taken"),
    ("[{foreach: [1], steps: [{call: f, id: x}, {call: g, id: x}]}]", "the id `x` is taken"),
    ("[{choose: [{when: '${true}', steps: [{call: f, id: x}, {call: g, id: x}]}]}]", "the id `x` is taken"),
    ("[{choose: [{when: '${true}', name: a, call: f}, {when: '${true}', name: a, call: f}]}]", "is called `a` as well"),
    ("[{choose: [{when: '${true}', name: case_2, call: f}, {when: '${true}', call: f}]}]", "case_2"),
    ("[{choose: [{when: '${true}', name: otherwise, call: f}, {otherwise: true, call: f}]}]", "otherwise"),
    ("[{call: f, on_error: {steps: [{call: f, id: x}, {call: g, id: x}]}}]", "the id `x` is taken"),
]


@pytest.mark.parametrize(("steps", "problem"), COLLIDING)
def test_ids_that_collide_are_problems_of_the_file(steps: str, problem: str) -> None:
    assert problem in problems_of(f"steps: {steps}")


def test_ids_in_scopes_of_their_own_do_not_collide() -> None:
    text = """
        steps:
          - {call: f, id: x}
          - parallel: {a: [{call: f, id: x}], b: [{call: f, id: x}]}
          - foreach: [1]
            steps: [{call: f, id: x}, {choose: [{when: "${true}", steps: [{call: f, id: x}]}]}]
          - {call: bad, on_error: {steps: [{call: f, id: x}]}}
        finally: [{call: f, id: x}]
        """
    played = play(text, FUNCTIONS)
    assert [path for path in played.paths if path.endswith("x")] == [
        "x", "parallel.a.x", "parallel.b.x", "foreach[0].x", "foreach[0].choose.case_1.x", "bad/error.x", "/finally.x",
    ]  # fmt: skip


def test_run_step_is_the_path_of_who_looks() -> None:
    text = """
        steps:
          - {set: "${run.step}", id: one}
          - foreach: [1]
            id: e
            steps:
              - {graph: {n: {foreach: [1, 2], steps: [{call: look, input: "${run.step}"}]}}}
              - {call: bad, on_error: {value: "${run.step}"}}
              - {call: look, when: "${run.step == 'e[0].look'}", path: "/${run.step}"}
        output: {one: "${steps.one}", last: "${run.step}"}
        """
    played = play(text, {**FUNCTIONS, "look": lambda value: value})
    assert played.value == {"one": "one", "last": ""}
    assert played.sent["e[0].graph.n[0].look"] == "e[0].graph.n[0].look"
    assert played.sent["e[0].graph.n[1].look"] == "e[0].graph.n[1].look"
    assert played.asked[-1].parts is not None
    assert played.asked[-1].parts.path == b"/e%5B0%5D.look"


def test_the_leaf_that_fails_is_named_by_its_path() -> None:
    for steps, path in (
        ("{foreach: [1, 2], id: a, steps: [{foreach: [0], id: b, steps: [{call: bad, when: '${a == 1}'}]}]}", None),
        ("{foreach: [1, 2], id: a, steps: [{call: bad, when: '${item == 2}'}]}", "a[1].bad"),
        ("{flow: handled, id: h}", "h.bad"),
        ("{graph: {x: {steps: [f, bad]}}}", "graph.x.bad"),
        ("{choose: [{when: '${1}', call: f}], id: c}", "c"),
        ("{foreach: [1], id: e, steps: [{set: '${value.x}', id: s}]}", "e[0].s"),
        ("{foreach: [1], id: e, steps: [{fail: no}]}", "e[0].fail"),
        ("{foreach: [1], id: e, steps: [{choose: {all: true, cases: [{name: x, when: '${1}', call: f}]}}]}",
         "e[0].choose"),
        ("{foreach: '${1}', id: e, steps: [f]}", "e"),
        ("{parallel: {a: {foreach: '${1}', steps: [f]}}}", "parallel.a"),
    ):  # fmt: skip
        if path is None:
            assert "is no root" in problems_of(f"steps: [{steps}]") or "a" in problems_of(f"steps: [{steps}]")
            continue
        assert play(f"steps: [{steps}]", FUNCTIONS, 1, flows=FLOWS).error.path == path, steps


def test_a_loop_in_a_sub_flow_knows_the_loops_around_it_by_path_only() -> None:
    flows = {"each": "steps: [{foreach: '${input}', id: e, steps: [{call: look, input: ['${index}', '${item}']}]}]"}
    played = play("steps: [{foreach: [[5], [6, 7]], id: o, concurrency: 1, steps: [{flow: each}]}]", {}, flows=flows)
    assert played.calls == [
        ("o[0].each.e[0].look", [0, 5]),
        ("o[1].each.e[0].look", [0, 6]),
        ("o[1].each.e[1].look", [1, 7]),
    ]


def test_a_linked_program_refuses_paths_that_repeat() -> None:
    flows = {"b": flow_of("steps: [{call: f}]", "b")}
    text = "steps: [{choose: [{when: '${true}', name: x, call: f}]}, {flow: b, id: x}]"
    assert len(link(flow_of(text), flows.get).calls) == 2
    leaf = link(flow_of("steps: [f]")).calls[0]
    assert (leaf.path, leaf.key) == ("f", b"f")
    with pytest.raises(DefinitionError, match="there is no flow `c`"):
        link(flow_of("steps: [{flow: c}]"), flows.get)
    assert {Call, Sleep}
