"""What the API and the command line say of a definition."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from legato.model.flow import Flow
from legato.model.paths import natural_id
from legato.model.source import Revision
from legato.model.steps import CallStep, FlowStep, ParallelStep, PythonStep, SequenceStep, Step
from legato.model.walk import steps_inside
from legato.orchestrator import Deployed


class FlowDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A definition (contract 5).

    `version` is the digest of what is served, `digest` that of the text, which is also its ETag. `outline` is its
    steps in a line, `warnings` what may be meant. `source` and `revisions` are there when one flow is asked for.
    """

    name: str
    version: str | None
    state: str
    origin: str
    language: str = ""
    outline: str = ""
    digest: str = ""
    problems: list[dict[str, object]] = []
    warnings: list[dict[str, object]] = []
    shadows: tuple[str, ...] = ()
    note: str = ""
    source: str = ""
    revisions: list[dict[str, str]] = []

    def plain(self) -> dict[str, Any]:
        """The document as JSON has it."""
        return msgspec.to_builtins(self)


def flow_document(deployed: Deployed) -> FlowDocument:
    """What a list says of a flow."""
    definition, flow = deployed.definition, deployed.flow
    source = definition.source
    return FlowDocument(
        name=definition.name,
        version=deployed.version,
        state=deployed.state,
        origin=definition.origin,
        language="" if source is None else source.language,
        outline="" if flow is None else outline(flow),
        digest="" if source is None else source.digest,
        problems=[problem.entry() for problem in deployed.problems],
        warnings=[warning.entry() for warning in deployed.warnings],
        shadows=definition.shadows,
        note=definition.note,
    )


def whole_flow_document(deployed: Deployed, revisions: list[Revision]) -> FlowDocument:
    """All that is known of a flow."""
    document = flow_document(deployed)
    source = deployed.definition.source
    document.source = "" if source is None else source.text.decode("utf-8", "replace")
    document.revisions = [{"version": revision.version, "created": revision.created} for revision in revisions]
    return document


def outline(flow: Flow) -> str:
    """The steps in a line: `a, [b | c], d`, cut where it gets long. Of code, where it is."""
    line = flow.code or ", ".join(map(_outline, flow.steps))
    return line if len(line) <= 200 else line[:199] + "…"


def _outline(step: Step) -> str:
    match step:
        case CallStep():
            return step.function
        case PythonStep():
            return step.python
        case FlowStep():
            return f"flow {step.flow}"
        case ParallelStep():
            return f"[{' | '.join(map(_outline, step.branches.values()))}]"
        case _:
            kind = natural_id(replace(step, id=""))
            inside = ", ".join(map(_outline, steps_inside(step)))
            return f"({inside})" if isinstance(step, SequenceStep) else f"{kind}({inside})" if inside else kind
