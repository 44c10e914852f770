"""Branches that Python code chooses, and items that it makes, as steps that every file could have.

A choice is a graph, because a node that gets no data from others gets the value as it was:

    keys ──▶ known ──▶ branches, each if its name is among the keys ──▶ together
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from legato.builder.bodies import Body, block
from legato.builder.code import Code
from legato.builder.written import Tree
from legato.errors import DefinitionError

_ANY = "${size(steps.keys) > 0}"


def chosen_branches(condition: Code | str, cases: Mapping[str, Body], aggregate: Code | str | None, label: str) -> Tree:
    """A graph in which the branches run whose keys the code gives; the value stays as it is where it gives none."""
    if not cases:
        raise DefinitionError(f"{label}: there are no branches (name at least one)")
    names = json.dumps(list(cases))
    unknown = f"type(steps.keys) != list || steps.keys.exists(key, !(key in {names}))"
    shown = "${type(steps.keys) == list ? steps.keys : [steps.keys]}"
    branches = {
        name: {"steps": block(body, label), "when": f"${{{json.dumps(name)} in steps.keys}}"}
        for name, body in cases.items()
    }
    nodes: dict[str, Tree] = {
        "keys": {"python": condition},
        "known": {
            "fail": f"the condition gave {shown}, and the branches are {', '.join(cases)}",
            "when": f"${{{unknown}}}",
            "after": {"keys": "order"},
        },
        "branches": {"parallel": branches, "when": _ANY, "after": {"known": "order"}},
    }
    if aggregate is not None:
        nodes["together"] = {"python": aggregate, "when": _ANY, "after": "branches"}
    return nodes


def made_items(
    split: Code | str, body: list[Tree], options: Mapping[str, Tree], aggregate: Code | str | None
) -> list[Tree]:
    """The steps that make items by code, do the body for each, and put the results together by code."""
    each = {"foreach": "${value}", "steps": body, "collect": "object", **options}
    return [{"python": split}, each, *([] if aggregate is None else [{"python": aggregate}])]
