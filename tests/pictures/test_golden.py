"""Every flow of `flows` in every form. UPDATE_GOLDEN=1 writes them anew; look at the difference before you keep it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from legato.model.flow import Flow
from legato.model.steps import Step
from legato.model.walk import every_step
from legato.pictures import FORMS, drawn
from tests.pictures.flows import ALL, INNER, known

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"svg": "svg", "mermaid": "mmd", "dot": "dot", "json": "json"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_golden(flow: Flow, form: str) -> None:
    found = drawn(flow, form, known if flow.name == "outer" else None)
    path = GOLDEN / f"{flow.name}.{SUFFIXES[form]}"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(found, encoding="utf-8")
    else:
        assert found == path.read_text(encoding="utf-8")


def test_they_have_every_kind_of_step() -> None:
    kinds = {type(step).__struct_config__.tag for flow in [*ALL, INNER] for step in every_step(flow)}
    assert kinds == {kind.__struct_config__.tag for kind in Step.__args__}
    assert set(FORMS) == set(SUFFIXES)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_flow_gives_the_same_text(form: str) -> None:
    """Also one that was stored and read again: nothing depends on objects or on their order in memory."""
    for flow in ALL:
        again = msgspec.json.decode(msgspec.json.encode(flow), type=Flow)
        assert drawn(again, form) == drawn(flow, form)


def test_flows_within_are_boxes_unless_they_are_found() -> None:
    outer = ALL[-1]
    assert "fetch" not in drawn(outer, "mermaid")
    assert "fetch" in drawn(outer, "mermaid", known)
    assert "there is no such flow" in drawn(outer, "mermaid", lambda name: None)
