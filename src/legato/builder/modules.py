"""Flows out of a Python module: every `Flow` and every `@flow` that it has under a public name, imported ones too."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path

from legato.builder.code_flow import CodeFlow
from legato.builder.flows import Flow
from legato.errors import DefinitionError
from legato.model.definition import Definition

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def definitions_of(module: str, folder: Path) -> list[Definition]:
    """The flows of a module, which is imported from the folder if it is there; each has it as its origin.

    Raises DefinitionError where it cannot be imported, has no flows, or has two of one name.
    """
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise DefinitionError(
                f"Path {module!r} does not exist, nor does a module of this name: "
                f"no {error.name!r} in {folder.resolve()} or on Python's path"
            ) from None
        raise DefinitionError(_broken(module, error)) from None
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported is its author's mistake
        raise DefinitionError(_broken(module, error)) from None
    found: dict[str, Flow | CodeFlow] = {}
    for name, value in vars(loaded).items():
        if name.startswith("_") or not isinstance(value, Flow | CodeFlow):
            continue
        other = found.setdefault(value.name, value)
        if other is not value:
            raise DefinitionError(f"the module {module!r} has two flows called {value.name!r} (rename one of them)")
    if not found:
        raise DefinitionError(f"the module {module!r} has no flows (give it a Flow, or a function with @flow)")
    return [flow.definition(module) for _, flow in sorted(found.items())]


def _broken(module: str, error: BaseException) -> str:
    """Why a module cannot be imported, with the line of it that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    own = [frame for frame in users if f"{Path('legato', 'builder')}" not in frame.filename]
    where = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    return f"cannot import {module}: {where}{type(error).__name__}: {error}"
