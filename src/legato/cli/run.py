"""`legato run`: one run of a flow, by the gateway if one answers, else in this process."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
from pathlib import Path

import click

from legato.app import App, listen_address
from legato.cli.project import load_settings
from legato.errors import UnknownFlow
from legato.model.payload import JSON, Payload
from legato.model.settings import Settings

TIMEOUT = 600.0  # seconds; longer than any run of an inline flow should take


@click.command()
@click.argument("name")
@click.option(
    "-d", "--data", default="", metavar="JSON|@FILE", help="The input; @FILE reads it, @- from standard input."
)
@click.option("--project", default=".", type=click.Path(exists=True, path_type=Path), help="The folder, else this one.")
def run(name: str, data: str, project: Path) -> None:
    """Run the flow NAME once and print its result.

    \b
        legato run process-order -d '{"orderId": 123}'
        legato run process-order -d @order.json
    \b
    When a gateway answers at the settings' `listen`, it runs the flow there; else here, without a server.
    """
    settings = load_settings(project)
    body = _input(data)
    answer = _by_gateway(settings, name, body)
    status, result = answer if answer is not None else asyncio.run(_here(settings, name, body))
    click.echo(result, err=status >= 400)
    if status >= 400:
        sys.exit(1)


def _input(data: str) -> bytes:
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise click.UsageError(f"cannot read {data[1:]}: {error.strerror}") from None
    return data.encode()


def _by_gateway(settings: Settings, name: str, body: bytes) -> tuple[int, bytes] | None:
    """(status, body) from the gateway, None when none answers. Ends with 3 when it is lost after it has the request."""
    connection = _connection(settings.listen)
    try:
        connection.request("GET", "/livez")
        probe = connection.getresponse()
        if probe.status != 200 or probe.read() != b'{"status":"ok"}':
            return None
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
    headers = {"content-type": "application/json"}
    if settings.tokens:
        headers["authorization"] = f"Bearer {settings.tokens[0]}"
    try:
        connection.request("POST", f"/orchestrate/{name}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        # Running it here as well could do everything twice.
        click.echo(
            f"the gateway at {settings.listen} was lost, and with it what became of the run: {error!r}", err=True
        )
        sys.exit(3)
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(listen: str) -> http.client.HTTPConnection:
    kind, host, port = listen_address(listen)
    if kind == "unix":
        return _UnixConnection(host)
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return http.client.HTTPConnection(here, port, timeout=TIMEOUT)


async def _here(settings: Settings, name: str, body: bytes) -> tuple[int, bytes]:
    app = App(settings)
    app.load()
    try:
        return await app.run_once(name, Payload.of(JSON, body))
    except UnknownFlow:
        known = ", ".join(sorted(app.orchestrator.flows)) or f"none in {Path(settings.folder) / settings.flows}"
        return 404, f"there is no flow {name!r}; there are: {known}".encode()
    finally:
        await app.close()
