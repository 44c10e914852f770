"""`--gateway URL` and LEGATO_GATEWAY: the gateway that is named is spoken to, and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.admin.conftest import Start, starting
from tests.admin.serving import ADMIN, CALLER, Serving
from tests.cli.commands import FUNCTIONS, invoke, legato, project
from tests.support.gateway_process import free_port
from tests.support.tls_front import TLSFront

COMMANDS = (
    ["ls"], ["show", "a"], ["add", "x", "--steps", "echo"], ["rm", "x"], ["run", "a"], ["runs", "ls"],
    ["runs", "show", "x"], ["gateway", "orchestrate", "ls"], ["gateway", "orchestrate", "remove", "x"],
    ["gateway", "orchestrate", "add", "x", "--steps", "echo", "--mode", "parallel"],
)  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    starts = starting(tmp_path_factory.mktemp("shared"))
    start: Start = next(starts)
    variables = {"LEGATO_TOKEN": CALLER, "LEGATO_ADMIN_TOKEN": ADMIN}
    yield start(flows={"a": ["echo"]}, functions=FUNCTIONS, variables=variables)
    for _ in starts:
        pass


def test_the_one_that_is_named(gateway: Serving, tmp_path: Path) -> None:
    elsewhere = project(tmp_path, {"here": ["echo"]})
    option = ["--gateway", f"http://{gateway.listen}/"]
    added = legato(elsewhere, "add", "x", "--steps", "unknown", *option, LEGATO_ADMIN_TOKEN=ADMIN)
    assert (added.stdout, added.stderr) == ("x is defined: unknown\n", "")
    assert "here" not in legato(elsewhere, "ls", *option, LEGATO_TOKEN=CALLER).stdout
    variables = {"LEGATO_TOKEN": CALLER, "LEGATO_GATEWAY": f"http://{gateway.listen}"}
    assert legato(elsewhere, "run", "a", "-d", "7", **variables).stdout == "7\n"
    assert "succeeded" in legato(elsewhere, "runs", "ls", "--inline", **variables).stdout
    legato(elsewhere, "rm", "x", *option, LEGATO_ADMIN_TOKEN=ADMIN)
    assert not (elsewhere / "legato.db").exists()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_one_that_does_not_answer(tmp_path: Path, command: list[str]) -> None:
    folder = project(tmp_path, {"a": ["echo"]})
    url = f"http://127.0.0.1:{free_port()}"
    refused = legato(folder, *command, "--gateway", url, code=3)
    assert refused.stdout == ""
    assert refused.stderr == f"no gateway answers at {url}: Connection refused\n"
    assert not (folder / "legato.db").exists()


def test_what_is_no_gateway(gateway: Serving, tmp_path: Path) -> None:
    url = f"http://{gateway.listen}/elsewhere"
    refused = legato(project(tmp_path), "ls", "--gateway", url, code=3)
    assert refused.stderr.startswith(f"no gateway answers at {url}: what answers there is none (4")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://me:pw@x",
        "http://x?a",
        "http://x y",
        "http://x:0",
        "http+unix://%2Fs",
    ],
)
def test_what_is_no_url(tmp_path: Path, url: str) -> None:
    refused = legato(project(tmp_path), "ls", "--gateway", url, code=2)
    assert "Error: Invalid value for --gateway: " in refused.stderr
    assert "pw" not in refused.stderr


def test_by_https(gateway: Serving, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    front = TLSFront(context, int(gateway.listen.rpartition(":")[2]))
    try:
        folder, url = project(tmp_path / "project"), f"https://localhost:{front.port}"
        variables = {"LEGATO_TOKEN": CALLER, "LEGATO_GATEWAY": url}
        trusted = {**variables, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        assert legato(folder, "run", "a", "-d", "7", **trusted).stdout == "7\n"
        refused = legato(folder, "run", "a", "-d", "7", code=3, **variables)
        assert "certificate" in refused.stderr.lower()
    finally:
        front.close()


def test_help_names_the_variable() -> None:
    assert "LEGATO_GATEWAY" in invoke("run", "--help").stdout
