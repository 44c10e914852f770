"""The native language's `parallel`: its branches, how many must succeed, what becomes of their values."""

from __future__ import annotations

from legato.formats.expressions import OPENING, read_expression
from legato.formats.fields import Fields
from legato.formats.modifiers import Modifiers
from legato.formats.naming import check_name
from legato.formats.nest import Nest
from legato.formats.report import Report, shown
from legato.formats.scalars import meant, read_choice, read_entries, read_integer, read_items, read_text, wrong_kind
from legato.formats.tree import Node
from legato.model.flow import MAX_BRANCHES
from legato.model.names import expression_name
from legato.model.steps import ParallelStep, Step

JOINS = ("all", "any")
QUORUM_KEYS = ("quorum",)
MERGES = ("flat", "first")

_JOIN = "write all, any or {quorum: 2}"


def read_parallel(nest: Nest, body: Node, fields: Fields, modifiers: Modifiers, depth: int) -> ParallelStep:
    """A parallel from its branches and the keys beside them."""
    report, join = nest.report, fields.node("join")
    merge = _read_merge(report, fields.node("merge"))
    return ParallelStep(
        branches=_read_branches(nest, body, depth + 1),
        quorum=0 if join is None else _read_join(report, join, len(body.fields)),
        merge=merge,
        prefer=_read_prefer(report, fields.node("prefer"), merge, body),
        **modifiers,
    )


def _read_branches(nest: Nest, node: Node, depth: int) -> dict[str, Step]:
    """The branches, each a scope of its own."""
    report = nest.report
    entries = read_entries(report, node, "`parallel`")
    if node.kind == "mapping" and not entries:
        report.add(node.place, "`parallel` has no branches", "name at least one: {stock: reserve-stock}")
    if len(entries) > MAX_BRANCHES:
        message = f"`parallel` has {len(entries)} branches, more than {MAX_BRANCHES}"
        report.add(node.place, message, "split it into parallels one after another")
        report.gap()
        return {}
    check_names(report, entries)
    branches = {name: nest.branch(body, depth) for name, body in entries.items()}
    found = {name: branch for name, branch in branches.items() if branch is not None}
    if not found:
        report.gap()
    check_ids(nest, found)
    return found


def check_names(report: Report, entries: dict[str, Node]) -> None:
    """Report keys that are no names, or that an expression could not tell apart."""
    names: dict[str, str] = {}
    for name, body in entries.items():
        check_name(report, body.key, name)
        if (other := names.setdefault(expression_name(name), name)) != name:
            message = f"{shown(name)} and {shown(other)} are the same in an expression"
            report.add(body.key, message, "rename one of them")
            report.gap()


def check_ids(nest: Nest, steps: dict[str, Step]) -> None:
    """Report explicit ids of branches or nodes that are those of others beside them."""
    taken: dict[str, str] = {}
    for name, step in steps.items():
        if step.id and (other := taken.setdefault(expression_name(step.id), name)) != name:
            node = nest.places.node(step, "id")
            place = node.place if node is not None else (0, 0)
            nest.report.add(place, f"the id {shown(step.id)} is that of {shown(other)} as well", "choose another id")
            nest.report.gap()


def _read_join(report: Report, node: Node, branches: int) -> int:
    """How many branches must succeed, 0 for all."""
    if node.kind == "integer":
        report.add(node.place, "`join` must be a word or a mapping", f"write {{quorum: {node.text}}}")
        return 0
    if node.kind == "text":
        return 1 if read_choice(report, node, "`join`", JOINS) == "any" else 0
    if node.kind != "mapping":
        wrong_kind(report, node, "`join`", "a word or a mapping", _JOIN)
        return 0
    quorum = Fields(report, node, "`join`", QUORUM_KEYS).required("quorum", _JOIN)
    if quorum is None:
        return 0
    return read_integer(report, quorum, "`quorum`", 1, max(1, min(branches, MAX_BRANCHES))) or 0


def _read_merge(report: Report, node: Node | None) -> str:
    """A word, or an expression over the object of results."""
    if node is None:
        return ""
    if node.kind != "text":
        wrong_kind(report, node, "`merge`", "a word or an expression", 'write flat, first or "${...}"')
        return ""
    text = read_text(report, node, "`merge`") or ""
    if not text or text in MERGES:
        return text
    if OPENING in text:
        return read_expression(report, node, "`merge`")
    report.add(node.place, f"`merge` cannot be {shown(text)}", meant(text, MERGES, 'write "${...}" or one of'))
    return ""


def _read_prefer(report: Report, node: Node | None, merge: str, body: Node) -> tuple[str, ...]:
    """The branches whose keys win, the first most of all."""
    if node is None:
        return ()
    if merge != "flat":
        report.add(node.key, "`prefer` is for `merge: flat`", "add merge: flat, or remove it")
    names: list[str] = []
    for item in read_items(report, node, "`prefer`"):
        name = read_text(report, item, "a branch in `prefer`")
        if name is None:
            continue
        if name not in body.fields:
            report.add(item.place, f"{shown(name)} is no branch", meant(name, body.fields, "the branches are"))
        elif name in names:
            report.add(item.place, f"{shown(name)} is in `prefer` already", "name it once")
        else:
            names.append(name)
    return tuple(names)
