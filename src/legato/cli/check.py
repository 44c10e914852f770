"""`legato check`: every problem of every file, at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from legato.app import check_flows
from legato.cli.project import SETTINGS_FILE, no_project, settings_or_problems, show
from legato.cli.strangers import warn_of_strangers
from legato.cli.terminal import warn
from legato.errors import StoreUnavailable
from legato.formats import read
from legato.model.problem import Problem
from legato.stores.files import FileStore, read_file


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check flows and settings: syntax, names, references, functions.

    \b
    PATHS are folders with a legato.yaml, or single files; without any, this folder.
        legato check
        legato check flows/process-order.yaml ../shop
    """
    problems: list[Problem] = []
    empty: list[str] = []
    flows = 0
    for path in paths or (Path(),):
        if why := no_project(path):
            empty.append(why)
            continue
        found, count = _check_project(path) if path.is_dir() or path.name == SETTINGS_FILE else _check_file(path)
        problems += found
        flows += count
    wrong = show(problems) + len(empty)
    for why in empty:
        warn(why)
    if wrong:
        warn(f"{wrong} problem{'s' if wrong > 1 else ''}")
        raise click.exceptions.Exit(1)
    click.echo(f"{flows} flow{'' if flows == 1 else 's'}: no problems")


def _check_project(path: Path) -> tuple[list[Problem], int]:
    settings, problems = settings_or_problems(path)
    if settings is None:
        return problems, 0
    with suppress(StoreUnavailable):  # which is reported below
        sources = FileStore(Path(settings.folder) / settings.flows).load()
        warn_of_strangers([flow for source in sources if (flow := read(source).flow) is not None], settings)
    return check_flows(settings)


def _check_file(path: Path) -> tuple[list[Problem], int]:
    return list(read(read_file(path)).problems), 1
