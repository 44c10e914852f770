"""`graph`: what each node gets, in any order of answers; skipped and failing nodes; undo; size."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.kernel import check, link
from legato.model.flow import Flow
from legato.model.mapping import Template
from legato.model.payload import Payload
from legato.model.steps import CallStep, Edge, GraphNode, GraphStep, OnError, UndoCall
from legato.testing import Act, ok, refused, unknown
from tests.kernel.strategies import seeds
from tests.language.play import Played, play, problems_of

SHOW: dict[str, Any] = {"f": lambda value: value}


def graph(nodes: str, functions: dict[str, Any] | None = None, value: Any = None, rest: str = "") -> Played:
    """A flow of one graph, `g`."""
    return play(f"steps: [{{graph: {{{nodes}}}, id: g}}]\n{rest}", {**SHOW, **(functions or {})}, value)


ROWS: list[tuple[str, Any]] = [
    # chains
    ("a: {set: 1}, b: {set: ['${value}'], after: a}, c: {set: ['${value}'], after: b}", [[1]]),
    ("c: {set: ['${value}'], after: b}, b: {set: ['${value}'], after: a}, a: {set: 1}", [[1]]),
    # diamonds: a join gets an object by node, in the order of `after`
    ("a: {set: 1}, b: {set: 2, after: a}, c: {set: 3, after: a}, d: {set: '${value}', after: [c, b]}",
     {"c": 3, "b": 2}),
    ("a: {set: 1}, d: {set: '${value}', after: [a, c]}, c: {set: ['${value}'], after: a}", {"a": 1, "c": [1]}),
    # several start nodes get the current value
    ("a: {set: ['${value}', a]}, b: {set: ['${value}', b]}", {"a": [9, "a"], "b": [9, "b"]}),
    ("a: {set: '${value + 1}'}, b: {set: '${value + 2}'}, c: {set: '${value.a + value.b}', after: [a, b]}", 21),
    # several end nodes leave an object by node, in the order of writing
    ("a: {set: 1}, c: {set: 3, after: a}, b: {set: 2, after: a}", {"c": 3, "b": 2}),
    # order edges: waited for, their value is not passed
    ("a: {set: 1}, b: {set: ['${value}'], after: {a: order}}", [9]),
    ("a: {set: 1}, b: {set: 2}, c: {set: '${value}', after: {a: order, b: data}}", 2),
    ("a: {set: 1}, b: {set: 2}, c: {set: '${value}', after: {a: order, b: order}}", 9),
    ("a: {set: 1}, b: {set: 2}, c: {set: '${value}', after: {a: data, b: data}}", {"a": 1, "b": 2}),
    # transforms
    ("a: {set: {n: 4}}, b: {set: '${value}', after: {a: '${value.n}'}}", 4),
    ("a: {set: {n: 4}}, b: {set: '${value}', after: {a: {m: '${value.n}', i: '${input}'}}}", {"m": 4, "i": 9}),
    ("a: {set: {n: 4, m: 5}}, b: {set: '${value}', after: {a: {pick: n}}}", {"n": 4}),
    ("a: {set: {n: 4}}, b: {set: 5}, c: {set: '${value}', after: {a: '${value.n}', b: data}}", {"a": 4, "b": 5}),
    ("a: {set: {n: 4}}, b: {set: 1, after: a}, c: {set: '${value}', after: {b: '${steps.a.n + value}'}}", 5),
    # what a node is
    ("a: {steps: [{set: 1}, {set: ['${value}']}]}", [1]),
    ("a: {steps: []}, b: {set: ['${value}'], after: a}", [9]),
    ("a: {parallel: {x: {set: 1}}}, b: {set: '${value.x}', after: a}", 1),
    ("a: {graph: {a: {set: 1}, b: {set: ['${value}'], after: a}}}, b: {set: ['${value}'], after: a}", [[1]]),
    ("a: {foreach: [1, 2], steps: [{set: '${item * 2}'}]}, b: {set: '${value.sum()}', after: a}", 6),
    ("a: {sleep: 1s}, b: {set: ['${value}'], after: a}", [9]),
    # a skipped node leaves what it got, and is absent where several are joined
    ("a: {set: 1}, b: {set: 2, after: a, when: '${false}'}, c: {set: ['${value}'], after: b}", [1]),
    ("a: {set: 1, when: '${false}'}, b: {set: ['${value}'], after: a}", [9]),
    ("a: {set: 1}, b: {set: 2, after: a, when: '${value == 2}'}", 1),
    ("a: {set: 1}, b: {call: bad, after: a, on_error: skip}, c: {set: ['${value}'], after: b}", [1]),
    ("a: {set: 1}, b: {set: 2, when: '${false}'}, c: {set: '${value}', after: [a, b]}", {"a": 1}),
    ("a: {set: 1, when: '${false}'}, b: {set: 2, when: '${false}'}, c: {set: '${value}', after: [a, b]}", {}),
    ("a: {set: 1}, b: {set: 2, after: a, when: '${false}'}, c: {set: 3, after: a}", {"c": 3}),
    ("a: {set: {n: 1}}, b: {set: 2, after: a, when: '${false}'}, c: {set: '${value}', after: {b: '${value.n}'}}", 1),
    ("a: {set: 1, when: '${false}'}, b: {set: '${steps.a}', after: a}", None),
    ("a: {set: 1, when: '${false}'}, b: {set: '${has(steps.a)}', after: {a: order}}", False),
    # what an ancestor left is known, not only what a parent did
    ("a: {set: 1}, b: {set: 2, after: a}, c: {set: '${[steps.a, steps.b, value]}', after: b}", [1, 2, 2]),
    ("a-b: {set: 1}, c: {set: '${steps.a_b}', after: {a-b: order}}", 1),
    ("a: {set: 1, id: own}, c: {set: '${steps.own}', after: {a: order}}", 1),
    # on_error of a node
    ("a: {call: bad, on_error: {value: '${error.step}'}}, b: {set: ['${value}'], after: a}", ["g.a"]),
    ("a: {set: 1}, b: {call: bad, after: a, on_error: {steps: [{set: ['${value}']}]}}", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "expected"), ROWS, ids=[nodes for nodes, _ in ROWS])
def test_what_nodes_get(nodes: str, expected: Any) -> None:
    assert graph(nodes, {"bad": refused()}, 9).value == expected


FAULTS = [
    ("a: f, b: {set: '${steps.c}', after: a}, c: f", "the step `c` has not run when this is read"),
    ("a: {set: '${steps.b}'}, b: {call: f, after: a}", "the step `b` has not run when this is read"),
    ("a: {set: '${steps.a}'}", "has not run"),
    ("a: f, b: {call: f, after: {a: '${steps.b}'}}", "the step `b` has not run when this is read"),
    ("a: f, b: {set: '${steps.nosuch}', after: a}", "there is no step `nosuch` here"),
    ("a: f, b: {call: f, after: c}", "the node `b` is after `c`, which is no node of this graph"),
    ("alpha: f, b: {call: f, after: alhpa}", "did you mean `alpha`?"),
    ("a: {call: f, after: a}", "the node `a` is after itself"),
    ("a: {call: f, after: b}, b: {call: f, after: a}", "the nodes are in a cycle: a -> b -> a"),
    ("z: f, a: {call: f, after: [c, z]}, b: {call: f, after: a}, c: {call: f, after: b}", "a -> b -> c -> a"),
    ("a: {call: f, after: b}, b: {call: f, after: {a: order}}", "the nodes are in a cycle: a -> b -> a"),
    ("a: {call: f, after: b}, b: {call: f, after: a}, c: {call: f, after: b}",
     "the node `c` can never run: it is after a cycle"),
    ("a-b: f, a_b: f", "are the same in an expression"),
    ("a: f, b: f, c: {call: f, after: {a: order, b: data}}", "the value of node `a` is lost"),
    ("a: f, b: f, c: {call: f, method: GET, after: [a, b]}", "sends none of it"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "problem"), FAULTS)
def test_what_is_no_graph(nodes: str, problem: str) -> None:
    assert problem in problems_of(f"steps: [{{graph: {{{nodes}}}}}]")


def test_two_cycles_are_told_each_once_and_the_shortest_way_round() -> None:
    after = {"a": "d", "b": "a", "c": "ba", "d": "c", "x": "y", "y": "x", "z": "yd"}
    found = [fault.message for fault in check(_flow({n: (CallStep(function="f"), list(b)) for n, b in after.items()}))]
    assert found == [
        "the nodes are in a cycle: a -> c -> d -> a",
        "the nodes are in a cycle: x -> y -> x",
        "the node `z` can never run: it is after a cycle",
    ]


def _flow(nodes: dict[str, tuple[CallStep, list[str]]]) -> Flow:
    steps = {
        name: GraphNode(step=step, after={each: Edge() for each in before}) for name, (step, before) in nodes.items()
    }
    return Flow(name="main", steps=(GraphStep(nodes=steps, id="g"),))


def test_a_node_begins_when_the_last_of_those_before_it_has_ended() -> None:
    nodes = "a: a, b: b, c: {call: c, after: [a, b]}, d: {call: d, after: {a: order}}, e: {call: e, after: [c, d]}"
    functions = {name: ok(name).later(seconds) for name, seconds in zip("abcde", (1, 3, 1, 5, 1), strict=True)}
    played = graph(nodes, functions)
    begun = {asked.path: round(asked.at) for asked in played.asked}
    assert begun == {"g.a": 0, "g.b": 0, "g.d": 1, "g.c": 3, "g.e": 6}
    assert played.sent["g.e"] == {"c": "c", "d": "d"}


def test_a_failing_node_cancels_the_rest_and_nothing_else_begins() -> None:
    nodes = """a: {call: a, undo: ua}, b: {call: b, undo: ub, after: a}, c: {call: c, undo: uc, after: a},
               d: {call: d, after: c}, e: {call: e, undo: ue}, f: {call: f, after: [b, e]}"""
    played = graph(nodes, {"a": 1, "b": refused().later(2), "c": ok(1).later(9), "e": ok(1).later(1)}, 0)
    assert (played.error.path, played.error.outcome.status) == ("g.b", 422)
    assert played.functions.aborted == ["g.c"]
    assert played.paths == ["g.a", "g.e", "g.b", "g.c", "g.c/undo", "g.e/undo", "g.a/undo"]
    assert [path for path, _ in played.error.undo] == ["g.c/undo", "g.e/undo", "g.a/undo"]


def test_undo_goes_against_the_edges_one_after_another() -> None:
    nodes = """a: {call: f, undo: u}, b: {call: slow, undo: u, after: a}, c: {call: f, undo: u, after: a},
               d: {steps: [{call: f, undo: u}, {call: f, undo: u}], after: [b, c]}"""
    played = graph(nodes, {"slow": ok().later(1), "u": ok().later(1)}, 0, "output: '${value.none}'")
    undone = [path for path in played.paths if path.endswith("/undo")]
    assert undone == ["g.d.f_2/undo", "g.d.f/undo", "g.c/undo", "g.b/undo", "g.a/undo"]
    assert played.took >= 6


def test_a_graph_is_undone_where_it_is_caught_and_only_what_it_did() -> None:
    text = """
        steps:
          - {call: before, undo: u}
          - graph: {a: {call: f, undo: u}, b: {call: bad, after: a}}
            id: g
            on_error: {steps: [{call: mend, undo: u}]}
          - bad
        """
    played = play(text, {"bad": refused(), "mend": 1})
    assert played.paths == [
        "before", "g.a", "g.b", "g.a/undo", "g/error.mend", "bad", "g/error.mend/undo", "before/undo",
    ]  # fmt: skip


def test_nodes_that_fail_together_are_told_together() -> None:
    played = graph("a: a, b: b, c: c", {"a": refused(409), "b": refused(410), "c": ok().held()})
    assert played.error.path == "g.a"
    assert [failure.path for failure in played.error.siblings] == ["g.a", "g.b"]
    assert played.functions.aborted == ["g.c"]


@pytest.mark.parametrize("nodes", ["x: {set: '${steps.f}'}, y: {set: 1}, z: {call: g, after: [x, y]}",
                                   "x: {set: '${steps.f}'}, y: {set: 1}"])  # fmt: skip
def test_what_cannot_be_joined_names_the_node(nodes: str) -> None:
    image = Payload.of(b"image/png", b"\x89PNG\xff")
    path, said = play(f"steps: [f, {{graph: {{{nodes}}}, id: g}}]", {"f": image}).mistake
    assert (path, said) == ("g", "node x cannot be joined: image/png of 5 bytes is neither JSON nor text")


def test_a_transform_that_cannot_be_made_fails_the_graph_and_cancels_the_rest() -> None:
    nodes = "a: a, b: {call: f, after: {a: '${value.none}'}}, c: {call: hang, undo: u}"
    played = graph(nodes, {"a": ok({}).later(1), "hang": ok().held()})
    assert played.mistake == ("g", "`${value.none}`: there is no `none` in the empty object")
    assert played.paths == ["g.a", "g.c", "g.c/undo"]


# Random graphs against an oracle.


class Drawn:
    """A random graph, what its nodes answer, and what must come of it."""

    def __init__(self, seed: int, trouble: bool) -> None:
        random = Random(seed)
        self.names = [f"n{n}" for n in range(random.randrange(1, 9))]
        order = random.sample(self.names, len(self.names))
        self.nodes: dict[str, GraphNode] = {}
        self.delays = {name: random.choice([0, 0, 1, 2, 3, 4]) for name in self.names}
        self.kinds: dict[str, str] = {}
        for name in self.names:
            before = [each for each in order[: order.index(name)] if random.random() < 0.45]
            edges = {each: random.choice(["data", "data", "order", "transform"]) for each in before}
            kind = random.choice(["ok"] * 6 + ["off", "spared", "value", "bad" if trouble else "ok"])
            self.kinds[name] = kind
            step = CallStep(
                function=name,
                when="${false}" if kind == "off" else "",
                on_error={
                    "spared": OnError(action="skip"), "value": OnError(action="value", value=Template(value="mended")),
                }.get(kind),
                undo=UndoCall(function="undo") if random.random() < 0.6 else None,
            )  # fmt: skip
            self.nodes[name] = GraphNode(step=step, after={each: edge_of(kind) for each, kind in edges.items()})
        self.flow = Flow(name="main", steps=(GraphStep(nodes=self.nodes, id="g"), CallStep(function="last")))

    def functions(self) -> dict[str, Any]:
        return {name: self._function(name) for name in self.names} | {"undo": ok(), "last": ok()}

    def _function(self, name: str) -> Any:
        after, good = self.delays[name], self.kinds[name] in ("ok", "off")

        def answer(value: Any) -> Act:
            return (ok({name: value}) if good else unknown(500)).later(after)

        return answer

    def oracle(self) -> tuple[dict[str, Any], dict[str, float], Any]:
        """(what each node gets, when it begins, the value of the graph), if nothing is bad."""
        got: dict[str, Any] = {}
        left: dict[str, Any] = {}
        begins: dict[str, float] = {}
        ends: dict[str, float] = {}

        def visit(name: str) -> None:
            if name in got:
                return
            node = self.nodes[name]
            for each in node.after:
                visit(each)
            data = {each: edge for each, edge in node.after.items() if not edge.order}
            passed = {each: [left[each]] if edge.transform else left[each] for each, edge in data.items()}
            if len(data) > 1:
                passed = {each: value for each, value in passed.items() if self.kinds[each] not in ("off", "spared")}
                got[name] = passed
            else:
                got[name] = next(iter(passed.values()), "start")
            begins[name] = max((ends[each] for each in node.after), default=0)
            kind = self.kinds[name]
            ends[name] = begins[name] + (self.delays[name] if kind != "off" else 0)
            left[name] = {"ok": {name: got[name]}, "value": "mended"}.get(kind, got[name])

        for name in self.names:
            visit(name)
        last = [name for name in self.names if not any(name in node.after for node in self.nodes.values())]
        if len(last) == 1:
            return got, begins, left[last[0]]
        return got, begins, {name: left[name] for name in last if self.kinds[name] not in ("off", "spared")}


def edge_of(kind: str) -> Edge:
    return Edge(order=kind == "order", transform=Template(value=["${value}"]) if kind == "transform" else None)


@given(seeds)
def test_any_graph_in_any_order_gives_what_its_edges_say(seed: int) -> None:
    drawn = Drawn(seed, trouble=False)
    played = play(drawn.flow, drawn.functions(), "start")
    got, begins, value = drawn.oracle()
    called = {name for name in drawn.names if drawn.kinds[name] != "off"}
    assert {path[2:]: sent for path, sent in played.calls if path.startswith("g.") and "/" not in path} == {
        name: got[name] for name in called
    }
    assert {
        asked.path[2:]: round(asked.at) for asked in played.asked if "/" not in asked.path and asked.path != "last"
    } == {name: begins[name] for name in called}
    assert played.sent["last"] == value
    spared = {f"g.{name}" for name in drawn.names if drawn.kinds[name] == "spared"}
    assert set(played.errors) == spared
    assert played.completed == (not spared)


@given(seeds)
def test_whatever_fails_in_a_graph_exactly_what_was_done_is_undone_against_the_edges(seed: int) -> None:
    drawn = Drawn(seed, trouble=True)
    played = play(drawn.flow, drawn.functions(), "start")
    bad = [name for name in drawn.names if drawn.kinds[name] == "bad"]
    if not bad:
        assert played.failure is None
        return
    got, begins, _ = drawn.oracle()
    assert played.error.path in {f"g.{name}" for name in bad}
    begun = [path for path in played.paths if "/" not in path]
    assert "last" not in begun
    for asked in played.asked:
        if "/" not in asked.path:
            name = asked.path[2:]
            before = ancestors(drawn, name)
            assert not before & set(bad), "it began though one before it had failed"
            assert (asked.value, round(asked.at)) == (got[name], begins[name])
    undone = [path.removesuffix("/undo") for path, done in played.error.undo if done]
    own = {path for path in begun if drawn.nodes[path[2:]].step.undo is not None}
    caught = {path for path in own if drawn.kinds[path[2:]] in ("spared", "value")}
    late = set(undone) & caught  # those that were cut off before their own on_error came to it
    assert set(undone) == (own - caught) | late
    assert len(undone) == len(set(undone))
    for n, path in enumerate(undone):
        for later in undone[n + 1 :]:
            assert path[2:] not in ancestors(drawn, later[2:]), f"{path} was undone before {later}"


def ancestors(drawn: Drawn, name: str) -> set[str]:
    found: set[str] = set()
    waiting = list(drawn.nodes[name].after)
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += drawn.nodes[each].after
    return found


# Size.


@pytest.mark.parametrize("order", [False, True])
def test_the_lattice_of_seventeen_nodes(order: bool) -> None:
    """The `subdag-test` of faas-flow's examples: diamonds behind diamonds, with data and in order only."""
    edges = {
        2: [1], 3: [1], 4: [1], 5: [2, 3], 6: [3, 4], 7: [2, 4], 8: [5, 6], 9: [6, 7], 10: [5, 7], 11: [8, 9, 10],
        12: [11], 13: [11], 14: [12, 13], 15: [12, 13, 14], 16: [14, 1], 17: [15, 16],
    }  # fmt: skip
    nodes = {
        f"n{n}": GraphNode(
            step=CallStep(function="f"), after={f"n{each}": Edge(order=order) for each in edges.get(n, [])}
        )
        for n in range(1, 18)
    }
    flow = Flow(name="main", steps=(GraphStep(nodes=nodes, id="g"),))
    count = [0]

    def answer(value: Any) -> Act:
        count[0] += 1
        return ok(sum(value.values()) if isinstance(value, dict) else value).later(count[0] * 7 % 5)

    played = play(flow, {"f": answer}, 1)
    ways = {1: 1}
    for n in range(2, 18):
        ways[n] = sum(ways[each] for each in edges[n])
    assert played.value == (1 if order else ways[17])
    assert len(played.paths) == 17


