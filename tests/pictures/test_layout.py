"""Where things lie: nothing overlaps, everything is inside what it belongs to, edges cross no box."""

from __future__ import annotations

import pytest
from hypothesis import given

from legato.model.flow import Flow
from legato.model.steps import Edge, GraphNode, GraphStep
from legato.pictures.boxes import WIDEST, header_of, node_texts
from legato.pictures.letters import cut, text_width
from legato.pictures.sketch import Group, Node
from tests.pictures.flows import ALL, GRAPH, ORDER, call, known
from tests.pictures.geometry import boxes_of, check_boxes, check_routes, frame_rects, node_rects
from tests.pictures.strategies import flows


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_nothing_overlaps(flow: Flow) -> None:
    root = boxes_of(flow, known)
    check_boxes(root)
    check_routes(root)


@given(flows)
def test_nothing_overlaps_in_any_flow(flow: Flow) -> None:
    root = boxes_of(flow)
    check_boxes(root)
    check_routes(root)


@given(flows)
def test_texts_fit_into_their_boxes_and_pass_the_way_in(flow: Flow) -> None:
    for box in boxes_of(flow).all():
        if isinstance(box.item, Node) and box.item.title:
            assert max(text_width(text, size) for text, size in node_texts(box.item)) <= box.width
        elif isinstance(box.item, Group) and box.item.framed:
            left, width = box.x + box.text, header_of(box.item)[0]
            assert left + width <= box.right
            if box.item.kind not in ("error", "handler"):
                assert not left < box.way < left + width


def test_a_sequence_goes_down_in_one_line() -> None:
    nodes = node_rects(boxes_of(ORDER))
    first, second, last = nodes["/start"], nodes["validate-order"], nodes["/end"]
    assert first.bottom < second.top < last.top
    assert len({round((each.left + each.right) / 2) for each in (first, second, nodes["payment"], last)}) == 1


def test_branches_stand_side_by_side() -> None:
    root = boxes_of(ORDER)
    nodes, frames = node_rects(root), frame_rects(root)
    stock, points, mail = nodes["both.stock"], nodes["both.points"], frames["both.mail"]
    assert stock.top == points.top == mail.top
    assert stock.right < nodes["both.stock/undo"].left < points.left < points.right < mail.left
    assert all(frames["both"].holds(each) for each in (stock, points, mail))


def test_a_node_is_below_all_that_it_is_after() -> None:
    nodes = node_rects(boxes_of(GRAPH))
    inner = GRAPH.steps[0]
    assert isinstance(inner, GraphStep)

    def of(name: str) -> str:
        return "prepare.pack.box" if name == "pack" else f"prepare.{name}"

    for name, node in inner.nodes.items():
        for before in node.after:
            assert nodes[of(before)].bottom < nodes[of(name)].top


def test_a_lattice_is_laid_out_by_longest_paths() -> None:
    nodes = {"a": GraphNode(step=call("a"))}
    for n in range(1, 6):
        after = {"a": Edge(), **({f"b{n - 1}": Edge()} if n > 1 else {})}  # each edge from `a` passes those before
        nodes[f"b{n}"] = GraphNode(step=call("f"), after=after)
    root = boxes_of(Flow(name="lattice", steps=(GraphStep(nodes=nodes),)))
    tops = [node_rects(root)[f"graph.b{n}"].top for n in range(1, 6)]
    assert tops == sorted(tops)
    assert len(set(tops)) == 5
    assert len(check_routes(root)) == 1 + 5 + 4 + 1 + 2  # fork, from a, between, join, start and end


def test_labels_stand_where_no_box_is() -> None:
    for flow in ALL:
        root = boxes_of(flow)
        for route in check_routes(root):
            if route.label:
                x, y = route.at
                half = text_width(route.label, 11.0) / 2
                for rect in node_rects(root).values():
                    aside = rect.right <= x - half or rect.left >= x + half
                    assert aside or rect.bottom <= y - 10 or rect.top >= y, (route, rect)


def test_text_is_cut_to_a_width() -> None:
    for text in ("W" * 500, "i" * 500, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 500, "e\N{COMBINING ACUTE ACCENT}" * 500):
        short = cut(text, 13.0, WIDEST)
        assert text_width(short, 13.0) <= WIDEST
        assert short.endswith("…")
        assert text_width(short, 13.0) > WIDEST - 40
    assert cut("short", 13.0, WIDEST) == "short"
    assert text_width("\N{CJK UNIFIED IDEOGRAPH-4E2D}", 10) > text_width("m", 10) > text_width("i", 10)
