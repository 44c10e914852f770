"""`legato init`: a project to start from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from legato.cli.project import SETTINGS_FILE, settings_or_problems
from legato.formats.schema import schema_text
from legato.model.settings import Settings

SETTINGS = """\
# yaml-language-server: $schema=.legato/settings.schema.json
# The settings of the gateway. Every key has a default: an empty file would do.

listen: 127.0.0.1:8080

functions:
  # A step calls a function by its name. These are Python code in the same process: functions.py.
  check-name: {python: "functions:check_name"}
  greet: {python: "functions:greet"}
  count-letters: {python: "functions:count_letters"}

  # A function is anything that answers HTTP. Without an entry here, NAME is called at http://NAME:8080.
  # send-mail: {url: "http://mail.internal/send", timeout: 2s}
  # charge: {url: "https://pay.internal/charges", keyed: true}   # calling it twice with one key does no harm

# Who may start flows. Where others can reach the gateway, a token is needed; keep it out of this file.
# auth: {tokens: ["${env.SHOP_TOKEN}"]}
"""

FLOW = """\
# yaml-language-server: $schema=../.legato/flow.schema.json
# A flow is a file, and is called by POST /orchestrate/hello. Its steps run one after another: the first gets the
# request's body, each next one the answer of the one before. The last answer is the result.
flow: hello
description: Greets whoever says a name.
timeout: 10s                             # of the whole run; then the caller gets 504

steps:
  - check-name                           # a function's name: call it; when it says no, the flow ends

  - call: greet                          # the same with more to say about it
    timeout: 2s                          # of one attempt
    retry: {attempts: 3, backoff: 200ms} # tried again while nothing can have been done twice
    # undo: take-back-greeting           # called if a later step fails

  - count-letters

  # Several at once, each with the same value; the next value is an object of their answers by name:
  # - parallel:
  #     greeting: greet
  #     letters: count-letters
"""

FUNCTIONS = '''\
"""The functions of this project. Each gets the value, decoded from JSON, and returns the next one."""

from legato.errors import Refused


def check_name(person: dict) -> dict:
    """Let through who has a name. Refused is a definite no: it is not tried again, and the flow fails with it."""
    name = person.get("name") if isinstance(person, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise Refused('say a name: {"name": "Ada"}')
    return {"name": name.strip()}


async def greet(person: dict) -> dict:
    """Say hello. An `async def` runs on the gateway's event loop, a plain `def` in a thread."""
    return {**person, "greeting": f"Hello, {person['name']}!"}


def count_letters(person: dict) -> dict:
    """Say how long the name is."""
    return {**person, "letters": sum(letter.isalpha() for letter in person["name"])}
'''

IGNORED = """\
# the definitions that the gateway keeps
legato.db*
__pycache__/
"""

_HELLO = "flows/hello.yaml"
_CODE = "functions.py"
_IGNORE = ".gitignore"
_INPUT = '{"name": "Ada"}'


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that are there, .gitignore aside.")
def init(folder: Path, force: bool) -> None:
    """Write a project to start from.

    \b
        legato init                      # into this folder
        legato init shop                 # into another, made if need be
    \b
    It works as it is, and is meant to be changed:
        legato.yaml                      how functions are reached
        flows/hello.yaml                 a flow of three steps
        functions.py                     the functions that it calls
        .legato/                         what editors need to complete and explain keys
    A file that is there already is kept.
    """
    texts = {
        SETTINGS_FILE: SETTINGS,
        _HELLO: FLOW,
        _CODE: FUNCTIONS,
        ".legato/flow.schema.json": schema_text("flow"),
        ".legato/settings.schema.json": schema_text("settings"),
        _IGNORE: IGNORED,
    }
    kept: set[str] = set()
    for name, text in texts.items():
        if _write(folder / name, text, force and name != _IGNORE):
            click.echo(f"made  {folder / name}")
        else:
            click.echo(f"kept  {folder / name}")
            kept.add(name)
    parts = {SETTINGS_FILE, _HELLO, _CODE}
    if kept & parts and parts - kept:
        click.echo("\nSome files were there already: `legato check` tells whether all fit; --force overwrites them.")
    click.echo("\nNext, the last from another terminal:")
    for command in _next_commands(folder):
        click.echo(f"  {command}")


def _write(path: Path, text: str, force: bool) -> bool:
    """Whether the file was written; one that is there stays, unless forced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if not path.parent.is_dir():
            raise click.UsageError(f"cannot write {path}: {path.parent} is not a folder") from None
        return False
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
    return True


def _next_commands(folder: Path) -> list[str]:
    settings = settings_or_problems(folder)[0] or Settings()
    is_here = folder.resolve() == Path.cwd()
    return ["legato check" if is_here else f"cd {shlex.quote(str(folder))}", "legato dev", _curl(settings)]


def _curl(settings: Settings) -> str:
    """How to start the flow at the address that the settings name."""
    command = f"curl -d {shlex.quote(_INPUT)}"
    if settings.tokens:
        token = "$LEGATO_TOKEN" if os.environ.get("LEGATO_TOKEN") else "TOKEN"
        command += f' -H "Authorization: Bearer {token}"'
    address = settings.listen
    if address.startswith("unix:"):
        command += f" --unix-socket {shlex.quote(address.removeprefix('unix:'))}"
        address = "localhost"
    host, colon, port = address.rpartition(":")
    if host in ("0.0.0.0", "[::]"):  # noqa: S104 - compared, not bound
        address = f"localhost{colon}{port}"
    return f"{command} http://{address}/orchestrate/hello"
