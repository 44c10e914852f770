"""Reads one mapping by the keys it may have. A wrong value is reported and its default stands in for it.

Whoever uses the result asks the report first: defaults after a problem are there to let reading go on, nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from legato.formats import scalars
from legato.formats.report import Report, shown
from legato.formats.scalars import meant
from legato.formats.tree import Node

T = TypeVar("T")


class Fields:
    """One mapping. Unknown keys are reported at once, those of `later` as not available in this version.

    Those that have been `told` about already are passed over.
    """

    def __init__(
        self,
        report: Report,
        node: Node,
        what: str,
        known: Collection[str],
        later: Collection[str] = (),
        told: Collection[str] = (),
    ) -> None:
        self.report = report
        self._mapping = node
        self._nodes = scalars.read_entries(report, node, what)
        self._what = what
        for key, value in self._nodes.items():
            if key in known or key in told:
                continue
            if report.full:
                report.add(value.key, "")
            elif key in later:
                report.add(value.key, f"{shown(key)} is not available in this version", "remove it")
            else:
                report.add(value.key, f"unknown key {shown(key)} in {what}", meant(key, known, "allowed here:"))

    def node(self, key: str) -> Node | None:
        """The value of a key, if it is there."""
        return self._nodes.get(key)

    def required(self, key: str, remedy: str) -> Node | None:
        """The value of a key that must be there. What is no mapping is reported as that alone."""
        node = self._nodes.get(key)
        if node is None and self._mapping.kind == "mapping":
            self.report.add(self._mapping.place, f"{self._what} needs {shown(key)}", remedy)
        return node

    def text(self, key: str, default: str = "") -> str:
        """Text that is not empty."""
        node = self._nodes.get(key)
        return default if node is None else _or(scalars.read_text(self.report, node, shown(key)), default)

    def boolean(self, key: str, default: bool) -> bool:
        """`true` or `false`."""
        node = self._nodes.get(key)
        return default if node is None else _or(scalars.read_boolean(self.report, node, shown(key)), default)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        node = self._nodes.get(key)
        number = None if node is None else scalars.read_integer(self.report, node, shown(key), low, high)
        return default if number is None or number == default else number  # as for durations

    def duration(self, key: str, default: T, low: float, high: float) -> float | T:
        """Seconds from `low` to `high`."""
        node = self._nodes.get(key)
        if node is None:
            return default
        seconds = scalars.read_duration(self.report, node, shown(key), low, high)
        # The model leaves out the very objects that are its defaults: same meaning, same version (model.flow).
        return default if seconds is None or seconds == default else seconds

    def size(self, key: str, default: int, low: int, high: int) -> int:
        """Bytes from `low` to `high`."""
        node = self._nodes.get(key)
        return default if node is None else _or(scalars.read_size(self.report, node, shown(key), low, high), default)

    def choice(self, key: str, default: str, allowed: Collection[str]) -> str:
        """One of a few words."""
        node = self._nodes.get(key)
        return default if node is None else _or(scalars.read_choice(self.report, node, shown(key), allowed), default)

    def items(self, key: str) -> list[Node]:
        """The items of a list, none where the key is not there."""
        node = self._nodes.get(key)
        return [] if node is None else scalars.read_items(self.report, node, shown(key))


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
