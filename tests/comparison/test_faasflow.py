"""faas-flow and goflow: what their operations and graphs do, in flows. docs/comparison.md names these tests."""

from __future__ import annotations

import pytest

from legato.errors import DefinitionError
from legato.model.payload import Payload
from legato.testing import ok, refused, retryable, unknown
from tests.language.play import play, problems_of

PICTURE = Payload.of(b"image/png", b"\x89PNG\xfe\xff")
mark = {"f": lambda value: f"f({value})", "g": lambda value: f"g({value})", "h": lambda value: f"h({value})"}


# Operations of a node.


def test_sync_node() -> None:
    """However many nodes there are, the caller gets the result."""
    assert play("steps: [f, g, {parallel: {one: f, two: g}}]", mark, "x").value == {
        "one": "f(g(f(x)))",
        "two": "g(g(f(x)))",
    }


def test_node_with_several_operations() -> None:
    text = "steps: [{graph: {first: {steps: [f, g]}, second: {call: h, after: first}}}]"
    assert play(text, mark, "x").value == "h(g(f(x)))"


def test_apply() -> None:
    played = play("steps: [f, {call: g, method: PUT}]", mark, "x")
    assert played.value == "g(f(x))"
    assert [asked.step.method for asked in played.asked] == ["POST", "PUT"]


def test_apply_in_time() -> None:
    played = play("steps: [{call: f, timeout: 2s}]", {"f": ok(1).later(3.0)}, 1)
    assert (played.error.outcome.kind, played.took) == ("unknown", pytest.approx(2.0, abs=0.2))


def test_apply_again() -> None:
    answers = iter([retryable(503), retryable(503), ok("done")])
    played = play("steps: [{call: f, retry: {attempts: 3}}]", {"f": lambda _: next(answers)}, 1)
    assert (played.value, played.paths) == ("done", ["f", "f", "f"])


def test_invalid_return_status() -> None:
    played = play("steps: [f, g]", {"f": unknown(500)}, "x")
    assert (played.error.path, played.error.outcome.status, played.paths) == ("f", 500, ["f"])


def test_modify() -> None:
    played = play("steps: [{python: 'shop:prefix'}, {set: {name: '${value}'}}]", {"shop:prefix": "x-1"}, "1")
    assert played.value == {"name": "x-1"}


def test_request() -> None:
    """What the URL answers is the data."""
    played = play("steps: [{call: storage, path: '/bucket/${value.id}'}]", {"storage": {"stored": True}}, {"id": "a b"})
    assert played.value == {"stored": True}
    assert played.asked[0].parts is not None
    assert played.asked[0].parts.path == b"/bucket/a%20b"


def test_header_and_query() -> None:
    text = "steps: [{call: f, headers: {X-Shop: '${value.shop}'}, query: {q: '${value.q}', tag: [a, b]}}]"
    parts = play(text, mark, {"shop": "north", "q": "a&b c"}).asked[0].parts
    assert parts is not None
    assert (parts.headers, parts.query) == (b"x-shop: north\r\n", b"q=a%26b%20c&tag=a&tag=b")


def test_on_failure_of_an_operation() -> None:
    """The value goes on as it was, or as what the handler makes; never as what happened to be read."""
    functions = {**mark, "bad": unknown(500)}
    assert play("steps: [f, {call: bad, on_error: skip}, g]", functions, "x").value == "g(f(x))"
    text = "steps: [{call: bad, on_error: {steps: [{set: '${error.status}'}, g]}}]"
    assert play(text, functions, "x").value == "g(500)"


def test_on_response() -> None:
    """Code that judges any answer, whatever its status."""
    played = play(
        "steps: [{call: f, on_response: 'shop:judge'}]",
        {"f": refused(404, {"why": "gone"}), "shop:judge": lambda answer: [answer["status"], answer["body"]]},
        1,
    )
    assert played.value == [404, {"why": "gone"}]


def test_request_handler() -> None:
    text = """
        steps:
          - call: f
            method: PATCH
            path: "/${value.id}"
            headers: {content-type: application/merge-patch+json}
            input: {name: "${value.name}"}
        """
    (asked,) = play(text, mark, {"id": 7, "name": "Ada"}).asked
    assert asked.parts is not None
    assert (asked.step.method, asked.parts.path, asked.value) == ("PATCH", b"/7", {"name": "Ada"})
    assert asked.parts.headers == b"content-type: application/merge-patch+json\r\n"


def test_nothing_is_not_the_input_again() -> None:
    """An operation that answers nothing has answered nothing: the next one does not get the node's input."""
    played = play("steps: [{python: 'shop:nothing'}, g]", {**mark, "shop:nothing": None}, "x")
    assert played.calls[1] == ("g", None)


def test_node_without_operations() -> None:
    assert play("steps: [f, {steps: []}, g]", mark, "x").value == "g(f(x))"
    text = "steps: [{graph: {a: f, b: {steps: [], after: a}, c: {call: g, after: b}}}]"
    assert play(text, mark, "x").value == "g(f(x))"


# Graphs.


def test_node_with_a_workload() -> None:
    played = play("steps: [{graph: {only: {python: 'shop:work'}}}]", {"shop:work": lambda value: value + 1}, 1)
    assert (played.value, played.paths) == (2, ["graph.only"])


def test_edge_to_what_is_not_there() -> None:
    problems = problems_of("steps: [{graph: {price: f, tax: {call: g, after: prise}}}]")
    assert "`prise`, which is no node of this graph" in problems
    assert "did you mean `price`" in problems


def test_edge_forwards_data_as_is() -> None:
    """Bytes stay bytes along an edge; only what joins several has to be JSON."""
    text = "steps: [{graph: {load: load, small: {call: resize, after: load}}}]"
    played = play(text, {"load": PICTURE, "resize": lambda value: value}, 1)
    assert played.payload.body == PICTURE.body


