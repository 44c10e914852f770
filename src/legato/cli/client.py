"""Who the command line speaks to: the gateway that answers at the settings' `listen`, else the stores themselves."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

import click
import msgspec

from legato.app import App, listen_address
from legato.errors import StoreUnavailable
from legato.gateway.credentials import granted
from legato.model.settings import Scope, Settings
from legato.telemetry.log import Log

TIMEOUT = 600.0  # seconds; longer than any run of an inline flow should take
PROBE_TIMEOUT = 5.0


class Client(ABC):
    """Whoever answers requests to the API."""

    @abstractmethod
    def ask(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """(status, body) of a request that needs a scope. Ends with 3 when what became of it cannot be told."""

    def document(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """What the API answers, decoded. Ends with 1 where that is a problem, which is shown."""
        status, answer = self.ask(scope, method, path, body, **headers)
        if status >= 400:
            refused(status, answer)
        return json.loads(answer) if answer else None

    def pages(self, path: str, items: str, **query: str) -> Iterator[Any]:
        """Every item of a list that comes in pages."""
        while True:
            page = self.document("observe", "GET", f"{path}?{urlencode(query)}")
            yield from page[items]
            if "cursor" not in page:
                return
            query["cursor"] = page["cursor"]


class Gateway(Client):
    """A gateway that runs, by one connection."""

    def __init__(self, settings: Settings, connection: http.client.HTTPConnection) -> None:
        self._settings = settings
        self._connection = connection

    def ask(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Client."""
        tokens = self._settings.tokens
        token = granted(tokens, scope) or next(iter(tokens), None)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        try:
            self._connection.request(method, path, body or None, fields)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            # Doing it here as well could do everything twice.
            listen = self._settings.listen
            click.echo(f"the gateway at {listen} was lost, and with it what became of the request: {error!r}", err=True)
            sys.exit(3)


class Here(Client):
    """The API in this process, on the stores that the settings name: nobody else answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: App | None = self._open()

    def _open(self) -> App:
        try:
            app = App(self._settings, Log(io.StringIO()))
        except StoreUnavailable as error:
            click.echo(str(error), err=True)
            sys.exit(3)
        app.load()
        if app.catalog.unread:
            click.echo("\n".join(app.catalog.troubles), err=True)
            sys.exit(3)
        return app

    def ask(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Client."""
        del scope  # whoever can write to the store needs nobody's leave
        app, self._app = self._app or self._open(), None  # one that has answered has closed its stores
        return asyncio.run(app.ask(method, path, body, headers))


def client_of(settings: Settings) -> Client:
    """The gateway when one answers, else the stores themselves."""
    return find_gateway(settings) or Here(settings)


def find_gateway(settings: Settings) -> Gateway | None:
    """The gateway at `listen`, None where none answers."""
    connection = _connection(settings.listen)
    try:
        connection.request("GET", "/livez")
        probe = connection.getresponse()
        if probe.status != 200 or probe.read() != b'{"status":"ok"}':
            connection.close()
            return None
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
    if connection.sock is not None:
        connection.sock.settimeout(TIMEOUT)
    connection.timeout = TIMEOUT
    if command := click.get_current_context(silent=True):
        command.call_on_close(connection.close)
    return Gateway(settings, connection)


def refused(status: int, answer: bytes) -> NoReturn:
    """Show why a request was refused, by a proxy in between perhaps, and end with 1."""
    try:
        problem = msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {"detail": answer[:200].decode("utf-8", "replace")}
    fail(problem if problem.get("detail") else {"detail": f"the gateway answered {status}"})


def fail(problem: Mapping[str, Any]) -> NoReturn:
    """Show a problem document, and end with 1."""
    click.echo(problem.get("detail") or json.dumps(problem), err=True)
    for error in problem.get("errors", ()):
        place = ":".join(str(error[key]) for key in ("file", "line", "column") if error.get(key))
        click.echo(f"{place}: {error.get('detail', '')}", err=True)
        if error.get("source"):
            click.echo(f"    {error['source']}", err=True)
        if error.get("remedy"):
            click.echo(f"  remedy: {error['remedy']}", err=True)
    sys.exit(1)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PROBE_TIMEOUT)
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
    return http.client.HTTPConnection(here, port, timeout=PROBE_TIMEOUT)
