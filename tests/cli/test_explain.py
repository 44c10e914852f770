"""`legato explain`: what would be called, and how long that may take, without calling anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.conftest import Start, starting
from tests.admin.serving import Serving
from tests.cli.commands import FUNCTIONS, as_json, invoke, legato, on_terminal, project

FUNCTIONS_HERE = {
    **FUNCTIONS,
    "charge": {"url": "http://pay.example/charge", "timeout": "2s", "keyed": True, "concurrency": 4},
}
FLOWS: dict[str, object] = {
    "order": [
        "echo",
        {"call": "charge", "retry": {"attempts": 3, "backoff": "1s"}, "undo": "echo"},
        {"foreach": "${input.items}", "steps": ["echo"], "concurrency": 8},
        {"flow": "inner"},
    ],
    "inner": [{"sleep": "5s"}],
}
ORDER = """\
├─ echo (up to 30s)
│     built-in echo
├─ charge (up to 9s)
│  │  POST http://pay.example/charge
│  │  3 attempts of 2s, waits of 3s in all; again unless refused
│  │  4 calls of charge at a time, those of other runs included
│  └─ undo: echo (up to 5m 42.6s)
│        built-in echo
│        10 attempts of 30s, waits of 42.6s in all; again unless refused
├─ each of input.items (up to 30s for every 8 items of foreach)
│  │  8 at a time
│  └─ echo (up to 30s)
│        built-in echo
└─ flow inner (up to 5s)
   └─ sleep 5s (up to 5s)

worst case: 44s + 30s for every 8 items of foreach
deadline: 1m, which may come first: then 504, after undo
undo and handlers: up to 5m
calls: 3, 1 of them for each item, and 1 to undo
"""


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    yield from starting(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def gateway(start_shared: Start) -> Serving:
    return start_shared(flows=FLOWS, functions=FUNCTIONS_HERE)


@pytest.fixture(params=["gateway", "here"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with a gateway, and one without."""
    if request.param == "here":
        return project(tmp_path, FLOWS, functions=FUNCTIONS_HERE)
    gateway: Serving = request.getfixturevalue("gateway")
    return gateway.folder


def test_a_flow_by_name(folder: Path) -> None:
    told = legato(folder, "explain", "order")
    first, rest = told.stdout.split("\n", 1)
    assert first.startswith("flow order, version ")
    assert rest == ORDER
    assert told.stderr == ""


def test_a_file(folder: Path) -> None:
    told = invoke("explain", str(folder / "flows" / "order.yaml"))
    assert told.stdout.split("\n", 1)[1] == ORDER


def test_as_data(folder: Path) -> None:
    document = as_json(folder, "explain", "order")
    assert document["worst"]["seconds"] == 44.0
    assert document["worst"]["loops"] == [{"seconds": 30.0, "windows": [{"path": "foreach", "size": 8}]}]
    assert document["deadline"] == 60.0
    charge = document["steps"][1]
    assert (charge["path"], charge["kind"], charge["call"]["attempts"]) == ("charge", "call", 3)
    assert charge["undo"]["path"] == "charge/undo"
    assert document["version"] == json.loads(legato(folder, "show", "order", "--json").stdout)["version"]


def test_a_name_that_is_not_there(folder: Path) -> None:
    assert "there is no flow 'nothing'" in legato(folder, "explain", "nothing", code=1).stderr


def test_warnings(tmp_path: Path) -> None:
    steps = [{"call": "slow", "retry": {"attempts": 5}}, {"call": "ecko", "hedge": {"delay": "1s"}}]
    folder = project(tmp_path, {"late": steps})
    told = legato(folder, "explain", "late")
    assert "warning: slow: 5 attempts of 30 s each" in told.stderr
    assert "warning: ecko: `hedge` starts a call a second time" in told.stderr
    assert "warning: ecko has no entry in `functions`" in told.stderr
    assert told.stderr.count("  remedy: ") >= 2
    assert "warning" not in told.stdout
    assert len(as_json(folder, "explain", "late")["warnings"]) == 3


def test_warnings_of_the_text_have_their_place(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    graph = "{a: f, b: {call: g, after: {a: order}}, c: {call: h, after: b}}"
    file.write_text(f"flow: order\nsteps:\n  - graph: {graph}\n")
    told = invoke("explain", str(file)).stderr
    assert f"warning: {file}:" in told
    assert "the value of node `a` is lost" in told


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path)
    file = folder / "order.yaml"
    file.write_text("flow: order\ndurable: true\nsteps: [{flow: gone}, {wait: approval}]\n")
    told = invoke("explain", str(file))
    assert "as long as gone takes + as long as approval takes" in told.stdout
    assert "warning: gone: " in told.stderr or "there is no flow `gone`" in told.stderr


def test_a_broken_file(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text("flow: order\nsteps: [{cal: a}]\n")
    assert "unknown kind of step `cal`" in invoke("explain", str(file), code=1).stderr


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    project(tmp_path, FLOWS)
    (tmp_path / "legato.yaml").write_text("nonsense: 1\n")
    assert "nonsense" in legato(tmp_path, "explain", "order", code=2).stderr


def test_nothing_is_called(tmp_path: Path) -> None:
    marker = tmp_path / "called"
    (tmp_path / "marking.py").write_text(f"def mark(value):\n    open({str(marker)!r}, 'w').close()\n")
    folder = project(tmp_path, {"order": ["mark"]}, functions={"mark": {"python": "marking:mark"}})
    assert "Python marking:mark" in legato(folder, "explain", "order").stdout
    assert not marker.exists()


def test_on_a_terminal(tmp_path: Path) -> None:
    folder = project(tmp_path, {**FLOWS, "odd": [{"fail": "\x1b[31mred [bold]x[/bold]"}]}, functions=FUNCTIONS_HERE)
    told = on_terminal("explain", "order", "--project", str(folder))
    assert "POST http://pay.example/charge" in told
    assert "worst case: 44s + 30s for every 8 items of foreach" in told
    odd = on_terminal("explain", "odd", "--project", str(folder))
    assert "\x1b[31mred" not in odd
    assert "[bold]x[/bold]" in odd


def test_a_flow_of_a_module(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (tmp_path / "explained_flows.py").write_text(
        "from legato import Flow\n"
        "first = Flow('first').call('echo').flow('second')\n"
        "second = Flow('second').call('slow', id='later', timeout='2s')\n"
    )
    told = legato(folder, "explain", "explained_flows:first").stdout
    assert "later: slow (up to 2s)" in told
    assert "worst case: 32s" in told


@pytest.mark.parametrize("arguments", [[], ["order", "extra"], ["order", "--gateway", "nonsense"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    legato(project(tmp_path, FLOWS), "explain", *arguments, code=2)


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    legato(project(tmp_path, FLOWS), "explain", "order", "--gateway", "http://127.0.0.1:9", code=3)
