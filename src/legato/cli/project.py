"""Finding a project on disk: `legato.yaml` in a folder, its settings, and how problems are shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from legato.formats import read_settings
from legato.formats.addresses import listen_trouble
from legato.model.problem import Problem
from legato.model.settings import Settings

SETTINGS_FILE = "legato.yaml"


def load_settings(path: Path) -> Settings:
    """The settings of a folder or of a settings file; all defaults where there is no file. Ends with 2 on a problem."""
    settings, problems = settings_or_problems(path)
    if settings is None:
        show(problems)
        raise click.exceptions.Exit(2)
    return settings


def settings_or_problems(path: Path) -> tuple[Settings | None, list[Problem]]:
    """The settings of a folder or of a settings file, or what is wrong with them."""
    file = path / SETTINGS_FILE if path.is_dir() else path
    try:
        text = file.read_bytes() if file.exists() else b""
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None
    return read_settings(text, str(file), str(file.parent), os.environ)


def checked_listen(listen: str) -> str:
    """An address for `--listen`. Ends with 2 for one that cannot be listened on."""
    trouble, remedy = listen_trouble(listen)
    if trouble:
        raise click.BadParameter(f"{trouble}; {remedy}", param_hint="--listen")
    return listen


def show(problems: Iterable[Problem]) -> None:
    """Print problems to standard error."""
    for problem in problems:
        click.echo(str(problem), err=True)
