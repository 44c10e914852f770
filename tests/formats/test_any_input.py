"""Whatever bytes come in: an answer, never an exception; a flow or at least one problem, never both or neither."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from legato.formats import read, read_settings
from legato.formats.document import read_document
from legato.formats.schema import flow_schema
from legato.formats.tree import Node
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.problem import Problem
from legato.model.source import Source
from tests.formats.vocabulary import good_flows, nearly_good_flows, wild_trees

WORDS = re.split(
    r"\s+",
    """
    flow description timeout on_disconnect steps call parallel id method path retry undo idempotent attempts
    backoff max_backoff when_status foreach when input mode listen auth tokens limits functions default url
    python builtin order a b-c B_c GET finish echo true yes 5 2s 64KiB 012 0o7 ~ << ${x} ${env.X} sequential
    graph after choose otherwise cases all over concurrency tolerate collect set wait respond fail status sleep python
    output on_error skip value pick rename hedge headers query return_status callback finally join merge 2xx 50%
    callback_secret breaker failures http://{name}/ /v1/x 127.0.0.1:80 unix:/x m:f host hops connections
""".strip(),
)
MARKS = [*":-,?!&*|>{}[]'#%@`~=<\\", '"', " ", "  ", "\n", "\n  ", "\n    ", "\t", "\r\n"]
MARKS += [
    "---\n",
    "...\n",
    "- ",
    ": ",
    "{ ",
    ", ",
    "\n- ",
    "\n  - ",
    "&x ",
    "*x ",
    "!t ",
    "\\ud800",
    "\\u00e9",
    "\u2028",
]

yaml_text = st.lists(st.sampled_from(WORDS + MARKS) | st.text(max_size=2), max_size=60).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner),
    max_leaves=30,
)


def check_problems(value: object, problems: tuple[Problem, ...] | list[Problem]) -> None:
    assert (value is None) == bool(problems)
    for problem in problems:
        assert problem.message
        assert "cannot be read: " not in problem.message
        assert "cannot be checked: " not in problem.message
        assert problem.remedy
        assert str(problem).isprintable() or "\n" in str(problem)
        msgspec.json.encode(problem)


def check(text: bytes) -> None:
    for language in ("native", "fnkit"):
        definition = read(Source(name="order", language=language, text=text, origin="order"))
        check_problems(definition.flow, definition.problems)
        if definition.flow is not None:
            again = msgspec.json.decode(msgspec.json.encode(definition.flow), type=Flow)
            assert again == definition.flow
            assert again.version == definition.flow.version
    check_problems(*read_settings(text, "legato.yaml", ".", {"X": "x"}))


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"%YAML 1." + b"9" * 5000 + b"\n---\na: b")
@example(b'a: "\\UFFFFFFFF"')
@example(b"%TAG ! x\n--- !a b")
@example(b"\x00")
@example(b"a: \xe2\x80\xa8b: c: d")
@example(b"? \n? \n: a")
@example(b"9" * 10_000)
def test_bytes(text: bytes) -> None:
    check(text)


@given(yaml_text)
def test_text_like_yaml(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@given(values, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json(value: Any, indent: Any, ascii_only: bool) -> None:
    check(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))


FLOW_SCHEMA = jsonschema_rs.Draft202012Validator(flow_schema())


def read_twice(flow: Any) -> tuple[Definition, Definition]:
    """A flow as read from YAML and from JSON."""
    text = json.dumps(flow).encode()
    as_yaml = read(Source(name="order", language="native", text=text, origin="x"))
    return as_yaml, read(Source(name="order", language="fnkit", text=text, origin="x"))


@given(good_flows)
def test_right_flows_are_read_alike_from_yaml_and_json(flow: Any) -> None:
    as_yaml, as_json = read_twice(flow)
    assert as_yaml.problems == ()
    assert as_yaml.flow is not None
    assert as_yaml.flow == as_json.flow
    assert len(as_yaml.flow.steps) == len(flow["steps"])
    check(json.dumps(flow).encode())
    assert FLOW_SCHEMA.is_valid(flow)


@given(nearly_good_flows())
def test_flows_with_one_thing_wrong(flow: Any) -> None:
    """An answer, the same from YAML and JSON; and the schema refuses nothing that is read."""
    check(json.dumps(flow).encode())
    as_yaml, as_json = read_twice(flow)
    assert as_yaml.flow == as_json.flow
    if as_yaml.flow is not None:
        assert FLOW_SCHEMA.is_valid(flow), list(FLOW_SCHEMA.iter_errors(flow))


@given(wild_trees)
def test_any_tree_of_the_language_s_words(tree: Any) -> None:
    flow = {"flow": "order", "steps": [tree]}
    check(json.dumps(flow).encode())
    if read_twice(flow)[0].flow is not None:
        assert FLOW_SCHEMA.is_valid(flow), list(FLOW_SCHEMA.iter_errors(flow))


class PlainDumper(yaml.SafeDumper):
    """Writes equal values out, each where it stands."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@given(good_flows, st.booleans(), st.data())
