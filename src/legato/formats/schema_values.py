"""The schemas of what makes values: expressions, data with expressions, shaping, headers, queries."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from legato.formats.requests import HEADER, MAX_PATH, OUR_PREFIXES, OURS
from legato.formats.schema_parts import IN_URL, Schema, in_any_case, mapping, text, whole
from legato.model.mapping import SHAPING

EXPRESSION_PATTERN = r"^\s*\$\{[\s\S]*\}\s*$"
VALUE: Schema = {"$ref": "#/$defs/value"}

_CLIMBING = r"(?:/|%2[fF])(?:\.|%2[eE]){2}(?:/|%2[fF]|$)"
_WITH_EXPRESSION: Schema = {"pattern": r"\$\{"}


def expression(description: str, *examples: str) -> Schema:
    """A text that is one expression."""
    return {
        "description": f'{description} One expression: "${{...}}".',
        "type": "string",
        "pattern": EXPRESSION_PATTERN,
        "examples": [*examples],
    }


def made(description: str, *examples: object) -> Schema:
    """What makes a value: data with expressions, or shaping."""
    words = f"{description} Data whose texts may hold ${{...}}, or shaping: {', '.join(SHAPING)}."
    return {"description": words, **({"examples": [*examples]} if examples else {}), **VALUE}


def value_definition() -> Schema:
    """Data, which is anything; but a mapping of shaping words alone is shaping."""
    path: Schema = {"type": "string", "pattern": r"^(?!.*\$\{)(?=.*\S)[^.]+(?:\.[^.]+)*$"}
    paths: Schema = {"anyOf": [path, {"type": "array", "items": path, "minItems": 1}]}
    keys: dict[str, Schema] = {
        "under": {"description": "Go on with what stands at this path.", **path},
        "pick": {"description": "Keep these paths only.", **paths},
        "drop": {"description": "Leave out these paths.", **paths},
        "rename": {
            "description": "Give paths other names: old: new.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": path,
            "additionalProperties": path,
        },
        "wrap": {"description": "Put it into an object, under this key.", **path, "not": {"pattern": r"\."}},
    }
    shaping: Schema = {"type": "object", "minProperties": 1, "propertyNames": {"enum": [*SHAPING]}}
    return {"if": shaping, "then": mapping(SHAPING, keys)}


def path(description: str) -> Schema:
    """A path that is appended to a URL."""
    return {
        "description": f"{description} It begins with a slash; no query, no `..`. Each ${{...}} is one part of it.",
        "type": "string",
        "pattern": r"^/",
        "anyOf": [{"pattern": rf"^(?!.*{_CLIMBING})(?:{IN_URL}|/)*$"}, _WITH_EXPRESSION],
        "maxLength": MAX_PATH,
        "examples": ["/v1/charges", "/v1/orders/${input.orderId}"],
    }


def query() -> Schema:
    """A query by name."""
    scalar: Schema = {"type": ["string", "number", "boolean", "null"]}
    return {
        "description": "The query by name. A list repeats its name; null leaves it out.",
        "type": "object",
        "propertyNames": {"minLength": 1},
        "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar}]},
        "examples": [{"currency": "${input.currency}", "tag": ["a", "b"]}],
    }


def headers(description: str) -> Schema:
    """Headers by name."""
    ours = "|".join([*(f"{in_any_case(each)}$" for each in OURS), *map(in_any_case, OUR_PREFIXES)])
    value = text("", anyOf=[{"pattern": r"^[\x20-\x7e\xa0-\xff]*$"}, _WITH_EXPRESSION])
    del value["description"]
    return {
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": rf"^(?!{ours})(?:{HEADER.pattern})$"},
        "additionalProperties": value,
        "examples": [{"x-tenant": "${input.tenant}"}],
    }


def status(*more: Schema) -> Schema:
    """A status, or a hundred of them."""
    text_form: Schema = {"type": "string", "pattern": whole(r"[1-5](?:[0-9]{2}|[xX]{2})")}
    return {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, text_form, *more]}
