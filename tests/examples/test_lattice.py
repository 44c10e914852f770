"""examples/lattice: a graph that is no tree, with data and without."""

from __future__ import annotations

import json
import threading

from examples.serve import Answer, Request
from tests.examples.project import PATIENCE, Example, Functions

EXAMPLE = "lattice"
ROWS = [
    ["n1"],
    ["n2", "n3", "n4"],
    ["n5", "n6", "n7"],
    ["n8", "n9", "n10"],
    ["n11", "n12", "n13"],
    ["n14", "n15", "n16"],
]


def node_of(key: str) -> str:
    return key.partition("/graph.")[2]


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_every_way_is_taken(example: Example, functions: Functions) -> None:
    """What arrives at the end is the number of ways: of each edge that lost its data, the number would tell."""
    assert example.result("lattice", 1) == 324
    assert example.result("lattice", 10) == 3240
    assert len(functions.called) == 2 * (16 + 4)


def test_what_a_node_gets(example: Example, functions: Functions) -> None:
    example.result("lattice", 1)
    sent = {node_of(call.headers["idempotency-key"]): call.body for call in functions.calls}
    assert sent["n1"] == sent["n2"] == b"1"
    assert sent["n8"] == b'{"n5":3,"n6":3,"n7":3}'
    assert sent["n9.top"] == sent["n8"]
    assert sent["n17"] == b'{"n14":108,"n15":108,"n16":108}'


def test_order_alone(example: Example, functions: Functions) -> None:
    assert example.result("lattice-in-order", {"some": "thing"}) == "n17"
    called = [sent["node"] for sent in functions.sent("visit")]
    assert len(called) == len(set(called)) == 17
    begun = 0
    for row in ROWS:
        assert sorted(called[begun : begun + len(row)]) == sorted(row), "a node began before those it is after"
        begun += len(row)


def test_a_row_is_done_at_once(example: Example, functions: Functions) -> None:
    """No node of a row answers before all three have been called."""
    rows = {name: threading.Barrier(len(row), timeout=PATIENCE) for row in ROWS for name in row[:1]}
    first = {name: row[0] for row in [*ROWS, ["n17"]] for name in row} | {"n17": "n1"}

    def visit(request: Request) -> Answer:
        node = json.loads(request.body)["node"]
        rows[first[node]].wait()
        return Answer(200, json.dumps(node).encode())

    functions.instead["visit"] = visit
    assert example.result("lattice-in-order", 1) == "n17"


def test_a_node_down_ends_the_graph(example: Example, functions: Functions) -> None:
    functions.answers("add", 500)
    said = example.run("lattice", 1)
    assert (said.status, said.json()["step"]) == (502, "graph.n1")
    assert functions.called == ["add"]
