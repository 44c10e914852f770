"""Whatever bytes come in: an answer, never an exception; a flow or at least one problem, never both or neither."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legato.formats import read, read_settings
from legato.formats.document import read_document
from legato.formats.tree import Node
from legato.model.flow import Flow
from legato.model.problem import Problem
from legato.model.source import Source

WORDS = re.split(
    r"\s+",
    """
    flow description timeout on_disconnect steps call parallel id method path retry undo idempotent attempts
    backoff max_backoff when_status foreach when input mode listen auth tokens limits functions default url
    python builtin order a b-c B_c GET finish echo true yes 5 2s 64KiB 012 0o7 ~ << ${x} ${env.X} sequential
    http://{name}/ /v1/x 127.0.0.1:80 unix:/x m:f host hops connections
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


steps_of_a_flow: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["a", "b-c"])
    | st.fixed_dictionaries(
        {"call": st.sampled_from(["a", "b-c"])},
        optional={
            "method": st.sampled_from(["GET", "PUT"]),
            "path": st.sampled_from(["/", "/v1/x"]),
            "timeout": st.sampled_from(["1ms", "5s", "1d"]),
            "retry": st.fixed_dictionaries({"attempts": st.integers(1, 100)}),
            "idempotent": st.booleans(),
            "undo": st.sampled_from(["c", {"call": "c", "timeout": "1s"}]),
        },
    ),
    lambda inner: (
        st.fixed_dictionaries({"steps": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries(
            {"parallel": st.dictionaries(st.sampled_from("xyz"), inner | st.lists(inner, max_size=2), min_size=1)}
        )
    ),
    max_leaves=12,
)


@given(st.lists(steps_of_a_flow, min_size=1, max_size=4))
def test_valid_flows_are_read_alike_from_yaml_and_json(steps: list[Any]) -> None:
    text = json.dumps({"flow": "order", "steps": steps}).encode()
    as_yaml = read(Source(name="order", language="native", text=text, origin="x"))
    as_json = read(Source(name="order", language="fnkit", text=text, origin="x"))
    assert as_yaml.problems == ()
    assert as_yaml.flow is not None
    assert as_yaml.flow == as_json.flow
    assert len(as_yaml.flow.steps) == len(steps)
    check(text)


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
