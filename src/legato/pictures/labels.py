"""Names for languages in which not everything can be one: what is left of a path, unique within one picture."""

from __future__ import annotations

import re

_OTHER = re.compile(r"[^a-zA-Z0-9]+")


class Labels:
    """Gives out one name for each path. `prefix` keeps them from being a word of the language."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def of(self, path: str) -> str:
        """The name of a path, the same each time."""
        name = self._names.get(path)
        if name is None:
            name = self._names[path] = self._free(self._prefix + _OTHER.sub("_", path).strip("_"))
        return name

    def _free(self, name: str) -> str:
        """A name that nobody has."""
        number = self._taken.get(name, 0) + 1
        self._taken[name] = number
        if number == 1:
            return name
        return self._free(f"{name}__{number}")  # two of them, where a path cannot have any
