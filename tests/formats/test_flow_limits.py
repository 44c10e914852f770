"""The bounds of a flow, each just inside and just outside."""

from __future__ import annotations

import json

import pytest

from legato.formats import read
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.source import Source


def native(steps: str) -> Definition:
    text = f"flow: order\nsteps: {steps}\n".encode()
    return read(Source(name="order", language="native", text=text, origin="order.yaml"))


def fnkit(mode: str, count: int) -> Definition:
    text = json.dumps({"mode": mode, "steps": [f"f{n}" for n in range(count)]}).encode()
    return read(Source(name="order", language="fnkit", text=text, origin="order.json"))


def messages(definition: Definition) -> list[str]:
    return [problem.message for problem in definition.problems]


def nested(opening: str, closing: str, count: int) -> str:
    return "[" + opening * count + "a" + closing * count + "]"


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [
        ("{steps: [", "]}", 1),
        ("{parallel: {x: ", "}}", 1),
        ("{parallel: {x: [", "]}}", 2),
        ("{graph: {x: ", "}}", 1),
        ("{foreach: [1], steps: [", "]}", 1),
    ],
)
def test_depth(opening: str, closing: str, levels: int) -> None:
    fits = 49 // levels
    assert native(nested(opening, closing, fits)).state == "ok"
    assert messages(native(nested(opening, closing, fits + 1))) == ["steps nested deeper than 50"]


def test_number_of_steps() -> None:
    assert native("[" + "a," * 10_000 + "]").state == "ok"
    assert messages(native("[" + "a," * 10_005 + "]")) == ["more than 10000 steps in a flow"]
    # Sequences, parallels and branches that are lists count as well: 1 + 1 + 1 + 9,998.
    assert messages(native("[{steps: [{parallel: {x: [" + "a," * 9_998 + "]}}]}]")) == [
        "more than 10000 steps in a flow"
    ]
    assert native("[{steps: [{parallel: {x: [" + "a," * 9_997 + "]}}]}]").state == "ok"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [('{choose: [{when: "${value}", steps: [', "]}]}"), ("{call: a, on_error: {steps: [", "]}}")],
)
def test_what_takes_more_levels_of_the_document(opening: str, closing: str) -> None:
    """128 levels of a document are fewer than 50 of such steps; nothing of it reaches Python's own limit."""
    assert native(nested(opening, closing, 20)).state == "ok"
    assert messages(native(nested(opening, closing, 60))) == ["nested deeper than 128 levels"]


def test_number_of_nodes() -> None:
    nodes = [f"n{n}: a" for n in range(2000)]
    assert native(f"[{{graph: {{{', '.join(nodes)}}}}}]").state == "ok"
    assert native("[{foreach: [1], steps: [" + "a," * 9_999 + "]}]").state == "ok"
    assert messages(native("[{foreach: [1], steps: [" + "a," * 10_000 + "]}]")) == ["more than 10000 steps in a flow"]


def test_steps_of_every_place_count() -> None:
    more = "[" + "a," * 3_334 + "]"
    text = f"flow: order\nsteps: {more}\non_failure: {more}\nfinally: {more}\n".encode()
    definition = read(Source(name="order", language="native", text=text, origin="order.yaml"))
    assert messages(definition) == ["more than 10000 steps in a flow"]


def test_number_of_branches() -> None:
    branches = [f"b{n}: a" for n in range(257)]
    assert native(f"[{{parallel: {{{', '.join(branches[:256])}}}}}]").state == "ok"
    assert messages(native(f"[{{parallel: {{{', '.join(branches)}}}}}]")) == [
        "`parallel` has 257 branches, more than 256"
    ]


def test_length_of_a_path() -> None:
    assert native(f"[{{call: a, path: /{'x' * 4095}}}]").state == "ok"
    assert messages(native(f"[{{call: a, path: /{'x' * 4096}}}]")) == ["`path` is longer than 4096 characters"]


@pytest.mark.parametrize("character", '?# \x7f\\{}|<>"^`%\u00e9')
def test_what_a_path_cannot_hold(character: str) -> None:
    definition = native("[{call: a, path: " + json.dumps(f"/x{character}y") + "}]")
    assert definition.state == "broken"
    assert len(definition.problems) == 1


def test_names_by_length() -> None:
    assert native(f"[{'a' * 63}]").state == "ok"
    assert native(f"[{'a' * 64}]").state == "broken"
    assert len(str(native(f"[{'A' * 100_000}]").problems[0])) < 600


def test_pipelines() -> None:
    assert fnkit("sequential", 10_000).state == "ok"
    assert messages(fnkit("sequential", 10_001)) == ["more than 10000 steps in a pipeline"]
    assert fnkit("parallel", 256).state == "ok"
    assert messages(fnkit("parallel", 257)) == ["a parallel of 257 steps, more than 256"]


@pytest.mark.parametrize(
    ("name", "state"), [("getX_1", "ok"), ("12", "broken"), ("0xff", "broken"), ("api", "broken"), ("a.b", "broken")]
)
def test_a_pipeline_is_called_by_fnkits_rule(name: str, state: str) -> None:
    text = b'{"mode": "parallel", "steps": ["a"]}'
    definition = read(Source(name=name, language="fnkit", text=text, origin="x"))
    assert definition.state == state
    assert (definition.name, definition.origin) == (name, "x")
    assert definition.flow is None or definition.flow.name == name


def test_a_pipelines_name_may_be_long() -> None:
    text = b'{"mode": "parallel", "steps": ["' + b"S" * 255 + b'"]}'
    definition = read(Source(name="order", language="fnkit", text=text, origin="x"))
    assert isinstance(definition.flow, Flow)


def test_the_order_of_statuses_makes_no_other_version() -> None:
    one = native("[{call: a, retry: {attempts: 2, when_status: [500, 502]}}]")
    other = native("[{retry: {when_status: [502, 500, 500], attempts: 2}, call: a}]")
    assert one.flow is not None
    assert other.flow is not None
    assert one.flow.version == other.flow.version
