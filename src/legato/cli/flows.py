"""`legato add`, `ls`, `show`, `rm`: the definitions, by the gateway when one answers, else in the store itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from legato.cli.client import Client, client_of, refused
from legato.cli.project import load_settings
from legato.cli.table import echo_table

project_option = click.option(
    "--project", default=".", type=click.Path(exists=True, path_type=Path), help="The folder, else this one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
MODES = ("sequential", "parallel")


@click.command()
@click.argument("name")
@click.option("--steps", metavar="A,B,C", help="The functions to call, with commas in between.")
@click.option("--mode", type=click.Choice(MODES, case_sensitive=False), help="How; `sequential` unless given.")
@click.option("-f", "--file", "file", metavar="FILE", help="A definition: YAML, or fnkit's JSON; - is standard input.")
@click.option("--new", is_flag=True, help="Fail if there is such a flow already.")
@project_option
def add(name: str, steps: str | None, mode: str | None, file: str | None, new: bool, project: Path) -> None:
    """Define the flow NAME, or define it anew.

    \b
        legato add process-order --steps validate-order,charge-payment,send-email
        legato add enrich-user --steps get-profile,get-history --mode parallel
        legato add process-order -f process-order.yaml
    \b
    It is checked first; what could not run is not stored. It is live at once, without a restart.
    """
    if (steps is None) == (file is None) or (file is not None and mode is not None):
        raise click.UsageError("say what the flow does, by --steps a,b (and --mode) or by --file FILE")
    text = pipeline(steps, mode or MODES[0]) if steps is not None else _text(file or "")
    document = put(client_of(load_settings(project)), name, text, new)
    click.echo(f"{name} is defined: {document.get('outline') or document.get('detail', '')}")


@click.command()
@click.option("--state", type=click.Choice(("ok", "broken")), help="Only those.")
@json_option
@project_option
def ls(state: str | None, as_json: bool, project: Path) -> None:
    """List the flows, with their state and where they come from.

    \b
        legato ls
        legato ls --state broken
        legato ls --json
    """
    query = {"state": state} if state else {}
    flows = list(client_of(load_settings(project)).pages("/api/flows", "flows", **query))
    if as_json:
        click.echo(json.dumps(flows, indent=2))
        return
    if not flows:
        click.echo("no flows: `legato add NAME --steps a,b` or a file in flows/ defines one", err=True)
        return
    rows = [
        [flow["name"], _state(flow), flow["version"] or "-", flow["origin"], flow.get("outline", "")] for flow in flows
    ]
    echo_table(["NAME", "STATE", "VERSION", "ORIGIN", "STEPS"], rows)
    for flow in flows:
        for line in _remarks(flow):
            click.echo(line, err=True)


@click.command()
@click.argument("name")
@click.option("--version", help="An earlier version, as --json lists them under `revisions`.")
@json_option
@project_option
def show(name: str, version: str | None, as_json: bool, project: Path) -> None:
    """Print the definition of the flow NAME, as it was written.

    \b
        legato show process-order
        legato show process-order --json                   # with version, origin, problems, revisions
        legato show process-order --version 83d01c5e9a7b6f42 > old.yaml
    """
    query = f"?{urlencode({'version': version})}" if version else ""
    document = client_of(load_settings(project)).document("observe", "GET", path_of(name) + query)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(document.get("source", ""), nl=not document.get("source", "").endswith("\n"))
    for line in _remarks(document):
        click.echo(line, err=True)


@click.command()
@click.argument("names", nargs=-1, required=True)
@project_option
def rm(names: tuple[str, ...], project: Path) -> None:
    """Delete flows. Runs that have begun go on to their end.

    \b
        legato rm process-order
        legato rm old-one older-one
    """
    client = client_of(load_settings(project))
    missing = [name for name in names if not delete(client, name)]
    for name in missing:
        click.echo(f"there is no flow {name!r} in the store; `legato ls` lists those there are", err=True)
    if missing:
        sys.exit(1)


def path_of(name: str) -> str:
    """The API's path of a flow."""
    return f"/api/flows/{quote(name, safe='', errors='replace')}"


def pipeline(steps: str, mode: str) -> bytes:
    """fnkit's definition, byte for byte: steps trimmed, blank ones dropped."""
    names = [step.strip() for step in steps.split(",") if step.strip()]
    return json.dumps({"mode": mode.lower(), "steps": names}, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "replace"
    )


def put(client: Client, name: str, text: bytes, new: bool = False) -> dict[str, Any]:
    """Define a flow, and give its document. Ends with 1 where that is refused."""
    headers = {"if_none_match": "*"} if new else {}
    return client.document("define", "PUT", path_of(name), text, **headers)


def delete(client: Client, name: str) -> bool:
    """Delete a flow; whether there was one. Ends with 1 where that is refused."""
    status, answer = client.ask("define", "DELETE", path_of(name))
    if status >= 400 and status != 404:
        refused(status, answer)
    return status != 404


def _text(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None


def _state(flow: dict[str, Any]) -> str:
    return (
        "ok, but"
        if flow["state"] == "ok" and any(flow.get(key) for key in ("problems", "shadows", "note"))
        else flow["state"]
    )


def _remarks(flow: dict[str, Any]) -> list[str]:
    """What is to be said of a flow besides: its problems, what it hides, what became of its store."""
    name = flow["name"]
    remarks = [f"{name}: {flow['note']}"] if flow.get("note") else []
    if flow.get("shadows"):
        remarks.append(f"{name}: {flow['origin']} hides {', '.join(flow['shadows'])}")
    for problem in flow.get("problems", ()):
        place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key))
        remedy = f" ({problem['remedy']})" if problem.get("remedy") else ""
        remarks.append(f"{name}: {place}: {problem['detail']}{remedy}")
    return remarks
