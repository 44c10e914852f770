"""`legato check`: every problem of every file, at once."""

from __future__ import annotations

from pathlib import Path

import click

from legato.app import check_flows
from legato.cli.project import SETTINGS_FILE, settings_or_problems, show
from legato.formats import read
from legato.model.problem import Problem
from legato.stores.files import read_file


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
    flows = 0
    for path in paths or (Path(),):
        found, count = _check_project(path) if path.is_dir() or path.name == SETTINGS_FILE else _check_file(path)
        problems += found
        flows += count
    show(problems)
    if problems:
        click.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"{flows} flow{'' if flows == 1 else 's'}: no problems")


def _check_project(path: Path) -> tuple[list[Problem], int]:
    settings, problems = settings_or_problems(path)
    if settings is None:
        return problems, 0
    return check_flows(settings)


def _check_file(path: Path) -> tuple[list[Problem], int]:
    return list(read(read_file(path)).problems), 1
