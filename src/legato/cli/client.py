"""Who the command line speaks to: the gateway that is named, the one at `listen`, else the stores themselves."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from legato.app import App, listen_address, open_stores
from legato.cli.refusals import refused
from legato.cli.terminal import warn
from legato.errors import StoreUnavailable
from legato.gateway.credentials import granted
from legato.model.settings import Scope, Settings
from legato.telemetry.log import Log

TIMEOUT = 600.0  # seconds; longer than any run of an inline flow should take
PROBE_TIMEOUT = 5.0
SILENCE = 30.0  # seconds; a stream of events says every few that it is there


class Client(ABC):
    """Whoever answers requests to the API. `remark` is what is to be said of a change that was made."""

    remark = ""

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
    """A gateway that runs, by one connection. `where` is what messages call it, `prefix` begins its paths."""

    def __init__(
        self, settings: Settings, connection: http.client.HTTPConnection, where: str, prefix: str = ""
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._where = where
        self._prefix = prefix

    def ask(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Client."""
        try:
            self._connection.request(method, self._prefix + path, body or None, self._fields(scope, headers))
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            # Doing it here as well could do everything twice.
            warn(f"the gateway at {self._where} was lost, and with it what became of the request: {error!r}")
            sys.exit(3)

    def stream(self, scope: Scope, path: str, **headers: str) -> http.client.HTTPResponse:
        """The answer to a GET, to be read as it comes. That and this raise OSError, HTTPException where it is lost."""
        self._connection.close()  # whatever has not been read of an answer before
        self._connection.timeout = SILENCE
        self._connection.request("GET", self._prefix + path, None, self._fields(scope, headers))
        return self._connection.getresponse()

    def _fields(self, scope: Scope, headers: Mapping[str, str]) -> dict[str, str]:
        tokens = self._settings.tokens
        token = granted(tokens, scope) or next(iter(tokens), None)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        return fields


class Here(Client):
    """The API in this process, on the stores that the settings name: nobody else answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: App | None = self._open()
        self.remark = f"no gateway answers at {settings.listen}: written to {open_stores(settings)[-1].label} itself"

    def _open(self) -> App:
        try:
            app = App(self._settings, Log(io.StringIO()))
            with redirect_stdout(sys.stderr):  # what functions' modules print is no answer to the command
                app.load()
        except StoreUnavailable as error:
            warn(str(error))
            sys.exit(3)
        if app.catalog.unread:
            warn("\n".join(app.catalog.troubles))
            sys.exit(3)
        return app

    def ask(self, scope: Scope, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Client."""
        del scope  # whoever can write to the store needs nobody's leave
        app, self._app = self._app or self._open(), None
        answer = asyncio.run(app.ask(method, path, body, headers))
        if method == "GET":
            self._app = app  # one that has written has closed its stores
        return answer


def client_of(settings: Settings, url: str | None) -> Client:
    """The gateway that is named or answers at `listen`, else the stores themselves."""
    return find_gateway(settings, url) or Here(settings)


def find_gateway(settings: Settings, url: str | None) -> Gateway | None:
    """The gateway at `url`, which must answer; without one that at `listen`, None where none answers."""
    connection = _connection(settings.listen) if url is None else _connection_to(url)
    where, prefix = (settings.listen, "") if url is None else (url, urlsplit(url).path)
    if why := _probe(connection, prefix):
        connection.close()
        if url is None:
            return None
        warn(f"no gateway answers at {url}: {why}")
        sys.exit(3)
    if connection.sock is not None:
        connection.sock.settimeout(TIMEOUT)
    connection.timeout = TIMEOUT
    if command := click.get_current_context(silent=True):
        command.call_on_close(connection.close)
    return Gateway(settings, connection, where, prefix)


def _probe(connection: http.client.HTTPConnection, prefix: str) -> str:
    """Why there is no gateway; empty if there is one."""
    try:
        connection.request("GET", f"{prefix}/livez")
        probe = connection.getresponse()
        if probe.status != 200 or probe.read() != b'{"status":"ok"}':
            return f"what answers there is none ({probe.status} for {prefix}/livez)"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "strerror", None) or error or repr(error))
    return ""


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


def _connection_to(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT)
