"""The schemas of the steps that hold other steps: `parallel`, `graph`, `foreach`, `choose`."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from legato.formats import branches, choices, graphs, loops
from legato.formats.schema_parts import STEP, STEPS, Schema, count, flag, mapping, name, whole
from legato.formats.schema_values import VALUE, expression
from legato.model.flow import MAX_BRANCHES, MAX_ITEMS, MAX_WINDOW


def parallel_keys() -> dict[str, Schema]:
    """The keys of a parallel."""
    quorum = count("How many branches must succeed.", 1, MAX_BRANCHES)
    return {
        "parallel": {
            "description": "Branches by name, called at once, each with the current value. The next value is an object "
            f"of their values by name. When one fails, the others are cancelled. At most {MAX_BRANCHES}.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": MAX_BRANCHES,
            "propertyNames": name(),
            "additionalProperties": {
                "description": "A branch: one step, or a list of steps in sequence.",
                "anyOf": [STEP, STEPS],
            },
        },
        "join": {
            "description": "How many branches must succeed; when they have, the others are cancelled.",
            "default": "all",
            "anyOf": [{"enum": [*branches.JOINS]}, mapping(branches.QUORUM_KEYS, {"quorum": quorum}, ("quorum",))],
        },
        "merge": {
            "description": "What becomes of the object of values: `flat` puts the branches' own keys together, `first` "
            "takes the value of the first branch that is there, an expression makes something of it.",
            "type": "string",
            "pattern": rf"^(?:{'|'.join(branches.MERGES)}|\s*\$\{{[\s\S]*\}}\s*)$",
            "examples": ["flat", "first"],
        },
        "prefer": {
            "description": "With `merge: flat`, the branches whose keys count where several have one, the first most.",
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
        },
    }


def loop_keys() -> dict[str, Schema]:
    """The keys beside `foreach`, or in it."""
    return {
        "concurrency": count("How many items at a time.", 1, MAX_WINDOW, default=loops.USUAL.concurrency),
        "tolerate": {
            "description": 'How many items may fail: a number, or a share such as "50%".',
            "default": 0,
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_ITEMS},
                {"type": "string", "pattern": whole(loops.PERCENT.pattern)},
            ],
        },
        "min_successful": count("How many items must succeed, instead of `tolerate`.", 0, MAX_ITEMS),
        "collect": {
            "description": "What the value is: a list of the items' values, a list of outcomes, or, over an object, an "
            "object of values by key.",
            "enum": [*loops.COLLECT],
            "default": loops.USUAL.collect,
        },
        "steps": {"description": "What is done with each item, which is the value there.", **STEPS},
    }


def foreach() -> Schema:
    """What a loop goes over."""
    over = expression("What to go over: a list or an object.", "${input.items}")
    listed: Schema = {"type": "array"}
    keys = {**loop_keys(), "over": {"description": over["description"], "anyOf": [over, listed, {"type": "object"}]}}
    inside = mapping(loops.FOREACH_KEYS, keys, ("over",))
    inside["not"] = {"required": ["tolerate", "min_successful"]}
    return {
        "description": "What to go over, a list or an object; or a mapping with `over` and the keys beside `foreach`.",
        "anyOf": [over, listed, inside],
        "examples": ["${input.items}"],
    }


def choose() -> Schema:
    """The cases of a choice."""
    keys: dict[str, Schema] = {
        "when": expression("Whether this case is taken.", "${value.total > 100}"),
        "otherwise": {"description": "Taken when no other case is.", "const": True},
        "name": name("What the case is called in paths, and in the value where `all` are taken."),
        "steps": {"description": "What is done then.", **STEPS},
        "call": name("The function to call then; short for `steps` with one call."),
    }
    case: Schema = {
        **mapping(choices.CASE_KEYS, keys),
        "allOf": [
            {"oneOf": [{"required": ["when"]}, {"required": ["otherwise"]}]},
            {"oneOf": [{"required": ["steps"]}, {"required": ["call"]}]},
            {"not": {"required": ["otherwise", "name"]}},
        ],
    }
    cases: Schema = {
        "description": "Cases, of which the first that holds is taken; at most one with `otherwise: true`.",
        "type": "array",
        "items": case,
        "contains": {"required": ["when"]},
    }
    named: Schema = {"items": {"if": {"required": ["when"]}, "then": {"required": ["name"]}}}
    every = {
        "all": flag("Take every case that holds, at once; the value is an object by the cases' names.", False),
        "cases": cases,
    }
    with_all: Schema = {
        **mapping(choices.CHOOSE_KEYS, every, ("cases",)),
        "if": {"properties": {"all": {"const": True}}, "required": ["all"]},
        "then": {"properties": {"cases": named}},
    }
    return {"description": "A choice: a list of cases, or a mapping with `all`.", "anyOf": [cases, with_all]}


def after() -> Schema:
    """What a node of a graph comes after."""
    transform: Schema = {
        "anyOf": [
            {"enum": [*graphs.EDGES]},
            {"type": "string", "pattern": r"\$\{"},
            {"type": ["object", "array"], **VALUE},
        ]
    }
    return {
        "description": "The nodes that this one comes after: a name, a list of names, or a mapping of names to `data` "
        "(it gets their value), `order` (it only waits), or what it gets instead.",
        "anyOf": [
            name(),
            {"type": "array", "items": name(), "uniqueItems": True},
            {"type": "object", "additionalProperties": transform},
        ],
    }
