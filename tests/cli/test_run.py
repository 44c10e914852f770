"""`legato run`: its input, and what is said of a failure, to people and to programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.conftest import Start, starting
from tests.admin.serving import CALLER, Serving
from tests.cli.commands import FUNCTIONS, legato, on_terminal, project

FLOWS: dict[str, object] = {
    "buy": [{"call": "echo", "undo": "echo"}, {"call": "check", "undo": "missing-one"}, {"call": "fail", "id": "pay"}],
    "both": [{"parallel": {"a": "fail", "b": "fail"}}],
    "pipe": '{"mode": "sequential", "steps": ["echo", "fail"]}',
    "fan": '{"mode": "parallel", "steps": ["echo", "fail"]}',
    "broken": "{",
}
ALL = {**FUNCTIONS, "fail": {"builtin": "fail"}, "check": {"builtin": "echo"}, "missing-one": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    starts = starting(tmp_path_factory.mktemp("shared"))
    start: Start = next(starts)
    yield start(flows=FLOWS, functions=ALL)
    for _ in starts:
        pass


@pytest.fixture(params=["gateway", "here"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "here":
        return project(tmp_path, FLOWS, functions=ALL)
    gateway: Serving = request.getfixturevalue("gateway")
    return gateway.folder


def run_on_terminal(folder: Path, *arguments: str, code: int = 1) -> list[str]:
    return on_terminal("run", *arguments, "--project", str(folder), code=code).splitlines()


def test_a_failure_is_a_document_for_programs(folder: Path) -> None:
    failed = legato(folder, "run", "buy", "-d", '{"status": 402}', code=1)
    assert failed.stdout == ""
    document = json.loads(failed.stderr)
    assert document["step"] == "pay"


def test_a_failure_is_lines_for_people(folder: Path) -> None:
    detail, step, upstream, undone, not_undone, run = run_on_terminal(folder, "buy", "-d", '{"status": 402}')
    assert detail == "step pay: the function answered 402"
    assert step == "  step: pay, which calls fail (refused)"
    assert upstream.startswith('  upstream: 402 {"error":"the built-in function `fail` was asked to"')
    assert undone == "  undone: echo"
    assert not_undone == "  not undone: check"
    assert run.startswith("  run: ")


def test_several_failures(folder: Path) -> None:
    said = run_on_terminal(folder, "both", "-d", '{"status": 402}')
    first, other = [line for line in said if "the function answered 402" in line]
    assert first in ("step parallel.a: the function answered 402", "step parallel.b: the function answered 402")
    assert other.startswith("  also: step parallel.")


def test_failures_of_pipelines(folder: Path) -> None:
    if not (folder / "output").exists():
        pytest.skip("answers in fnkit's form are the gateway's")
    said = run_on_terminal(folder, "pipe", "-d", '{"status": 403}')
    assert said[:2] == ["Step failed", "  step: fail"]
    assert said[2].startswith("  upstream: 403 {")
    assert len(said) == 3, "it is a step's own refusal: no token would help"
    said = run_on_terminal(folder, "fan", "-d", '{"status": 402}')
    assert said[0] == "Parallel execution failed"
    assert said[1].startswith("  step fail: 402 {")


def test_what_cannot_be_run(folder: Path) -> None:
    assert "there is no flow 'nobody'" in run_on_terminal(folder, "nobody")[0]
    assert any("broken.json" in line for line in run_on_terminal(folder, "broken"))


def test_without_a_token(tmp_path: Path) -> None:
    starts = starting(tmp_path)
    start: Start = next(starts)
    folder = start(flows={"a": ["echo"]}, variables={"LEGATO_TOKEN": CALLER}).folder
    said = run_on_terminal(folder, "a", "-d", "1")
    assert "Authorization: Bearer" in said[0]
    assert said[1] == "set LEGATO_TOKEN (or LEGATO_ADMIN_TOKEN to define flows)"
    assert json.loads(legato(folder, "run", "a", "-d", "1", code=1).stderr)["status"] == 401
    assert on_terminal("run", "a", "-d", "1", "--project", str(folder), LEGATO_TOKEN=CALLER) == "1\n"
    for _ in starts:
        pass


@pytest.mark.parametrize("data", ['{"name":"Ada"', " [1,", "{name: Ada}", "{'a': 1}"])
def test_input_that_is_meant_as_json_and_is_not(tmp_path: Path, data: str) -> None:
    refused = legato(project(tmp_path, {"a": ["echo"]}), "run", "a", "-d", data, code=2)
    assert "Error: --data is not JSON: " in refused.stderr


@pytest.mark.parametrize("data", ["Ada", "", '{"a": [1]}', "[" * 100_000, "12", '"x"', "[NaN]"])
def test_any_other_input(tmp_path: Path, data: str) -> None:
    folder = project(tmp_path, {"a": ["echo"]})
    if data.startswith("[["):
        assert "recursion" not in legato(folder, "run", "a", "-d", data).stderr
    else:
        assert legato(folder, "run", "a", "-d", data).stdout == (data or "null") + "\n"
