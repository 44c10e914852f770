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
