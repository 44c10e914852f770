"""`legato serve`: the gateway in the foreground, until it is told to stop."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click
import msgspec

from legato.app import App
from legato.cli.project import load_settings, show
from legato.errors import DefinitionError
from legato.formats.addresses import listen_trouble


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of the settings' `listen`.")
@click.option(
    "--open", "open_", is_flag=True, help="Serve the network without a credential: everybody may start flows."
)
def serve(path: Path, listen: str | None, open_: bool) -> None:
    """Serve the flows of a folder (or of the folder of a settings file).

    \b
    Every setting has a default, so an empty folder will do:
        legato serve
        legato serve shop --listen 0.0.0.0:8080      # needs LEGATO_TOKEN, auth.tokens or --open
    A broken flow is answered with 503 and its problems; the others are served.
    SIGTERM stops gracefully: what has come is answered, runs end, then the process does.
    """
    settings = load_settings(path)
    if listen is not None:
        settings = msgspec.structs.replace(settings, listen=_checked_listen(listen))
    if open_:
        settings = msgspec.structs.replace(settings, open=True)
    app = App(settings)
    show(app.load())
    try:
        server = app.server()
    except DefinitionError as error:
        raise click.UsageError(str(error)) from None
    flows = app.orchestrator.flows
    click.echo(
        f"legato serves {len(flows)} flow{'' if len(flows) == 1 else 's'} on {_shown(settings.listen)}", err=True
    )
    for name, deployed in sorted(flows.items()):
        click.echo(f"  {name}  {'' if deployed.state == 'ok' else 'broken, see above'}".rstrip(), err=True)
    _settle_memory()
    try:
        server.run()
    except SystemExit:  # uvicorn's, with a status of its own: it has told why it cannot listen
        sys.exit(1)
    if app.has_running_threads():
        # A Python function that does not return cannot be stopped, and must not keep the process from ending.
        sys.stdout.flush()
        os._exit(0)


def _settle_memory() -> None:
    """Tell the garbage collector what a gateway is like: what is there now stays, and runs leave no cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _checked_listen(listen: str) -> str:
    trouble, remedy = listen_trouble(listen)
    if trouble:
        raise click.BadParameter(f"{trouble}; {remedy}", param_hint="--listen")
    return listen


def _shown(listen: str) -> str:
    return listen if listen.startswith("unix:") else f"http://{listen}"
