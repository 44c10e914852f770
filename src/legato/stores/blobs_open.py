"""Opens the store of large data that the settings name: files, S3, or a class of the user's own."""

from __future__ import annotations

import importlib
import inspect
import sys
from operator import attrgetter
from pathlib import Path
from typing import cast

from legato.errors import DefinitionError
from legato.ports import DataStore
from legato.stores.blobs_folder import FolderData
from legato.stores.s3 import S3Data

METHODS = {"put": 2, "get": 1, "delete": 1, "keys": 1}  # and how many arguments each gets


def open_data(spec: str, folder: Path) -> DataStore:
    """The store that `spec` names: `files:PATH` from `folder` on, `s3://BUCKET/PREFIX`, or `module:Class`.

    A class is imported from `folder`, and instantiated without arguments. Raises DefinitionError for what names no such
    store, StoreUnavailable for one that cannot be used.
    """
    if spec.startswith("files:"):
        return FolderData(folder / spec.removeprefix("files:"))
    if spec.startswith("s3://"):
        return S3Data(spec)
    return _own(spec, folder)


def _own(spec: str, folder: Path) -> DataStore:
    """An instance of a user's class."""
    where = f"`data`: {spec}"
    module, _, name = spec.partition(":")
    if not module or not name:
        raise DefinitionError(f"{where} names no store: write files:PATH, s3://BUCKET/PREFIX or module:Class")
    if (place := str(folder.resolve())) not in sys.path:
        sys.path.insert(0, place)
    try:
        made = attrgetter(name)(importlib.import_module(module))
    except AttributeError as error:
        raise DefinitionError(f"{where}: {error}") from None
    except (Exception, SystemExit) as error:
        # Whatever a module does when it is imported is its author's mistake, and is told as such.
        raise DefinitionError(f"{where}: cannot import {module}: {type(error).__name__}: {error}") from None
    if not isinstance(made, type):
        raise DefinitionError(f"{where} is no class; name the class of your store")
    _check_methods(made, where)
    try:
        return cast(DataStore, made())
    except Exception as error:
        made_how = f"it is made without arguments, and that raises {type(error).__name__}: {error}"
        raise DefinitionError(f"{where}: {made_how}") from None


def _check_methods(made: type[object], where: str) -> None:
    """Raise DefinitionError for a class that lacks a method, or has one that could not be called; names all of them."""
    problems = [problem for name, count in METHODS.items() if (problem := _method_problem(made, name, count))]
    if problems:
        wanted = "put(key, data), get(key), delete(key), keys(folder)"
        raise DefinitionError(f"{where}: {'; '.join(problems)}; a store has the methods {wanted}, which block")


def _method_problem(made: type[object], name: str, count: int) -> str:
    method = getattr(made, name, None)
    if not callable(method):
        return f"it has no method {name}"
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        return f"{name} is an `async def`"
    try:
        static = inspect.getattr_static(made, name)
        own = 0 if isinstance(static, staticmethod | classmethod) else 1  # else `self` comes first
        inspect.signature(method).bind(*[None] * (own + count))
    except TypeError as error:
        return f"{name} cannot be called with {count} argument{'s' * (count > 1)}: {error}"
    except ValueError:  # what is written in C does not say
        pass
    return ""
