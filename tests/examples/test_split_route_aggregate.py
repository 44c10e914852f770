"""examples/split-route-aggregate: each item to those who sell it."""

from __future__ import annotations

from tests.examples.project import Example, Functions

EXAMPLE = "split-route-aggregate"
WIDGET = {"sku": "w1", "kind": "widget", "quantity": 2}
GADGET = {"sku": "g1", "kind": "gadget", "quantity": 1}
GIZMO = {"sku": "z1", "kind": "gizmo", "quantity": 1}


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_routes_and_adds_up(example: Example, functions: Functions) -> None:
    assert example.result("quote-order", {"items": [GADGET, WIDGET, GADGET]}) == {
        "lines": [
            {"sku": "g1", "price": 20, "days": 7},
            {"sku": "w1", "price": 6, "days": 1},
            {"sku": "g1", "price": 20, "days": 7},
        ],
        "total": 46,
        "days": 7,
    }
    assert functions.sent("quote-widget") == [WIDGET]
    assert functions.sent("quote-gadget") == [GADGET, GADGET]


def test_nothing_is_ordered(example: Example, functions: Functions) -> None:
    assert example.result("quote-order", {"items": []}) == {"lines": [], "total": 0, "days": 0}
    assert functions.called == []


def test_what_nobody_sells(example: Example) -> None:
    said = example.run("quote-order", {"items": [WIDGET, GIZMO]})
    assert (said.status, said.json()["detail"]) == (422, "nobody sells a gizmo")


def test_no_order(example: Example, functions: Functions) -> None:
    said = example.run("quote-order", {"items": [{"sku": "w1"}]})
    assert (said.status, {error["pointer"] for error in said.json()["errors"]}) == (422, {"/items/0"})
    assert functions.called == []


def test_partly(example: Example, functions: Functions) -> None:
    functions.answers("quote-gadget", 500)
    said = example.run("quote-partly", {"items": [WIDGET, GADGET, WIDGET, GIZMO]})
    assert (said.status, said.completed) == (200, "false")
    assert [line["sku"] for line in said.json()["lines"]] == ["w1", "w1"]
    assert said.json()["missing"] == ["the function answered 500", "nobody sells a gizmo"]


def test_less_than_half_is_not_enough(example: Example) -> None:
    said = example.run("quote-partly", {"items": [WIDGET, GIZMO, GIZMO]})
    assert (said.status, said.json()["detail"]) == (422, "nobody sells a gizmo")
