"""Finding a project on disk: `legato.yaml` in a folder, its settings, and how problems are shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from legato.cli.terminal import warn
from legato.formats import read_settings
from legato.formats.addresses import listen_trouble
from legato.formats.document import read_document
from legato.model.problem import Problem
from legato.model.settings import Settings

SETTINGS_FILE = "legato.yaml"
NAMED = 5  # places of one problem


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
    settings, problems = read_settings(text, str(file), str(file.parent), os.environ)
    if settings is None and _is_flow(file, text):
        folder = file.parent.parent if file.parent.name == Settings().flows else file.parent
        raise click.UsageError(f"{file} is a flow; give its folder instead: {folder}")
    return settings, problems


def _is_flow(file: Path, text: bytes) -> bool:
    root = read_document(str(file), text)[0]
    return root is not None and "steps" in root.fields and ("flow" in root.fields or "mode" in root.fields)


def no_project(path: Path) -> str:
    """Why a path is no project; empty for a settings file, and for a folder that has one, or has flows."""
    if not path.is_dir() or (path / SETTINGS_FILE).exists() or (path / Settings().flows).exists():
        return ""
    return f"no {SETTINGS_FILE} and no {Settings().flows}/ in {path.resolve()}; `legato init` writes a project"


def checked_listen(listen: str) -> str:
    """An address for `--listen`. Ends with 2 for one that cannot be listened on."""
    trouble, remedy = listen_trouble(listen)
    if trouble:
        raise click.BadParameter(f"{trouble}; {remedy}", param_hint="--listen")
    return listen


def show(problems: Iterable[Problem], mark: str = "") -> int:
    """Print problems to standard error, each after the `mark`, and count them.

    One that has no line, such as a function that is not there, comes with every flow that it is found by: said once.
    """
    places: dict[Problem, dict[str, None]] = {}
    for problem in problems:
        same = problem if problem.line else msgspec.structs.replace(problem, file="")
        places.setdefault(same, {})[problem.file] = None
    for problem, files in places.items():
        first, *others = files
        warn(f"{mark}{msgspec.structs.replace(problem, file=first)}")
        if others:
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            warn(f"  the same in {', '.join(others[:NAMED])}{more}")
    return len(places)
