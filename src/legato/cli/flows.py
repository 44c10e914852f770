"""`legato add`, `ls`, `show`, `rm`: the definitions, by the gateway when one answers, else in the store itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from legato.cli.client import Client, client_of
from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.project import load_settings
from legato.cli.refusals import fail, refused, tell_refusal
from legato.cli.strangers import warn_of_strangers
from legato.cli.table import echo_table
from legato.cli.terminal import hand_over, tell, warn
from legato.formats import language_of, read
from legato.model.settings import Settings
from legato.model.source import Source

MODES = ("sequential", "parallel")


@click.command()
@click.argument("name")
@click.option("--steps", metavar="A,B,C", help="The functions to call, with commas in between.")
@click.option("--mode", type=click.Choice(MODES, case_sensitive=False), help="How; `sequential` unless given.")
@click.option("-f", "--file", "file", metavar="FILE", help="A definition: YAML, or fnkit's JSON; - is standard input.")
@click.option("--new", is_flag=True, help="Fail if there is such a flow already.")
@gateway_option
@project_option
def add(
    name: str, steps: str | None, mode: str | None, file: str | None, new: bool, url: str | None, project: Path
) -> None:
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
    settings = load_settings(project)
    client = client_of(settings, url)
    document = put(client, name, text, new)
    tell(f"{name} is defined: {document.get('outline') or document.get('detail', '')}")
    if client.remark:
        warn(client.remark)
    if url is None:  # of another gateway's functions these settings tell nothing
        _warn_of_strangers(name, text, settings)


@click.command()
@click.option("--state", type=click.Choice(("ok", "broken")), help="Only those.")
@json_option
@gateway_option
@project_option
def ls(state: str | None, as_json: bool, url: str | None, project: Path) -> None:
    """List the flows, with their state and where they come from.

    \b
        legato ls
        legato ls --state broken
        legato ls --json
    """
    query = {"state": state} if state else {}
    flows = list(client_of(load_settings(project), url).pages("/api/flows", "flows", **query))
    if as_json:
        click.echo(json.dumps(flows, indent=2))
        return
    if not flows:
        warn(
            "no broken flows"
            if state == "broken"
            else "no flows: `legato add NAME --steps a,b` or a file in flows/ defines one"
        )
        return
    rows = [
        [flow["name"], _state(flow), flow["version"] or "-", flow["origin"], flow.get("outline", "")] for flow in flows
    ]
    echo_table(["NAME", "STATE", "VERSION", "ORIGIN", "STEPS"], rows)
    for line in _remarks(flows):
        warn(line)


@click.command()
@click.argument("name")
@click.option("--version", help="An earlier version, as --json lists them under `revisions`.")
@json_option
@gateway_option
@project_option
def show(name: str, version: str | None, as_json: bool, url: str | None, project: Path) -> None:
    """Print the definition of the flow NAME, as it was written.

    \b
        legato show process-order
        legato show process-order --json                   # with version, origin, problems, revisions
        legato show process-order --version 83d01c5e9a7b6f42 > old.yaml
    """
    query = f"?{urlencode({'version': version})}" if version else ""
    document = client_of(load_settings(project), url).document("observe", "GET", path_of(name) + query)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    hand_over(document.get("source", ""))
    for line in _remarks([document]):
        warn(line)


@click.command()
@click.argument("names", nargs=-1, required=True)
@gateway_option
@project_option
def rm(names: tuple[str, ...], url: str | None, project: Path) -> None:
    """Delete flows. Runs that have begun go on to their end.

    \b
        legato rm process-order
        legato rm old-one older-one
    """
    client = client_of(load_settings(project), url)
    refusals: list[tuple[int, bytes, str]] = []
    for name in names:
        status, answer = delete(client, name)
        if status < 400:
            tell(f"{name} is deleted")
        else:
            refusals.append((status, answer, name))
    if client.remark and len(refusals) < len(names):
        warn(client.remark)
    for status, answer, name in refusals:
        if status == 404:
            warn(f"there is no flow {name!r} in the store; `legato ls` lists those there are")
        else:
            tell_refusal(status, answer)
    if refusals:
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
    status, answer = client.ask("define", "PUT", path_of(name), text, **headers)
    if new and status == 412:
        fail({"detail": f"there is a flow `{name}` already; leave out --new to define it anew"})
    if status >= 400:
        refused(status, answer)
    return json.loads(answer)


def delete(client: Client, name: str) -> tuple[int, bytes]:
    """Delete a flow: what is answered, 404 where there is none."""
    return client.ask("define", "DELETE", path_of(name))


def _warn_of_strangers(name: str, text: bytes, settings: Settings) -> None:
    flow = read(Source(name=name, language=language_of(text), text=text, origin=name)).flow
    warn_of_strangers([] if flow is None else [flow], settings)


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


def _remarks(flows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What is to be said of flows besides: what became of their stores, what they hide, their problems."""
    common: dict[str, dict[str, str]] = {}  # what has no line may be one mistake for many flows: said once
    for flow in flows:
        name = flow["name"]
        if flow.get("note"):
            yield f"{name}: {flow['note']}"
        if flow.get("shadows"):
            yield f"{name}: {flow['origin']} hides {', '.join(flow['shadows'])}"
        for problem in flow.get("problems", ()):
            place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key))
            remedy = f" ({problem['remedy']})" if problem.get("remedy") else ""
            if problem.get("line"):
                yield f"{name}: {place}: {problem['detail']}{remedy}"
            else:
                common.setdefault(f"{problem['detail']}{remedy}", {}).setdefault(name, place)
    for text, places in common.items():
        where = f"{place}: " if len(places) == 1 and (place := next(iter(places.values()))) else ""
        yield f"{', '.join(places)}: {where}{text}"
