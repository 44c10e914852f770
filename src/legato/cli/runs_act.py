"""`legato runs signal`, `cancel` and `retry`: what people ask of a durable run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from legato.cli.data import read_data
from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.runs_ask import gateway_of, run_path
from legato.cli.terminal import tell


@click.command()
@click.argument("id")
@click.argument("name")
@click.option(
    "-d", "--data", default="", metavar="JSON|@FILE", help="What it says; @FILE reads it, @- from standard input."
)
@click.option("--key", default="", help="Makes it one signal, however often it is sent.")
@gateway_option
@project_option
def signal(id: str, name: str, data: str, key: str, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Send the signal NAME to a run; one that no step waits for yet is kept until one does.

    \b
        legato runs signal 01a1ff6c-7895-7748-88c6-1993562be4eb approval -d '{"ok": true}' --key boss
    """
    gateway = gateway_of(project, url)
    path = f"{run_path(gateway, id)}/signals/{quote(name, safe='', errors='replace')}"
    headers = {"content_type": "application/json"} | ({"idempotency_key": key} if key else {})
    taken: Any = gateway.document("run", "POST", path, read_data(data), **headers)
    tell(f"{taken['run']} {'had' if taken['repeated'] else 'has'} taken the signal {name}")


@click.command()
@click.argument("id")
@click.option("--hard", is_flag=True, help="Undo nothing, and end an undo that goes on.")
@json_option
@gateway_option
@project_option
def cancel(id: str, hard: bool, as_json: bool, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Cancel a run: what it has done is undone, in reverse order.

    It takes a token with the scope `define`.
    """
    gateway = gateway_of(project, url)
    path = f"{run_path(gateway, id)}/cancel{'?hard=true' if hard else ''}"
    _say(gateway.document("define", "POST", path), as_json)


@click.command()
@click.argument("id")
@click.option("--path", "step", help="The step that is parked; else all that are.")
@click.option("--skip", "action", flag_value="skip", help="It ends as it would have: an undo is left undone.")
@click.option("--done", "action", flag_value="done", help="It counts as done: somebody has seen to it.")
@click.option("--result", metavar="JSON|@FILE", help="With --done: what it would have answered.")
@json_option
@gateway_option
@project_option
def retry(
    id: str,  # noqa: A002 - the argument's name in messages
    step: str | None,
    action: str | None,
    result: str | None,
    as_json: bool,
    url: str | None,
    project: Path,
) -> None:
    """Have a run go on that is parked, or that failed or was cancelled and was not undone.

    \b
        legato runs retry ID                               # what failed is done again, what succeeded is not
        legato runs retry ID --path payment/undo --done    # it has been seen to by hand
    \b
    It takes a token with the scope `define`.
    """
    if action is not None and step is None:
        raise click.UsageError(f"--{action} is said of one step: name it with --path, as `legato runs show` lists it")
    if result is not None and action != "done":
        raise click.UsageError("--result is what a step answered that is --done")
    asked: dict[str, object] = {"action": action or "retry"}
    if step is not None:
        asked["path"] = step
    if result is not None:
        try:
            asked["result"] = json.loads(read_data(result))
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"--result is not JSON: {error}") from None
    gateway = gateway_of(project, url)
    body = json.dumps(asked).encode()
    path = f"{run_path(gateway, id)}/retry"
    _say(gateway.document("define", "POST", path, body, content_type="application/json"), as_json)


def _say(run: Any, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(run, indent=2))
    else:
        tell(f"{run['id']} is {run['state']}")
