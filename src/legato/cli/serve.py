"""`legato serve`: the gateway in the foreground, until it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO, cast

import click
import msgspec

from legato.app import App, check_exposure
from legato.cli.listening import listen_on
from legato.cli.modules import PathOrModule, flows_of
from legato.cli.project import checked_listen, load_settings, no_project, show
from legato.cli.strangers import warn_of_strangers
from legato.cli.terminal import warn
from legato.cli.workers import Worker, serve_with_workers
from legato.errors import DefinitionError, StoreUnavailable
from legato.model.definition import Definition
from legato.model.settings import Settings

NAMED = 20  # flows that are named at the start


@click.command()
@click.argument("path", default=".", type=PathOrModule())
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of the settings' `listen`.")
@click.option(
    "--open",
    "open_",
    is_flag=True,
    help="Serve the network without a credential: everybody may start flows, and read definitions, runs and metrics.",
)
@click.option("--workers", default=1, type=click.IntRange(1, 256), help="Processes that share the work; else one.")
@click.option("--dev", is_flag=True, hidden=True, help="Show each step's time; stop when standard input ends.")
def serve(path: Path | str, listen: str | None, open_: bool, workers: int, dev: bool) -> None:
    """Serve the flows of a folder (or of the folder of a settings file), or those of a Python module beside this one's.

    \b
    Every setting has a default, so an empty folder will do:
        legato serve
        legato serve shop --listen 0.0.0.0:8080      # needs LEGATO_TOKEN, auth.tokens or --open
        legato serve shop --workers 4                # one for each core
        legato serve shop.flows                      # what shop/flows.py defines, and this folder's flows
    A broken flow is answered with 503 and its problems; the others are served. Flows that change are served as they
    are, without a restart.
    SIGTERM stops gracefully: what has come is answered, runs end, then the process does.
    """
    _have_output()
    _stop_by_hangup()
    settings = load_settings(path if isinstance(path, Path) else Path())
    given = [] if isinstance(path, Path) else flows_of(path, Path(settings.folder))
    if dev:
        settings = msgspec.structs.replace(settings, dev=True, access_log=True)
    if listen is not None:
        settings = msgspec.structs.replace(settings, listen=checked_listen(listen))
    if open_:
        settings = msgspec.structs.replace(settings, open=True)
    if dev:
        threading.Thread(target=_stop_with_parent, args=(0,), daemon=True).start()
    if workers == 1:
        _serve(settings, given=given)
        return
    try:
        check_exposure(settings)
    except DefinitionError as error:
        raise click.UsageError(str(error)) from None
    serve_with_workers(settings, _listen(settings), workers, partial(_serve, given=given))


def _serve(settings: Settings, worker: Worker | None = None, *, given: Sequence[Definition] = ()) -> None:
    """Serve until told to stop: alone, or as one of several workers."""
    gc.disable()  # until `_settle_memory`: what is loaded stays, and looking it through again and again takes long
    try:
        app = App(settings, given=given)
        server = app.server()
        sockets = _listen(settings) if worker is None else list(worker.sockets)  # before anything else takes time
        app.import_functions()
        if worker is not None:
            why = "durable flows need a gateway of one process: a journal has one owner"
            app.orchestrator.no_durable = why, "serve without --workers"
        problems = app.load()
        app.open_journal()
    except StoreUnavailable as error:
        warn(str(error))
        sys.exit(3)
    except DefinitionError as error:
        raise click.UsageError(str(error)) from None
    if worker is None or worker.speaks:
        show(problems)
        _announce(app)
    if worker is not None:
        app.metrics.share(worker.folder)
        threading.Thread(target=_stop_with_parent, args=(worker.leash,), daemon=True).start()
    _settle_memory()
    try:
        server.run(sockets)
    except SystemExit:  # uvicorn's, with a status of its own: it has told why it cannot start
        sys.exit(1)
    if app.has_running_threads():
        # A Python function that does not return cannot be stopped, and must not keep the process from ending.
        sys.stdout.flush()
        os._exit(0)


def _listen(settings: Settings) -> list[socket.socket]:
    """Where callers come in. Ends with 1 where that cannot be had."""
    try:
        return listen_on(settings.listen)
    except (OSError, UnicodeError) as error:  # a name may be none that can be looked up
        why = (getattr(error, "strerror", None) or str(error)).lower()
        warn(f"cannot listen on {settings.listen}: {why}; choose another by --listen")
        sys.exit(1)


def _announce(app: App) -> None:
    flows = app.orchestrator.flows
    if not flows and (why := no_project(Path(app.settings.folder))):
        warn(why)
    listen = app.settings.listen
    where = listen if listen.startswith("unix:") else f"http://{listen}"
    warn_of_strangers([each.flow for each in flows.values() if each.flow is not None], app.settings)
    warn(f"legato serves {len(flows)} flow{'' if len(flows) == 1 else 's'} on {where}")
    for name, deployed in sorted(flows.items())[:NAMED]:
        warn(f"  {name}  {'' if deployed.state == 'ok' else 'broken, see above'}".rstrip())
    if len(flows) > NAMED:
        warn(f"  and {len(flows) - NAMED} more: `legato ls` lists them")


def _have_output() -> None:
    """Have somewhere to write to although standard output is closed: there is none then, as far as Python knows."""
    if cast("TextIO | None", sys.stdout) is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives


def _stop_by_hangup() -> None:
    """Have a terminal that goes away stop it as SIGTERM does, unless it was started to stay (`nohup`)."""
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hang_up)


def _hang_up(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # shell and kernel both send one, and a second SIGTERM would not wait
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_with_parent(leash: int) -> None:
    """Stop when whoever started us is gone, which the end of its pipe tells however that came about."""
    while os.read(leash, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _settle_memory() -> None:
    """Tell the garbage collector what a gateway is like: what is there now stays, and runs leave no cycles behind.

    Reading definitions leaves none either: to look through all that is there for some would take its time for nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
