"""`legato runs watch`: one run as it goes on; `legato runs events`: what has happened in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.refusals import fail
from legato.cli.runs_ask import gateway_of, run_path
from legato.cli.runs_stream import streamed
from legato.cli.runs_view import event_line, view_of
from legato.cli.terminal import hand_over, tell


@click.command()
@click.argument("id")
@gateway_option
@project_option
def watch(id: str, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Watch a durable run: its steps, how they stand and how long they take, until it ends.

    Without a terminal, a line for each event. A gateway that is restarted meanwhile is waited for. Ends with 1 if the
    run fails; Ctrl-C ends the watching, not the run.
    """
    gateway = gateway_of(project, url)
    path = run_path(gateway, id)
    run: Any = gateway.document("observe", "GET", path)
    if run.get("inline"):
        raise click.UsageError("an inline run is not written down, so that it cannot be watched: `legato runs show` it")
    view = view_of(run["id"], run["flow"])
    try:
        with view:
            for event in streamed(gateway, path):
                view.take(event)
    except KeyboardInterrupt:
        return
    run = gateway.document("observe", "GET", path)
    if run.get("error"):
        fail(run["error"])
    if sys.stdout.isatty() and run.get("result") is not None:
        hand_over(json.dumps(run["result"], ensure_ascii=False, indent=2))


@click.command()
@click.argument("id")
@click.option("--payloads", is_flag=True, help="With --json: also what was sent and answered.")
@json_option
@gateway_option
@project_option
def events(id: str, payloads: bool, as_json: bool, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """List what has happened in a durable run so far, as its journal has it."""
    gateway = gateway_of(project, url)
    path = f"{run_path(gateway, id)}/events{'?payloads=true' if payloads else ''}"
    found: Any = gateway.document("observe", "GET", path, accept="application/json")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for event in found:
        tell(event_line(event))
