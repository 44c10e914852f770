"""`legato runs`: what the gateway's last runs did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from legato.cli.client import find_gateway
from legato.cli.flows import json_option, project_option
from legato.cli.project import load_settings
from legato.cli.table import echo_table


@click.group()
def runs() -> None:
    """See what runs did, step by step.

    \b
        legato runs ls --inline
        legato runs ls --inline --functions      # how often each function was called, and failed
        legato runs show 01a1ff6c-7895-7748-88c6-1993562be4eb
    """


@runs.command("ls")
@click.option("--inline", is_flag=True, help="Inline runs: the last ones, which the gateway has in memory.")
@click.option("--flow", help="Only runs of this flow.")
@click.option("--state", help="Only runs in this state: running, succeeded, failed, undone, cancelled.")
@click.option("-n", "--limit", default=50, type=click.IntRange(1, 1000), help="At most so many; 50 unless given.")
@click.option("--functions", "what", flag_value="functions", help="Functions with their counts instead of runs.")
@click.option("--events", "what", flag_value="events", help="What else happened, instead of runs.")
@json_option
@project_option
def list_runs(
    inline: bool, flow: str | None, state: str | None, limit: int, what: str | None, as_json: bool, project: Path
) -> None:
    """List the last runs, newest first, with the time of each step in milliseconds."""
    query = {"inline": str(inline).lower(), "limit": str(limit), "flow": flow, "state": state}
    found = _ask(
        project, "/api/runs?" + urlencode({key: value for key, value in query.items() if value}, errors="replace")
    )
    if as_json:
        click.echo(json.dumps(found.get(what or "runs", []), indent=2))
    elif what == "functions":
        rows = [_function_row(name, function) for name, function in sorted(found.get("functions", {}).items())]
        echo_table(["FUNCTION", "ATTEMPTS", "ERRORS", "LAST", "LAST ACTIVE"], rows)
    elif what == "events":
        for event in reversed(found.get("events", [])):
            rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("time", "event"))
            click.echo(f"{event['time']} {event['event']} {rest}")
    elif found["runs"]:
        echo_table(["STARTED", "STATE", "FLOW", "MS", "RUN", "STEPS"], [_row(run) for run in found["runs"]])
    else:
        hint = "" if inline else "; `--inline` lists the inline ones, which are all that this version has"
        click.echo(f"no runs{hint}", err=True)


@runs.command("show")
@click.argument("id")
@json_option
@project_option
def show_run(id: str, as_json: bool, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Show one run with its steps."""
    run = _ask(project, f"/api/runs/{quote(id, safe='', errors='replace')}")
    if as_json:
        click.echo(json.dumps(run, indent=2))
        return
    for key in ("id", "flow", "version", "state", "started", "ended", "ms"):
        click.echo(f"{key:9}{'-' if run[key] is None else run[key]}")
    if run.get("error"):
        click.echo(f"{'error':9}{run['error']['detail']}")
    rows = [
        [step["path"], step["function"], step["outcome"], str(step.get("status", "-")), str(step["attempts"]),
         f"{step['ms']:.1f}", step.get("detail", "")]
        for step in run.get("steps", ())
    ]  # fmt: skip
    click.echo()
    echo_table(["STEP", "FUNCTION", "OUTCOME", "STATUS", "ATTEMPTS", "MS", "DETAIL"], rows)


def _ask(project: Path, path: str) -> Any:
    settings = load_settings(project)
    gateway = find_gateway(settings)
    if gateway is None:
        click.echo(f"no gateway answers at {settings.listen}; `legato serve` starts one", err=True)
        raise click.exceptions.Exit(3)
    return gateway.document("observe", "GET", path)


def _row(run: dict[str, Any]) -> list[str]:
    steps = ", ".join(f"{step['path']} {step['ms']:.1f}{_mark(step)}" for step in run.get("steps", ()))
    return [run["started"][11:23], run["state"], run["flow"], f"{run['ms']:.1f}", run["id"], steps]


def _mark(step: dict[str, Any]) -> str:
    return "" if step["outcome"] == "ok" else f" {step['outcome']}"


def _function_row(name: str, function: dict[str, Any]) -> list[str]:
    last = f"{function['last_outcome']} {function['last_status'] or ''}".rstrip()
    return [name, str(function["attempts"]), str(function["errors"]), last, function["last_active"]]
