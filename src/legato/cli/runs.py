"""`legato runs`: what the gateway's last runs did."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from legato.cli.client import find_gateway
from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.project import load_settings
from legato.cli.table import echo_table
from legato.cli.terminal import clean, tell, warn

_EMPTY: tuple[object, ...] = (None, "", [], {})


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
@gateway_option
@project_option
def list_runs(
    inline: bool,
    flow: str | None,
    state: str | None,
    limit: int,
    what: str | None,
    as_json: bool,
    url: str | None,
    project: Path,
) -> None:
    """List the last runs, newest first, with the time of each step in milliseconds.

    The time of a start is that of this machine on a terminal, UTC elsewhere.
    """
    query = {"inline": str(inline).lower(), "limit": str(limit), "flow": flow, "state": state}
    asked = {key: value for key, value in query.items() if value}
    found = _ask(project, url, "/api/runs?" + urlencode(asked, errors="replace"))
    if as_json:
        nothing: object = {} if what == "functions" else []
        click.echo(json.dumps(found.get(what or "runs", nothing), indent=2))
    elif what == "functions":
        rows = [_function_row(name, function) for name, function in sorted(found.get("functions", {}).items())]
        echo_table(["FUNCTION", "ATTEMPTS", "ERRORS", "LAST", "LAST ACTIVE"], rows)
    elif what == "events":
        for event in reversed(found.get("events", [])):
            tell(_event_line(event))
    elif found["runs"]:
        is_local = sys.stdout.isatty()
        head = ["STARTED" if is_local else "STARTED (UTC)", "STATE", "FLOW", "MS", "RUN", "STEPS"]
        echo_table(head, [_row(run, is_local) for run in found["runs"]])
    else:
        hint = "" if inline else "; `--inline` lists the inline ones, which are all that this version has"
        warn(f"no runs{hint}")


@runs.command("show")
@click.argument("id")
@json_option
@gateway_option
@project_option
def show_run(id: str, as_json: bool, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Show one run with its steps."""
    run = _ask(project, url, f"/api/runs/{quote(id, safe='', errors='replace')}")
    if as_json:
        click.echo(json.dumps(run, indent=2))
        return
    for key in ("id", "flow", "version", "state", "started", "ended", "ms"):
        tell(f"{key:9}{'-' if run[key] is None else run[key]}")
    if run.get("error"):
        tell(f"{'error':9}{clean(run['error']['detail'])}")
    rows = [
        [step["path"], step["function"], step["outcome"], str(step.get("status", "-")), str(step["attempts"]),
         f"{step['ms']:.1f}", step.get("detail", "")]
        for step in run.get("steps", ())
    ]  # fmt: skip
    click.echo()
    echo_table(["STEP", "FUNCTION", "OUTCOME", "STATUS", "ATTEMPTS", "MS", "DETAIL"], rows)


def _ask(project: Path, url: str | None, path: str) -> Any:
    settings = load_settings(project)
    gateway = find_gateway(settings, url)
    if gateway is None:
        warn(f"no gateway answers at {settings.listen}; `legato serve` starts one")
        raise click.exceptions.Exit(3)
    return gateway.document("observe", "GET", path)


def _row(run: dict[str, Any], is_local: bool) -> list[str]:
    steps = ", ".join(f"{step['path']} {step['ms']:.1f}{_mark(step)}" for step in run.get("steps", ()))
    return [_time(run["started"], is_local), run["state"], run["flow"], f"{run['ms']:.1f}", run["id"], steps]


def _time(moment: str, is_local: bool) -> str:
    """The time of day; the API has moments in UTC."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S.%f}"[:-3] if is_local else moment[11:23]
    except ValueError:
        return moment


def _event_line(event: dict[str, Any]) -> str:
    said = [f"{key}={value}" for key, value in event.items() if key not in ("time", "event") and value not in _EMPTY]
    return clean(" ".join([event["time"], event["event"], *said]))


def _mark(step: dict[str, Any]) -> str:
    return "" if step["outcome"] == "ok" else f" {step['outcome']}"


def _function_row(name: str, function: dict[str, Any]) -> list[str]:
    last = f"{function['last_outcome']} {function['last_status'] or ''}".rstrip()
    return [name, str(function["attempts"]), str(function["errors"]), last, function["last_active"]]
