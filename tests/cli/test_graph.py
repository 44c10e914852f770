"""`legato graph`: by name and by file, in every form, to a file and to whoever reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from legato.pictures import FORMS
from tests.admin.conftest import Start, starting
from tests.admin.serving import Serving
from tests.cli.commands import FUNCTIONS, invoke, legato, on_terminal, project
from tests.pictures.test_dot import check as check_dot
from tests.pictures.test_mermaid import check as check_mermaid

FLOWS: dict[str, object] = {
    "order": ["echo", {"parallel": {"left": "slow", "right": "echo"}}, {"flow": "inner"}],
    "inner": [{"call": "echo", "id": "deep"}],
}


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    yield from starting(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def gateway(start_shared: Start) -> Serving:
    return start_shared(flows=FLOWS, functions=FUNCTIONS)


@pytest.fixture(params=["gateway", "here"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with a gateway, and one without."""
    if request.param == "here":
        return project(tmp_path, FLOWS)
    gateway: Serving = request.getfixturevalue("gateway")
    return gateway.folder


def test_by_name(folder: Path) -> None:
    drawn = legato(folder, "graph", "order")
    ids, edges, _ = check_mermaid(drawn.stdout)
    assert {"p_echo", "p_parallel_left", "p_inner"} <= set(ids)
    assert ("p_echo", "p_parallel_fork") in edges
    assert drawn.stderr == ""


def test_flows_within_on_request(folder: Path) -> None:
    assert "p_inner_deep" not in legato(folder, "graph", "order").stdout
    assert "p_inner_deep" in legato(folder, "graph", "order", "--expand").stdout


def test_a_name_that_is_not_there(folder: Path) -> None:
    refused = legato(folder, "graph", "nothing", code=1)
    assert refused.stdout == ""
    assert "there is no flow 'nothing'" in refused.stderr


@pytest.mark.parametrize("form", FORMS)
def test_every_form(tmp_path: Path, form: str) -> None:
    text = legato(project(tmp_path, FLOWS), "graph", "order", "--format", form).stdout
    match form:
        case "svg":
            assert ElementTree.fromstring(text).tag.endswith("svg")
        case "mermaid":
            check_mermaid(text)
        case "dot":
            check_dot(text)
        case _:
            assert json.loads(text)["flow"] == "order"


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("x.svg", "<svg "), ("x.mmd", "flowchart TD\n"), ("x.mermaid", "flowchart TD\n"), ("x.dot", "digraph "),
        ("x.gv", "digraph "), ("x.json", "{\n"),
    ],
)  # fmt: skip
def test_the_form_follows_from_the_file(tmp_path: Path, name: str, begin: str) -> None:
    out = tmp_path / name
    done = legato(project(tmp_path / "p", FLOWS), "graph", "order", "-o", str(out))
    assert done.stdout == f"order is drawn in {out}\n"
    assert out.read_text().startswith(begin)


def test_what_is_said_wins_over_the_suffix(tmp_path: Path) -> None:
    out = tmp_path / "x.txt"
    folder = project(tmp_path / "p", FLOWS)
    legato(folder, "graph", "order", "-o", str(out), "--format", "dot")
    assert out.read_text().startswith("digraph ")
    told = legato(folder, "graph", "order", "-o", str(out), code=2).stderr
    assert "end it with .svg, .mmd, .mermaid, .dot, .gv, .json, or say --format" in told
    assert "cannot write" in legato(folder, "graph", "order", "-o", str(tmp_path / "no" / "x.svg"), code=2).stderr


def test_a_file_needs_no_project(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text("flow: order\nsteps: [a, {flow: elsewhere}]\n")
    ids, _, _ = check_mermaid(invoke("graph", str(file)).stdout)
    assert {"p_a", "p_elsewhere"} <= set(ids)
    fnkit = tmp_path / "pipe.json"
    fnkit.write_text('{"mode": "parallel", "steps": ["a", "b"]}')
    assert "at once" in invoke("graph", str(fnkit)).stdout


def test_a_file_finds_the_flows_beside_it(tmp_path: Path) -> None:
    folder = project(tmp_path, FLOWS)
    assert "p_inner_deep" in invoke("graph", str(folder / "flows" / "order.yaml"), "--expand").stdout


def test_a_file_that_is_broken_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text("flow: order\nsteps:\n  - cal: a\n")
    told = invoke("graph", str(file), code=1)
    assert told.stdout == ""
    assert f"{file}:3:5: unknown kind of step `cal`" in told.stderr
    assert "order.yaml" in invoke("graph", str(tmp_path / "no" / "order.yaml"), code=1).stderr


def test_a_broken_flow_of_the_store_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "flows").mkdir(exist_ok=True)
    (folder / "flows" / "bad.yaml").write_text("flow: bad\nsteps: [{cal: a}]\n")
    assert "unknown kind of step `cal`" in legato(folder, "graph", "bad", code=1).stderr


def test_what_a_flow_says_does_not_reach_the_terminal_as_it_is(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "flows").mkdir(exist_ok=True)
    (folder / "flows" / "odd.yaml").write_text('flow: odd\nsteps: [{fail: "\\e[31mred"}]\n')
    for form in FORMS:
        assert "\x1b" not in on_terminal("graph", "odd", "--format", form, "--project", str(folder))


def test_a_flow_of_a_module(tmp_path: Path) -> None:
    folder = project(tmp_path, FLOWS)
    (tmp_path / "drawn_flows.py").write_text(
        "from legato import Flow, flow\n"
        "first = Flow('first').call('echo').flow('second')\n"
        "second = Flow('second').call('slow', id='later')\n"
        "@flow(name='coded')\nasync def coded(context, value):\n    return value\n"
    )
    text = legato(folder, "graph", "drawn_flows:first", "--expand").stdout
    assert {"p_echo", "p_second_later"} <= set(check_mermaid(text)[0])
    assert "Python code" in legato(folder, "graph", "drawn_flows:coded").stdout
    told = legato(folder, "graph", "drawn_flows:third", code=2).stderr
    assert "drawn_flows has no flow 'third'; it has coded, first, second" in told
    assert "no_such_module" in legato(folder, "graph", "no_such_module:first", code=2).stderr


@pytest.mark.parametrize("arguments", [[], ["order", "--format", "png"], ["order", "-o"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    legato(project(tmp_path, FLOWS), "graph", *arguments, code=2)


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    told = legato(project(tmp_path, FLOWS), "graph", "order", "--gateway", "http://127.0.0.1:9", code=3).stderr
    assert "no gateway answers at http://127.0.0.1:9" in told
