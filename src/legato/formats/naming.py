"""Reads names out of documents, and reports those that cannot be used."""

from __future__ import annotations

from collections.abc import Callable

from legato.formats.report import Place, Report, shown
from legato.formats.scalars import read_text
from legato.formats.tree import Node
from legato.model.names import name_problem

Rule = Callable[[str], str]


def read_name(report: Report, node: Node, label: str, rule: Rule = name_problem) -> str:
    """A name by the rule; empty after a problem."""
    text = read_text(report, node, label)
    if text is None:
        report.gap()
        return ""
    return check_name(report, node.place, text, rule)


def check_name(report: Report, place: Place, name: str, rule: Rule = name_problem) -> str:
    """The name itself when the rule allows it; empty after a problem."""
    if not rule(name):
        return name
    report.gap()
    problem = rule(shown(name)[1:-1]) or rule(name)  # short and printable, whatever was written
    better = name.strip().lower().replace(" ", "-").replace(".", "-")
    if better != name and not name_problem(better):
        report.add(place, problem, f"write {shown(better)}")
    else:
        report.add(place, problem, "choose another name")
    return ""
