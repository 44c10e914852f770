"""`legato serve MODULE`, `check MODULE` and `run MODULE:NAME`: flows out of Python, beside those of files."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from legato.builder.modules import definitions_of
from legato.errors import DefinitionError
from tests.support.gateway_process import free_port

SHOP = """
from legato import Context, Flow, flow
from {package}.parts import payment, _hidden

print("imported")

def vat(order):
    return {{**order, "total": order["total"] * 2}}

order = Flow("order").call("check").modify(vat).flow("hello")
same = order

@flow
async def ship(ctx: Context, order):
    return await ctx.gather(ctx.call("check", order), ctx.flow("payment", order), ctx.flow("hello", 1))

_draft = Flow("draft").call("check")
number = 3
"""
PARTS = """
from legato import Flow
payment = Flow("payment").modify(lambda order: "paid")
_hidden = Flow("hidden").call("check")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder with a package of flows, and the package's name: another one for each test, as Python remembers them."""
    package = f"shop_{time.monotonic_ns()}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "flows.py").write_text(SHOP.format(package=package))
    (tmp_path / package / "parts.py").write_text(PARTS)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hello.yaml").write_text("flow: hello\nsteps: [greet]\n")
    (tmp_path / "flows" / "order.yaml").write_text("flow: order\nsteps: [greet]\n")
    settings = {"listen": f"127.0.0.1:{free_port()}", "access_log": False}
    functions = {"check": {"builtin": "echo"}, "greet": {"builtin": "echo"}}
    (tmp_path / "legato.yaml").write_text(json.dumps({**settings, "functions": functions}))
    path = list(sys.path)
    yield tmp_path, package
    sys.path[:] = path


