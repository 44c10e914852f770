"""The pages about Python: what they show works, and what there is stands in them."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import legato
from legato import Context, Flow, Graph, RunFailed, Steps
from legato.builder.context import CallPolicy, Policy, Shared
from legato.builder.spelling import Modifiers
from tests.docs.pages import ROOT, blocks, code_in, section, text

HOW_TO = ROOT / "docs" / "how-to" / "flows-in-python.md"
PAGE = text("docs/reference/python.md")


def test_the_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = [block for block in blocks(HOW_TO) if block.language == "python"]
    (tmp_path / "shop.py").write_text(python[0].text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    for block in python[1:]:
        exec(compile(block.text, HOW_TO.name, "exec"), {"__name__": "page"})
    monkeypatch.delitem(sys.modules, "shop")
    assert len(python) == 3
    assert sum("assert " in block.text for block in python) == 1


def public(thing: Any) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")} - {"tree"}


def test_every_name() -> None:
    rows = section(PAGE, "Python")
    assert set(legato.__all__) - {"__version__"} <= code_in(rows)


def test_every_operator() -> None:
    shown = {match for code in code_in(section(PAGE, "Flow")) for match in re.findall(r"^(\w+)\(", code)}
    properties = code_in(section(PAGE, "Flow"))
    for thing in (Flow, *Flow.__mro__[1:-1], Steps, Graph):
        if thing.__module__.startswith("legato.builder"):
            assert public(thing) <= shown | properties, thing
    said = section(PAGE, "Flow")
    for name in inspect.signature(Flow).parameters:
        assert re.search(rf"\b{name}\b", said), name
    for operator in (
        Flow.parallel,
        Flow.foreach,
        Flow.choose,
        Flow.branch,
        Graph.node,
        Graph.edge,
        Graph.foreach_branch,
    ):
        row = next(code for code in properties if code.startswith(f"{operator.__name__}("))
        for name, parameter in inspect.signature(operator).parameters.items():
            if name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                assert re.search(rf"\b{name}\b", row), (row, name)
    assert Modifiers.__annotations__.keys() <= code_in(said) | {"on_failure"}


def test_every_method_of_a_context() -> None:
    said = section(PAGE, "Flows that are code")
    for name in public(Context) | public(Shared):
        assert re.search(rf"`[^`]*\b{name}\b", said), name
    for name in CallPolicy.__annotations__.keys() | Policy.__annotations__.keys():
        assert f"`{name}`" in said, name


def test_every_word_of_a_failure() -> None:
    said = code_in(section(PAGE, "Running without a server"))
    with pytest.raises(RunFailed) as failed:
        legato.run_sync(Flow("f").fail("no"))
    assert {name for name in vars(failed.value) if name != "failure"} <= said
    for name in inspect.signature(legato.run).parameters:
        assert re.search(rf"`[^`]*\b{name}\b", section(PAGE, "Running without a server")), name


def test_the_stub_has_what_there_is() -> None:
    stub = (ROOT / "src" / "legato" / "__init__.pyi").read_text()
    assert set(re.findall(r" as (\w+)", stub)) | {"__version__"} == set(legato.__all__)
