"""A run as Python code may know it: what `ports.RunView` promises, of an inline run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legato.hosts.inline import InlineRun


class View:
    """One run, seen from within one of its calls."""

    __slots__ = ("_run",)

    def __init__(self, run: InlineRun) -> None:
        self._run = run

    @property
    def id(self) -> str:
        """See ports.RunView."""
        return self._run.id.decode()

    @property
    def flow(self) -> str:
        """See ports.RunView."""
        return self._run.bound.name

    @property
    def state(self) -> str:
        """See ports.RunView."""
        return self._run.kernel.outward_state

    @property
    def shared(self) -> Mapping[str, bytes]:
        """See ports.RunView."""
        return self._run.kernel.shared
