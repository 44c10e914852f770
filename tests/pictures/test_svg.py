"""SVG: well-formed whatever a flow says, drawn by nothing else, readable by those who cannot see it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.flow import Flow
from legato.model.mapping import Template
from legato.model.steps import Case, ChooseStep, SetStep
from legato.model.walk import every_step
from legato.pictures import drawn
from legato.pictures.parts import Part, Whole, parts_of
from tests.pictures.flows import ALL, AWKWARD, HANDLERS, ORDER, call, known
from tests.pictures.strategies import flows

SVG = "{http://www.w3.org/2000/svg}"


def parsed(flow: Flow) -> ElementTree.Element:
    return ElementTree.fromstring(drawn(flow, "svg", known))


def all_parts(whole: Whole) -> list[Part]:
    found: list[Part] = []
    waiting = [*whole.parts, *whole.on_failure, *whole.finally_]
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting += [inner for body in part.bodies for inner in body.parts]
        if part.whole is not None:
            waiting += [*part.whole.parts, *part.whole.on_failure, *part.whole.finally_]
    return found


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_every_step_is_there_once_with_a_title(flow: Flow) -> None:
    root = parsed(flow)
    paths = [group.get("data-path") for group in root.iter(f"{SVG}g") if group.get("data-path") is not None]
    assert len(paths) == len(set(paths))
    assert {part.path for part in all_parts(parts_of(flow, known))} <= set(paths)
    for group in root.iter(f"{SVG}g"):
        assert group[0].tag == f"{SVG}title", "the first child, or readers pass over it"
        assert group[0].text, ElementTree.tostring(group)


def test_it_needs_nothing_and_runs_nothing() -> None:
    for flow in ALL:
        text = drawn(flow, "svg")
        root = ElementTree.fromstring(text)
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "title", "style", "rect", "circle", "polygon", "path", "text", "g"
        }  # fmt: skip
        for element in root.iter():
            assert not any(name.lower().startswith("on") or "href" in name for name in element.attrib)
        style = root.find(f"{SVG}style")
        assert style is not None
        assert style.text is not None
        assert "url(" not in style.text
        assert "@import" not in style.text
        assert "prefers-color-scheme:dark" in style.text


def test_it_says_what_it_is() -> None:
    root = parsed(ORDER)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "The flow process-order"
    assert root[0].text == ORDER.description
    title = next(
        group[0].text for group in root.iter(f"{SVG}g") if group.get("data-path") == "payment" and len(group) > 1
    )
    assert title is not None
    assert title.splitlines() == [
        "payment",
        "charge-payment",
        "PUT /v1/charges/${input.order}",
        "timeout 1.5s",
        "5 attempts, waits up to 200ms, then 1.6s",
    ]


def test_everything_is_within_the_drawing() -> None:
    for flow in ALL:
        root = parsed(flow)
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
        for path in root.iter(f"{SVG}path"):
            numbers = [float(number) for number in re.findall(r"-?[0-9.]+", path.get("d", ""))]
            assert all(0 <= x <= width for x in numbers[::2]), path.get("d")
            assert all(0 <= y <= height for y in numbers[1::2]), path.get("d")


def test_kinds_of_edges_look_different() -> None:
    text = drawn(HANDLERS, "svg")
    assert 'class="line dash"' in text  # undo
    assert 'class="line dash error"' in text
    assert 'class="line order"' in drawn(ALL[3], "svg")
    assert "charge undone by charge/undo" in text


def test_what_an_author_writes_is_text() -> None:
    text = drawn(AWKWARD, "svg")
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\x00" not in text
    assert '/a"b\\c/&lt;d&gt;&amp;e;#f|g{h}[i]`j`' in text


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_well_formed(one: str, other: str) -> None:
    """Also text that XML has no place for: control characters, halves of surrogates, noncharacters."""
    flow = Flow(
        name="any",
        description=one,
        steps=(
            SetStep(set=Template(value=one)),
            ChooseStep(cases=(Case(when=f"${{{other}}}", steps=(call("a", path=f"/{one}"),), name=""),)),
        ),
    )
    root = ElementTree.fromstring(drawn(flow, "svg").encode("utf-8"))
    assert root.tag == f"{SVG}svg"


@given(flows)
def test_any_flow_is_well_formed(flow: Flow) -> None:
    root = ElementTree.fromstring(drawn(flow, "svg"))
    titled = [group.get("data-path") for group in root.iter(f"{SVG}g")]
    assert len([path for path in titled if path and "/" not in path]) >= sum(1 for _ in flow.steps)
    assert sum(1 for _ in every_step(flow)) <= len(titled)
