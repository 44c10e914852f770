"""JSON: what faas-flow's `export-dag` has, filled in, with our paths beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from legato.model.flow import Flow
from legato.model.steps import Edge, GraphNode, GraphStep
from legato.pictures import drawn
from legato.pictures.parts import parts_of
from tests.pictures.flows import ALL, CODE, EMPTY, GRAPH, HANDLERS, ORDER, OUTER, call, known
from tests.pictures.strategies import flows
from tests.pictures.test_svg import all_parts

NODE_KEYS = {
    "id", "node-index", "unique-id", "is-dynamic", "is-condition", "is-foreach", "has-aggregator",
    "has-sub-aggregator", "has-subdag", "in-degree", "out-degree", "operations", "childrens",
}  # fmt: skip
DAG_KEYS = {"id", "has-branch", "has-edge", "exec-only-dag", "nodes"}


def exported(flow: Flow) -> dict[str, Any]:
    return json.loads(drawn(flow, "json", known))


def dags(dag: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A dag and all within it."""
    yield dag
    inner = [dag[key] for key in ("on-failure", "finally") if key in dag]
    for node in dag["nodes"].values():
        inner += [node[key] for key in ("sub-dag", "foreach-dag", "error-dag") if key in node]
        inner += node.get("conditional-dags", {}).values()
    for each in inner:
        yield from dags(each)


def check(flow: Flow) -> dict[str, Any]:
    document = exported(flow)
    paths: list[str] = []
    for dag in dags(document):
        assert dag.keys() >= DAG_KEYS
        into = dict.fromkeys(dag["nodes"], 0)
        for name, node in dag["nodes"].items():
            assert node.keys() >= NODE_KEYS
            assert node["id"] == name
            assert node["out-degree"] == len(node["childrens"])
            assert set(node.get("child-exec-only", {})) <= set(node["childrens"])
            paths.append(node["path"])
            for child in node["childrens"]:
                into[child] += 1
        assert {name: node["in-degree"] for name, node in dag["nodes"].items()} == into
        assert [node["node-index"] for node in dag["nodes"].values()] == list(range(len(into)))
        assert dag["has-edge"] == any(into.values())
        if "start-node" in dag:
            assert [name for name, count in into.items() if not count] == [dag["start-node"]]
        if "end-node" in dag:
            assert not dag["nodes"][dag["end-node"]]["childrens"]
    assert sorted(paths) == sorted(part.path for part in all_parts(parts_of(flow, known)))
    return document


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_every_step_is_a_node_of_one_dag(flow: Flow) -> None:
    document = check(flow)
    assert document["flow"] == flow.name
    assert document["version"] == flow.version
    assert document["is-valid"] is True


@given(flows)
def test_any_flow(flow: Flow) -> None:
    check(flow)


def test_a_sequence_is_a_chain() -> None:
    document = exported(ORDER)
    assert list(document["nodes"]) == ["validate-order", "payment", "both", "foreach", "choose", "send-email"]
    assert document["start-node"] == "validate-order"
    assert document["end-node"] == "send-email"
    assert not document["has-branch"]
    payment = document["nodes"]["payment"]
    assert payment["childrens"] == ["both"]
    assert payment["operations"][0]["name"] == "charge-payment"
    assert payment["operations"][0]["properties"]["isFunction"] is True
    assert payment["says"]["undo"] == {"function": "refund-payment", "timeout": 2.0}
    assert "steps" not in json.dumps(payment["says"])


def test_what_is_within() -> None:
    nodes = exported(ORDER)["nodes"]
    both, foreach, choose = nodes["both"], nodes["foreach"], nodes["choose"]
    assert both["sub-dag"]["has-branch"] is True
    assert "start-node" not in both["sub-dag"]
    assert both["sub-dag"]["nodes"]["mail"]["sub-dag"]["start-node"] == "render-mail"
    assert foreach["is-foreach"]
    assert foreach["is-dynamic"]
    assert foreach["foreach-dag"]["nodes"]["pick"]["path"] == "foreach[*].pick"
    assert choose["is-condition"]
    assert choose["conditions"] == {"case_1": "${steps.payment.amount > 1000}"}
    assert list(choose["conditional-dags"]["case_1"]["nodes"]) == ["approval"]


def test_edges_of_a_graph() -> None:
    graph = exported(GRAPH)["nodes"]["prepare"]["sub-dag"]
    price = graph["nodes"]["price"]
    assert price["childrens"] == ["tax", "audit", "mail"]
    assert price["child-exec-only"] == {"mail": True}
    assert "child-exec-only" not in graph["nodes"]["stock"]
    assert graph["nodes"]["mail"]["in-degree"] == 2
    assert not graph["exec-only-dag"]
    nodes = {"a": GraphNode(step=call("a")), "b": GraphNode(step=call("b"), after={"a": Edge(order=True)})}
    only = exported(Flow(name="x", steps=(GraphStep(nodes=nodes),)))
    assert only["nodes"]["graph"]["sub-dag"]["exec-only-dag"] is True


def test_handlers_and_flows_within() -> None:
    document = exported(HANDLERS)
    assert list(document["on-failure"]["nodes"]) == ["tell-somebody", "respond"]
    assert document["finally"]["nodes"]["clean-up"]["path"] == "/finally.clean-up"
    assert document["callback"]["when"] == "failure"
    assert list(document["nodes"]["charge"]["error-dag"]["nodes"]) == ["explain", "log"]
    assert "error-dag" not in document["nodes"]["send"]
    inner = exported(OUTER)["nodes"]["inner"]
    assert inner["has-subdag"]
    assert inner["sub-dag"]["flow"] == "inner"
    assert inner["sub-dag"]["nodes"]["fetch"]["path"] == "inner.fetch"
    assert inner["sub-dag"]["finally"]["nodes"]["close"]["path"] == "inner/finally.close"
    assert inner["sub-dag"]["nodes"]["inner"]["note"] == "it is within itself"


def test_flows_without_steps() -> None:
    assert exported(EMPTY)["nodes"] == {}
    assert exported(CODE)["code"] == "shop.flows:process"
