"""What the nodes of the lattice do."""

from __future__ import annotations


def add(given: int | dict[str, int]) -> int:
    """The sum of what several nodes have left, or what the one node has."""
    return sum(given.values()) if isinstance(given, dict) else given


def visit(visitor: dict[str, str]) -> str:
    """Nothing but having been here."""
    return visitor["node"]
