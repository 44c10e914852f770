"""`legato run`: one run of a flow, by the gateway if one answers, else in this process."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from urllib.parse import quote

import click

from legato.app import App
from legato.cli.client import find_gateway
from legato.cli.data import read_data
from legato.cli.modules import flows_of
from legato.cli.options import gateway_option, project_option
from legato.cli.project import load_settings
from legato.cli.refusals import refused
from legato.cli.terminal import hand_over, warn
from legato.errors import StoreUnavailable, UnknownFlow
from legato.model.definition import Definition
from legato.model.payload import JSON, Payload
from legato.model.settings import Settings
from legato.telemetry.log import Log


@click.command()
@click.argument("name")
@click.option(
    "-d", "--data", default="", metavar="JSON|@FILE", help="The input; @FILE reads it, @- from standard input."
)
@gateway_option
@project_option
def run(name: str, data: str, url: str | None, project: Path) -> None:
    """Run the flow NAME once and print its result. MODULE:NAME is a flow of a Python module.

    \b
        legato run process-order -d '{"orderId": 123}'
        legato run process-order -d @order.json
        legato run process-order --gateway https://shop.example
        legato run shop.flows:process-order
    \b
    When a gateway answers at the settings' `listen`, it runs the flow there; else here, without a server, as all flows
    of modules.
    """
    settings = load_settings(project)
    body = read_data(data)
    module, _, name = name.rpartition(":")
    if module and url is not None:
        raise click.UsageError("a flow of a module runs here, not at a gateway: leave out --gateway, or the module")
    given = flows_of(module, Path(settings.folder)) if module else []
    answer = None if module else _by_gateway(settings, url, name, body)
    status, result = answer if answer is not None else asyncio.run(_here(settings, name, body, given))
    if status < 400:
        hand_over(result)
        if status == 202:
            later = "`legato serve` goes on with it" if answer is None else "`legato runs watch` shows its end"
            warn(f"the run has not ended: {later}")
        return
    if sys.stderr.isatty():
        refused(status, result)
    click.echo(result, err=True)  # a document, for programs
    sys.exit(1)


def _by_gateway(settings: Settings, url: str | None, name: str, body: bytes) -> tuple[int, bytes] | None:
    """(status, body) from the gateway, None when none answers."""
    gateway = find_gateway(settings, url)
    if gateway is None:
        return None
    return gateway.ask(
        "run", "POST", f"/orchestrate/{quote(name, safe='', errors='replace')}", body, content_type="application/json"
    )


async def _here(settings: Settings, name: str, body: bytes, given: Sequence[Definition]) -> tuple[int, bytes]:
    try:
        app = App(settings, Log(io.StringIO()), given=given)  # the result is what is printed
    except StoreUnavailable as error:
        raise _unreachable(str(error)) from None
    with redirect_stdout(sys.stderr):  # what functions' modules print is no result
        app.load()
    try:
        return await app.run_once(name, Payload.of(JSON, body))
    except StoreUnavailable as error:  # the journal
        raise _unreachable(str(error)) from None
    except UnknownFlow:
        if app.catalog.unread:
            raise _unreachable("\n".join(app.catalog.troubles)) from None
        known = ", ".join(sorted(app.orchestrator.flows)) or f"none in {Path(settings.folder) / settings.flows}"
        return 404, f"there is no flow {name!r}; there are: {known}".encode()
    finally:
        await asyncio.to_thread(app.catalog.close)
        await app.close()


def _unreachable(why: str) -> click.exceptions.Exit:
    warn(why)
    return click.exceptions.Exit(3)
