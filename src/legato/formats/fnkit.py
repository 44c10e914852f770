"""fnkit's pipelines, as its command writes them to Valkey: `{"mode": "sequential" | "parallel", "steps": [...]}`.

Where fnkit was lenient by design (other keys, blank steps) so is this; where it ran something else than was written
(any other mode as sequential, a parallel step listed twice) this refuses.
"""

from __future__ import annotations

from legato.formats import scalars
from legato.formats.document import read_document
from legato.formats.naming import check_name
from legato.formats.report import WHOLE_FILE, Place, Report, shown
from legato.formats.tree import Node
from legato.model.flow import MAX_BRANCHES, MAX_STEPS, Flow
from legato.model.names import fnkit_name_problem
from legato.model.problem import Problem
from legato.model.source import Source
from legato.model.steps import CallStep, ParallelStep, Step

MODES = ("sequential", "parallel")

_EXAMPLE = '{"mode": "sequential", "steps": ["validate-order"]}'


def read_pipeline(source: Source) -> tuple[Flow | None, list[Problem]]:
    """The pipeline in a source, or every problem that it has. Never raises; one of the two is always there."""
    root, report = read_document(source.origin, source.text, "json")
    if root is None:
        if report.ok:
            report.add(WHOLE_FILE, "the pipeline is empty", f"write {_EXAMPLE}")
        return None, report.problems()
    check_name(report, WHOLE_FILE, source.name, fnkit_name_problem)
    flow = _read(report, root, source.name)
    return (flow if report.ok else None), report.problems()


def _read(report: Report, root: Node, name: str) -> Flow | None:
    if root.kind != "mapping":
        scalars.wrong_kind(report, root, "a pipeline", "an object", f"write {_EXAMPLE}")
        return None
    mode = _read_mode(report, root)
    steps = _read_steps(report, root)
    if mode == "parallel":
        return Flow(name=name, dialect="fnkit", steps=(_parallel(report, steps),))
    if len(steps) > MAX_STEPS:
        report.add(root.fields["steps"].place, f"more than {MAX_STEPS} steps in a pipeline", "split it")
    return Flow(
        name=name, dialect="fnkit", steps=tuple(CallStep(function=step, forward="pipeline") for step, _ in steps)
    )


def _read_mode(report: Report, root: Node) -> str:
    remedy = f'write "mode": "{MODES[0]}" or "mode": "{MODES[1]}"'
    node = root.fields.get("mode")
    if node is None:
        report.add(root.place, "a pipeline needs `mode`", remedy)
        return ""
    mode = scalars.read_text(report, node, "`mode`")
    if mode is not None and mode.lower() not in MODES:
        report.add(node.place, f"`mode` cannot be {shown(mode)}", remedy)
    return "" if mode is None else mode.lower()


def _read_steps(report: Report, root: Node) -> list[tuple[str, Place]]:
    """The names of the steps with their places: blanks trimmed, and dropped where nothing else is there."""
    node = root.fields.get("steps")
    if node is None:
        report.add(root.place, "a pipeline needs `steps`", f"write {_EXAMPLE}")
        return []
    steps: list[tuple[str, Place]] = []
    for item in scalars.read_items(report, node, "`steps`"):
        if item.kind == "text" and not item.text.strip():
            continue
        name = scalars.read_text(report, item, "a step")
        if name is not None:
            check_name(report, item.place, name.strip(), fnkit_name_problem)
            steps.append((name.strip(), item.place))
    if node.kind == "list" and not any(item.text.strip() or item.kind != "text" for item in node.items):
        report.add(node.place, "a pipeline needs at least one step", f"write {_EXAMPLE}")
    return steps


def _parallel(report: Report, steps: list[tuple[str, Place]]) -> ParallelStep:
    branches: dict[str, Step] = {}
    for name, place in steps:
        if name in branches:
            report.add(place, f"{shown(name)} is in the parallel already", "list it once: results are keyed by name")
        branches[name] = CallStep(function=name, forward="pipeline")
    if len(branches) > MAX_BRANCHES:
        message = f"a parallel of {len(branches)} steps, more than {MAX_BRANCHES}"
        report.add(steps[0][1], message, "split the pipeline")
    return ParallelStep(branches=branches, lenient=True)
