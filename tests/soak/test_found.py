"""What campaigns have found, so that it is not found again."""

from __future__ import annotations

import pytest

from tests.soak.flow_texts import Text
from tests.soak.language_checks import check_reading

TEXTS = {
    "the end of a file without a line break": "flow: order\nsteps:\n- ~ flow: x\n  order: {a",
    "a bracket alone": "[",
    "a list that a terminal cannot show": 'flow: order\nsteps: "\\U0010ffff"\n',
    "an expression that a terminal cannot show": 'flow: order\nsteps: [{foreach: "\\u2028", steps: [f]}]\n',
    "a schema that a terminal cannot show": 'flow: order\ninput: {required: "\\U0010ffff"}\nsteps: [f]\n',
    "a reference that a terminal cannot show": 'flow: order\ninput: {$ref: {a: "\\u2028"}}\nsteps: [f]\n',
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_was_found_once(name: str) -> None:
    """Every problem has its place in the file, and can be printed; `check_reading` says so."""
    definition = check_reading(Text("native", "order", TEXTS[name]))
    assert definition is not None
    assert definition.flow is None
