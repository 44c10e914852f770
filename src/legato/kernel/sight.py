"""What an expression can see of the steps around it: those that have run before it, here and in the scopes around."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

import msgspec

from legato.model.names import expression_name

SHOWN = 50  # names that a remedy lists

MAX_COMPARED = 100  # names among which the one that was meant is sought: a bad file may ask ten thousand times


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a flow as a whole, and at which step.

    `step` is the object of the model that it is about, by identity; `key` what of it (`when`, `undo.input`);
    `pointer` where in that key's value, `offset` how many characters into the text that is there. A `warning` is of
    what may be meant.
    """

    step: object
    message: str
    remedy: str = ""
    key: str = ""
    pointer: tuple[str | int, ...] = ()
    offset: int = 0
    warning: bool = False
    path: str = ""

    def __str__(self) -> str:
        where = f"{self.path or 'the flow'}: " + (f"`{self.key}`: " if self.key else "")
        return f"{where}{self.message}" + (f" ({self.remedy})" if self.remedy else "")


class Sight:
    """The steps of one scope, by the names that expressions give them: all, and those that have run so far."""

    def __init__(self, parent: Sight | None, names: Iterable[str] = ()) -> None:
        self._parent = parent
        self._all: Collection[str] = {expression_name(name) for name in names}
        self._done: dict[str, None] = {}

    def done(self, step_id: str) -> None:
        """A step has been linked: those after it see it."""
        self._done[expression_name(step_id)] = None

    def has_run(self, name: str) -> bool:
        """Whether a step of this scope has certainly run."""
        return name in self._done

    def have_run(self) -> Iterable[str]:
        """The steps of this scope that have certainly run."""
        return self._done

    def trouble_with(self, name: str) -> tuple[str, str] | None:
        """Why `steps.NAME` cannot be read here, and the remedy; None where it can."""
        sight: Sight | None = self
        later = False
        while sight is not None:
            if sight.has_run(name):
                return None
            later = later or name in sight._all
            sight = sight._parent
        if later:
            return f"the step `{name}` has not run when this is read", "read it in a step after it"
        seen = self.names()
        near = difflib.get_close_matches(name, seen[-MAX_COMPARED:], 1)
        if near:
            return f"there is no step `{name}` here", f"did you mean `{near[0]}`? To be seen are {_some(seen)}"
        remedy = f"to be seen are {_some(seen)}" if seen else "no step has run before this one"
        return f"there is no step `{name}` here", remedy

    def names(self) -> list[str]:
        """All that can be seen."""
        names: dict[str, None] = {}
        sight: Sight | None = self
        while sight is not None:
            names.update(dict.fromkeys(sight.have_run()))
            sight = sight._parent
        return list(names)


class NodeSight(Sight):
    """What a node of a graph sees: of all nodes, by name with their places, those `before` it, a bit for each place."""

    def __init__(self, parent: Sight, places: Mapping[str, int], before: int) -> None:
        super().__init__(parent)
        self._all = self._places = places
        self._before = before

    def has_run(self, name: str) -> bool:
        """See Sight."""
        place = self._places.get(name)
        return place is not None and bool(self._before >> place & 1)

    def have_run(self) -> Iterable[str]:
        """See Sight."""
        return [name for name in self._places if self.has_run(name)]


def _some(names: list[str]) -> str:
    """As many names as anybody reads."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} others" if len(names) > SHOWN else "")
