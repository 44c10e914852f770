"""`legato check`: what it says of folders, flows and settings that are not what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import FUNCTIONS, invoke, project


def test_functions_without_an_entry_are_named_once(tmp_path: Path) -> None:
    steps = [{"call": "ecko", "undo": "unmail"}, {"parallel": {"a": "ecko", "b": {"steps": ["slow_"]}}}, "echo"]
    checked = invoke("check", str(project(tmp_path, {"a": steps, "b": ["ecko"]})))
    assert checked.stdout == "2 flows: no problems, 3 warnings\n"
    assert checked.stderr.splitlines() == [
        "ecko has no entry in `functions` and is called at http://ecko:8080; did you mean `echo`?",
        "slow_ has no entry in `functions` and is called at http://slow_:8080; did you mean `slow`?",
        "unmail has no entry in `functions` and is called at http://unmail:8080",
    ]


def test_who_relies_on_the_default_rule_is_told_nothing(tmp_path: Path) -> None:
    flows = {"a": ["ecko", "mail"]}
    assert invoke("check", str(project(tmp_path / "1", flows, functions={}))).stderr == ""
    chosen = {**FUNCTIONS, "default": "http://gateway/{name}"}
    told = invoke("check", str(project(tmp_path / "2", flows, functions=chosen))).stderr
    assert told == "ecko has no entry in `functions` and is called at http://gateway/ecko; did you mean `echo`?\n"


def test_many_functions_without_an_entry(tmp_path: Path) -> None:
    told = invoke("check", str(project(tmp_path, {"a": [f"f{number}" for number in range(30)]}))).stderr
    assert len(told.splitlines()) == 21
    assert told.endswith("and 10 more functions without an entry\n")


def test_a_problem_of_many_flows_is_said_once(tmp_path: Path) -> None:
    checked = invoke("check", str(project(tmp_path, {name: ["missing"] for name in "abcdefgh"})), code=1)
    assert checked.stderr.count("No module named") == 1
    assert "the same in" in checked.stderr
    assert checked.stderr.endswith("and 2 more\n1 problem\n")


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    checked = invoke("check", str(tmp_path), code=1)
    assert checked.stdout == ""
    why = f"no legato.yaml and no flows/ in {tmp_path}; `legato init` writes a project\n"
    assert checked.stderr == f"{why}1 problem\n"
    (tmp_path / "flows").mkdir()
    assert invoke("check", str(tmp_path)).stdout == "0 flows: no problems\n"


def test_a_flow_where_settings_are_meant(tmp_path: Path) -> None:
    project(tmp_path, {"a": ["echo"]})
    flow = tmp_path / "flows" / "a.yaml"
    for arguments in (["serve", str(flow)], ["ls", "--project", str(flow)], ["run", "a", "--project", str(flow)]):
        told = invoke(*arguments, code=2).stderr
        assert told.endswith(f"Error: {flow} is a flow; give its folder instead: {tmp_path}\n")
    (tmp_path / "legato.yaml").write_text("flow: a\nsteps: [echo]\n")
    assert "is a flow" in invoke("check", str(tmp_path), code=2).stderr


def test_a_python_function_where_a_url_stands(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "legato.yaml").write_text("functions:\n  greet: functions:greet\n  echo: echo\n  x: ftp://x\n")
    told = invoke("check", str(tmp_path), code=1).stderr
    assert 'remedy: for Python write {python: "functions:greet"}\n' in told
    assert "remedy: for the built-in function write {builtin: echo}\n" in told
    assert told.count("begin it with http://") == 1


# Warnings, and the report for programs.

LOST = """\
flow: order
steps:
  - graph:
      first: echo
      second: {call: echo, after: {first: order}}
      third: {call: echo, after: second}
  - {call: slow, retry: {attempts: 5}}
"""


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    """A project with one flow, which has two warnings and no problem."""
    project(tmp_path)
    (tmp_path / "flows").mkdir(exist_ok=True)
    (tmp_path / "flows" / "order.yaml").write_text(LOST)
    return tmp_path


def test_warnings_leave_the_exit_at_0(warned: Path) -> None:
    checked = invoke("check", str(warned))
    assert checked.stdout == "1 flow: no problems, 2 warnings\n"
    file = warned / "flows" / "order.yaml"
    first, source, remedy, second, _ = checked.stderr.splitlines()
    assert first.startswith(f"warning: {file}:4:14: the value of node `first` is lost")
    assert source == "    first: echo"
    assert remedy.startswith("  remedy: ")
    assert second.startswith(f"warning: {file}: slow: 5 attempts of 30 s each")


def test_warnings_of_a_single_file(warned: Path) -> None:
    checked = invoke("check", str(warned / "flows" / "order.yaml"))
    assert checked.stdout == "1 flow: no problems, 1 warning\n"
    assert "the value of node `first` is lost" in checked.stderr


def test_problems_and_warnings_are_counted_apart(warned: Path) -> None:
    (warned / "flows" / "bad.yaml").write_text("flow: bad\nsteps: [{cal: a}, {call: echo, tries: 3}]\n")
    checked = invoke("check", str(warned), code=1)
    assert checked.stdout == ""
    assert checked.stderr.endswith("2 problems, 2 warnings\n")
    assert "unknown kind of step `cal`" in checked.stderr
    assert "unknown key `tries`" in checked.stderr or "`tries`" in checked.stderr


def test_a_flow_that_is_not_there_is_a_problem_of_the_project(tmp_path: Path) -> None:
    folder = project(tmp_path, {"a": [{"flow": "gone"}]})
    checked = invoke("check", str(folder), code=1)
    assert "gone" in checked.stderr
    assert checked.stderr.endswith("1 problem\n")


def test_as_json(warned: Path) -> None:
    document = json.loads(invoke("check", str(warned), "--json").stdout)
    assert (document["ok"], document["flows"], document["problems"]) == (True, 1, [])
    lost, late = document["warnings"]
    assert (lost["file"], lost["line"], lost["source"]) == (str(warned / "flows" / "order.yaml"), 4, "first: echo")
    assert lost["remedy"]
    assert "5 attempts" in late["detail"]


def test_as_json_with_problems(tmp_path: Path) -> None:
    folder = project(tmp_path / "project", {"a": ["ecko"], "b": ["missing"]})
    empty = tmp_path / "empty"
    empty.mkdir()
    checked = invoke("check", str(folder), str(empty), "--json", code=1)
    document = json.loads(checked.stdout)
    assert document["ok"] is False
    assert document["flows"] == 2
    assert ["No module named" in each["detail"] for each in document["problems"]] == [True, False]
    assert "legato init" in document["problems"][1]["detail"]
    assert document["warnings"][0]["detail"].startswith("ecko has no entry")
    assert checked.stderr == ""


def test_as_json_without_settings(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "legato.yaml").write_text("nonsense: 1\n")
    document = json.loads(invoke("check", str(tmp_path), "--json", code=1).stdout)
    assert document["problems"][0]["line"] == 1
    assert document["flows"] == 0
