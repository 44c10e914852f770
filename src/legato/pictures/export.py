"""A flow as JSON: what faas-flow's `export-dag` says of one, as far as it applies, and our own paths and settings.

Keys with a hyphen are faas-flow's. Those in one word are ours: `path`, `kind`, `says`, and those of the flow itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec

from legato.model.flow import Flow
from legato.model.steps import (
    CallStep,
    ChooseStep,
    ForeachStep,
    GraphStep,
    OnError,
    ParallelStep,
    PythonStep,
    SequenceStep,
    Step,
)
from legato.pictures.parts import Body, Part, Whole

Object = dict[str, Any]

_WITHIN = frozenset({"id", "steps", "branches", "nodes", "cases", "otherwise"})  # what stands elsewhere


def export(whole: Whole) -> str:
    """The flow as a JSON document of two-space indents."""
    return msgspec.json.format(msgspec.json.encode(_whole(whole)), indent=2).decode() + "\n"


def _whole(whole: Whole) -> Object:
    flow = whole.flow
    document: Object = {"flow": flow.name, "version": flow.version, **_about(flow)}
    document |= _dag(flow.name, whole.parts)
    if whole.on_failure:
        document["on-failure"] = _dag(f"{whole.path}/failure", whole.on_failure)
    if whole.finally_:
        document["finally"] = _dag(f"{whole.path}/finally", whole.finally_)
    document["is-valid"] = True
    if whole.cut:
        document["cut"] = True
    return document


def _about(flow: Flow) -> Object:
    """What a flow says of itself."""
    says: Object = msgspec.to_builtins(flow)
    return {key: each for key, each in says.items() if key not in ("name", "steps", "on_failure", "finally")}


def _dag(name: str, parts: Sequence[Part]) -> Object:
    """Steps one after another."""
    followers = {part.id: [after.id] for part, after in pairwise(parts)}
    return _nodes(name, [(part, part.id) for part in parts], followers, {})


def _beside(name: str, bodies: Sequence[Body]) -> Object:
    """Branches or nodes."""
    inner = [(body.parts[0], body.name) for body in bodies if body.parts]
    followers: dict[str, list[str]] = {}
    orders: dict[str, dict[str, bool]] = {}
    for body in bodies:
        for before, edge in body.after.items():
            followers.setdefault(before, []).append(body.name)
            if edge.order:
                orders.setdefault(before, {})[body.name] = True
    return _nodes(name, inner, followers, orders)


def _nodes(
    name: str,
    parts: Sequence[tuple[Part, str]],
    followers: dict[str, list[str]],
    orders: dict[str, dict[str, bool]],
) -> Object:
    degree: dict[str, int] = {}
    for those in followers.values():
        for each in those:
            degree[each] = degree.get(each, 0) + 1
    ids = [node_id for _, node_id in parts]
    starts = [each for each in ids if not degree.get(each)]
    ends = [each for each in ids if not followers.get(each)]
    edges = sum(map(len, followers.values()))
    dag: Object = {"id": name}
    if len(starts) == 1:
        dag["start-node"] = starts[0]
    if len(ends) == 1:
        dag["end-node"] = ends[0]
    return dag | {
        "has-branch": any(len(those) > 1 for those in followers.values()) or len(starts) > 1,
        "has-edge": edges > 0,
        "exec-only-dag": 0 < edges == sum(map(len, orders.values())),
        "nodes": {
            node_id: _node(part, node_id, number, degree.get(node_id, 0), followers.get(node_id, []))
            | ({"child-exec-only": orders[node_id]} if node_id in orders else {})
            for number, (part, node_id) in enumerate(parts)
        },
    }


def _node(part: Part, node_id: str, number: int, before: int, after: list[str]) -> Object:
    step = part.step
    node: Object = {
        "id": node_id,
        "node-index": number,
        "unique-id": part.path,
        "path": part.path,
        "kind": part.kind,
        "is-dynamic": isinstance(step, ForeachStep | ChooseStep),
        "is-condition": isinstance(step, ChooseStep),
        "is-foreach": isinstance(step, ForeachStep),
        "has-aggregator": isinstance(step, ParallelStep | ForeachStep | GraphStep),
        "has-sub-aggregator": isinstance(step, ChooseStep) and step.all,
        "has-subdag": isinstance(step, SequenceStep | ParallelStep | GraphStep) or part.whole is not None,
        "in-degree": before,
        "out-degree": len(after),
        "operations": _operations(part),
        "childrens": after,
    }
    node |= _within(part)
    node["says"] = _says(step)
    if part.note:
        node["note"] = part.note
    return node


def _says(step: Step) -> Object:
    """What a step says besides, in the model's words; defaults are left out."""
    said: Object = {}
    for name, key, default in _fields(type(step)):
        each = getattr(step, name)
        if each != default:
            if isinstance(each, OnError):
                each = msgspec.structs.replace(each, steps=())
            said[key] = msgspec.to_builtins(each)
    return said


@cache
def _fields(kind: type[Step]) -> list[tuple[str, str, object]]:
    """(name, key, default) of what a kind of step may say; None is no value of any."""
    return [
        (field.name, field.encode_name, field.default_factory() if callable(field.default_factory) else field.default)
        for field in msgspec.structs.fields(kind)
        if field.name not in _WITHIN
    ]


def _within(part: Part) -> Object:
    """What is within a step, under the names that faas-flow has for it."""
    found: Object = {}
    bodies = part.inner
    match part.step:
        case SequenceStep() if bodies:
            found["sub-dag"] = _dag(part.path, bodies[0].parts)
        case ParallelStep() | GraphStep() if bodies:
            found["sub-dag"] = _beside(part.path, bodies)
        case ForeachStep() if bodies:
            found["foreach-dag"] = _dag(f"{part.path}[*]", bodies[0].parts)
        case ChooseStep() if bodies:
            found["conditional-dags"] = {body.name: _dag(f"{part.path}.{body.name}", body.parts) for body in bodies}
            found["conditions"] = {body.name: body.when for body in bodies if body.when}
        case _:
            if part.whole is not None:
                found["sub-dag"] = _whole(part.whole)
    if part.error is not None:
        found["error-dag"] = _dag(f"{part.path}/error", part.error.parts)
    return found


def _operations(part: Part) -> list[Object]:
    """What a node itself does: one call, or nothing that is called."""
    step = part.step
    if not isinstance(step, CallStep | PythonStep):
        return []
    is_code = isinstance(step, PythonStep)
    properties = {
        "isMod": is_code,
        "isFunction": not is_code,
        "isHttpRequest": False,
        "hasFailureHandler": step.on_error is not None,
        "hasResponseHandler": isinstance(step, CallStep) and bool(step.on_response),
    }
    return [{"name": step.python if is_code else step.function, "properties": properties}]
