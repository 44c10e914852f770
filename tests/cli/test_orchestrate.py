"""`legato gateway orchestrate`: what fnkit's scripts call, with its words and its exits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.conftest import Start, starting
from tests.admin.serving import Serving
from tests.cli.commands import FUNCTIONS, as_json, legato, project
from tests.support.gateway_process import free_port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    starts = starting(tmp_path_factory.mktemp("shared"))
    start: Start = next(starts)
    yield start(functions=FUNCTIONS)
    for _ in starts:
        pass


@pytest.fixture(params=["gateway", "here"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "here":
        return project(tmp_path)
    gateway: Serving = request.getfixturevalue("gateway")
    for name in gateway.names():
        gateway.delete(name)
    return gateway.folder


def orchestrate(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    result = legato(folder, "gateway", "orchestrate", *arguments, code=code, **variables)
    if code == 0:
        assert result.stderr == ""
        return result.stdout
    assert result.stdout == ""
    return result.stderr


def test_add_list_remove(folder: Path) -> None:
    for mode in ("sequential", "parallel", "Sequential"):
        added = orchestrate(folder, "add", "Order_1", "--steps", "echo, slow,,", "--mode", mode)
        assert added == "Pipeline saved: Order_1\n"
        document = as_json(folder, "show", "Order_1")
        assert json.loads(document["source"]) == {"mode": mode.lower(), "steps": ["echo", "slow"]}
        assert document["language"] == "fnkit"
    orchestrate(folder, "add", "a", "--steps", "echo", "--mode", "sequential")
    for word in ("ls", "list"):
        assert orchestrate(folder, word) == "Order_1\na\n"
    assert orchestrate(folder, "remove", "Order_1") == "Removed pipeline: Order_1\n"
    assert orchestrate(folder, "rm", "a") == "Removed pipeline: a\n"
    assert orchestrate(folder, "ls") == ""


def test_removing_what_is_not_there(folder: Path) -> None:
    assert orchestrate(folder, "remove", "nobody") == "Removed pipeline: nobody\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "sequential"], "Provide steps with --steps step1,step2,step3"),
        (["--steps", "", "--mode", "sequential"], "Provide steps"),
        (["--steps", " , ,", "--mode", "sequential"], "Provide steps"),
        (["--steps", "echo"], 'Mode must be "sequential" or "parallel"'),
        (["--steps", "echo", "--mode", "both"], "Mode must be"),
        (["--steps", "missing", "--mode", "parallel"], "no_such_module"),
        (["--steps", "echo,echo", "--mode", "parallel"], "already"),
        (["--steps", "a b", "--mode", "sequential"], "not a name"),
    ],
)
def test_refusals(folder: Path, arguments: list[str], message: str) -> None:
    assert message in orchestrate(folder, "add", "x", *arguments, code=1)
    assert orchestrate(folder, "ls") == ""


def test_names_that_cannot_be(folder: Path) -> None:
    for name in ("api", "12", "a b"):
        assert orchestrate(folder, "add", name, "--steps", "echo", "--mode", "parallel", code=1)


def test_wrong_usage(folder: Path) -> None:
    for arguments in (["add"], ["remove"], ["odd"], ["ls", "x"]):
        orchestrate_usage = legato(folder, "gateway", "orchestrate", *arguments, code=2)
        assert "Usage" in orchestrate_usage.stderr


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}"
    for arguments in (["ls"], ["add", "x", "--steps", "a", "--mode", "parallel"], ["remove", "x"]):
        said = orchestrate(project(tmp_path), *arguments, code=3, CACHE_URL=url)
        assert "start the server" in said
        assert "hunter2" not in said


def test_a_file_in_flows_is_not_removed(tmp_path: Path) -> None:
    folder = project(tmp_path, {"filed": ["echo"]})
    assert "take that file away first" in orchestrate(folder, "remove", "filed", code=1)
    assert orchestrate(folder, "ls") == "filed\n"
