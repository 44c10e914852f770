"""The kinds of steps of the native language, and the keys of each. What the keys mean is the readers' business."""

from __future__ import annotations

from legato.formats.fields import Fields
from legato.formats.report import Report, shown
from legato.formats.scalars import meant
from legato.formats.tree import Node

LOOP_KEYS = ("concurrency", "tolerate", "min_successful", "collect", "steps")  # beside `foreach`, or in it

# kind of step: the keys of its own
KINDS: dict[str, tuple[str, ...]] = {
    "call": (
        "call", "method", "path", "query", "headers", "encode", "decode", "success", "return_status", "retry",
        "idempotent", "hedge", "on_response", "at_most_once",
    ),
    "python": ("python", "retry", "idempotent", "at_most_once"),
    "steps": ("steps",),
    "parallel": ("parallel", "join", "merge", "prefer"),
    "graph": ("graph",),
    "foreach": ("foreach", *LOOP_KEYS),
    "choose": ("choose",),
    "flow": ("flow",),
    "set": ("set",),
    "sleep": ("sleep",),
    "wait": ("wait", "default", "schema"),
    "publish": ("publish",),
    "respond": ("respond", "status", "headers"),
    "fail": ("fail", "status"),
}  # fmt: skip
MODIFIERS = ("id", "when", "input", "output", "timeout", "on_error", "undo", "pivot")  # of every kind
FLOW_KEYS = (
    "flow", "description", "timeout", "on_disconnect", "input", "output", "durable", "strategy", "answer_within",
    "on_failure", "finally", "callback", "steps",
)  # fmt: skip

_ALL_KEYS = {kind: (*own, *MODIFIERS) for kind, own in KINDS.items()}
_OWNERS = {key: [kind for kind, own in KINDS.items() if key in own] for own in KINDS.values() for key in own}
_ELSEWHERE = {
    **dict.fromkeys(
        frozenset(FLOW_KEYS) - set(MODIFIERS) - set(KINDS),
        ("is for the whole flow, not for a step", "write it at the top of the file, beside `flow`"),
    ),
    "after": ("is for the nodes of a `graph`", "remove it: the steps of a list come one after another"),
}
_COMPOSED = ("steps", "parallel", "graph", "foreach", "choose")


def kind_of(report: Report, node: Node, extra: tuple[str, ...] = ()) -> str | None:
    """Which kind of step a mapping is; None, with the problems reported, when it is not exactly one."""
    kinds = [key for key in node.fields if key in KINDS]
    if len(kinds) == 2 and "foreach" in kinds and "steps" in kinds:
        return "foreach"
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        message = f"a step is of one kind, not {' and '.join(shown(kind) for kind in kinds)}"
        report.add(node.fields[kinds[1]].key, message, "make them steps of their own")
    elif node.kind == "mapping":
        _report_none(report, node, extra)
    return None


def _report_none(report: Report, node: Node, extra: tuple[str, ...]) -> None:
    """Report a mapping without a kind at the key that was perhaps meant as one."""
    for key, value in node.fields.items():
        if key not in _OWNERS and key not in MODIFIERS and key not in extra:
            report.add(value.key, f"unknown kind of step {shown(key)}", meant(key, KINDS, "a step has one of"))
            return
    report.add(node.place, "a step says what it does", f"write one of {', '.join(KINDS)}")


def fields_of(report: Report, kind: str, node: Node, extra: tuple[str, ...] = ()) -> Fields:
    """The keys of a step of a kind. What belongs elsewhere is reported with where that is."""
    known = (*_ALL_KEYS[kind], *extra) if extra else _ALL_KEYS[kind]
    misplaced = [key for key in node.fields if key not in known and (key in _OWNERS or key in _ELSEWHERE)]
    for key in misplaced:
        if key in _OWNERS:
            owner = "calls" if "call" in _OWNERS[key] else " and ".join(map(shown, _OWNERS[key]))
            report.add(node.fields[key].key, f"{shown(key)} is for {owner}, not for {shown(kind)}", _instead(key, kind))
        else:
            why, remedy = _ELSEWHERE[key]
            report.add(node.fields[key].key, f"{shown(key)} {why}", remedy)
    return Fields(report, node, f"a {shown(kind)} step", known, told=misplaced)


def _instead(key: str, kind: str) -> str:
    if "call" not in _OWNERS[key]:
        return f"write it on a {shown(_OWNERS[key][0])} step"
    if kind == "flow":
        return "write it on the calls of that flow"
    return "write it on the calls inside" if kind in _COMPOSED else "write it on a call"
