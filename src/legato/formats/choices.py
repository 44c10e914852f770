"""The native language's `choose`: its cases, and what is done when none holds."""

from __future__ import annotations

from legato.formats.branches import check_names
from legato.formats.expressions import read_expression
from legato.formats.fields import Fields
from legato.formats.modifiers import Modifiers
from legato.formats.nest import Nest
from legato.formats.report import shown
from legato.formats.scalars import read_boolean, read_items, read_text
from legato.formats.tree import Node
from legato.model.steps import Case, ChooseStep, Step

CHOOSE_KEYS = ("all", "cases")
CASE_KEYS = ("when", "otherwise", "name", "steps", "call")

_EXAMPLE = 'write [{when: "${...}", steps: [...]}, {otherwise: true, steps: [...]}]'


class _Cases:
    """The cases of one `choose`, as they are read."""

    def __init__(self, nest: Nest, depth: int) -> None:
        self.nest = nest
        self.depth = depth
        self.cases: list[Case] = []
        self.otherwise: tuple[Step, ...] | None = None
        self.names: dict[str, Node] = {}

    def read(self, node: Node, named: bool) -> None:
        """One case; `named` says that its value goes by its name."""
        report = self.nest.report
        fields = Fields(report, node, "a case", CASE_KEYS)
        if node.kind != "mapping":
            report.gap()
            return
        steps = self._steps(node, fields)
        when, otherwise, name = fields.node("when"), fields.node("otherwise"), fields.node("name")
        if (when is None) == (otherwise is None):
            report.add(node.place, "a case needs either `when` or `otherwise: true`", _EXAMPLE)
            report.gap()
        elif otherwise is not None:
            self._take_otherwise(otherwise, name, steps)
        elif when is not None:
            if named and name is None:
                report.add(node.place, "a case needs `name` where `all` are taken", "name it: its value goes by that")
            case = Case(
                when=read_expression(report, when, "`when`"),
                steps=steps,
                name="" if name is None else self._name(name),
            )
            self.nest.places.keep(case, node)
            self.cases.append(case)

    def _name(self, node: Node) -> str:
        name = read_text(self.nest.report, node, "`name`") or ""
        if name in self.names:
            message = f"a case before it is called {shown(name)} as well"
            self.nest.report.add(node.place, message, "choose another name")
        elif name:
            at_name = Node("text", node.place, name)
            at_name.key = node.place
            self.names[name] = at_name
        return name

    def _take_otherwise(self, node: Node, name: Node | None, steps: tuple[Step, ...]) -> None:
        report = self.nest.report
        if node.kind == "list":
            report.add(node.place, "`otherwise` must be true", "write {otherwise: true, steps: [...]}")
        elif read_boolean(report, node, "`otherwise`") is False:
            report.add(node.place, "`otherwise` must be true", "write true, or a `when` instead")
        if name is not None:
            report.add(name.key, "`name` is for cases with `when`", "remove it")
        if self.otherwise is not None:
            report.add(node.key, "there is an `otherwise` already", "keep one")
        self.otherwise = steps

    def _steps(self, node: Node, fields: Fields) -> tuple[Step, ...]:
        report, steps, call = self.nest.report, fields.node("steps"), fields.node("call")
        if steps is not None and call is not None:
            report.add(call.key, "`call` is short for `steps`", "keep one of them")
        if steps is not None:
            return self.nest.scope(steps, "`steps`", self.depth + 1)
        if call is None:
            otherwise = fields.node("otherwise")
            if otherwise is None or otherwise.kind != "list":  # which is told what it should have said
                report.add(node.place, "a case needs `steps`", "list what to do: steps: [notify]")
            report.gap()
            return ()
        if call.kind != "text":
            read_text(report, call, "`call`")
            report.gap()
            return ()
        step = self.nest.step(call, self.depth + 1)
        return () if step is None else (step,)


def read_choose(nest: Nest, body: Node, modifiers: Modifiers, depth: int) -> ChooseStep:
    """A choice from the list of its cases, or from a mapping with `all`."""
    report, every, listed = nest.report, False, body
    if body.kind == "mapping":
        fields = Fields(report, body, "`choose`", CHOOSE_KEYS)
        every = fields.boolean("all", False)
        listed = fields.required("cases", _EXAMPLE) or Node("broken", body.place)
    cases = _Cases(nest, depth)
    for item in read_items(report, listed, "`choose`" if listed is body else "`cases`"):
        cases.read(item, every)
    check_names(report, cases.names)
    if listed.kind == "list" and not any("when" in item.fields for item in listed.items):
        report.add(listed.place, "`choose` has no case with `when`", _EXAMPLE)
    if not cases.cases:
        report.gap()
    return ChooseStep(cases=tuple(cases.cases), otherwise=cases.otherwise, all=every, **modifiers)
