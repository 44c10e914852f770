"""Where what is found out about a flow later is shown: at the very characters, however they are written."""

from __future__ import annotations

import pytest

from legato.formats.document import read_document
from legato.formats.places import Places, below, within
from legato.formats.report import Report
from legato.formats.tree import Node


def document(text: str) -> tuple[Node, Report]:
    root, report = read_document("f", text.encode())
    assert root is not None
    assert report.ok
    return root, report


@pytest.mark.parametrize(
    ("written", "offset", "column"),
    [
        ("${value.x}", 0, 4),
        ("${value.x}", 8, 12),
        ('"${value.x}"', 0, 4),
        ('"${value.x}"', 8, 13),
        ("'${value.x}'", 8, 13),
        ("'${value[''x'']}'", 8, 13),
        ("'${value[''x'']}'", 11, 4),  # behind a quote that is written twice
        ('"\\u0024{value.x}"', 8, 4),  # behind an escape
        ('"\N{GRINNING FACE} ${value.x}"', 9, 14),
        ("|\n  ${value.x}", 8, (2, 11)),
        (">-\n  ${value.x}", 8, (2, 11)),
        ("|\n  ${value\n\n      .x}\n", 14, (4, 8)),
        (">\n\n  ${value >\n  value.x}", 11, (4, 3)),
        (">\n\n  ${value >\n  value.x}", 17, (4, 9)),
        ("${value\n  .x}", 5, 9),
        ("${value\n  .x}", 9, (2, 4)),
        ('"${value\n  .x}"', 8, (2, 3)),
        ('"${value\n  .x} \\x20"', 12, (2, 7)),
        ('"${value\n  .x} \\x20"', 13, 4),  # behind an escape
        ("5", 3, 4),
        ("[a]", 3, 4),
    ],
)
def test_a_character_of_a_text(written: str, offset: int, column: int | tuple[int, int]) -> None:
    root, report = document(f"a: {written}\n")
    assert within(report, root.fields["a"], offset) == ((1, column) if isinstance(column, int) else column)


def test_behind_the_end() -> None:
    root, report = document('a: "${value"\n')
    assert within(report, root.fields["a"], 7) == (1, 12)
    assert within(report, root.fields["a"], 700) == (1, 4)


class Thing:
    """A part of a model."""


def test_keys_and_pointers() -> None:
    root, _ = document("{undo: {input: {a: [1, {b: x}]}}, when: y, after: [p, q]}")
    places, thing = Places(), Thing()
    places.keep(thing, root)
    assert places.node(thing) is root
    assert places.node(thing, "when") is root.fields["when"]
    made = root.fields["undo"].fields["input"]
    assert places.node(thing, "undo.input") is made
    assert places.node(thing, "undo.input", ("a", 1, "b")) is made.fields["a"].items[1].fields["b"]
    assert places.node(thing, "after", (1,)) is root.fields["after"].items[1]


def test_the_nearest_place_where_the_file_does_not_go_as_deep() -> None:
    root, _ = document("{undo: refund, after: [p]}")
    places, thing = Places(), Thing()
    places.keep(thing, root)
    assert places.node(thing, "undo.input", ("a", 0)) is root.fields["undo"]
    assert places.node(thing, "output") is root
    assert places.node(thing, "after", (1,)) is root.fields["after"]
    assert below(root, (0, "undo", "x")) is root.fields["undo"]
    assert places.node(Thing()) is None


@pytest.mark.parametrize("key", ["input", "output", "set", "respond", "default", "on_error.value"])
def test_data_within_value(key: str) -> None:
    root, _ = document("{KEY: {value: {value: {a: x}}}}".replace("KEY", key.partition(".")[0]))
    root = root if "." not in key else document("{on_error: {value: {value: {value: {a: x}}}}}")[0]
    places, thing = Places(), Thing()
    places.keep(thing, root)
    node = places.node(thing, key, ("value", "a"))
    assert node is not None
    assert node.text == "x"


def test_other_keys_have_no_such_wrapper() -> None:
    root, _ = document("{query: {value: x}}")
    places, thing = Places(), Thing()
    places.keep(thing, root)
    assert places.node(thing, "query", ("value",)) is root.fields["query"].fields["value"]


def test_a_key_that_stands_elsewhere() -> None:
    root, _ = document("{foreach: {over: x}}")
    places, thing = Places(), Thing()
    places.keep(thing, root)
    places.keep_key(thing, "over", root.fields["foreach"].fields["over"])
    assert places.node(thing, "over") is root.fields["foreach"].fields["over"]


def test_equal_things_have_their_own_places() -> None:
    root, _ = document("[{when: a}, {when: a}]")
    places = Places()
    things = [Thing(), Thing()]
    for thing, node in zip(things, root.items, strict=True):
        places.keep(thing, node)
    assert [places.node(thing) for thing in things] == root.items


def test_nothing_takes_the_place_of_what_is_gone() -> None:
    root, _ = document("[a, b]")
    places = Places()
    places.keep(Thing(), root.items[0])
    others = [Thing() for _ in range(1000)]
    assert not any(places.node(other) for other in others)
