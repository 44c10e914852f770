"""Which reader reads what."""

from __future__ import annotations

import pytest

from legato.formats import language_of, read
from legato.model.problem import Problem
from legato.model.source import Source

NATIVE = b"flow: order\nsteps: [a]\n"
JSON = b'\xef\xbb\xbf{"flow": "order", "steps": ["a"]}'
FNKIT = b'{"mode": "sequential", "steps": ["a"]}'


def source(text: bytes, suffix: str = "json", name: str = "order") -> Source:
    return Source(name=name, language="fnkit" if suffix == "json" else "native", text=text, origin=f"{name}.{suffix}")


@pytest.mark.parametrize(
    ("text", "suffix", "dialect"),
    [
        (NATIVE, "yaml", "native"),
        (JSON, "yaml", "native"),
        (JSON, "json", "native"),
        (FNKIT, "json", "fnkit"),
        (b'{"mode": "sequential", "flow": "x", "steps": ["a"]}', "json", "fnkit"),
        (FNKIT, "yaml", None),
        (NATIVE, "json", None),
        (b'{"flow": "order", "steps": ["a"],}', "json", None),
        (b'"flow"', "json", None),
        (b"[" * 100_000, "json", None),
        (b'{"flow": ' + b"[" * 200_000, "json", None),
        (b'{"flow": ' + b"9" * 5000 + b', "steps": ["a"]}', "json", None),
        (b'{"flow": "order", "steps": ["a"]}' + b" " * 1024 * 1024, "json", None),
    ],
)
def test_dispatch(text: bytes, suffix: str, dialect: str | None) -> None:
    definition = read(source(text, suffix))
    assert (definition.flow.dialect if definition.flow else None) == dialect
    assert bool(definition.problems) == (dialect is None)
    assert definition.state == ("broken" if dialect is None else "ok")


def test_a_text_without_a_file_name() -> None:
    assert language_of(FNKIT) == "fnkit"
    assert language_of(NATIVE) == "native"
    assert language_of(JSON) == "native"
    assert language_of(b'{"mode": "sequential", "flow": "x"}') == "native"
    assert language_of(b"[1]") == "native"
    assert language_of(b"\xff") == "native"


def test_a_source_that_could_not_be_read() -> None:
    trouble = Problem(file="order.yaml", message="cannot be read: no permission")
    source = Source(name="order", language="native", text=b"", origin="order.yaml", trouble=trouble, draft=True)
    definition = read(source)
    assert (definition.flow, definition.problems, definition.draft) == (None, (trouble,), True)
    assert definition.source == source


@pytest.mark.parametrize(
    "steps",
    [
        '[a, {call: b, input: "${steps.nothing}"}]',
        '[a, {call: b, input: "\\u0024{steps.nothing}"}]',
        '[a, {call: b, input: "\\x24{steps.nothing}"}]',
        "[{graph: {a: x, b: {call: y, after: c}}}]",
        '[{"gr\\x61ph": {a: {call: x, after: a}}}]',
    ],
)
def test_a_whole_flow_is_looked_at_wherever_steps_may_refer_to_others(steps: str) -> None:
    definition = read(Source(name="o", language="native", text=f"flow: o\nsteps: {steps}\n".encode(), origin="o.yaml"))
    [problem] = definition.problems
    assert (problem.line, definition.flow) == (2, None)
    assert problem.column > 10


def test_warnings_keep_nothing_from_being_served() -> None:
    text = b"flow: o\nsteps:\n  - graph: {a: x, b: {call: y, after: {a: order}}, c: {call: z, after: b}}\n"
    definition = read(Source(name="o", language="native", text=text, origin="o.yaml"))
    assert definition.state == "ok"
    assert definition.problems == ()
    [warning] = definition.warnings
    assert (warning.line, warning.column, warning.source) == (3, 16, text.splitlines()[2].decode().strip())
    assert warning.remedy


def test_the_same_meaning_is_the_same_version() -> None:
    """What is written although it holds anyway makes no other flow."""
    short = b"flow: o\nsteps: [{call: a, retry: {attempts: 2}, hedge: true}, {foreach: [1], steps: [b]}, {fail: x}]\n"
    long = (
        b"flow: o\ndurable: false\non_failure: []\nsteps:\n"
        b"- {call: a, method: POST, encode: json, success: [2xx], idempotent: false, return_status: false, query: {},\n"
        b"   hedge: {delay: 100ms, attempts: 2}, on_error: fail, headers: {},\n"
        b"   retry: {attempts: 2, backoff: 0.2s, max_backoff: 10s, when_status: []}}\n"
        b"- {foreach: {over: [1], collect: values, concurrency: 16, tolerate: 0}, steps: [{call: b}]}\n"
        b"- {fail: x, status: 500}\n"
    )
    one, other = (read(Source(name="o", language="native", text=text, origin="o.yaml")) for text in (short, long))
    assert one.flow is not None
    assert other.flow is not None
    assert one.flow.version == other.flow.version
