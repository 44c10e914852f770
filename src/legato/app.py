"""The one place that names classes: from settings to stores, connectors, host, orchestrator, gateway and server."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
import uvicorn
from starlette.applications import Starlette

from legato.admin.app import admin_app
from legato.admin.runs import RunsAPI
from legato.catalog import Catalog
from legato.connectors.builtin import BuiltinConnector
from legato.connectors.callback import CallbackConnector
from legato.connectors.http import HttpConnector
from legato.connectors.python import PythonConnector
from legato.errors import DefinitionError, HostStop, StoreUnavailable
from legato.gateway.credentials import is_loopback
from legato.gateway.gateway import Gateway
from legato.gateway.problems import of_failure, of_input, status_of
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost, InlineRun, Reply
from legato.hosts.journal.documents import run_document
from legato.hosts.journal.host import JournalHost
from legato.model.definition import Definition
from legato.model.outcome import Failure
from legato.model.payload import Payload
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.model.walk import modules_of
from legato.orchestrator import Orchestrator
from legato.ports import Connector, DefinitionStore
from legato.stores.blobs import Blobs
from legato.stores.blobs_open import open_data
from legato.stores.files import FileStore
from legato.stores.journal import SqliteJournal
from legato.stores.sqlite import SqliteStore
from legato.stores.valkey import ValkeyStore
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.transport.beside import Beside
from legato.transport.server import ServerProtocol
from legato.transport.wheel import Wheel

LOGGED = 5  # problems of a definition in the log; `legato show` and the API have all
PUBLISH_EVERY = 2  # folds; how late workers may know of each other's counters
FOLD_EVERY = 1.0  # seconds; bounds the memory of times that are noted and not yet sorted into buckets


class App:
    """A gateway put together, before it runs. Python functions are imported from the settings' folder.

    `given` are definitions beside those of the stores, which they hide.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log | None = None,
        stores: Sequence[DefinitionStore] | None = None,
        given: Iterable[Definition] = (),
    ) -> None:
        folder = str(Path(settings.folder).resolve())
        if folder not in sys.path:
            sys.path.insert(0, folder)
        self.settings = settings
        self.log = log or Log()
        self.metrics = Metrics()
        self.wheel = Wheel()
        self.http = HttpConnector(self.wheel, settings.limits.answer_body)
        given = list(given)
        modules = {
            *settings.python_modules,
            *(module for each in given if each.flow for module in modules_of(each.flow)),
        }
        self.data = open_data(settings.data, Path(settings.folder))
        may_name = functools.partial(is_nameable, Path(settings.folder), modules)
        self.python = PythonConnector(shows_errors=settings.dev, may_name=may_name, data=self.data)
        self.connectors: dict[str, Connector] = {
            "http": self.http,
            "python": self.python,
            "builtin": BuiltinConnector(),
            "callback": CallbackConnector(self.http, settings.callback_secret),
        }
        self.catalog = Catalog(open_stores(settings) if stores is None else stores, self.log, given)
        self.host = InlineHost(self.wheel, self.log, settings.limits.recent_runs)
        self._clear_data_of(self.host)
        self.orchestrator = Orchestrator(settings, self.host, self.connectors, self.metrics)
        self.gateway = Gateway(settings, self.orchestrator, self.log, lambda: self.catalog.unread)
        self.journal: JournalHost | None = None
        self._opening: asyncio.Task[None] | None = None  # of the journal, while that is being opened late
        self.stopping_since: float | None = None  # monotonic
        self.metrics.gauge("legato_runs_active", "Runs that have not ended.", "flow", self._active)
        self.metrics.gauge(
            "legato_journal",
            "The journal: runs in memory, runs mended, whether it cannot be written.",
            "what",
            lambda: {} if self.journal is None else self.journal.gauges(),
        )
        self.metrics.gauge(
            "legato_definitions", "Definitions by state.", "state", self.orchestrator.states, shared=True
        )
        self.metrics.gauge("legato_upstream_connections", "Connections to functions.", "state", self.http.connections)

    def _active(self) -> dict[str, float]:
        active = self.host.active()
        if self.journal is not None:
            for name, count in self.journal.active().items():
                active[name] = active.get(name, 0) + count
        return active

    def load(self) -> list[Problem]:
        """Read the stores and deploy what they hold; give every problem found. Blocks."""
        self.catalog.load()
        problems = [Problem(file="store", message=trouble) for trouble in self.catalog.troubles]
        for _, definition in sorted(self.catalog.definitions.items()):
            self.orchestrator.deploy(definition)
        for _, deployed in sorted(self.orchestrator.flows.items()):  # only now each knows those within it
            problems += deployed.problems
        self.gateway.serve_flows(self.catalog.definitions)
        return problems

    def import_functions(self) -> None:
        """Import all Python functions, used or not: later, a definition that uses one would hold up requests."""
        self.python.load(self.settings.functions.values())

    def _take(self, names: Sequence[str]) -> None:
        """Serve what has changed in the catalog."""
        for name in names:
            definition = self.catalog.definitions.get(name)
            if definition is None:
                self.orchestrator.remove(name)
                continue
            before = self.orchestrator.flows.get(name)
            deployed = self.orchestrator.deploy(definition)
            if before is None or before.definition.source != definition.source:  # else only what is said of it changed
                self.log.write(
                    "definition",
                    flow=name,
                    origin=definition.origin,
                    change="broken" if deployed.problems else "defined",
                    state=deployed.state,
                    version=deployed.version,
                    problems=[str(problem) for problem in deployed.problems[:LOGGED]],
                )
        if (
            self.journal is None
            and self._opening is None
            and any(each.bound and each.bound.pin for each in self.orchestrator.flows.values())
        ):
            self._opening = asyncio.get_running_loop().create_task(self._open_late())
        within = {user for name in names for user in self.orchestrator.users(name)}
        self.gateway.serve_flows({*names, *within})

    def open_journal(self) -> None:
        """Own the journal, if anything durable is to be run. Blocks; raises StoreUnavailable where it cannot be had."""
        orchestrator = self.orchestrator
        path = Path(self.settings.folder) / self.settings.journal
        durable = [each.bound for each in orchestrator.flows.values() if each.bound is not None and each.bound.pin]
        if self.journal is not None or orchestrator.no_durable or not (durable or path.exists()):
            return
        self.journal = JournalHost(
            self.wheel, self.log, SqliteJournal(str(path), Blobs(self.data)), orchestrator, self.settings.keep_runs
        )
        self.journal.most = self.settings.limits.durable_runs
        self._clear_data_of(self.journal)
        orchestrator.journal = self.journal
        for bound in durable:
            self.journal.serve(bound)

    def _clear_data_of(self, host: InlineHost) -> None:
        """Have the data of a host's runs deleted when they end."""
        host.runs_with_data, host.clear_data = self.python.runs_with_data, self.python.run_ended

    async def _recover(self) -> None:
        """Take up the runs of the last process, and look after timers from now on."""
        if self.journal is not None and not self.journal.is_watching:
            taken = await self.journal.recover()
            if taken:
                self.log.write("recovered", runs=taken)

    async def _open_late(self) -> None:
        """The first durable flow has come while the gateway serves."""
        try:
            await Beside(1).run(self.open_journal)
        except (StoreUnavailable, DefinitionError) as error:
            self.orchestrator.no_journal = str(error)
            self.log.write("no_journal", detail=str(error))
            self._opening = None  # another definition is another try
            return
        await self._recover()

    async def run_once(self, name: str, payload: Payload) -> tuple[int, bytes]:
        """Run a flow without a server: (status, body) as the gateway would answer. Raises UnknownFlow."""
        deployed = self.orchestrator.find(name)
        if deployed.bound is None:
            return 503, "\n".join(map(str, deployed.problems)).encode()
        schema = deployed.bound.program.schema
        if schema is not None and (unfit := of_input(schema, payload, name)) is not None:
            return unfit.status, unfit.body
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def reply(run: InlineRun, result: Payload, failure: Failure | None) -> None:
            if failure is None:
                answer.set_result((200 if run.answered is None else run.answered.status, result.body or b"null"))
            elif failure.said is not None:
                answer.set_result((status_of(failure), failure.said.body))
            else:
                answer.set_result(of_failure(failure, name, run.id.decode()))

        if deployed.bound.pin is not None:
            return await self._run_durably(deployed.bound, payload, reply, answer)
        self.orchestrator.start(deployed.bound, payload, _Nobody(), reply)
        return await answer

    async def _run_durably(
        self, bound: BoundProgram, payload: Payload, reply: Reply, answer: asyncio.Future[tuple[int, bytes]]
    ) -> tuple[int, bytes]:
        """The same of a durable flow: 202 if it takes longer than its caller waits; the run stays in the journal."""
        self.open_journal()
        assert self.journal is not None

        def refused(why: str) -> None:
            answer.set_result((503, why.encode()))

        run = self.journal.begin(bound, payload, _Nobody(), None, None, lambda run: None, refused, reply)
        within = bound.program.flow.answer_within
        within = self.settings.answer_within if within is None else within
        await asyncio.wait((answer,), timeout=within)
        document = msgspec.json.encode(run_document(run.row, (), run), enc_hook=repr)
        return answer.result() if answer.done() else (202, document)

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Answer a request to the API without a server: (status, body). For whoever may write to the stores anyway.

        One that only reads leaves the stores open for the next; any other closes them.
        """
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method,
            "path": unquote(target),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        admin = self._admin()
        async with nullcontext() if method == "GET" else self._lifespan(admin):
            await admin(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def has_running_threads(self) -> bool:
        """Whether a thread is still at work after `close`: a Python function that blocks, or one that it started."""
        return any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate())

    def stop(self) -> None:
        """Note that the process is on its way out: from now on `/readyz` says so, and `drain` is counted."""
        if self.stopping_since is None:
            self.stopping_since = monotonic()
            if self.journal is not None:
                self.journal.hurry()

    async def close(self) -> None:
        """Wait for the runs, then give back connections and threads."""
        waited = 0.0 if self.stopping_since is None else monotonic() - self.stopping_since
        patience = max(0.0, self.settings.limits.drain - waited)
        if self.journal is not None:
            await asyncio.gather(self.host.drain(patience), self.journal.drain(patience))
        else:
            await self.host.drain(patience)
        for connector in self.connectors.values():
            await connector.close()
        self.wheel.close()
        self.log.flush()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        asyncio.get_running_loop().set_default_executor(_UsersThreads(thread_name_prefix="legato-user"))
        folding = asyncio.create_task(self._fold_metrics())
        await self._recover()
        self.catalog.watch(self._take)
        self.log.write("started", listen=self.settings.listen, flows=len(self.orchestrator.flows))
        yield
        self.stop()
        folding.cancel()
        await Beside(1).run(self.catalog.close)
        await self.close()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody has handled. A flow's code that ends the process has it end as it should (contract 7)."""
        if isinstance(context.get("exception"), HostStop):
            self.log.write("stopped_by_code", detail="the code of a flow raised SystemExit or KeyboardInterrupt")
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            loop.default_exception_handler(context)

    async def _fold_metrics(self) -> None:
        folded, beside = 0, Beside(1)
        while True:
            await asyncio.sleep(FOLD_EVERY)
            self.metrics.fold()
            if self.metrics.is_shared and (folded := folded + 1) % PUBLISH_EVERY == 0:
                await beside.run(self.metrics.publish, self.metrics.read())

    def _admin(self) -> Starlette:
        runs = RunsAPI(self.host, self.log, lambda: self.journal, lambda: self.stopping_since is not None)
        return admin_app(
            self.orchestrator,
            self.catalog,
            self.metrics,
            runs,
            lambda: self.stopping_since is not None,
            self._lifespan,
        )

    def server(self) -> uvicorn.Server:
        """The server, ready to run. Raises DefinitionError for an address that must not be listened on unprotected."""
        settings = self.settings
        check_exposure(settings)
        protocol = functools.partial(
            ServerProtocol, service=self.gateway, limits=settings.limits, wheel=self.wheel, memo=self.gateway.heads
        )
        kind, host, port = listen_address(settings.listen)
        config = uvicorn.Config(
            self._admin(),
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


class _UsersThreads(ThreadPoolExecutor):
    """asyncio's own threads (`asyncio.to_thread`), which are for users' functions: a stop does not wait for them."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more."""
        super().shutdown(wait=False, cancel_futures=True)


class _Nobody:
    """The caller of a run that no HTTP request started."""

    method = b"POST"
    rest = b""
    query = b""
    hops = 0
    fields: Mapping[bytes, bytes] = {}


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


def open_stores(settings: Settings) -> list[DefinitionStore]:
    """The stores that the settings name, those that win first; none of them is touched yet.

    Raises StoreUnavailable where one never can be: a library is missing, say.
    """
    files = FileStore(Path(settings.folder) / settings.flows)
    kind, _, place = settings.store.partition(":")
    if settings.store == "files":
        return [files]
    if kind == "sqlite":
        return [files, SqliteStore(Path(settings.folder) / place)]
    return [files, ValkeyStore(settings.store)]


class Checked(NamedTuple):
    """What is wrong with flows, what is probably not meant, and how many flows there are."""

    problems: list[Problem]
    warnings: list[Problem]
    flows: int


def check_flows(settings: Settings, given: Iterable[Definition] = ()) -> Checked:
    """Every problem and warning that serving the files would meet, found without serving them; `given` as in App."""
    folder = Path(settings.folder) / settings.flows
    app = App(settings, stores=[FileStore(folder)], given=given)
    problems = app.load()
    if settings.flows != Settings().flows and not folder.exists():
        remedy = "make it, or mend `flows` in legato.yaml"
        problems.append(Problem(file=str(folder), message="the folder of flows does not exist", remedy=remedy))
    flows = sorted(app.orchestrator.flows.items())
    return Checked(problems, [each for _, deployed in flows for each in deployed.warnings], len(flows))


def is_nameable(folder: Path, modules: Collection[str], module: str) -> bool:
    """Whether a definition may name code of a module: it is listed, below one that is, or in the settings' folder."""
    if any(each in ("*", module) or module.startswith(f"{each}.") for each in modules):
        return True
    top = folder / module.partition(".")[0]
    return top.with_suffix(".py").is_file() or top.is_dir()


def listen_address(listen: str) -> tuple[str, str, int]:
    """(`tcp` or `unix`, host or path, port) of a `listen` setting that has been checked."""
    if listen.startswith("unix:"):
        return "unix", listen.removeprefix("unix:"), 0
    host, _, port = listen.rpartition(":")
    return "tcp", host.strip("[]"), int(port)


def check_exposure(settings: Settings) -> None:
    """Raise DefinitionError where anybody on the network could start flows (contract 5)."""
    if not (is_loopback(settings.listen) or settings.tokens or settings.open):
        raise DefinitionError(
            f"refusing to listen on {settings.listen} without a credential: "
            "set LEGATO_TOKEN or auth.tokens, or say --open if everybody may start flows"
        )
