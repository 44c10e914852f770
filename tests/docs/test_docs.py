"""The documentation is complete: every setting, limit, kind of step, route, status, metric and option is there."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest
from starlette.routing import Route

from legato.admin.durable import STATUSES
from legato.app import App
from legato.cli import main
from legato.connectors.python import THREADS
from legato.formats import (
    branches,
    callbacks,
    calls,
    choices,
    graphs,
    kinds,
    loops,
    modifiers,
    native,
    read_settings,
    requests,
    retries,
    steps,
    undos,
)
from legato.formats.credentials import SCOPES, TOKEN_VARIABLES
from legato.formats.functions import BUILTINS
from legato.formats.settings import STORE_VARIABLE
from legato.gateway.problems import of_failure, status_of
from legato.model.flow import MAX_BRANCHES, MAX_DEPTH, MAX_STEPS, Flow
from legato.model.function import Function
from legato.model.mapping import SHAPING
from legato.model.names import RESERVED
from legato.model.outcome import Failure, Kind, Outcome, Reason
from legato.model.payload import json_payload
from legato.model.policy import MAX_ATTEMPTS
from legato.model.settings import Limits, Settings
from legato.transport.pool import CONNECT_TIME, QUEUE_LENGTH, QUEUE_TIME
from legato.values.env import UNDO_ROOTS
from legato.values.functions import FUNCTIONS
from legato.values.loops import LOOPS
from legato.values.parser import MAX_LOOPS
from legato.values.tokens import MAX_SOURCE
from legato.values.working import MAX_ELEMENTS
from legato.values.working import MAX_STEPS as MAX_WORK
from tests.docs.pages import PAGES, ROOT, anchors, code_in, links, name_of, row, rows, section, text
from tests.docs.serving import serving
from tests.support.gateway_process import free_port

SOURCE = ROOT / "src" / "legato"


def fields(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct)}


# Settings.


def test_every_setting() -> None:
    page = text("docs/reference/settings.md")
    elsewhere = {"folder", "open", "default_function", "tokens", "dev"}
    for name in fields(Settings) - elsewhere:
        row(page, name)
    row(page, "auth.tokens")
    assert {"functions.default", *TOKEN_VARIABLES, STORE_VARIABLE} <= code_in(page)
    for scope in SCOPES:
        row(page, scope)
    assert "--open" in text("docs/reference/cli.md")


def test_every_key_of_a_function() -> None:
    page = section(text("docs/reference/settings.md"), "Functions")
    for name in fields(Function) - {"name"}:
        row(page, name)
    assert set(BUILTINS) <= code_in(row(page, "builtin")[3])


def test_defaults_are_the_real_ones() -> None:
    page = text("docs/reference/settings.md")
    top = {
        name: row(page, name)[2].strip("`")
        for name in ("listen", "access_log", "flows", "store", "direct_functions", "timeout")
    }
    limits = {name: row(section(page, "Limits"), name)[1].strip("`") for name in fields(Limits)}
    shown = {name: row(page, name)[2].strip("`") for name in ("timeout", "idempotent", "keyed", "connections")}
    function = {**shown, "timeout": row(section(page, "Functions"), "timeout")[2].strip("`"), "url": "http://f/"}

    def lines(values: dict[str, str], indent: str) -> str:
        return "".join(f"{indent}{name}: {value}\n" for name, value in values.items())

    document = lines(top, "") + "limits:\n" + lines(limits, "  ") + "functions:\n  f:\n" + lines(function, "    ")
    settings, problems = read_settings(document.encode(), "legato.yaml", ".", {})
    assert settings is not None, "\n".join(map(str, problems))
    assert settings == Settings(functions={"f": Function(name="f", url="http://f/")})
    assert Settings().default_function in code_in(page)


def test_every_limit_has_a_reason() -> None:
    page = section(text("docs/reference/settings.md"), "Limits")
    assert all(len(row(page, name)[3]) > 20 for name in fields(Limits))
    for constant in (MAX_STEPS, MAX_BRANCHES, MAX_DEPTH, MAX_ATTEMPTS, QUEUE_LENGTH, CONNECT_TIME, QUEUE_TIME):
        assert re.search(rf"\b{constant:,g}\b", page), constant
    assert f"{THREADS} threads" in text("docs/reference/settings.md")


# The language.


@pytest.mark.parametrize("kind", steps.KINDS)
def test_every_kind_of_step(kind: str) -> None:
    page = section(text("docs/reference/flows.md"), f"`{kind}`")
    for key in steps.KINDS[kind]:
        row(page, key)


def test_every_key_of_a_flow() -> None:
    page = section(text("docs/reference/flows.md"), "A flow")
    for name in fields(Flow) - {"name", "dialect", "code", "finally_"} | {"finally"}:
        row(page, name)
    assert set(kinds.FLOW_KEYS) <= code_in(page)
    for key in callbacks.CALLBACK_KEYS:
        row(page, key)
    assert set(callbacks.WHEN) <= code_in(row(page, "when")[3])


def test_every_modifier() -> None:
    page = section(text("docs/reference/flows.md"), "Steps")
    for key in kinds.MODIFIERS:
        row(page, key)
    for word in modifiers.ON_ERROR_WORDS:
        row(page, word)


def test_every_word_of_a_step() -> None:
    """Keys and words within the keys of a kind."""
    page = text("docs/reference/flows.md")
    words = {
        "parallel": {*branches.JOINS, *branches.MERGES},
        "graph": {*graphs.NODE_KEYS, *graphs.EDGES},
        "foreach": {*loops.LOOP_KEYS, *loops.COLLECT},
        "choose": {"all", "cases", *choices.CASE_KEYS},
        "call": {*calls.ENCODINGS, *calls.DECODINGS},
    }
    for kind, wanted in words.items():
        known = {word for code in code_in(section(page, f"`{kind}`")) for word in re.findall(r"\w+", code)}
        assert wanted <= known, kind
    known = {word for code in code_in(section(page, "Sagas")) for word in re.findall(r"\w+", code)}
    assert {*undos.UNDO_KEYS, *native.STRATEGIES, "pivot"} - {native.STRATEGIES[0]} <= known
    for word in SHAPING:
        row(section(page, "What makes a value"), word)
    assert {*requests.OURS, *(f"{each}*" for each in requests.OUR_PREFIXES)} <= code_in(section(page, "Headers"))


def test_everything_that_expressions_know() -> None:
    page = text("docs/reference/expressions.md")
    assert set(UNDO_ROOTS) <= {root for cells in rows(section(page, "Roots")) for root in code_in(cells[0])}
    codes = code_in(section(page, "Functions"))
    known = {word for code in codes for word in re.findall(r"(?:math\.|lists\.)?[A-Za-z_]+", code)}
    assert {*FUNCTIONS, *LOOPS} <= known
    for bound in (MAX_SOURCE // 1024, MAX_LOOPS, MAX_ELEMENTS, MAX_WORK):
        assert re.search(rf"\b{bound:,}\b", section(page, "Limits")), bound


def test_every_word_of_a_call() -> None:
    page = section(text("docs/reference/flows.md"), "`call`")
    for key in (*retries.RETRY_KEYS, *retries.HEDGE_KEYS):
        row(page, key)
    assert set(calls.METHODS) <= code_in(row(page, "method")[3])
    assert code_in(text("docs/reference/flows.md")) >= RESERVED


# HTTP.


def test_every_route() -> None:
    page = text("docs/reference/http.md")
    app = App(Settings())
    documented = {match.partition("?")[0] for match in re.findall(r"(?:GET|PUT|POST|DELETE)\s/[^`]*", page)}
    for route in app._admin().routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            assert f"{method} {route.path}" in {re.sub(r"\s", " ", each) for each in documented}
    assert "any method `/orchestrate/{flow}`" in page


def test_every_status() -> None:
    """Those that a failed run is answered with, and those that stand in the code as refusals."""
    nobody_hears = status_of(Failure("disconnect", Outcome("cancelled")))
    statuses = {status_of(Failure(reason, Outcome("unknown"))) for reason in get_args(Reason)} - {nobody_hears}
    statuses |= set(STATUSES.values())
    for file in SOURCE.rglob("*.py"):
        statuses |= {
            int(status) for status in re.findall(r"(?:refus(?:e|al)|Problematic)\(\s*(\d{3})\b", file.read_text())
        }
    documented = {
        int(cells[0]) for cells in rows(section(text("docs/reference/http.md"), "Errors")) if len(cells[0]) == 3
    }
    assert len(statuses) > 8
    assert statuses <= documented
    assert documented - statuses == {405}, "405 is the ASGI app's; what else is nobody's?"


def test_every_member_of_a_problem() -> None:
    failed = Failure("failed", Outcome("refused", json_payload({}), 402, "no"), "a", "f")
    failure = Failure("failed", failed.outcome, "a", "f", (failed, failed))
    failure.undo = [("a/undo", True), ("b/undo", False)]
    document = json.loads(of_failure(failure, "flow", "run")[1])
    assert {"undone", "not_undone", "errors", "upstream"} <= document.keys()
    members = {name for cells in rows(section(text("docs/reference/http.md"), "Errors")) for name in code_in(cells[0])}
    assert document.keys() <= members


def test_every_outcome() -> None:
    page = section(text("docs/reference/outcomes.md"), "Five outcomes")
    for kind in get_args(Kind):
        row(page, kind)


# The command line.


def options(command: click.Command) -> set[str]:
    """The options of a command and of all below it."""
    own = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in parameter.opts
    }
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*map(options, below))


def test_every_command_and_option() -> None:
    page = text("docs/reference/cli.md")
    assert isinstance(main, click.Group)
    titles = {re.match(r"## `legato (\w+)", line): line for line in page.splitlines()}
    documented = {match[1]: section(page, line[3:]) for match, line in titles.items() if match}
    assert documented.keys() == main.commands.keys()
    for name, command in main.commands.items():
        words = {word for code in code_in(documented[name]) for word in re.findall(r"(?:^|(?<=\s))--?[a-z]+", code)}
        assert words == options(command), name
    assert {"--version"} <= code_in(page)


# Operations.


def test_every_metric() -> None:
    page = section(text("docs/operations.md"), "Metrics")
    metrics = App(Settings()).metrics
    for metric in metrics.collect(metrics.read()):
        row(page, metric.name + ("_total" if metric.type == "counter" else ""))
    assert set(get_args(Reason)) <= code_in(row(page, "legato_runs_total")[2])


def test_every_field_of_the_access_log(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    (tmp_path / "legato.yaml").write_text(f"listen: {listen}\nfunctions: {{f: {{builtin: fail}}}}\n")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "no.yaml").write_text("flow: no\nsteps: [f]\n")
    with serving(tmp_path, listen) as output:
        for path in ("/orchestrate/no", "/orchestrate/nothing"):
            connection = http.client.HTTPConnection(listen, timeout=10)
            connection.request("POST", path, b"{}")
            connection.getresponse().read()
            connection.close()
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert lines.pop(0)["event"] == "started"
    assert [line["status"] for line in lines] == [502, 404]
    page = section(text("docs/operations.md"), "Logs")
    assert {field for line in lines for field in line} <= code_in(page)


# The pages themselves.


@pytest.mark.parametrize("page", PAGES, ids=map(name_of, PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


def test_the_code_map_is_true() -> None:
    page = text("docs/architecture.md")
    assert len(page.splitlines()) <= 200
    code_map = section(page, "The map")
    for name in code_in(code_map):
        if re.fullmatch(r"[a-z_/]+\.py", name):
            assert (SOURCE / name).is_file(), name
    entries = [entry for entry in SOURCE.iterdir() if not entry.name.startswith("__")]
    for entry in entries:
        row(code_map, entry.name)


def test_decisions_are_numbered_and_short() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, decision in enumerate(decisions, 1):
        assert decision.name.startswith(f"{number:04}-")
        assert decision.read_text().startswith(f"# {number}. ")
        assert len(decision.read_text().splitlines()) <= 50
