"""The steps that call no function and hold no steps: `flow set sleep wait publish respond fail`."""

from __future__ import annotations

import re

from legato.formats.expressions import OPENING, check_text
from legato.formats.fields import Fields
from legato.formats.mappings import read_mapping
from legato.formats.modifiers import Modifiers
from legato.formats.naming import read_name
from legato.formats.report import Report, shown
from legato.formats.requests import read_headers
from legato.formats.scalars import read_duration, read_text
from legato.formats.schemas import read_schema
from legato.formats.tree import Node
from legato.formats.undos import SHORTEST
from legato.model.mapping import Template
from legato.model.steps import FailStep, FlowStep, PublishStep, RespondStep, SetStep, SleepStep, WaitStep

TOPIC = re.compile(r"[\x21-\x7e]{1,255}")  # what every broker takes at least as a name
BODILESS = (204, 205, 304)  # RFC 9110: an answer with one of these has no content


def read_flow_step(report: Report, body: Node, modifiers: Modifiers) -> FlowStep:
    """Another flow by its name."""
    return FlowStep(flow=read_name(report, body, "`flow`"), **modifiers)


def read_set(report: Report, body: Node, modifiers: Modifiers) -> SetStep:
    """A value made of others."""
    return SetStep(set=read_mapping(report, body, "`set`"), **modifiers)


def read_sleep(report: Report, body: Node, longest: float, modifiers: Modifiers) -> SleepStep:
    """A pause of `longest` seconds at most."""
    return SleepStep(sleep=read_duration(report, body, "`sleep`", SHORTEST, longest) or SHORTEST, **modifiers)


def read_wait(report: Report, body: Node, fields: Fields, modifiers: Modifiers) -> WaitStep:
    """A wait for a signal."""
    default, schema = fields.node("default"), fields.node("schema")
    if default is not None and fields.node("timeout") is None:
        report.add(default.key, "`default` is never used without `timeout`", "say how long to wait: timeout: 1h")
    return WaitStep(
        wait=read_name(report, body, "`wait`"),
        default=None if default is None else read_mapping(report, default, "`default`"),
        schema=None if schema is None else read_schema(report, schema, "`schema`"),
        **modifiers,
    )


def read_publish(report: Report, body: Node, modifiers: Modifiers) -> PublishStep:
    """A topic to publish to."""
    topic = read_text(report, body, "`publish`") or ""
    if OPENING in topic:
        report.add(body.place, "`publish` cannot hold an expression", "write the topic's name; choose between steps")
    elif topic and not TOPIC.fullmatch(topic):
        remedy = "write one word of at most 255 visible ASCII characters"
        report.add(body.place, f"`publish` is no topic: {shown(topic)}", remedy)
    return PublishStep(publish=topic, **modifiers)


def read_respond(report: Report, body: Node, fields: Fields, modifiers: Modifiers) -> RespondStep:
    """An early answer."""
    status = fields.integer("status", RespondStep(respond=Template(value=None)).status, 200, 599)
    written = fields.node("status")
    if written is not None and status in BODILESS:
        report.add(written.place, f"an answer with status {status} has no body", "write 200, 201 or 202")
    return RespondStep(
        respond=read_mapping(report, body, "`respond`"),
        status=status,
        headers=read_headers(report, fields.node("headers")),
        **modifiers,
    )


def read_fail(report: Report, body: Node, fields: Fields, modifiers: Modifiers) -> FailStep:
    """An error that ends the flow."""
    for key in ("undo", "pivot"):
        if (node := fields.node(key)) is not None:
            report.add(node.key, f"`{key}` is of no use here: a `fail` is never done", "remove it")
    text = read_text(report, body, "`fail`")
    if text is not None and not check_text(report, body, text):
        text = None
    return FailStep(fail=text or "", status=fields.integer("status", FailStep(fail="").status, 400, 599), **modifiers)
