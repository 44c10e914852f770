"""`legato serve`: the gateway in the foreground, until it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path

import click
import msgspec

from legato.app import App
from legato.cli.project import checked_listen, load_settings, show
from legato.cli.workers import Worker, serve_with_workers
from legato.errors import DefinitionError, StoreUnavailable
from legato.model.settings import Settings

NAMED = 20  # flows that are named at the start


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of the settings' `listen`.")
@click.option(
    "--open", "open_", is_flag=True, help="Serve the network without a credential: everybody may start flows."
)
@click.option("--workers", default=1, type=click.IntRange(1, 256), help="Processes that share the work; else one.")
@click.option("--dev", is_flag=True, hidden=True, help="Show each step's time; stop when standard input ends.")
def serve(path: Path, listen: str | None, open_: bool, workers: int, dev: bool) -> None:
    """Serve the flows of a folder (or of the folder of a settings file).

    \b
    Every setting has a default, so an empty folder will do:
        legato serve
        legato serve shop --listen 0.0.0.0:8080      # needs LEGATO_TOKEN, auth.tokens or --open
        legato serve shop --workers 4                # one for each core
    A broken flow is answered with 503 and its problems; the others are served. Flows that change are served as they
    are, without a restart.
    SIGTERM stops gracefully: what has come is answered, runs end, then the process does.
    """
    settings = load_settings(path)
    if dev:
        settings = msgspec.structs.replace(settings, dev=True, access_log=True)
    if listen is not None:
        settings = msgspec.structs.replace(settings, listen=checked_listen(listen))
    if open_:
        settings = msgspec.structs.replace(settings, open=True)
    if dev:
        threading.Thread(target=_stop_with_parent, args=(0,), daemon=True).start()
    if workers == 1:
        _serve(settings)
    else:
        serve_with_workers(settings, workers, _serve)


def _serve(settings: Settings, worker: Worker | None = None) -> None:
    """Serve until told to stop: alone, or as one of several workers."""
    gc.disable()  # until `_settle_memory`: what is loaded stays, and looking it through again and again takes long
    try:
        app = App(settings)
        problems = app.load()
        server = app.server()
    except StoreUnavailable as error:
        click.echo(str(error), err=True)
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
        server.run(None if worker is None else [worker.shared])
    except SystemExit:  # uvicorn's, with a status of its own: it has told why it cannot listen
        sys.exit(1)
    if app.has_running_threads():
        # A Python function that does not return cannot be stopped, and must not keep the process from ending.
        sys.stdout.flush()
        os._exit(0)


def _announce(app: App) -> None:
    flows = app.orchestrator.flows
    listen = app.settings.listen
    where = listen if listen.startswith("unix:") else f"http://{listen}"
    click.echo(f"legato serves {len(flows)} flow{'' if len(flows) == 1 else 's'} on {where}", err=True)
    for name, deployed in sorted(flows.items())[:NAMED]:
        click.echo(f"  {name}  {'' if deployed.state == 'ok' else 'broken, see above'}".rstrip(), err=True)
    if len(flows) > NAMED:
        click.echo(f"  and {len(flows) - NAMED} more: `legato ls` lists them", err=True)


def _stop_with_parent(leash: int) -> None:
    """Stop when whoever started us is gone, which the end of its pipe tells however that came about."""
    while os.read(leash, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _settle_memory() -> None:
    """Tell the garbage collector what a gateway is like: what is there now stays, and runs leave no cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
