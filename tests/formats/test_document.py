"""The positioned reader: types of the core schema, places, and what it refuses."""

from __future__ import annotations

import math

import pytest

from legato.formats import document
from legato.formats.document import Syntax, read_document
from legato.formats.report import MAX_PROBLEMS, Report
from legato.formats.tree import Node, core_scalar
from legato.model.source import MAX_BYTES


def plain(node: Node) -> object:
    """A tree without its places."""
    if node.kind == "mapping":
        return {key: plain(value) for key, value in node.fields.items()}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    return node.text if node.kind == "text" else node.scalar


def read(text: str, syntax: Syntax = "yaml") -> object:
    node, report = read_document("f", text.encode(), syntax)
    assert report.ok, report.problems()
    assert node is not None
    return plain(node)


def messages(data: bytes, syntax: Syntax = "yaml") -> list[tuple[int, int, str]]:
    _, report = read_document("f", data, syntax)
    return [(problem.line, problem.column, problem.message) for problem in report.problems()]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        *[(text, "null", None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, "boolean", True) for text in ("true", "True", "TRUE")],
        *[(text, "boolean", False) for text in ("false", "False", "FALSE")],
        *[(text, "text", None) for text in ("yes", "no", "on", "off", "y", "n", "tRue", "nULL", "Yes", "ON")],
        ("0", "integer", 0),
        ("-0", "integer", 0),
        ("012", "integer", 12),
        ("+12", "integer", 12),
        ("-12", "integer", -12),
        ("0o14", "integer", 12),
        ("0x1F", "integer", 31),
        *[
            (text, "text", None)
            for text in ("0b11", "1_000", "1:30", "0o8", "0xg", "-0x1", "\u0661", "2024-01-01", "<<", "=")
        ],
        ("1.", "number", 1.0),
        (".5", "number", 0.5),
        ("-1.5e-3", "number", -0.0015),
        ("1e3", "number", 1000.0),
        ("1e999", "number", math.inf),
        ("-.inf", "number", -math.inf),
        (".INF", "number", math.inf),
        *[(text, "text", None) for text in (".", "e3", "1e", "inf", "nan", ".iNF", "-.nan", "+", "5s", "1.2.3")],
        ("9" * 40, "integer", int("9" * 40)),
        ("9" * 41, "number", float("9" * 41)),
        ("9" * 5000, "number", math.inf),
    ],
)
def test_core_schema(text: str, kind: str, value: object) -> None:
    assert core_scalar(text) == (kind, value)


def test_not_a_number_is_a_number() -> None:
    kind, value = core_scalar(".nan")
    assert kind == "number"
    assert isinstance(value, float)
    assert math.isnan(value)


def test_quotes_and_blocks_are_text() -> None:
    text = "a: '5'\nb: \"true\"\nc: |\n  12\nd: >\n  null\ne: 5\nf:\n"
    assert read(text) == {"a": "5", "b": "true", "c": "12\n", "d": "null\n", "e": 5, "f": None}


def test_json_is_the_same_tree() -> None:
    text = '{"a": [1, 2.5, true, null, "x,]}\\"", {}], "b": {"c": "5"}, "\\u0064": "\\ud83d\\ude00"}'
    expected = {"a": [1, 2.5, True, None, 'x,]}"', {}], "b": {"c": "5"}, "d": "\U0001f600"}
    assert read(text, "json") == expected
    assert read(text.replace("\\ud83d\\ude00", "\U0001f600")) == expected


def test_json_may_be_indented_by_tabs_and_have_long_keys() -> None:
    key = "k" * 3000
    assert read(f'{{\n\t"{key}":\t["a\u2028b"]\r\n}}', "json") == {key: ["a\u2028b"]}


def test_keys_are_text_as_written() -> None:
    assert read("1: a\ntrue: b\n0x10: c\n'<<': d\n") == {"1": "a", "true": "b", "0x10": "c", "<<": "d"}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_places(newline: str, mark: str) -> None:
    lines = ["# \U0001f600", "a: \U0001f600", "b: [x, 'y',", "  {c: z}]", '"\u00e9": 5']
    root, report = read_document("f", (mark + newline.join(lines)).encode())
    assert root is not None
    fields = root.fields
    assert (fields["a"].key, fields["a"].place) == ((2, 1), (2, 4))
    assert fields["b"].place == (3, 4)
    assert [item.place for item in fields["b"].items] == [(3, 5), (3, 8), (4, 3)]
    assert fields["b"].items[2].fields["c"].place == (4, 7)
    assert (fields["\u00e9"].key, fields["\u00e9"].place) == ((5, 1), (5, 6))
    report.add(fields["b"].items[2].place, "x")
    assert report.problems()[0].source == "{c: z}]"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_places_in_json(newline: str) -> None:
    root, _ = read_document("f", newline.join(["[1,", ' {"a":', '  "b"}]']).encode(), "json")
    assert root is not None
    inner = root.items[1]
    assert [root.place, root.items[0].place, inner.place] == [(1, 1), (1, 2), (2, 2)]
    assert (inner.fields["a"].key, inner.fields["a"].place) == ((2, 3), (3, 3))


