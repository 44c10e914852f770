"""The schemas of the steps: their kinds, and what each may carry. Those of calls are in `schema_calls`."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from legato.formats import graphs, leaves, modifiers
from legato.formats.kinds import KINDS, MODIFIERS
from legato.formats.modifiers import LONGEST_STORED
from legato.formats.schema_calls import attempt_timeout, call_keys, undo
from legato.formats.schema_composed import after, choose, foreach, loop_keys, parallel_keys
from legato.formats.schema_parts import STEP, STEPS, Schema, count, duration, flag, json_schema, mapping, name, text
from legato.formats.schema_values import VALUE, expression, headers, made
from legato.formats.undos import SHORTEST
from legato.model.flow import MAX_STEPS


def step_definitions() -> dict[str, Schema]:
    """What a list of steps is, what a step is, and what a node of a graph is."""
    short = name("The function to call with the current value; short for `call: NAME`.")
    return {
        "steps": {"type": "array", "maxItems": MAX_STEPS, "items": STEP},
        "step": {
            "description": f"A step: a function's name, or a mapping with one of {', '.join(KINDS)}.",
            "anyOf": [short, *map(_kind, KINDS)],
        },
        "node": {
            "description": "A node of a graph: a step, which may say what it comes `after`.",
            "anyOf": [short, *(_node(kind, number) for number, kind in enumerate(KINDS, 1))],
        },
        "on_error": _on_error(),
        "undo": undo(),
    }


def _node(kind: str, number: int) -> Schema:
    """A step of a kind that may have `after` as well; its own keys are those of the step, the `number`-th."""
    step = _kind(kind)
    keys: dict[str, Schema] = {
        key: {"description": schema["description"], "$ref": f"#/$defs/step/anyOf/{number}/properties/{key}"}
        for key, schema in step["properties"].items()
    }
    return {**step, **mapping((*keys, *graphs.NODE_KEYS), {**keys, "after": after()}, (kind,))}


def _kind(kind: str) -> Schema:
    timeout = attempt_timeout() if kind in ("call", "python") else _step_timeout(kind)
    keys = {**call_keys(), **_other_keys(), **_modifiers(), "timeout": timeout}
    if kind == "respond":
        keys["headers"] = headers("Headers of the answer, by name.")
        keys["status"] = count("The answer's status; it has a body.", 200, 599, default=200)
        keys["status"]["not"] = {"enum": [*leaves.BODILESS]}
    if kind == "foreach":
        keys["steps"] = loop_keys()["steps"]
    schema = mapping((*KINDS[kind], *MODIFIERS), keys, (kind,))
    return {**schema, **_RULES.get(kind, {})}


# What no list of keys says.
_RULES: dict[str, Schema] = {
    "foreach": {
        "anyOf": [{"required": ["steps"]}, {"properties": {"foreach": {"type": "object", "required": ["steps"]}}}],
        "not": {"required": ["tolerate", "min_successful"]},
    },
    "wait": {"dependentRequired": {"default": ["timeout"]}},
    "parallel": {"dependentSchemas": {"prefer": {"properties": {"merge": {"const": "flat"}}, "required": ["merge"]}}},
}


def _step_timeout(kind: str) -> Schema:
    words = "How long to wait for the signal." if kind == "wait" else "How long the whole step may take."
    return duration(words, SHORTEST, LONGEST_STORED)


def _modifiers() -> dict[str, Schema]:
    return {
        "id": name(
            "What the step is called in paths, errors, expressions and the log; unique within its flow or branch. "
            "Without it: the branch's name, else the function's, else the kind of step."
        ),
        "when": expression("Whether the step is done at all.", "${value.total > 100}"),
        "input": made("What the step gets instead of the current value.", {"order": "${input.orderId}"}),
        "output": made("What the step's value becomes.", {"pick": ["id"]}),
        "on_error": {
            "description": "What follows when the step fails for good: the flow fails, or the step is skipped, or a "
            "value or steps take its place.",
            "default": "fail",
            "examples": ["skip", {"value": {"stock": 0}}],
            "$ref": "#/$defs/on_error",
        },
        "undo": {
            "description": "The function that undoes this step if the flow fails later. It gets "
            '{"sent": ..., "result": ...}: what the step got, and what it left. Once the step is done, it takes the '
            "place of those within the step.",
            "$ref": "#/$defs/undo",
        },
        "pivot": flag("When this step is done, nothing in its flow is undone any more; it only goes on.", False),
    }


def _on_error() -> Schema:
    value: Schema = {"description": "What the value is then.", **VALUE}
    steps: Schema = {"description": "What is done then; `error` says what went wrong.", **STEPS}
    handler = mapping(modifiers.ON_ERROR_KEYS, {"value": value, "steps": steps})
    return {"anyOf": [{"enum": [*modifiers.ON_ERROR_WORDS]}, {**handler, "minProperties": 1, "maxProperties": 1}]}


def _other_keys() -> dict[str, Schema]:
    """The keys of the kinds that call nothing."""
    return {
        **parallel_keys(),
        **loop_keys(),
        "steps": {"description": "Steps one after another, as one step: to give them a name, by `id`.", **STEPS},
        "graph": {
            "description": "Nodes by name, each run as soon as those that it is after have ended.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": name(),
            "additionalProperties": {"$ref": "#/$defs/node"},
        },
        "foreach": foreach(),
        "choose": choose(),
        "flow": name("Another flow, with the current value as its input; its result is the next value."),
        "set": made("What the value becomes."),
        "sleep": duration("How long to wait; the value stays as it is.", SHORTEST, LONGEST_STORED),
        "wait": name("The signal to wait for; what it brings is the next value."),
        "default": made("The value when no signal came within `timeout`."),
        "schema": json_schema("A JSON Schema that what the signal brings must fit; one that does not is refused."),
        "publish": {
            "description": "The topic to publish the value to; the value stays as it is.",
            "type": "string",
            "pattern": rf"^(?!.*\$\{{)(?:{leaves.TOPIC.pattern})$",
        },
        "respond": made("Answer the caller with this now, and go on; the value stays as it is."),
        "fail": text("End the flow with an error that says this.", examples=["no stock of ${value.item}"]),
        "status": count("The status that the caller gets.", 400, 599, default=500),
    }
