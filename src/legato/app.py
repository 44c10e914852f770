"""The one place that names classes: from settings to stores, connectors, host, orchestrator, gateway and server."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from legato.admin.app import admin_app
from legato.connectors.builtin import BuiltinConnector
from legato.connectors.http import HttpConnector
from legato.connectors.python import PythonConnector
from legato.errors import DefinitionError
from legato.formats import read_all
from legato.gateway.gateway import Gateway
from legato.gateway.problems import of_failure
from legato.hosts.inline import InlineHost, InlineRun
from legato.model.bundle import Bundle
from legato.model.outcome import Failure
from legato.model.payload import Payload
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.orchestrator import Orchestrator
from legato.ports import Connector, DefinitionStore
from legato.stores.files import FileStore
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.transport.server import ServerProtocol
from legato.transport.wheel import Wheel

FOLD_EVERY = 1.0  # seconds; bounds the memory of times that are noted and not yet sorted into buckets


class App:
    """A gateway put together, before it runs. Python functions are imported from the settings' folder."""

    def __init__(self, settings: Settings, log: Log | None = None) -> None:
        folder = str(Path(settings.folder).resolve())
        if folder not in sys.path:
            sys.path.insert(0, folder)
        self.settings = settings
        self.log = log or Log()
        self.metrics = Metrics()
        self.wheel = Wheel()
        self.http = HttpConnector(self.wheel, settings.limits.answer_body)
        self.python = PythonConnector()
        self.connectors: dict[str, Connector] = {
            "http": self.http,
            "python": self.python,
            "builtin": BuiltinConnector(),
        }
        self.host = InlineHost(self.wheel, self.log)
        self.orchestrator = Orchestrator(settings, self.host, self.connectors, self.metrics)
        self.gateway = Gateway(settings, self.orchestrator, self.log)
        self.stopping_since: float | None = None  # monotonic
        self.metrics.gauge("legato_runs_active", "Runs that have not ended.", "flow", self.host.active)
        self.metrics.gauge("legato_definitions", "Definitions by state.", "state", self.orchestrator.states)
        self.metrics.gauge("legato_upstream_connections", "Connections to functions.", "state", self.http.connections)

    def load(self) -> list[Problem]:
        """Read and deploy the flows; give every problem found."""
        bundle, problems = read_flows(self.settings)
        problems += self.orchestrator.deploy(bundle)
        self.gateway.serve_flows()
        return problems

    async def run_once(self, name: str, payload: Payload) -> tuple[int, bytes]:
        """Run a flow without a server: (status, body) as the gateway would answer. Raises UnknownFlow."""
        deployed = self.orchestrator.find(name)
        if deployed.bound is None:
            return 503, "\n".join(map(str, deployed.problems)).encode()
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def reply(run: InlineRun, result: Payload, failure: Failure | None) -> None:
            if failure is None:
                answer.set_result((200, result.body or b"null"))
            else:
                answer.set_result(of_failure(failure, name, run.id.decode()))

        self.orchestrator.start(deployed.bound, payload, _Nobody(), reply)
        return await answer

    def has_running_threads(self) -> bool:
        """Whether a blocking Python function is still at work after `close`."""
        return self.python.is_running()

    def stop(self) -> None:
        """Note that the process is on its way out: from now on `/readyz` says so, and `drain` is counted."""
        if self.stopping_since is None:
            self.stopping_since = monotonic()

    async def close(self) -> None:
        """Wait for the runs, then give back connections and threads."""
        waited = 0.0 if self.stopping_since is None else monotonic() - self.stopping_since
        await self.host.drain(max(0.0, self.settings.limits.drain - waited))
        for connector in self.connectors.values():
            await connector.close()
        self.wheel.close()
        self.log.flush()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        folding = asyncio.create_task(self._fold_metrics())
        yield
        self.stop()
        folding.cancel()
        await self.close()

    async def _fold_metrics(self) -> None:
        while True:
            await asyncio.sleep(FOLD_EVERY)
            self.metrics.fold()

    def server(self) -> uvicorn.Server:
        """The server, ready to run. Raises DefinitionError for an address that must not be listened on unprotected."""
        settings = self.settings
        check_exposure(settings)
        protocol = functools.partial(
            ServerProtocol, service=self.gateway, limits=settings.limits, wheel=self.wheel, memo=self.gateway.heads
        )
        kind, host, port = listen_address(settings.listen)
        config = uvicorn.Config(
            admin_app(self.orchestrator, self.metrics, lambda: self.stopping_since is not None, self._lifespan),
            http=protocol,  # type: ignore[arg-type]
            loop="uvloop",
            lifespan="on",
            host=host,
            port=port,
            uds=host if kind == "unix" else None,
            ws="none",
            interface="asgi3",
            access_log=False,
            log_level="warning",
            server_header=False,
            backlog=4096,
            timeout_graceful_shutdown=max(1, int(settings.limits.drain)),
        )
        return _Server(config, self)


class _Nobody:
    """The caller of a run that no HTTP request started."""

    method = b"POST"
    rest = b""
    query = b""
    hops = 0


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the app as soon as it is asked to stop."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully at the first signal, at once at the second; either way the process ends as it should: with 0.

        uvicorn would raise the signal again after a graceful stop, and supervisors would take that for a failure.
        """
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of tasks that it has none to cancel
        await super().shutdown(sockets)
        # uvloop does not close while a connection is open: those whose patience we do not share end here.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def read_flows(settings: Settings) -> tuple[Bundle, list[Problem]]:
    """Read every definition that the settings name."""
    folder = Path(settings.folder) / settings.flows
    store: DefinitionStore = FileStore(folder)
    sources, problems = store.load()
    if settings.flows != Settings().flows and not folder.exists():
        remedy = "make it, or mend `flows` in legato.yaml"
        problems.append(Problem(file=str(folder), message="the folder of flows does not exist", remedy=remedy))
    return read_all(sources), problems


def check_flows(settings: Settings, bundle: Bundle) -> list[Problem]:
    """Every problem that serving these flows would meet, found without serving them."""
    return App(settings).orchestrator.deploy(bundle)


def listen_address(listen: str) -> tuple[str, str, int]:
    """(`tcp` or `unix`, host or path, port) of a `listen` setting that has been checked."""
    if listen.startswith("unix:"):
        return "unix", listen.removeprefix("unix:"), 0
    host, _, port = listen.rpartition(":")
    return "tcp", host.strip("[]"), int(port)


def check_exposure(settings: Settings) -> None:
    """Raise DefinitionError where anybody on the network could start flows (contract 5)."""
    kind, host, _ = listen_address(settings.listen)
    loopback = kind == "unix" or host == "localhost" or _is_loopback(host)
    if not (loopback or settings.tokens or settings.open):
        raise DefinitionError(
            f"refusing to listen on {settings.listen} without a credential: "
            "set LEGATO_TOKEN or auth.tokens, or say --open if everybody may start flows"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