def chain(length: int, read: bool = False) -> Flow:
    """Nodes one after another; with `read` each looks at the one before."""
    nodes: dict[str, GraphNode] = {}
    for n in range(length):
        step = CallStep(function="f", input=Template(value=f"${{steps.n{n - 1}}}") if read and n else None)
        nodes[f"n{n}"] = GraphNode(step=step, after={f"n{n - 1}": Edge()} if n else {})
    return Flow(name="main", steps=(GraphStep(nodes=nodes, id="g"),))


@pytest.mark.parametrize("read", [False, True])
def test_a_chain_of_ten_thousand_nodes_costs_ten_times_that_of_one_thousand(read: bool) -> None:
    times: list[float] = []
    for length in (999, 9_999):
        started = time.process_time()
        played = play(chain(length, read), {"f": lambda value: value + 1}, 0, record=False)
        times.append(time.process_time() - started)
        assert played.value == length
    assert times[1] < 40 * times[0] + 0.5, times  # linear, with room for noise; a square would be 100 times


def test_ten_thousand_nodes_in_diamonds_and_side_by_side() -> None:
    nodes = {"top": GraphNode(step=CallStep(function="f"))}
    before = "top"
    for n in range(0, 9_990, 3):
        for side in ("x", "y"):
            nodes[f"{side}{n}"] = GraphNode(step=CallStep(function="f"), after={before: Edge()})
        nodes[f"z{n}"] = GraphNode(step=CallStep(function="f"), after={f"x{n}": Edge(), f"y{n}": Edge(order=True)})
        before = f"z{n}"
    flow = Flow(name="main", steps=(GraphStep(nodes=nodes, id="g"),))
    assert play(flow, SHOW, 7, record=False).value == 7
    wide = {f"n{n}": GraphNode(step=CallStep(function="f")) for n in range(9_998)}
    wide["end"] = GraphNode(step=CallStep(function="f"), after={name: Edge() for name in wide})
    flow = Flow(name="main", steps=(GraphStep(nodes=wide, id="g"),))
    assert len(play(flow, SHOW, 7, record=False).value) == 9_998


