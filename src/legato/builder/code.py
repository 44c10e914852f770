"""Python code in definitions: how it is called there, and by which name it is found again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from legato.errors import DefinitionError
from legato.formats.functions import PYTHON

Anything = Callable[..., Any]

PREFIX = "code."  # before the flow's name, of code that cannot be imported: no module is called so

_NOT_A_NAME = re.compile(r"\W+", re.ASCII)


class Code(NamedTuple):
    """Code where a definition names some."""

    function: Anything


def code_of(given: object, label: str) -> Code | str:
    """Code from a callable, or its name `module:qualname` as it is. Raises DefinitionError for anything else."""
    if isinstance(given, str):
        return given
    if callable(given):
        return Code(given)
    kind = type(given).__name__
    raise DefinitionError(f"{label}: {kind} is no Python code (give a function, or its name as module:function)")


def importable_name(function: Anything) -> str:
    """`module:qualname` of a function that can be imported by it; empty for lambdas, closures and the like.

    What a script defines is not: another process would not find it under `__main__`.
    """
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    name = f"{module}:{qualname}"
    if module in (None, "__main__") or PYTHON.fullmatch(name) is None:
        return ""
    try:
        found = attrgetter(str(qualname))(sys.modules[str(module)])
    except (AttributeError, KeyError):
        return ""
    return name if found is function else ""


class CodeBook:
    """The code of one flow by name. What cannot be imported gets a name of its own, in the order of appearance."""

    def __init__(self, flow: str) -> None:
        self._prefix = f"{PREFIX}{flow.replace('-', '_')}:"
        self.code: dict[str, Anything] = {}
        self._names: dict[int, str] = {}
        self.opaque: list[str] = []

    def name_of(self, function: Anything) -> str:
        """The name by which definitions call it; the same each time."""
        known = self._names.get(id(function))
        if known is not None:
            return known
        name = importable_name(function)
        if not name:
            name = self._free(_base(function))
            self.opaque.append(name)
        self._names[id(function)] = name
        self.code[name] = function  # keeps it alive, and so its id its own
        return name

    def _free(self, base: str) -> str:
        name, n = self._prefix + base, 1
        while name in self.code:
            n += 1
            name = f"{self._prefix}{base}_{n}"
        return name


def _base(function: Anything) -> str:
    written = str(getattr(function, "__name__", None) or type(function).__name__)
    name = _NOT_A_NAME.sub("_", written.strip("<>")).strip("_").lower()
    return name if name[:1].isalpha() else "code"
