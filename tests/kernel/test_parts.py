"""What a call's path, query and headers see: the current value, as its `input` does."""

from __future__ import annotations

import pytest

from tests.language.play import play


@pytest.mark.parametrize("given", ["", ", input: {name: '${value.name}'}", ", input: '${value.name}', when: '${true}'"])
def test_parts_see_the_value_before_the_input(given: str) -> None:
    text = f"steps: [{{call: f, path: '/${{value.id}}', query: {{n: '${{value.name}}'}}{given}}}]"
    parts = play(text, {}, {"id": 7, "name": "ada"}).asked[0].parts
    assert parts is not None
    assert (parts.path, parts.query) == (b"/7", b"n=ada")


def test_parts_see_it_in_every_item() -> None:
    text = "steps: [{foreach: '${value}', steps: [{set: {id: '${item}'}}, {call: f, path: '/${value.id}', input: 1}]}]"
    played = play(text, {}, [1, 2])
    assert [asked.parts and asked.parts.path for asked in played.asked] == [b"/1", b"/2"]
