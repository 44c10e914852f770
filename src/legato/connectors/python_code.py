"""Finding Python code by its name, and finding out how it wants to be called. Nothing is called in here."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from legato.connectors.python_context import PythonContext
from legato.errors import DefinitionError
from legato.model.function import Function

CONTEXT = "context"  # the parameter that is given one


class Code(msgspec.Struct, frozen=True):
    """Something to be called with the value, and with a context in the parameter that `context` names, if it does."""

    function: Callable[..., Any]
    is_async: bool
    context: str


def load_code(function: Function) -> Code:
    """Import `module:qualname`. Raises DefinitionError naming what is missing."""
    where = place_of(function)
    module_name, _, qualname = function.python.partition(":")
    try:
        found = attrgetter(qualname)(importlib.import_module(module_name))
    except AttributeError as error:
        raise DefinitionError(f"{where}: {error}") from None
    except (Exception, SystemExit) as error:
        # Whatever a module does when it is imported is its author's mistake, and is told as such.
        raise DefinitionError(f"{where}: cannot import {module_name}: {type(error).__name__}: {error}") from None
    return code_of(found, where)


def check_named(python: str, may_name: Callable[[str], bool]) -> None:
    """Raise DefinitionError for code that a definition must not name: whoever may define flows may not run anything.

    What a module has imported from elsewhere is not its own: `shop:os.system` is not shop's.
    """
    module, _, qualname = python.partition(":")
    remedy = "add the module to `python_modules` in the settings, or give the code a name in `functions`"
    if not may_name(module):
        raise DefinitionError(f"{python}: a flow may name code of the settings' folder only: {remedy}")
    try:
        home = getattr(attrgetter(qualname)(importlib.import_module(module)), "__module__", None)
    except (Exception, SystemExit):
        return  # told when it is loaded
    if isinstance(home, str) and not may_name(home):
        raise DefinitionError(f"{python} is code of {home}, which a flow may not name: {remedy}")


def code_of(found: object, where: str) -> Code:
    """How something wants to be called. Raises DefinitionError, naming `where`, for what cannot be called so."""
    if not callable(found):
        raise DefinitionError(f"{where} is a {type(found).__name__}, which cannot be called")
    called = getattr(type(found), "__call__", None)  # noqa: B004 - not whether it is there, but of which kind it is
    is_async = inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(called)
    try:
        signature = inspect.signature(found)
    except (ValueError, TypeError):  # some of what is written in C does not say
        return Code(found, is_async, "")
    context = next((each.name for each in list(signature.parameters.values())[1:] if _wants_context(each)), "")
    try:
        signature.bind(None, **{context: None} if context else {})
    except TypeError as error:
        asked = f"the value alone, and a context if it has a parameter `{CONTEXT}`"
        raise DefinitionError(f"{where} cannot be called: {error}: it is given {asked}") from None
    return Code(found, is_async, context)


def place_of(function: Function) -> str:
    """What messages call a function's code."""
    named = "" if function.name == function.python else f"function {function.name}: "
    return f"{named}python: {function.python}"


def _wants_context(parameter: inspect.Parameter) -> bool:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        return False
    annotation = parameter.annotation
    if isinstance(annotation, str):  # from __future__ import annotations
        annotation = annotation.strip("'\"").rpartition(".")[2]
        return parameter.name == CONTEXT or annotation == PythonContext.__name__
    return parameter.name == CONTEXT or annotation is PythonContext
