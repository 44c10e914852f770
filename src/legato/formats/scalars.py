"""Typed readers of one value each: the value, or None after the problem has been reported.

They promise a message with a remedy for every value that does not fit. Keys of mappings are the business of `fields`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from legato.formats.report import Report, shown
from legato.formats.tree import Node, core_scalar

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0

_UNITS = {"ms": 0.001, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)", re.ASCII)
SIZES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
SIZE = re.compile(r"([0-9]{1,15})(|B|KiB|MiB|GiB)", re.ASCII)


def wrong_kind(report: Report, node: Node, label: str, wanted: str, remedy: str) -> None:
    """Report that a value is of the wrong kind; nothing for one that is reported already."""
    if node.kind == "broken":
        return
    if node.kind == "null":
        report.add(node.place, f"{label} has no value", remedy)
    else:
        report.add(node.place, f"{label} must be {wanted}, not {node.word}", remedy)


def read_text(report: Report, node: Node, label: str) -> str | None:
    """Text that is not empty."""
    if node.kind != "text":
        remedy = f'quote it: "{node.text}"' if node.kind in ("integer", "number", "boolean") else "write text"
        wrong_kind(report, node, label, "text", remedy)
        return None
    text = node.text if node.resolved is None else node.resolved
    if not text.strip():
        report.add(node.place, f"{label} is empty", "write a value, or remove it")
        return None
    return text


def read_boolean(report: Report, node: Node, label: str) -> bool | None:
    """`true` or `false`; YAML 1.1's other words are text."""
    scalar = _scalar(node)
    if isinstance(scalar, bool):
        return scalar
    wrong_kind(report, node, label, "true or false", "write true or false")
    return None


def read_integer(report: Report, node: Node, label: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`."""
    scalar = _scalar(node)
    if not isinstance(scalar, int) or isinstance(scalar, bool):
        wrong_kind(report, node, label, "a whole number", f"write a number from {low} to {high}")
        return None
    if not low <= scalar <= high:
        report.add(node.place, f"{label} is {shown(node.text)}", f"write a number from {low} to {high}")
        return None
    return scalar


def read_duration(report: Report, node: Node, label: str, low: float, high: float) -> float | None:
    """A duration in seconds, from `low` (0 is never allowed by a `low` above it) to `high`."""
    scalar = _scalar(node)
    if isinstance(scalar, int | float) and not isinstance(scalar, bool):
        report.add(node.place, f"{label} needs a unit", f"write {node.text}s or {node.text}ms")
        return None
    if node.kind != "text":
        wrong_kind(report, node, label, "a duration", "write it as 150ms, 2s, 5m, 2h or 2d")
        return None
    match = DURATION.fullmatch(node.text if node.resolved is None else node.resolved)
    if match is None:
        remedy = "write one number and one unit: 150ms, 2s, 5m, 2h or 2d"
        report.add(node.place, f"{label} is not a duration: {shown(node.text)}", remedy)
        return None
    seconds = round(float(match[1]) * _UNITS[match[2]], 9)
    if not low <= seconds <= high:
        remedy = f"write a duration from {spell_duration(low)} to {spell_duration(high)}"
        report.add(node.place, f"{label} is {shown(node.text)}", remedy)
        return None
    return seconds


def read_size(report: Report, node: Node, label: str, low: int, high: int) -> int | None:
    """A size in bytes, from `low` to `high`."""
    scalar = _scalar(node)
    if isinstance(scalar, int) and not isinstance(scalar, bool):
        size = scalar
    elif node.kind != "text":
        wrong_kind(report, node, label, "a size", "write it as 512, 64KiB or 16MiB")
        return None
    elif match := SIZE.fullmatch(node.text if node.resolved is None else node.resolved):
        size = int(match[1]) * SIZES[match[2]]
    else:
        report.add(node.place, f"{label} is not a size: {shown(node.text)}", "write it as 512, 64KiB, 16MiB or 1GiB")
        return None
    if not low <= size <= high:
        report.add(node.place, f"{label} is {shown(node.text)}", f"write a size from {low} to {high} bytes")
        return None
    return size


def read_choice(report: Report, node: Node, label: str, allowed: Collection[str]) -> str | None:
    """One of a few words, written exactly; the very word that is allowed, so that a default is known as one."""
    text = read_text(report, node, label)
    if text is None:
        return None
    for word in allowed:
        if word == text:
            return word
    report.add(node.place, f"{label} cannot be {shown(node.text)}", meant(text, allowed, "write one of"))
    return None


def read_items(report: Report, node: Node, label: str) -> list[Node]:
    """The items of a list."""
    if node.kind != "list":
        example = f"[{node.text}]" if node.text.isprintable() and 0 < len(node.text) <= 40 else "- ..."
        wrong_kind(report, node, label, "a list", f"write a list: {example}")
    return node.items


def read_entries(report: Report, node: Node, label: str) -> dict[str, Node]:
    """The keys of a mapping with their values."""
    if node.kind != "mapping":
        wrong_kind(report, node, label, "a mapping", "write `key: value` pairs")
    return node.fields


def meant(word: str, allowed: Collection[str], lead: str) -> str:
    """The remedy for a wrong word: the nearest right one, and all right ones."""
    everything = f"{lead} {', '.join(allowed)}"
    nearest = difflib.get_close_matches(word.lower(), [each.lower() for each in allowed], 1) if len(word) <= 64 else []
    match = next((each for each in allowed if nearest and each.lower() == nearest[0]), "")
    return f"did you mean {shown(match)}? {everything}" if match else everything


def spell_duration(seconds: float) -> str:
    """A duration as it is written in a file."""
    for unit in ("d", "h", "m", "s"):
        if seconds % _UNITS[unit] == 0 and (seconds or unit == "s"):
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    return f"{seconds / 0.001:g}ms"


def _scalar(node: Node) -> int | float | bool | None:
    """What a scalar means; a variable put in is read as if it had been written there."""
    return node.scalar if node.resolved is None else core_scalar(node.resolved)[1]