def legato(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """A command in its own process: (exit status, output, errors)."""
    command = [sys.executable, "-W", "error", "-m", "legato", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[int]:
    """A gateway, and its port."""
    port = int(json.loads((folder / "legato.yaml").read_text())["listen"].rpartition(":")[2])
    command = [sys.executable, "-W", "error", "-m", "legato", "serve", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield port
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert b"Traceback" not in errors


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask a gateway that may still be starting."""
    until = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError:
            assert time.monotonic() < until, "the gateway does not start"
            time.sleep(0.05)
        finally:
            connection.close()


def test_public_flows_each_once(shop: tuple[Path, str]) -> None:
    folder, package = shop
    found = definitions_of(f"{package}.flows", folder)
    assert [definition.name for definition in found] == ["order", "payment", "ship"]
    assert {definition.origin for definition in found} == {f"{package}.flows"}
    assert all(definition.flow is not None for definition in found)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_they_are_served_beside_files_and_hide_them(shop: tuple[Path, str], workers: tuple[str, ...]) -> None:
    folder, package = shop
    with serving(folder, f"{package}.flows", *workers) as port:
        for _ in range(4):
            assert ask(port, "POST", "/orchestrate/order", {"total": 10}) == (200, {"total": 20})
            assert ask(port, "POST", "/orchestrate/ship", [1]) == (200, [[1], "paid", 1])
        assert ask(port, "POST", "/orchestrate/hello", "x") == (200, "x")
        flows = {each["name"]: each for each in ask(port, "GET", "/api/flows")[1]["flows"]}
        assert flows["order"]["origin"] == f"{package}.flows"
        assert flows["order"]["shadows"] == ["flows/order.yaml"]
        assert flows["ship"]["outline"] == f"{package}.flows:ship"
        assert sorted(flows) == ["hello", "order", "payment", "ship"]
        status, ready = ask(port, "GET", "/readyz")
        assert (status, ready["degraded"]) == (200, [f"order in {package}.flows hides flows/order.yaml"])
        document = json.loads(ask(port, "GET", "/api/flows/order")[1]["source"])
        assert document["steps"] == [{"call": "check"}, {"python": f"{package}.flows:vat"}, {"flow": "hello"}]
        status, problem = ask(port, "PUT", "/api/flows/order", {"flow": "order", "steps": ["check"]})
        assert (status, problem["detail"].partition(":")[0]) == (409, f"order is defined by {package}.flows")


def test_files_go_on_being_live(shop: tuple[Path, str]) -> None:
    folder, package = shop
    with serving(folder, f"{package}.flows") as port:
        assert ask(port, "POST", "/orchestrate/hello", "x") == (200, "x")
        (folder / "flows" / "order.yaml").unlink()
        (folder / "flows" / "hello.yaml").write_text("flow: hello\nsteps: [{set: changed}]\n")
        until = time.monotonic() + 15
        while ask(port, "POST", "/orchestrate/hello", "x") != (200, "changed"):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert ask(port, "POST", "/orchestrate/ship", [1])[1][2] == "changed"
        while "degraded" in ask(port, "GET", "/readyz")[1]:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert ask(port, "POST", "/orchestrate/order", {"total": 10}) == (200, "changed")


def test_check_and_run(shop: tuple[Path, str]) -> None:
    folder, package = shop
    assert legato(folder, "check", f"{package}.flows") == (0, "4 flows: no problems\n", "imported\n")
    status, out, errors = legato(folder, "run", f"{package}.flows:ship", "-d", '{"a": 1}')
    assert (status, out, errors) == (0, '[{"a":1},"paid",1]\n', "imported\n")
    status, _, errors = legato(folder, "run", f"{package}.flows:shp")
    assert (status, errors.splitlines()[-1]) == (1, "there is no flow 'shp'; there are: hello, order, payment, ship")
    status, _, errors = legato(folder, "run", f"{package}.flows:ship", "--gateway", "http://localhost:1")
    assert status == 2
    assert "a flow of a module runs here, not at a gateway" in errors


def test_problems_have_their_line(shop: tuple[Path, str]) -> None:
    folder, package = shop
    broken = 'from legato import Flow\n\nodd = (\n    Flow("odd")\n    .call("check")\n    .set("${steps.chek}")\n)\n'
    (folder / package / "broken.py").write_text(broken)
    status, _, errors = legato(folder, "check", f"{package}.broken")
    assert status == 1
    assert f"{package}/broken.py:6:1: set: there is no step `chek` here" in errors
    assert '.set("${steps.chek}")' in errors
    assert "did you mean `check`?" in errors
    with serving(folder, f"{package}.broken") as port:
        status, problem = ask(port, "POST", "/orchestrate/odd", 1)
        assert (status, problem["errors"][0]["line"]) == (503, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("from legato import Flow\nFlow('x').call('A')", "broken.py:2: DefinitionError: call A: 'A' is not a name"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "broken.py:1: SystemExit: 3"),
        ("x = 1", "has no flows (give it a Flow, or a function with @flow)"),
        (
            "from legato import Flow\na = Flow('x').call('a')\nb = Flow('x').call('b')",
            "has two flows called 'x' (rename one of them)",
        ),
    ],
)
def test_modules_that_cannot_be_used(shop: tuple[Path, str], text: str, message: str) -> None:
    folder, package = shop
    (folder / package / "broken.py").write_text(text)
    for command in (("serve",), ("check",), ("serve", "--workers", "2")):
        status, _, errors = legato(folder, *command, f"{package}.broken")
        assert status == 2, errors
        assert message in errors


@pytest.mark.parametrize("name", ["nowhere", "nowhere.flows", "{package}.nowhere"])
def test_modules_that_are_not_there(shop: tuple[Path, str], name: str) -> None:
    folder, package = shop
    name = name.format(package=package)
    status, _, errors = legato(folder, "serve", name)
    assert status == 2
    assert f"Error: Path '{name}' does not exist, nor does a module of this name" in errors
    with pytest.raises(DefinitionError):
        definitions_of(name, folder)


def test_what_is_neither_a_path_nor_a_module(shop: tuple[Path, str]) -> None:
    status, _, errors = legato(shop[0], "serve", "./nowhere")
    assert status == 2
    assert "Path './nowhere' does not exist, and is no name of a Python module." in errors


def test_a_folder_wins_over_a_module(shop: tuple[Path, str]) -> None:
    folder, package = shop
    assert legato(folder, "check", package)[0] == 1  # a folder, and no project
