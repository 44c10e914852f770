"""`legato runs`: what runs did and do; the list, and one of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.refusals import told
from legato.cli.runs_act import cancel, retry, signal
from legato.cli.runs_ask import gateway_of, run_path, step_outcome
from legato.cli.runs_watch import events, watch
from legato.cli.table import echo_table
from legato.cli.terminal import clean, tell, warn
from legato.model.journal import STATES

_EMPTY: tuple[object, ...] = (None, "", [], {})
_SHOWN = ("id", "flow", "version", "state", "started", "ended", "ms", "deadline", "cancelled")
_ALWAYS = _SHOWN[:7]


@click.group()
def runs() -> None:
    """See what runs do, step by step, and have a say in it.

    \b
        legato runs ls                           # durable runs, newest first
        legato runs ls --state parked            # those that need somebody
        legato runs show 01a1ff6c-7895-7748-88c6-1993562be4eb
        legato runs watch 01a1ff6c-7895          # the beginning of an id will do, where it is the only one
        legato runs signal ID approval -d '{"ok": true}'
        legato runs cancel ID                    # what it has done is undone
        legato runs retry ID                     # a run that failed, or is parked, goes on from where it stopped
        legato runs ls --inline                  # inline runs, which are in memory alone
    """


@runs.command("ls")
@click.option("--inline", is_flag=True, help="Inline runs: the last ones, which the gateway has in memory.")
@click.option("--flow", help="Only runs of this flow.")
@click.option("--state", help=f"Only runs in this state: {', '.join(STATES)}.")
@click.option("--since", metavar="TIME", help="Only runs since then: 2026-01-31T12:00:00Z.")
@click.option("-n", "--limit", default=50, type=click.IntRange(1, 1000), help="At most so many; 50 unless given.")
@click.option("--functions", "what", flag_value="functions", help="Of inline runs: functions with their counts.")
@click.option("--events", "what", flag_value="events", help="With --inline: what else happened in the gateway.")
@json_option
@gateway_option
@project_option
def list_runs(
    inline: bool,
    flow: str | None,
    state: str | None,
    since: str | None,
    limit: int,
    what: str | None,
    as_json: bool,
    url: str | None,
    project: Path,
) -> None:
    """List runs, newest first: the durable ones, or with --inline the last inline ones and the time of each step.

    The time of a start is that of this machine on a terminal, UTC elsewhere; MS is in milliseconds.
    """
    query = {"inline": str(inline).lower(), "limit": str(limit), "flow": flow, "state": state, "since": since}
    asked = {key: value for key, value in query.items() if value}
    path = "/api/runs?" + urlencode(asked, errors="replace")
    found: Any = gateway_of(project, url).document("observe", "GET", path)
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
        head = [
            "STARTED" if is_local else "STARTED (UTC)",
            "STATE",
            "FLOW",
            "MS",
            "RUN",
            *(["STEPS"] if inline else []),
        ]
        echo_table(head, [_row(run, is_local, inline) for run in found["runs"]])
    else:
        warn(f"no runs{'' if inline else '; `--inline` lists the inline ones'}")


@runs.command("show")
@click.argument("id")
@click.option("--payloads", is_flag=True, help="Also what was sent to a durable run, and what each step answered.")
@click.option("--all", "all_steps", is_flag=True, help="All steps of a durable run; the last 256 unless given.")
@json_option
@gateway_option
@project_option
def show_run(id: str, payloads: bool, all_steps: bool, as_json: bool, url: str | None, project: Path) -> None:  # noqa: A002 - the argument's name in messages
    """Show one run with its steps, what it waits for, and why it failed or is parked."""
    gateway = gateway_of(project, url)
    query = {"payloads": "true" if payloads else "", "steps": "all" if all_steps else ""}
    asked = urlencode({key: value for key, value in query.items() if value})
    run: Any = gateway.document("observe", "GET", run_path(gateway, id) + (f"?{asked}" if asked else ""))
    if as_json:
        click.echo(json.dumps(run, indent=2))
        return
    for line in _facts(run):
        tell(line)
    if run.get("parked"):
        step = next((each["path"] for each in run["parked"]), "")
        chosen = f" --path {step} [--skip | --done]" if step else ""
        warn(f"it is parked, and goes on with `legato runs retry {run['id']}{chosen}`")
    rows = [
        [step["path"], step.get("function", "-"), step_outcome(step), str(step.get("status", "-")),
         str(step["attempts"]), f"{step['ms']:.1f}", step.get("detail", "")]
        for step in run.get("steps", ())
    ]  # fmt: skip
    click.echo()
    echo_table(["STEP", "FUNCTION", "OUTCOME", "STATUS", "ATTEMPTS", "MS", "DETAIL"], rows)
    for step in run.get("steps", ()) if payloads else ():
        if "result" in step:
            tell(f"\n{clean(step['path'])}:\n{_text(step['result'])}")


def _facts(run: dict[str, Any]) -> Iterator[str]:
    for key in _SHOWN:
        if key in _ALWAYS or run.get(key) is not None:
            yield f"{key:9}{'-' if run.get(key) is None else run[key]}"
    if run.get("error"):
        first, *rest = told(run["error"])
        yield f"{'error':9}{clean(first)}"
        yield from rest
    if "input" in run:
        yield f"{'input':9}{_text(run['input'])}"
    if "result" in run:
        yield f"{'result':9}{_text(run['result'])}"
    for waiting in run.get("waiting_for", ()):
        signal = f" for the signal {waiting['signal']}" if "signal" in waiting else ""
        until = f" until {waiting['until']}" if "until" in waiting else ""
        yield f"{'waits':9}{clean(waiting['path'])}{clean(signal)}{until}"
    for parked in run.get("parked", ()):
        yield f"{'parked':9}{clean(parked['path']) or 'as a whole'}: {clean(parked['why'])}"
    if run.get("signals"):
        yield f"{'signals':9}{clean(', '.join(run['signals']))}"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _row(run: dict[str, Any], is_local: bool, inline: bool) -> list[str]:
    row = [_time(run["started"], is_local), run["state"], run["flow"], f"{run['ms']:.1f}", run["id"]]
    if inline:
        row.append(", ".join(f"{step['path']} {step['ms']:.1f}{_mark(step)}" for step in run.get("steps", ())))
    return row


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


for command in (watch, signal, cancel, retry, events):
    runs.add_command(command)
