"""The native language: a flow as its author writes it, in YAML or JSON. What steps may say is in `steps`."""

from __future__ import annotations

from typing import Literal, cast

from legato.formats.calls import LONGEST, SHORTEST
from legato.formats.document import read_document
from legato.formats.fields import Fields
from legato.formats.naming import read_name
from legato.formats.report import WHOLE_FILE, Report, shown
from legato.formats.steps import StepReader
from legato.formats.tree import Node
from legato.model.flow import Flow, Step
from legato.model.problem import Problem
from legato.model.source import Source

KNOWN = ("flow", "description", "timeout", "on_disconnect", "steps")
_LATER = ("input", "output", "durable", "answer_within")
ON_DISCONNECT = ("cancel", "finish")
_FILES = (".yaml", ".yml", ".json")  # how an origin ends that is a file's path: a name has no dot


def read_flow(source: Source) -> tuple[Flow | None, list[Problem]]:
    """The flow in a source, or every problem that it has. Never raises; one of the two is always there."""
    root, report = read_document(source.origin, source.text, "json" if source.language == "fnkit" else "yaml")
    if root is None:
        if report.ok:
            report.add(WHOLE_FILE, "the file is empty", f"write a flow: {{flow: {source.name}, steps: [...]}}")
        return None, report.problems()
    flow = _read(report, root, source)
    return (flow if report.ok else None), report.problems()


def _read(report: Report, root: Node, source: Source) -> Flow:
    fields = Fields(report, root, "a flow", KNOWN, _LATER)
    on_disconnect = fields.choice("on_disconnect", "", ON_DISCONNECT)
    return Flow(
        name=_read_flow_name(report, fields, source),
        steps=_read_steps(report, fields),
        description=fields.text("description"),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST),
        on_disconnect=cast("Literal['', 'cancel', 'finish']", on_disconnect),
    )


def _read_flow_name(report: Report, fields: Fields, source: Source) -> str:
    node = fields.required("flow", f"name it: flow: {source.name}")
    name = "" if node is None else read_name(report, node, "`flow`")
    if node is not None and name and name != source.name:
        other = "its file" if source.origin.endswith(_FILES) else "to be defined as"
        report.add(
            node.place, f"the flow is called {shown(name)}, {other} {shown(source.name)}", "give both the same name"
        )
    return name


def _read_steps(report: Report, fields: Fields) -> tuple[Step, ...]:
    node = fields.required("steps", "list what to call: steps: [validate-order]")
    if node is None:
        return ()
    if node.kind == "list" and not node.items:
        report.add(node.place, "a flow needs at least one step", "list what to call: steps: [validate-order]")
    return StepReader(report).scope(node, "`steps`")
