"""Which reader reads what, and several definitions of one name."""

from __future__ import annotations

import pytest

from legato.formats import read, read_all
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


def test_all() -> None:
    bundle = read_all([source(NATIVE, "yaml"), source(b"", "yaml", "empty"), source(FNKIT, "json", "pipe")])
    assert {name: each.state for name, each in bundle.definitions.items()} == {
        "order": "ok",
        "empty": "broken",
        "pipe": "ok",
    }
    assert [str(problem).split("\n")[0] for problem in bundle.problems] == ["empty.yaml: the file is empty"]


def test_one_name_twice_is_broken_and_names_both() -> None:
    bundle = read_all([source(FNKIT), source(NATIVE, "yaml"), source(b"", "yml"), source(FNKIT, "json", "pipe")])
    assert list(bundle.definitions) == ["order", "pipe"]
    order = bundle.definitions["order"]
    assert order.flow is None
    assert order.origin == "order.json, order.yaml, order.yml"
    assert [problem.message for problem in order.problems] == [
        "the flow 'order' is defined 3 times: order.json, order.yaml, order.yml",
        "the file is empty",
    ]
    assert order.problems[0].remedy
    assert bundle.definitions["pipe"].state == "ok"


def test_none() -> None:
    assert read_all([]).definitions == {}