@pytest.mark.parametrize("syntax", ["yaml", "json"])
@pytest.mark.parametrize("text", ["", " \n\t\r\n ", "\ufeff"])
def test_nothing_there_is_no_problem(text: str, syntax: Syntax) -> None:
    node, report = read_document("f", text.encode(), syntax)
    assert node is None
    assert report.ok


@pytest.mark.parametrize("text", ["# only a comment", "---", "---\n...\n", "--- # x\n"])
def test_a_yaml_document_without_content_is_nothing(text: str) -> None:
    assert read_document("f", text.encode())[0] is None
    assert messages(text.encode()) == []


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"\xff", (1, 1)), (b"a: b\nc: \xc3\xa9\xffx", (2, 5)), (b"a\n\xc3", (2, 1)), ("a: b".encode("utf-16"), (1, 1))],
)
@pytest.mark.parametrize("syntax", ["yaml", "json"])
def test_bytes_that_are_no_text(data: bytes, place: tuple[int, int], syntax: Syntax) -> None:
    [(line, column, message)] = messages(data, syntax)
    assert (line, column) == place
    assert message.startswith("not UTF-8")


@pytest.mark.parametrize("syntax", ["yaml", "json"])
def test_size(syntax: Syntax) -> None:
    fits = b'["' + b"a" * (MAX_BYTES - 4) + b'"]'
    assert messages(fits, syntax) == []
    assert messages(fits + b" ", syntax) == [(0, 0, f"larger than 1024 KiB ({MAX_BYTES + 1} bytes)")]


@pytest.mark.parametrize("syntax", ["yaml", "json"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth(syntax: Syntax, opening: str, closing: str) -> None:
    levels = 128 // (opening.count("[") + opening.count("{"))
    assert messages((opening * levels + "1" + closing * levels).encode(), syntax) == []
    deep = (opening * (levels + 1) + "1" + closing * (levels + 1)).encode()
    assert [message for *_, message in messages(deep, syntax)] == ["nested deeper than 128 levels"]


@pytest.mark.parametrize("syntax", ["yaml", "json"])
@pytest.mark.parametrize("opening", ["[", "{", '{"a":', "- ", "? ", "[{"])
def test_very_deep_documents_do_no_harm(opening: str, syntax: Syntax) -> None:
    data = (opening * MAX_BYTES)[:MAX_BYTES].encode()
    assert messages(data, syntax)


def test_a_mapping_as_a_key_takes_its_content_along() -> None:
    node, report = read_document("f", b"{a: 1, {b: 2, c: [d]}: {e: 3}, [x]: 4, f: 5}")
    assert node is not None
    assert plain(node) == {"a": 1, "f": 5}
    assert [problem.message for problem in report.problems()] == ["a mapping cannot be a key", "a list cannot be a key"]


def test_all_problems_are_reported_and_the_rest_is_read() -> None:
    node, report = read_document("f", b"a: &x 1\nb: *x\nc: !t 2\nd: {<<: {}, e: 3}\nf: 4\nf: 5\n${g: h}\n")
    assert node is not None
    assert plain(node)["f"] == 4  # type: ignore[index]
    assert plain(node)["d"] == {"e": 3}  # type: ignore[index]
    assert [(problem.line, problem.message.split(" `")[0]) for problem in report.problems()] == [
        (1, "the anchor"),
        (2, "the alias"),
        (3, "the tag"),
        (4, "merge keys are not used here"),
        (6, "the key"),
        (7, "an expression must be quoted when it holds a colon"),
    ]
    assert all(problem.remedy and problem.source for problem in report.problems())


def test_aliases_cannot_multiply() -> None:
    laughs = ["a: &a [x]"] + [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    found = messages("\n".join(laughs).encode())
    assert len(found) == 9 + 8 * 9


def test_problems_are_bounded_and_none_is_lost() -> None:
    report = Report("f", "x\n" * 300)
    for line in range(250, 0, -1):
        report.add((line, 1), "wrong")
    problems = report.problems()
    assert len(problems) == MAX_PROBLEMS + 1
    assert [problem.line for problem in problems[:2]] == [151, 152]
    assert problems[-1].message == "150 more problems"


def test_the_same_problem_is_said_once() -> None:
    report = Report("f", "x")
    report.add((1, 1), "wrong")
    report.add((1, 1), "wrong")
    report.add((1, 1), "also wrong")
    assert [problem.message for problem in report.problems()] == ["wrong", "also wrong"]


def test_long_lines_are_quoted_in_part() -> None:
    report = Report("f", "  " + "y" * 5000)
    report.add((1, 3), "wrong")
    assert report.problems()[0].source == "y" * 157 + "..."


@pytest.mark.parametrize("error", [IndexError, RecursionError, OverflowError])
def test_a_defect_of_a_parser_is_a_problem(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(document, "_build_from", fail)
    assert messages(b"a: b") == [(0, 0, f"cannot be read: {error.__name__}")]