def test_what_the_whole_flow_shows_is_told_where_it_stands(flow: Any, as_json: bool, data: st.DataObject) -> None:
    flow = json.loads(json.dumps(flow))
    spots = [(flow, "output"), *spots_below([*flow["steps"], *flow.get("on_failure", [])])]
    tree, key = data.draw(st.sampled_from(spots))
    tree[key] = "${steps.nobody_s}"
    text = json.dumps(flow, indent=1) if as_json else yaml.dump(flow, Dumper=PlainDumper, width=10**6, sort_keys=False)
    [problem] = read(Source(name="order", language="native", text=text.encode(), origin="x")).problems
    _, report = read_document("x", text.encode())
    assert report.text[report.offset((problem.line, problem.column)) :].startswith("steps.nobody_s")


def spots_below(trees: list[Any]) -> list[tuple[Any, str]]:
    """Where in steps an expression may stand."""
    keys = ("when", "input", "output", "set", "respond", "default", "fail")
    spots: list[tuple[Any, str]] = []
    waiting = list(trees)
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, dict):
            spots += [(tree, key) for key in tree if key in keys]
            waiting += [value for key, value in tree.items() if key not in keys]
        elif isinstance(tree, list):
            waiting += tree
    return spots


def nodes(root: Node) -> list[Node]:
    return [root, *(inner for child in [*root.items, *root.fields.values()] for inner in nodes(child))]


@given(yaml_text)
def test_places_point_at_what_stands_there(text: str) -> None:
    root, report = read_document("f", text.encode("utf-8", "surrogatepass"))
    for node in [] if root is None else nodes(root):
        if node.kind in ("null", "broken"):
            continue  # libyaml places an empty value behind the end of the file
        at = report.text[report.offset(node.place) :]
        assert report.place(report.offset(node.place)) == node.place
        if node.kind == "list":
            assert at[0] in "[-&!"
        elif node.kind in ("integer", "number", "boolean") and at[0] != "&":
            assert at.startswith(node.text)
        elif node.kind == "text" and at[0] not in "'\"|>&!":
            assert at.startswith(re.split(r"\s", node.text)[0])


LONG = [
    "[",
    "{",
    "- ",
    "? ",
    "a:\n",
    "{a: ",
    '["a",',
    "a: [\n",
    "&a ",
    "!a ",
    "*a ",
    "'",
    '"',
    "|\n",
    "a\n",
    "x: y\n",
    "- a\n",
]
LONG += ["'': 1\n", "k{n}: {}\n", "- k{n}: a\n", '"k{n}": 1,', "${x} ", "[a],\n"]


@pytest.mark.parametrize("part", LONG)
def test_nothing_takes_long(part: str) -> None:
    size = 128 * 1024  # enough that a quadratic step would take minutes
    if "{n}" in part:
        text = "".join(part.replace("{n}", str(n)) for n in range(size // len(part)))
    else:
        text = part * (size // len(part))
    for prefix in ("", "flow: order\nsteps:\n", "functions:\n", "{"):
        began = time.monotonic()
        check((prefix + text).encode())
        assert time.monotonic() - began < 10
