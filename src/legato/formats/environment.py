"""`${env.X}` in settings. A variable that is missing or empty is a problem, never an empty string."""

from __future__ import annotations

import re
from collections.abc import Mapping

from legato.formats.report import Report, shown
from legato.formats.tree import Node, nodes_below

_EXPRESSION = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*", re.ASCII)


def put_in_variables(report: Report, root: Node, environment: Mapping[str, str]) -> None:
    """Resolve every text of the tree. `text` stays as written, so that messages never show a variable's value."""
    for node in nodes_below(root):
        if node.kind == "text" and "${" in node.text:
            _resolve(report, node, environment)


def _resolve(report: Report, node: Node, environment: Mapping[str, str]) -> None:
    failed = False

    def value(match: re.Match[str]) -> str:
        nonlocal failed
        name = _VARIABLE.fullmatch(match[1]) if match[0].endswith("}") else None
        if name is None:
            report.add(node.place, f"{shown(match[0])} is not a variable", "settings know ${env.NAME} only")
        elif name[1] not in environment:
            report.add(node.place, f"the variable {shown(name[1])} is not set", f"set {name[1]}, or remove it here")
        elif not environment[name[1]]:
            report.add(node.place, f"the variable {shown(name[1])} is empty", f"give {name[1]} a value")
        else:
            return environment[name[1]]
        failed = True
        return ""

    resolved = _EXPRESSION.sub(value, node.text)
    if failed:
        node.kind = "broken"
    else:
        node.resolved = resolved
