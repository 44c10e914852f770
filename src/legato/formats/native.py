"""The native language: a flow as its author writes it, in YAML or JSON. What steps may say is in `steps`."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from legato.formats.callbacks import read_callback
from legato.formats.document import read_document
from legato.formats.fields import Fields
from legato.formats.findings import Find, may_have_findings, report_findings
from legato.formats.kinds import FLOW_KEYS, KINDS
from legato.formats.mappings import read_mapping
from legato.formats.modifiers import LONGEST_STORED
from legato.formats.naming import read_name
from legato.formats.report import WHOLE_FILE, Report, shown
from legato.formats.scalars import DAY
from legato.formats.schemas import read_schema
from legato.formats.steps import StepReader
from legato.formats.tree import Node
from legato.formats.undos import LONGEST, SHORTEST
from legato.kernel import check
from legato.model.flow import Flow
from legato.model.problem import Problem
from legato.model.source import Source
from legato.model.steps import Step

KNOWN = FLOW_KEYS
ON_DISCONNECT = ("cancel", "finish")
STRATEGIES = ("backward", "forward")
_FILES = (".yaml", ".yml", ".json")  # how an origin ends that is a file's path: a name has no dot


class Reading(NamedTuple):
    """What a text says: a flow, or every problem that it has; and what may be meant otherwise."""

    flow: Flow | None
    problems: list[Problem]
    warnings: list[Problem]


def read_flow(source: Source, find: Find | None = None) -> Reading:
    """The flow in a source, or every problem that it has. Never raises; one of the two is always there.

    `find` finds what is wrong with a flow as a whole, what it shows by itself if nobody says otherwise.
    """
    root, report = read_document(source.origin, source.text, "json" if source.language == "fnkit" else "yaml")
    if root is None:
        if report.ok:
            report.add(WHOLE_FILE, "the file is empty", f"write a flow: {{flow: {source.name}, steps: [...]}}")
        return Reading(None, report.problems(), [])
    return read_root(root, report, source, find=find or (check if may_have_findings(report.text) else None))


def read_root(root: Node, report: Report, source: Source, *, find: Find | None = check) -> Reading:
    """The flow in a tree, wherever that comes from. Without `find`, what only all steps together show is not told."""
    if not report.ok:
        report.gap()
    fields = _fields(report, root)
    durable = fields.boolean("durable", False)
    reader = StepReader(report, durable)
    flow = _read(reader, fields, durable, source)
    reader.places.keep(flow, root)
    if (callback := root.fields.get("callback")) is not None:
        reader.places.keep_key(flow, "callback", callback.fields.get("url", callback))
    if find is not None and not report.gaps:
        report_findings(flow, report, reader.places, find)
    return Reading(flow if report.ok else None, report.problems(), report.warnings())


def _read(reader: StepReader, fields: Fields, durable: bool, source: Source) -> Flow:
    report = reader.report
    on_disconnect = fields.choice("on_disconnect", "", ON_DISCONNECT)
    schema, output, callback = fields.node("input"), fields.node("output"), fields.node("callback")
    return Flow(
        name=_read_flow_name(report, fields, source),
        steps=_read_steps(reader, fields),
        description=fields.text("description"),
        timeout=fields.duration("timeout", None, SHORTEST, LONGEST_STORED if durable else LONGEST),
        on_disconnect=cast("Literal['', 'cancel', 'finish']", on_disconnect),
        durable=durable,
        strategy=cast("Literal['backward', 'forward']", fields.choice("strategy", "backward", STRATEGIES)),
        answer_within=fields.duration("answer_within", None, 0, DAY),
        input=None if schema is None else read_schema(report, schema, "`input`"),
        output=None if output is None else read_mapping(report, output, "`output`"),
        on_failure=_read_more_steps(reader, fields, "on_failure"),
        finally_=_read_more_steps(reader, fields, "finally"),
        callback=None if callback is None else read_callback(report, callback),
    )


def _fields(report: Report, root: Node) -> Fields:
    """The keys of a flow. A step that stands where a flow should is told where it belongs."""
    misplaced = [key for key in root.fields if key in KINDS and key not in FLOW_KEYS]
    for key in misplaced:
        message = f"{shown(key)} is a step, and stands beside `flow`"
        report.add(root.fields[key].key, message, f"write it in the list: steps: [{{{key}: ...}}]")
    return Fields(report, root, "a flow", FLOW_KEYS, told=misplaced)


def _read_flow_name(report: Report, fields: Fields, source: Source) -> str:
    node = fields.required("flow", f"name it: flow: {source.name}")
    name = "" if node is None else read_name(report, node, "`flow`")
    if node is not None and name and name != source.name:
        other = "its file" if source.origin.endswith(_FILES) else "to be defined as"
        report.add(
            node.place, f"the flow is called {shown(name)}, {other} {shown(source.name)}", "give both the same name"
        )
    return name


def _read_steps(reader: StepReader, fields: Fields) -> tuple[Step, ...]:
    node = fields.required("steps", "list what to call: steps: [validate-order]")
    if node is None:
        reader.report.gap()
        return ()
    if node.kind == "list" and not node.items:
        reader.report.add(node.place, "a flow needs at least one step", "list what to call: steps: [validate-order]")
    return reader.scope(node, "`steps`")


def _read_more_steps(reader: StepReader, fields: Fields, key: str) -> tuple[Step, ...]:
    node = fields.node(key)
    return () if node is None else reader.scope(node, shown(key))
