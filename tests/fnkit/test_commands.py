"""`legato gateway orchestrate`, as fnkit's scripts call it: what it stores, says and ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fnkit.conftest import StartGateway, StartServer
from tests.fnkit.stage import KEY, FnkitGateway, cli, cli_here, define, pipeline, until
from tests.support.texts import request
from tests.support.valkey_server import ValkeyServer

ECHO = {"builtin": "echo"}
FUNCTIONS = dict.fromkeys(("validate-order", "charge-payment", "send-email"), ECHO)
STEPS = "validate-order,charge-payment,send-email"
ADD = ("gateway", "orchestrate", "add")
DEAD = "redis://127.0.0.1:1"


class Desk:
    """Somebody at a terminal: in a folder, with a server, and maybe a gateway that answers."""

    def __init__(self, folder: Path, server: ValkeyServer, gateway: FnkitGateway | None) -> None:
        self.folder = folder
        self.server = server
        self.gateway = gateway

    def run(self, *arguments: str, code: int = 0, here: bool = True) -> str:
        """What a command says, when it has ended as it should. With a gateway, it goes by that alone."""
        url = self.server.url if self.gateway is None else DEAD
        done, said, wrong = (cli_here if here else cli)(self.folder, *arguments, CACHE_URL=url)
        assert done == code, (arguments, said, wrong)
        return said + wrong


@pytest.fixture(params=["alone", "gateway"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, valkey: StartServer, start: StartGateway) -> Desk:
    server = valkey()
    if request.param == "alone":
        # A folder without settings is at the default `listen`, where somebody may answer who is none of ours.
        (tmp_path / "legato.yaml").write_text("listen: 127.0.0.1:1\n")
        return Desk(tmp_path, server, None)
    gateway = start({"functions": FUNCTIONS}, CACHE_URL=server.url)
    gateway.until_ready()
    return Desk(gateway.folder, server, gateway)


def test_from_add_to_remove(desk: Desk) -> None:
    said = desk.run(*ADD, "process-order", "--steps", STEPS, "--mode", "sequential", here=False)
    assert "Pipeline saved: process-order" in said
    stored = b'{"mode":"sequential","steps":["validate-order","charge-payment","send-email"]}'
    assert desk.server.cli("GET", KEY + "process-order") == stored
    assert desk.server.cli("TTL", KEY + "process-order") == -1
    if desk.gateway is not None:
        assert desk.gateway.ask(request("/orchestrate/process-order", b'{"n":1}')).body == b'{"n":1}'
    desk.run(*ADD, "Enrich_User", "--steps", " validate-order , ,charge-payment,", "--mode", "PARALLEL")
    stored = b'{"mode":"parallel","steps":["validate-order","charge-payment"]}'
    assert desk.server.cli("GET", KEY + "Enrich_User") == stored
    for command in ("ls", "list"):
        assert desk.run("gateway", "orchestrate", command).split() == ["Enrich_User", "process-order"]
    desk.run(*ADD, "process-order", "--steps", "send-email", "--mode", "sequential")  # overwritten in silence
    assert desk.server.cli("GET", KEY + "process-order") == pipeline("sequential", "send-email").encode()
    assert "Removed pipeline: process-order" in desk.run("gateway", "orchestrate", "remove", "process-order")
    assert "Removed pipeline: Enrich_User" in desk.run("gateway", "orchestrate", "rm", "Enrich_User")
    assert desk.server.cli("DBSIZE") == 0
    if desk.gateway is not None:
        assert desk.gateway.ask(request("/orchestrate/process-order", b"{}")).status == 404
    assert "Removed pipeline: nosuch" in desk.run("gateway", "orchestrate", "rm", "nosuch")
    assert desk.run("gateway", "orchestrate", "ls") == ""


def test_what_fnkit_s_own_command_has_written(desk: Desk) -> None:
    text = define(desk.server, "x", "sequential", "validate-order", "send-email")
    if desk.gateway is not None:
        desk.gateway.until_served("x", text)
        assert desk.gateway.ask(request("/orchestrate/x", b"{}")).status == 200
    assert desk.run("gateway", "orchestrate", "ls") == "x\n"
    assert desk.run("show", "x") == text + "\n"
    assert "validate-order, send-email" in desk.run("ls")
    desk.run("gateway", "orchestrate", "remove", "x")
    assert desk.server.cli("EXISTS", KEY + "x") == 0


def test_what_is_refused_ends_with_1_and_stores_nothing(desk: Desk) -> None:
    refused = {
        "Provide steps with --steps step1,step2,step3": [(), ("--steps", " ,", "--mode", "parallel")],
        'Mode must be "sequential" or "parallel"': [("--steps", "a"), ("--steps", "a", "--mode", "banana")],
        "already": [("--steps", "a,b,a", "--mode", "parallel")],
        "address": [("--steps", "a,2130706433", "--mode", "sequential")],
        "reserved": [("--steps", "localhost", "--mode", "sequential")],
        "not a name": [("--steps", "127.0.0.1", "--mode", "sequential")],
    }  # fmt: skip
    for why, attempts in refused.items():
        for arguments in attempts:
            assert why in desk.run(*ADD, "bad", *arguments, code=1)
    assert "not a name" in desk.run(*ADD, "my.flow", "--steps", "a", "--mode", "sequential", code=1)
    assert "address" in desk.run(*ADD, "17", "--steps", "a", "--mode", "sequential", code=1)
    assert desk.server.cli("DBSIZE") == 0


def test_the_native_commands_see_the_same(desk: Desk) -> None:
    assert "validate-order, send-email" in desk.run("add", "both", "--steps", "validate-order,send-email")
    assert desk.server.cli("GET", KEY + "both") == pipeline("sequential", "validate-order", "send-email").encode()
    assert desk.run("gateway", "orchestrate", "ls") == "both\n"
    desk.run("rm", "both")
    assert "nosuch" in desk.run("rm", "nosuch", code=1)
    assert desk.server.cli("DBSIZE") == 0


def test_nobody_there_is_3(tmp_path: Path) -> None:
    (tmp_path / "legato.yaml").write_text("listen: 127.0.0.1:1\n")
    for arguments in (
        ("ls",),
        ("gateway", "orchestrate", "ls"),
        (*ADD, "x", "--steps", "a", "--mode", "sequential"),
        ("gateway", "orchestrate", "rm", "x"),
        ("runs", "ls", "--inline"),
    ):
        code, _, wrong = cli_here(tmp_path, *arguments, CACHE_URL=DEAD)
        assert code == 3, arguments
        assert "127.0.0.1:1" in wrong


def test_a_cache_that_is_no_server_s_is_wrong_usage(tmp_path: Path) -> None:
    for url in ("fnkit-cache:6379", "http://fnkit-cache:6379", "", "sqlite:legato.db"):
        code, _, wrong = cli_here(tmp_path, "gateway", "orchestrate", "ls", CACHE_URL=url)
        assert code == 2, url
        assert "CACHE_URL" in wrong


def test_with_tokens_the_command_needs_the_one_for_defining(start: StartGateway, valkey: StartServer) -> None:
    server = valkey()
    gateway = start({"functions": FUNCTIONS}, CACHE_URL=server.url, LEGATO_TOKEN="secret", LEGATO_ADMIN_TOKEN="master")
    gateway.until_ready()
    add = (*ADD, "x", "--steps", STEPS, "--mode", "sequential")
    assert cli_here(gateway.folder, *add)[0] == 1
    code, _, wrong = cli_here(gateway.folder, *add, LEGATO_TOKEN="secret")
    assert code == 1
    assert "LEGATO_ADMIN_TOKEN" in wrong
    assert cli_here(gateway.folder, *add, LEGATO_ADMIN_TOKEN="master")[0] == 0
    assert cli_here(gateway.folder, "gateway", "orchestrate", "ls", LEGATO_TOKEN="secret")[1] == "x\n"


def test_what_replaces_observe(desk: Desk) -> None:
    """`fnkit observe traces|metrics|events`: by the gateway that ran the flows, out of its memory."""
    if desk.gateway is None:
        assert "no gateway answers" in desk.run("runs", "ls", "--inline", code=3)
        return
    define(desk.server, "seen", "sequential", "validate-order", "send-email")
    until(lambda: desk.gateway is not None and desk.gateway.flow("seen"))
    assert desk.gateway.ask(request("/orchestrate/seen", b'{"card": "4111-1111"}')).status == 200
    shown = desk.run("runs", "ls", "--inline")
    assert "seen" in shown
    assert "validate-order" in shown
    assert "validate-order" in desk.run("runs", "ls", "--inline", "--functions")
    desk.run("runs", "ls", "--inline", "--events")
    assert "4111" not in shown + desk.gateway.ask(request("/api/runs?inline=true")).body.decode()
