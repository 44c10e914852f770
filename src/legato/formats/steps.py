"""The native language's steps: which kinds there are, what each may carry, how they nest, what they are called."""

from __future__ import annotations

from legato.formats.calls import CALL_KEYS, read_call
from legato.formats.fields import Fields
from legato.formats.naming import check_name, read_name
from legato.formats.report import Place, Report, shown
from legato.formats.scalars import meant, read_entries, read_items
from legato.formats.tree import Node
from legato.model.flow import MAX_BRANCHES, MAX_DEPTH, MAX_STEPS, CallStep, ParallelStep, SequenceStep, Step
from legato.model.names import expression_name
from legato.model.paths import colliding_ids

# kind of step: the keys that it may have
KINDS: dict[str, tuple[str, ...]] = {
    "call": ("call", "id", *CALL_KEYS),
    "steps": ("steps", "id"),
    "parallel": ("parallel", "id"),
}
LATER_KINDS = (
    "foreach", "choose", "graph", "wait", "sleep", "publish", "respond", "fail", "set", "python", "flow"
)  # fmt: skip
LATER_KEYS = ("input", "output", "when", "on_error", "query", "headers", "hedge", "durable", "answer_within")


class StepReader:
    """Reads steps within one document, and counts them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._count = 0
        self._ids: dict[int, Place] = {}  # by identity: equal steps may stand in several places

    def scope(self, node: Node, label: str, depth: int = 1) -> tuple[Step, ...]:
        """The steps of a list that is a scope of its own: explicit ids are unique in it."""
        steps = self._list(node, label, depth)
        self._check_ids(steps)
        return steps

    def _list(self, node: Node, label: str, depth: int) -> tuple[Step, ...]:
        steps = [self._step(item, depth) for item in read_items(self._report, node, label)]
        return tuple(step for step in steps if step is not None)

    def _step(self, node: Node, depth: int) -> Step | None:
        """One step; None after a problem that leaves nothing to go on with."""
        if not self._admit(node, depth):
            return None
        if node.kind == "text":
            return CallStep(function=read_name(self._report, node, "a step"))
        if node.kind != "mapping":
            if node.kind != "broken":
                remedy = "write `steps:` before a nested list" if node.kind == "list" else "write a function's name"
                self._report.add(node.place, f"a step must be a function's name or a mapping, not {node.word}", remedy)
            return None
        kind = self._kind(node)
        return None if kind is None else self._of_kind(kind, node, depth)

    def _admit(self, node: Node, depth: int) -> bool:
        self._count += 1
        if self._count > MAX_STEPS:
            if self._count == MAX_STEPS + 1:
                self._report.add(node.place, f"more than {MAX_STEPS} steps in a flow", "split the flow")
            return False
        if depth > MAX_DEPTH:
            self._report.add(node.place, f"steps nested deeper than {MAX_DEPTH}", "split the flow")
            return False
        return True

    def _kind(self, node: Node) -> str | None:
        """Which kind of step a mapping is; None, with the problems reported, when it is not exactly one."""
        later = [key for key in node.fields if key in LATER_KINDS]
        for key in later:
            message = f"{shown(key)} is not available in this version"
            self._report.add(node.fields[key].key, message, f"this version has {', '.join(KINDS)}")
        if later:
            return None
        kinds = [key for key in node.fields if key in KINDS]
        if len(kinds) == 1:
            return kinds[0]
        if kinds:
            message = f"a step is of one kind, not {' and '.join(shown(kind) for kind in kinds)}"
            self._report.add(node.fields[kinds[1]].key, message, "make them steps of their own")
            return None
        self._report_no_kind(node)
        return None

    def _report_no_kind(self, node: Node) -> None:
        """Report a mapping without a kind at the key that was perhaps meant as one."""
        for key, value in node.fields.items():
            if key not in CALL_KEYS and key not in LATER_KEYS and key != "id":
                self._report.add(
                    value.key, f"unknown kind of step {shown(key)}", meant(key, KINDS, "a step has one of")
                )
                return
        self._report.add(node.place, "a step says what it does", f"write one of {', '.join(KINDS)}")

    def _of_kind(self, kind: str, node: Node, depth: int) -> Step:
        known = KINDS[kind]
        misplaced = [key for key in node.fields if key in CALL_KEYS and key not in known]
        for key in misplaced:
            message = f"{shown(key)} is for calls, not for {shown(kind)}"
            self._report.add(node.fields[key].key, message, "write it on the calls inside")
        fields = Fields(self._report, node, f"a {shown(kind)} step", (*known, *misplaced), LATER_KEYS)
        step_id = self._id(fields)
        body = node.fields[kind]
        step: Step
        match kind:
            case "steps":
                step = SequenceStep(steps=self._list(body, "`steps`", depth + 1), id=step_id)
            case "parallel":
                step = ParallelStep(branches=self._branches(body, depth + 1), id=step_id)
            case _:
                step = read_call(self._report, node, fields, step_id)
        if (id_node := fields.node("id")) is not None:
            self._ids[id(step)] = id_node.place
        return step

    def _id(self, fields: Fields) -> str:
        node = fields.node("id")
        return "" if node is None else read_name(self._report, node, "`id`")

    def _branches(self, node: Node, depth: int) -> dict[str, Step]:
        """The branches of a parallel, each a scope of its own."""
        entries = read_entries(self._report, node, "`parallel`")
        if node.kind == "mapping" and not entries:
            self._report.add(node.place, "`parallel` has no branches", "name at least one: {stock: reserve-stock}")
        if len(entries) > MAX_BRANCHES:
            message = f"`parallel` has {len(entries)} branches, more than {MAX_BRANCHES}"
            self._report.add(node.place, message, "split it into parallels one after another")
            return {}
        branches: dict[str, Step] = {}
        names: dict[str, str] = {}
        for name, body in entries.items():
            check_name(self._report, body.key, name)
            if (other := names.setdefault(expression_name(name), name)) != name:
                message = f"{shown(name)} and {shown(other)} are the same in an expression"
                self._report.add(body.key, message, "rename one of them")
            branch = self._branch(body, depth)
            if branch is not None:
                self._check_ids((branch,))
                branches[name] = branch
        return branches

    def _branch(self, node: Node, depth: int) -> Step | None:
        """A branch: one step, or a list of steps in sequence."""
        if node.kind != "list":
            return self._step(node, depth)
        return SequenceStep(steps=self._list(node, "a branch", depth + 1)) if self._admit(node, depth) else None

    def _check_ids(self, steps: tuple[Step, ...]) -> None:
        for step in colliding_ids(steps):
            place = self._ids[id(step)]
            message = f"the id {shown(step.id)} is taken in this flow or branch (`-` and `_` count as the same)"
            self._report.add(place, message, "choose another id")