def test_edge_of_execution_only() -> None:
    text = "steps: [{graph: {first: f, second: {call: g, after: {first: order}}}}]"
    played = play(text, {**mark, "f": ok("f").later(1.0)}, "x")
    assert (played.value, played.events[1:3]) == ("g(x)", ["end graph.first", "begin graph.second"])


def test_edge_with_a_forwarder() -> None:
    text = """
        steps:
          - graph:
              order: order
              price: {call: f, after: {order: "${value.total}"}}
              label: {call: g, after: {order: {pick: id}}}
        """
    sent = play(text, {**mark, "order": {"id": 7, "total": 120}}, 1).sent
    assert (sent["graph.price"], sent["graph.label"]) == (120, {"id": 7})


def test_aggregator() -> None:
    text = """
        steps:
          - graph:
              left: f
              right: g
              both: {call: h, after: [left, right], input: "${value.left + '+' + value.right}"}
        """
    assert play(text, mark, "x").value == "h(f(x)+g(x))"


def test_join_without_an_aggregator() -> None:
    """A node with several before it gets an object by node, not nothing."""
    played = play("steps: [{graph: {a: f, b: g, c: {set: '${value}', after: [a, b]}}}]", mark, "x")
    assert played.value == {"a": "f(x)", "b": "g(x)"}


def test_several_ends() -> None:
    """Their values are the result, by node; faas-flow's is empty."""
    assert play("steps: [{graph: {a: f, b: g}}]", mark, "x").value == {"a": "f(x)", "b": "g(x)"}


def test_sub_dag() -> None:
    text = """
        steps:
          - graph:
              a: f
              inner: {graph: {b: f, c: {call: g, after: b}}, after: a}
              d: {call: h, after: inner}
        """
    assert play(text, mark, "x").value == "h(g(f(f(x))))"


def test_one_dag_in_two_places() -> None:
    text = "steps: [{graph: {a: {flow: both}, b: {flow: both, after: a}}}]"
    played = play(text, mark, "x", flows={"both": "steps: [f, g]"})
    assert (played.value, len(set(played.paths))) == ("g(f(g(f(x))))", 4)


def test_recursion_is_found() -> None:
    with pytest.raises(DefinitionError, match="the flow calls itself: main -> other -> main"):
        play("steps: [{flow: other}]", flows={"main": "steps: [f]", "other": "steps: [{flow: main}]"})


def test_cycle_is_found() -> None:
    assert "the nodes are in a cycle: a -> b -> a" in problems_of(
        "steps: [{graph: {a: {call: f, after: b}, b: {call: g, after: a}}}]"
    )


# Dynamic branches.


def test_for_each_branch() -> None:
    """One branch for each key that an expression or Python code gives, and the results by key."""
    text = """
        steps:
          - python: "shop:split"
          - {foreach: "${value}", collect: object, steps: [{call: f, input: "${item.value}"}]}
        """
    played = play(text, {**mark, "shop:split": {"aa": 1, "bb": 2}}, "aa-bb")
    assert played.value == {"aa": "f(1)", "bb": "f(2)"}


def test_conditional_branch() -> None:
    """All cases that hold, at once, with the same input."""
    text = """
        steps:
          - choose:
              all: true
              cases:
                - {name: large, when: "${value > 10}", call: f}
                - {name: even, when: "${value % 2 == 0}", steps: [g, h]}
                - {name: none, when: "${value < 0}", call: h}
        """
    played = play(text, {**mark, "f": ok("f").later(1.0)}, 12)
    assert played.value == {"large": "f", "even": "h(g(12))"}
    assert played.events[:2] == ["begin choose.large.f", "begin choose.even.g"]


def test_branch_picked_by_code() -> None:
    text = """
        steps:
          - {python: "shop:pick", id: keys}
          - choose:
              all: true
              cases:
                - {name: a, when: "${'a' in steps.keys}", steps: [{call: f, input: "${input}"}]}
                - {name: b, when: "${'b' in steps.keys}", steps: [{call: g, input: "${input}"}]}
        """
    assert play(text, {**mark, "shop:pick": ["b"]}, "x").value == {"b": "g(x)"}


def test_empty_set_of_branches() -> None:
    """No option is no failure."""
    assert play("steps: [{foreach: '${value}', steps: [f]}]", mark, []).value == []
    assert play("steps: [{foreach: '${value}', collect: object, steps: [f]}]", mark, {}).value == {}
    assert play("steps: [{choose: {all: true, cases: [{name: a, when: '${false}', call: f}]}}]", mark, 1).value == 1


def test_max_parallelism() -> None:
    text = "steps: [{foreach: '${value}', concurrency: 3, steps: [f]}]"
    assert play(text, {"f": ok(1).later(1.0)}, list(range(10))).functions.most_in_flight == 3


def test_results_in_order() -> None:
    text = "steps: [{foreach: '${value}', steps: [f]}]"
    played = play(text, {"f": lambda n: ok(n * 10).later(10.0 - n)}, list(range(5)))
    assert played.value == [0, 10, 20, 30, 40]
    assert next(event for event in played.events if event.startswith("end")) == "end foreach[4].f"


def test_early_exit() -> None:
    """As soon as enough have answered, the others are aborted."""
    text = "steps: [{parallel: {slow: f, quick: g}, join: any, merge: first}]"
    played = play(text, {"f": ok(1).later(9.0), "g": ok(2).later(1.0)}, "x")
    assert (played.value, played.functions.aborted, played.took) == (2, ["parallel.slow"], pytest.approx(1, abs=0.2))
