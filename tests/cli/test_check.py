"""`legato check`: what it says of folders, flows and settings that are not what was meant."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import FUNCTIONS, invoke, project


def test_functions_without_an_entry_are_named_once(tmp_path: Path) -> None:
    steps = [{"call": "ecko", "undo": "unmail"}, {"parallel": {"a": "ecko", "b": {"steps": ["slow_"]}}}, "echo"]
    checked = invoke("check", str(project(tmp_path, {"a": steps, "b": ["ecko"]})))
    assert checked.stdout == "2 flows: no problems\n"
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
