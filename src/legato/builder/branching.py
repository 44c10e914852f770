"""Branches that Python code chooses, and items that it makes, as steps that every file could have.

A choice is a graph, because each of its nodes without data from others gets the value as it was:

    keys ──▶ known ──▶ each branch, if its name is among the keys ──▶ together
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from legato.builder.bodies import Body, block
from legato.builder.code import Code
from legato.builder.written import Tree
from legato.errors import DefinitionError
from legato.model.names import expression_name, name_problem


def chosen_branches(condition: Code | str, cases: Mapping[str, Body], aggregate: Code | str | None, label: str) -> Tree:
    """A graph in which the branches run whose keys the code gives; the value stays as it is where it gives none."""
    if not cases:
        raise DefinitionError(f"{label}: there are no branches (name at least one)")
    for name in cases:
        if problem := name_problem(name):
            raise DefinitionError(f"{label}: {problem} (choose another name)")
    keys, known, together = _free(("keys", "known", "together"), cases)
    given = f"steps.{keys}"
    names = json.dumps(list(cases))
    unknown = f"type({given}) != list || {given}.exists(key, !(key in {names}))"
    shown = f"${{type({given}) == list ? {given} : [{given}]}}"
    message = f"the condition gave {shown}, and the branches are {', '.join(cases)}"
    nodes: dict[str, Tree] = {
        keys: {"python": condition},
        known: {"fail": message, "when": f"${{{unknown}}}", "after": {keys: "order"}},
    }
    for name, body in cases.items():
        when = f"${{{json.dumps(name)} in {given}}}"
        nodes[name] = {"steps": block(body, label), "when": when, "after": {known: "order"}}
    # One edge gives the value itself, several an object by node: here it is an object in any case.
    only = len(cases) == 1
    after: dict[str, Tree] = {name: {name: "${value}"} if only else "data" for name in cases}
    result: dict[str, Tree] = {"set": "${value}"} if aggregate is None else {"python": aggregate}
    nodes[together] = {**result, "when": f"${{size({given}) > 0}}", "after": after}
    return nodes


def made_items(
    split: Code | str, body: list[Tree], options: Mapping[str, Tree], aggregate: Code | str | None
) -> list[Tree]:
    """The steps that make items by code, do the body for each, and put the results together by code."""
    each = {"foreach": "${value}", "steps": body, "collect": "object", **options}
    return [{"python": split}, each, *([] if aggregate is None else [{"python": aggregate}])]


def _free(wanted: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Names that are none of the branches', nor any of theirs in an expression."""
    theirs = {expression_name(name) for name in taken}
    return [next(each for each in _variants(name) if each not in theirs) for name in wanted]


def _variants(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{n}" for n in count(2))
