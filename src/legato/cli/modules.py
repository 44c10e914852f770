"""Flows out of Python modules: an argument that names no file or folder may name a module."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from legato.builder.modules import MODULE, definitions_of
from legato.errors import DefinitionError
from legato.model.definition import Definition


class PathOrModule(click.ParamType[Path | str]):
    """A path that is there, as a Path; else the name of a module, as text."""

    name = "path or module"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """See click."""
        text = str(value)
        if not Path(text).exists() and MODULE.fullmatch(text) is None:
            self.fail(f"Path {text!r} does not exist, and is no name of a Python module.", param, ctx)
        return Path(text) if Path(text).exists() else text


def flows_of(module: str, folder: Path) -> list[Definition]:
    """The flows of a module, imported from a folder. Ends with 2 where there are none."""
    try:
        with redirect_stdout(sys.stderr):  # what modules print is no result
            return definitions_of(module, folder)
    except DefinitionError as error:
        raise click.UsageError(str(error)) from None
