"""examples/enrich-user: fnkit's parallel pipeline, and the same as a flow."""

from __future__ import annotations

import pytest

from tests.examples.project import Example, Functions

EXAMPLE = "enrich-user"
THREE = ("get-profile", "get-preferences", "get-history")
ALL = {
    "get-profile": {"name": "Alice", "email": "alice@example.com"},
    "get-preferences": {"theme": "dark", "lang": "en"},
    "get-history": [{"action": "login", "ts": "2025-01-01"}],
}


def test_readme(example: Example) -> None:
    example.follow_readme()


@pytest.mark.parametrize("flow", ["enrich-user", "enrich-user-somehow"])
def test_three_at_once(example: Example, functions: Functions, flow: str) -> None:
    functions.meet(*THREE)
    assert example.result(flow, {"userId": 456}) == ALL
    assert sorted(functions.called) == sorted(THREE)
    assert all(sent == {"userId": 456} for name in THREE for sent in functions.sent(name))


def test_pipeline_fails_as_a_whole(example: Example, functions: Functions) -> None:
    functions.answers("get-history", 500, {"no": "history"})
    said = example.run("enrich-user", {"userId": 456})
    assert said.status == 502
    assert said.json()["failures"] == [{"step": "get-history", "status": 500, "body": '{"no": "history"}'}]


def test_flow_goes_on_without(example: Example, functions: Functions) -> None:
    functions.hangs_up("get-history")
    functions.answers("get-preferences", 500)
    said = example.run("enrich-user-somehow", {"userId": 456})
    assert (said.status, said.completed) == (200, "false")
    assert said.json() == {"get-profile": ALL["get-profile"], "get-preferences": {"theme": "light", "lang": "en"}}


def test_flow_needs_the_profile(example: Example) -> None:
    said = example.run("enrich-user-somehow", {"userId": 7})
    assert (said.status, said.json()["step"]) == (502, "parallel.get-profile")
    assert said.json()["upstream"]["status"] == 404
