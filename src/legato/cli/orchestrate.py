"""`legato gateway orchestrate`: fnkit's commands, so that its scripts run with the program's name changed."""

from __future__ import annotations

from pathlib import Path

import click

from legato.cli.client import client_of
from legato.cli.flows import MODES, delete, pipeline, put
from legato.cli.options import gateway_option, project_option
from legato.cli.project import load_settings
from legato.cli.refusals import refused
from legato.cli.terminal import tell


@click.group()
def gateway() -> None:
    """fnkit's `gateway` commands; `legato serve` is what starts a gateway."""


@gateway.group()
def orchestrate() -> None:
    """Pipelines, as `fnkit gateway orchestrate` manages them.

    \b
        legato gateway orchestrate add process-order --steps validate-order,charge-payment --mode sequential
        legato gateway orchestrate ls
        legato gateway orchestrate remove process-order
    """


@orchestrate.command()
@click.argument("name")
@click.option("--steps", metavar="A,B,C", default="", help="The functions to call, with commas in between.")
@click.option("--mode", default="", help="`sequential` or `parallel`.")
@gateway_option
@project_option
def add(name: str, steps: str, mode: str, url: str | None, project: Path) -> None:
    """Define a pipeline, or define it anew."""
    if not any(step.strip() for step in steps.split(",")):
        _refuse("Provide steps with --steps step1,step2,step3")
    if mode.lower() not in MODES:
        _refuse('Mode must be "sequential" or "parallel"')
    put(client_of(load_settings(project), url), name, pipeline(steps, mode))
    click.echo(f"Pipeline saved: {name}")


@orchestrate.command("ls")
@gateway_option
@project_option
def list_pipelines(url: str | None, project: Path) -> None:
    """List the names of all pipelines."""
    for flow in client_of(load_settings(project), url).pages("/api/flows", "flows"):
        tell(flow["name"])


@orchestrate.command()
@click.argument("name")
@gateway_option
@project_option
def remove(name: str, url: str | None, project: Path) -> None:
    """Delete a pipeline; one that is not there counts as deleted, as in fnkit."""
    status, answer = delete(client_of(load_settings(project), url), name)
    if status >= 400 and status != 404:
        refused(status, answer)
    click.echo(f"Removed pipeline: {name}")


orchestrate.add_command(list_pipelines, "list")
orchestrate.add_command(remove, "rm")


def _refuse(message: str) -> None:
    """End with 1, as fnkit does."""
    raise click.ClickException(message)