def ring(size: int, round_: int) -> dict[str, list[str]]:
    """One cycle at the beginning, of so many nodes, and the others in a chain behind it."""
    return {f"n{n}": [f"n{(n or round_) - 1}"] for n in range(size)}


def pairs(size: int) -> dict[str, list[str]]:
    """Cycles of two, each after the one before it."""
    return {
        f"{side}{n}": [f"{other}{n}", f"x{n - 1}"][: 2 if n else 1]
        for n in range(size // 2)
        for side, other in ("xy", "yx")
    }


def all_in_one(size: int) -> dict[str, list[str]]:
    """One part that goes round, in which cycles of two hang together."""
    return {f"n{n}": [f"n{(n + step) % size}" for step in (1, -1)] for n in range(size)}


@pytest.mark.parametrize(
    "made", [lambda size: ring(size, 2), lambda size: ring(size, size - 100), pairs, all_in_one],
    ids=["a chain after a cycle", "a large cycle", "many cycles", "many cycles in one"],
)  # fmt: skip
def test_a_large_graph_with_cycles_is_refused_in_linear_time(made: Callable[[int], dict[str, list[str]]]) -> None:
    times: list[float] = []
    for size in (600, 6_000):
        flow = _flow({name: (CallStep(function="f"), before) for name, before in made(size).items()})
        started = time.process_time()
        faults = check(flow)
        times.append(time.process_time() - started)
        assert faults[0].message.startswith("the nodes are in a cycle: ")
        assert len(faults) <= size
        assert max(len(fault.message) for fault in faults) < 500
    assert times[1] < 40 * times[0] + 0.5, times


@given(st.integers(2, 12), seeds)
def test_whatever_goes_round_is_found_and_nothing_else(size: int, seed: int) -> None:
    random = Random(seed)
    names = [f"n{n}" for n in range(size)]
    after = {
        name: random.sample([n for n in names if n != name], random.choice([0, 0, 1, 1, 2][: size - 1 or 1]))
        for name in names
    }
    flow = _flow({name: (CallStep(function="f"), before) for name, before in after.items()})
    faults = [fault for fault in check(flow) if not fault.warning]
    runs: set[str] = set()
    while ready := [name for name in names if name not in runs and set(after[name]) <= runs]:
        runs.update(ready)
    assert bool(faults) == (len(runs) < size)
    if not faults:
        assert len(link(flow).calls) == size
        return
    told: set[str] = set()
    for fault in faults:
        kind, _, rest = fault.message.partition(": ")
        if kind == "the nodes are in a cycle":
            circle = rest.split(" -> ")
            assert circle[0] == circle[-1]
            assert all(one in after[other] for one, other in pairwise(circle))
            assert not told & set(circle)
            told |= set(circle)
        else:
            assert fault.message.split("`")[1] not in runs
    assert told
    assert not told & runs
