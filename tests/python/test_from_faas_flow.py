"""The Python of docs/from-faas-flow.md: every block is run, and does what faas-flow's snippet beside it means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from legato import Flow, Refused, RunFailed, asgi, run_sync
from legato.builder import CodeFlow
from legato.errors import LegatoError
from tests.conftest import StartFunction
from tests.docs.pages import ROOT, blocks
from tests.python.test_mount import ask

PAGE = ROOT / "docs" / "from-faas-flow.md"
PYTHON = [block.text for block in blocks(PAGE) if block.language == "python"]


def name(value: str) -> Any:
    """A function that writes its name around what it gets."""
    return lambda given: f"{value}({given})"


def namespaces() -> dict[str, dict[str, Any]]:
    """What each block defines, by the names of its flows."""
    found: dict[str, dict[str, Any]] = {}
    for text in PYTHON:
        defined: dict[str, Any] = {"__name__": "faas_flow_page"}
        exec(compile(text, PAGE.name, "exec"), defined)
        for value in list(defined.values()):
            if isinstance(value, Flow | CodeFlow):
                assert value.name not in found
                found[value.name] = {**defined, "flow": value}
    return found


BLOCKS = namespaces()
UPLOAD = ("colorize", "resize", "storage", "storage-delete", "notify")
SCORES = {"face-match": "matched", "create-user": "created"}

RUNS: list[tuple[str, Any, Mapping[str, Any], Any]] = [
    ("your-flow", "x", {"your-func1": name("1"), "your-func2": name("2")}, "2(1(x))"),
    ("modified", {"a": 1}, {"func1": dict, "func2": dict}, {"a": 1, "done": True}),
    ("either", {"score": 0.9}, SCORES, ["matched"]),
    ("either", {"score": 0.1}, SCORES, ["created"]),
    ("each", "aa-bb", {"func1": str.upper}, "AA-BB"),
    ("kyc", "image", {"face-detect": {"score": 0.9}, **SCORES}, {"pass": "matched"}),
    ("kyc", "image", {"face-detect": {"score": 0.2}, **SCORES}, {"fail": "created"}),
    (
        "nested",
        "url",
        {each: name(each) for each in ("s3-get", "check-format", "check-size", "storage")},
        "storage(check-size(check-format(s3-get(url))))",
    ),
    ("test-flow", "x", {"your-func1": name("1"), "your-func2": dict, "storage": dict}, {"data": "1(x)"}),
    (
        "checked-upload",
        {"image": 1},
        {"face-detect": {"count": 1}, **dict.fromkeys(UPLOAD, 1)},
        {"stored": True, "notified": True},
    ),
    ("checked-upload", {"image": 1}, {"face-detect": {"count": 2}}, {"error": "2 faces"}),
    (
        "checked-upload",
        {"image": 1},
        {
            "face-detect": {"count": 1},
            "notify": Refused("nobody there"),
            **dict.fromkeys(UPLOAD[:-1], 1),
        },
        {"stored": True, "notified": False, "why": "nobody there"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("flow", "given", "functions", "result"), RUNS)
def test_what_the_flows_do(flow: str, given: Any, functions: Mapping[str, Any], result: Any) -> None:
    assert run_sync(BLOCKS[flow]["flow"], given, functions=functions) == result


def served(flow: str, path: str, given: bytes, **functions: Any) -> Any:
    """What a flow answers to a request."""

    async def main() -> Any:
        app = asgi(BLOCKS[flow]["flow"], functions=functions)
        answer = await ask(app, path, given)
        await app.aclose()
        return answer

    return asyncio.run(main())


def test_callback_failure_finally(function: StartFunction) -> None:
    server, page = function(), BLOCKS["stored"]
    answer = served("stored", "/stored?filename=a%20b", b'{"image": "abc"}', storage=f"http://127.0.0.1:{server.port}")
    assert (answer.status, answer.json) == (200, {"size": 3})
    assert server.requests[0].target == "/bucket?id=3345612358265349126&file=a%20b"
    assert (page["failures"], page["states"]) == ([], ["succeeded"])
    answer = served("stored", "/stored?filename=a", b'{"image": "abc"}', storage=refuse)
    assert (answer.status, answer.json["step"]) == (502, "storage")
    assert (page["failures"], page["states"]) == (["storage"], ["succeeded", "failed"])


def refuse(value: Any) -> Any:
    raise Refused("full")


def test_the_dag(function: StartFunction) -> None:
    server = function()
    functions = {"function-1-name": str.upper, "function-2-name": len, "storage": f"http://127.0.0.1:{server.port}"}
    answer = served("stored-dag", "/stored-dag?filename=f", b'{"text": "abc"}', **functions)
    assert (answer.status, answer.json) == (200, ["ABC!", 3])
    assert server.requests[0].target == "/?file=f"


def test_what_a_run_knows_and_shares(function: StartFunction) -> None:
    server = function()
    answer = served("remembering", "/remembering?token=t", b'{"sha": "1a2b"}', myfunc=f"http://127.0.0.1:{server.port}")
    said = answer.json
    assert server.requests[0].target == "/?auth-token=t"
    assert (said["sha"], said["token"], said["node"], said["state"]) == ("1a2b", "t", "retrieve", "running")
    assert said["request"] == answer.headers["legato-run"]


def test_an_unknown_branch_and_none() -> None:
    """What the page says of faas-flow's panics."""
    either = BLOCKS["either"]
    with pytest.raises(RunFailed) as failed:
        run_sync(Flow("f").branch(lambda value: ["maybe"], {"pass": "face-match"}), 1, functions=SCORES)
    assert failed.value.status == 500
    assert "the branches are pass" in failed.value.detail
    assert run_sync(Flow("f").branch(lambda value: [], {"pass": "face-match"}), 1, functions=SCORES) == 1
    assert isinstance(either["flow"], Flow)


def test_every_flow_of_the_page_is_tried() -> None:
    tried = {each[0] for each in RUNS} | {"stored", "stored-dag", "remembering"}
    assert tried == BLOCKS.keys()


def test_every_operator_on_the_page_is_there() -> None:
    """`.word(` in the page's tables and code is a method of a flow, a graph, a context or the library."""
    import re

    import legato
    from legato import Context, Graph, Steps
    from legato.connectors.python_context import PythonContext

    words = set(
        re.findall(
            r"`(?:[^`]*)\.(\w+)\(", "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith("|"))
        )
    )
    ours = {word for word in words if word[0].islower()}
    known = {each for thing in (Flow, Graph, Steps, Context, PythonContext, legato) for each in dir(thing)}
    faas = {"return"}
    assert ours - known - faas == set()
    assert issubclass(legato.DefinitionError, LegatoError)
