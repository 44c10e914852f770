"""Branches that Python code chooses, items that it makes, and what graphs forward: what they mean when they run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legato import Flow, Graph, Refused, RunFailed, Steps, run_sync
from legato.inprocess import run

UP = {"up": str.upper, "left": lambda value: f"L{value}", "right": lambda value: f"R{value}"}


def keys(value: Any) -> Any:
    return value["keys"]


def chosen() -> Flow:
    """A flow of two branches, of which the value names those that are taken."""
    return Flow("f").branch(
        keys, {"a": Steps().set("${value.n}").call("left"), "b-b": ["right-one", "right-two"]}, id="x"
    )


PARTS = {"left": lambda n: n + 1, "right-one": lambda value: value["n"], "right-two": lambda n: n * 10}


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (["a"], {"a": 3}),
        (["b-b"], {"b-b": 20}),
        (["b-b", "a"], {"a": 3, "b-b": 20}),
        (["a", "a"], {"a": 3}),
        ([], {"n": 2, "keys": []}),
    ],
)
def test_the_branches_that_code_names(given: list[str], result: Any) -> None:
    assert run_sync(chosen(), {"n": 2, "keys": given}, functions=PARTS) == result


@pytest.mark.parametrize("given", [["c"], ["a", "c"], "a", None, {"a": 1}, 3, [["a"]], [1]])
def test_what_is_no_branch_fails_before_any_has_begun(given: Any) -> None:
    called: list[str] = []
    parts = dict.fromkeys(PARTS, called.append)
    with pytest.raises(RunFailed) as failed:
        run_sync(chosen(), {"n": 2, "keys": given}, functions=parts)
    assert failed.value.status == 500
    assert failed.value.step == "x.known"
    assert "the branches are a, b-b" in failed.value.detail
    assert not called


def test_all_branches_run_at_once() -> None:
    async def main() -> Any:
        meeting = asyncio.Barrier(2)

        async def meet(value: Any) -> Any:
            await meeting.wait()
            return value["n"]

        flow = Flow("f").branch(keys, {"a": "meet", "b": "meet"})
        return await run(flow, {"n": 1, "keys": ["a", "b"]}, functions={"meet": meet}, timeout=5)

    assert asyncio.run(main()) == {"a": 1, "b": 1}


@pytest.mark.parametrize(("given", "result"), [(["a"], [["a", 2]]), ([], {"keys": []})])
def test_one_branch_is_an_object_as_well(given: list[str], result: Any) -> None:
    """And code that puts results together is not asked where there are none."""
    flow = Flow("f").branch(
        keys, {"a": Steps().set(2)}, aggregate=lambda results: [list(each) for each in results.items()]
    )
    assert run_sync(flow, {"keys": given}) == result


def test_results_are_put_together() -> None:
    flow = Flow("f").branch(
        lambda value: ["a", "b"], {"a": "left", "b": "right"}, aggregate=lambda found: found["a"] + found["b"]
    )
    assert run_sync(flow, "x", functions=UP) == "LxRx"


def test_branches_may_be_called_as_the_parts_of_the_choice() -> None:
    cases = {name: Steps().set(name) for name in ("keys", "known", "together", "keys_2")}
    flow = Flow("f").branch(lambda value: value, cases)
    assert run_sync(flow, ["known", "keys", "keys_2"]) == {"keys": "keys", "known": "known", "keys_2": "keys_2"}


def test_a_branch_within_a_branch() -> None:
    inner = Steps().branch(lambda value: ["y"], {"y": Steps().modify(lambda value: value + 1), "z": "never"})
    flow = Flow("f").branch(lambda value: ["x"], {"x": inner}, aggregate=lambda found: found["x"]["y"])
    assert run_sync(flow, 1, functions={"never": AssertionError()}) == 2


def test_a_branch_may_be_skipped_and_fail() -> None:
    flow = Flow("f").branch(lambda value: ["a"], {"a": "left"}, on_error={"value": "spared"})
    assert run_sync(flow, 1, functions={"left": ValueError("no")}) == "spared"


@pytest.mark.parametrize("says", [None, {"sorry": 1}])
def test_a_failure_is_told_to_code_which_may_say_something_to_the_caller(says: Any) -> None:
    told: list[Any] = []

    def handle(error: Any) -> Any:
        told.append((error["step"], error["status"], error["detail"]))
        return says

    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").call("bad").on_failure(handle), 1, functions={"bad": Refused("no", 409)})
    assert told == [("bad", 409, "no")]
    assert failed.value.failure.said is None or failed.value.body == says
    assert (failed.value.failure.said is None) == (says is None)


def split(value: str) -> list[str]:
    return value.split("-")


def test_items_that_code_makes() -> None:
    flow = Flow("f").foreach(split, "up", aggregate="-".join, concurrency=2)
    assert run_sync(flow, "aa-bb-cc", functions=UP) == "AA-BB-CC"
    assert run_sync(Flow("f").foreach(split, "up"), "aa-bb", functions=UP) == ["AA", "BB"]


def test_items_by_key() -> None:
    """As in a file: the item is the pair, and results go by key."""
    flow = Flow("f").foreach(lambda value: {each: len(each) for each in split(value)}, Steps().set("${item.key + '!'}"))
    assert run_sync(flow, "a-bb") == {"a": "a!", "bb": "bb!"}
    assert run_sync(flow, "") == {"": "!"}


def test_no_items() -> None:
    assert run_sync(Flow("f").foreach(lambda value: [], "up"), functions=UP) == []
    assert run_sync(Flow("f").foreach(lambda value: {}, "up", aggregate=lambda found: [found]), functions=UP) == [{}]


def test_results_of_an_expression_are_put_together() -> None:
    assert run_sync(Flow("f").foreach("${value}", "up", aggregate="".join, id="x"), ["a", "b"], functions=UP) == "AB"


def test_a_foreach_branch_gives_values_by_key() -> None:
    graph = (
        Graph()
        .foreach_branch(
            "each", lambda value: {each: {"v": each} for each in split(value)}, Steps().set("${value.v}").call("up")
        )
        .node("join", modify=lambda found: "+".join(f"{key}{value}" for key, value in found.items()))
        .edge("each", "join")
    )
    assert run_sync(Flow("f").graph(graph), "a-b", functions=UP) == "aA+bB"


def test_a_conditional_branch_with_an_aggregator() -> None:
    graph = (
        Graph()
        .node("start", call="up")
        .conditional_branch(
            "either", lambda value: ["a"], {"a": "left", "b": "right"}, aggregate=lambda found: list(found.items())
        )
        .edge("start", "either")
    )
    assert run_sync(Flow("f").graph(graph), "x", functions=UP) == [["a", "LX"]]


def diamond(**edges: Any) -> Flow:
    """`a`, then `b` and `c`, then `d`, which shows what it gets; `edges` are what the edges to `d` say."""
    graph = (
        Graph()
        .node("a", call="up")
        .node("b", call="left")
        .node("c", call="right")
        .node("d", modify=lambda value: {"got": value})
    )
    graph.edge("a", "b").edge("a", "c").edge("b", "d", **edges.get("b", {})).edge("c", "d", **edges.get("c", {}))
    return Flow("f").graph(graph)


@pytest.mark.parametrize(
    ("edges", "got"),
    [
        ({}, {"b": "LX", "c": "RX"}),
        ({"c": {"order": True}}, "LX"),
        ({"b": {"forward": "${value + '!'}"}}, {"b": "LX!", "c": "RX"}),
        ({"b": {"forward": list}}, {"b": ["L", "X"], "c": "RX"}),
        ({"b": {"forward": list}, "c": {"forward": len}}, {"b": ["L", "X"], "c": 2}),
        ({"b": {"forward": list}, "c": {"order": True}}, ["L", "X"]),
        ({"b": {"order": True}, "c": {"order": True}}, "x"),
    ],
)
def test_what_edges_forward(edges: Any, got: Any) -> None:
    assert run_sync(diamond(**edges), "x", functions=UP) == {"got": got}


def test_code_forwards_of_nodes_that_were_not_skipped() -> None:
    graph = Graph().node("a", call="left", when="${false}").node("b", call="right").node("c", aggregate=dict, steps=[])
    graph.edge("a", "c", forward=len).edge("b", "c", forward=len)
    assert run_sync(Flow("f").graph(graph), "x", functions=UP) == {"b": 2}


def test_an_aggregator_makes_one_value_of_several() -> None:
    graph = (
        Graph()
        .node("a", call="left")
        .node("b", call="right")
        .node("c", call="up", aggregate=lambda got: got["a"] + got["b"])
    )
    assert run_sync(Flow("f").graph(graph.edge("a", "c").edge("b", "c")), "x", functions=UP) == "LXRX"


def test_graphs_are_appended() -> None:
    first = Graph().node("a", call="up").node("b", call="left").edge("a", "b")
    both = first.append(
        Graph().node("c", call="right").node("d", modify=lambda value: value + "!").edge("c", "d")
    ).edge("b", "c")
    assert run_sync(Flow("f").graph(both), "x", functions=UP) == "RLX!"


def test_a_graph_that_was_appended_does_not_follow_its_source() -> None:
    source = Graph().node("a", call="up").node("b", call="left")
    graph = Graph().append(source)
    source.edge("a", "b").node("c", call="right")
    assert Flow("f").graph(graph).document["steps"] == [{"graph": {"a": {"call": "up"}, "b": {"call": "left"}}}]
