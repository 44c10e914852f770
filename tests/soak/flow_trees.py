"""Flows as trees of plain data: what may be put into which mapping, and damage that leaves a tree a tree."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

from legato.formats.kinds import FLOW_KEYS, KINDS, LOOP_KEYS, MODIFIERS

KEYS = sorted({*FLOW_KEYS, *LOOP_KEYS, *MODIFIERS, *(key for own in KINDS.values() for key in own)})
KEYS += ["over", "after", "cases", "all", "otherwise", "name", "value", "pick", "url", "attempts", "zzz", "<<", "1"]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, 1e300, "", " ", "skip", "a", "A B", "${value}", "${", "$${",
    "${value.a} ${nope}", "${steps.nope}", "1s", "0s", "-1s", "99999d", "50%", "2xx", [], {}, [[]],
    {"": 1}, {"a": {"b": [None]}}, ["a", "a"],
    "x" * 5000, {"value": 1}, {"value": 1, "pick": "a"}, "\u2028", "\U0010ffff",
]  # fmt: skip

# For keys of the language, values that most of them may have, and that are not their defaults.
TELLING: dict[str, Any] = {
    "description": "y", "timeout": "1s", "when": "${true}", "input": {"zz": 1}, "output": {"zz": 1}, "on_error": "skip",
    "retry": {"attempts": 2}, "undo": "zz", "method": "PATCH", "path": "/zz", "query": {"zz": 1}, "id": "zz",
    "headers": {"x-zz": "1"}, "encode": "form", "decode": "text", "success": 299, "return_status": True, "status": 504,
    "idempotent": True, "hedge": "3s", "on_response": "m:f", "join": "any", "merge": "first", "concurrency": 3,
    "tolerate": 7, "min_successful": 0, "collect": "outcomes", "attempts": 5, "backoff": "3s", "max_backoff": "59m",
    "when_status": [502], "name": "zz", "delay": "3s", "on_failure": ["zz"], "finally": ["zz"], "callback": "http://h/zz",
    "answer_within": "1s", "on_disconnect": "cancel", "steps": ["zz"], "call": "zz", "value": 1,
}  # fmt: skip


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (mapping or list, key or index) in a tree."""
    waiting = [tree]
    while waiting:
        inner = waiting.pop()
        keys = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            yield inner, key
            waiting.append(inner[key])


def damaged(random: Random, tree: Any, other: Any) -> Any:
    """A copy with one to four things exchanged, moved, renamed, removed, doubled, or taken from another tree."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 4))):
        found = list(places(tree))
        if not found:
            return random.choice(VALUES)
        (around, key), (there, name) = random.choice(found), random.choice(list(places(other)) or found)
        match random.randrange(8):
            case 0 | 1:
                around[key] = copy.deepcopy(random.choice(VALUES))
            case 2 | 3:
                around[key] = copy.deepcopy(there[name])
            case 4:
                del around[key]
            case 5 if isinstance(around, dict):
                around[random.choice(KEYS)] = around.pop(key)
            case 6 if isinstance(around, dict):
                around[random.choice(KEYS)] = copy.deepcopy(random.choice((there[name], random.choice(VALUES))))
            case 7 if isinstance(around, list):
                around.insert(random.randrange(len(around) + 1), copy.deepcopy(around[key]))
            case _:
                around[key] = [around[key]]
    return tree


def deepened(random: Random, tree: Any) -> Any:
    """A copy in which something stands as deep as nobody writes it."""
    tree = copy.deepcopy(tree)
    found = list(places(tree))
    if found:
        around, key = random.choice(found)
        for _ in range(random.choice((20, 60, 130, 3000))):
            around[key] = random.choice(([around[key]], {"steps": [around[key]]}, {"a": around[key]}))
    return tree


# Which mappings have keys of the language, and none else.


def closed(flow: dict[str, Any]) -> list[dict[str, Any]]:
    """The mappings of a right flow whose keys are all of the language: one more of another name must be reported."""
    found: list[dict[str, Any]] = [flow]
    if isinstance(flow.get("callback"), dict):
        found += [flow["callback"], *_mapping(flow["callback"].get("retry"))]
    for key in ("steps", "on_failure", "finally"):
        found += _of_steps(flow.get(key))
    return found


def _mapping(tree: Any) -> list[dict[str, Any]]:
    return [tree] if isinstance(tree, dict) else []


def _of_steps(steps: Any) -> list[dict[str, Any]]:
    return [each for step in (steps if isinstance(steps, list) else []) for each in _of_step(step)]


def _of_step(step: Any) -> list[dict[str, Any]]:
    if isinstance(step, list):
        return _of_steps(step)
    if not isinstance(step, dict):
        return []
    found: list[dict[str, Any]] = [step, *_mapping(step.get("retry")), *_mapping(step.get("hedge"))]
    found += _mapping(step.get("join"))
    if isinstance(step.get("undo"), dict):
        found += [step["undo"], *_mapping(step["undo"].get("retry"))]
    on_error = step.get("on_error")
    if isinstance(on_error, dict):
        found += [on_error, *_of_steps(on_error.get("steps"))]
    return found + _inside(step)


def _inside(step: dict[str, Any]) -> list[dict[str, Any]]:
    if "foreach" in step:
        body = step["foreach"]
        inner = body.get("steps") if isinstance(body, dict) and "over" in body else step.get("steps")
        return [*(_mapping(body) if isinstance(body, dict) and "over" in body else []), *_of_steps(inner)]
    if isinstance(step.get("steps"), list):
        return _of_steps(step["steps"])
    for key in ("parallel", "graph"):
        if isinstance(step.get(key), dict):
            return [each for inner in step[key].values() for each in _of_step(inner)]
    if "choose" in step:
        body = step["choose"]
        cases = body.get("cases") if isinstance(body, dict) else body
        found = _mapping(body)
        for case in cases if isinstance(cases, list) else []:
            found += [*_mapping(case), *_of_steps(case.get("steps") if isinstance(case, dict) else None)]
        return found
    return []
