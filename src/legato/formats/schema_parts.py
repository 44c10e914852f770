"""The parts of which the languages' schemas are made. Every bound comes from whoever uses them, that is, a reader."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from legato.formats import scalars
from legato.formats.scalars import spell_duration
from legato.model.names import NAME, RESERVED

Schema = dict[str, Any]

STEP: Schema = {"$ref": "#/$defs/step"}
STEPS: Schema = {"$ref": "#/$defs/steps"}

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IN_URL = r"[!$&-;=@-\[\]_a-z~]|%[0-9A-Fa-f]{2}"  # what a path may hold, and the path of a URL
IN_HOST = r"[!$&-.0-;=A-\[\]_a-z~]|%[0-9A-Fa-f]{2}"  # what the server of a URL may be called

_VARIABLE = r"\$\{\s*env\.[A-Za-z_][A-Za-z0-9_]*\s*\}"
_WITH_VARIABLES = rf"^(?=[\s\S]*\$\{{)(?:[^$]|\$(?!\{{)|{_VARIABLE})*$"


def whole(pattern: str) -> str:
    """A pattern that all of the text must fit."""
    return f"^(?:{pattern})$"


def in_any_case(word: str) -> str:
    """A pattern for a word in capital or small letters."""
    return "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in word)


def mapping(known: Collection[str], properties: Mapping[str, Schema], required: Collection[str] = ()) -> Schema:
    """A mapping of the keys that its reader knows."""
    return {
        "type": "object",
        "properties": {key: properties[key] for key in known},
        "required": list(required),
        "additionalProperties": False,
    }


def name(description: str = "") -> Schema:
    """A name by the language's rule."""
    schema: Schema = {"type": "string", "pattern": whole(NAME.pattern), "not": {"enum": sorted(RESERVED)}}
    return {"description": description, **schema} if description else schema


def text(description: str, **more: object) -> Schema:
    """Text that is not blank."""
    return {"description": description, "type": "string", "pattern": r"\S", **more}


def flag(description: str, default: bool) -> Schema:
    """`true` or `false`."""
    return {"description": description, "type": "boolean", "default": default}


def count(description: str, low: int, high: int, **more: object) -> Schema:
    """A whole number."""
    description = f"{description} From {low:,} to {high:,}."
    return {"description": description, "type": "integer", "minimum": low, "maximum": high, **more}


def json_schema(description: str) -> Schema:
    """A JSON Schema that the author writes."""
    example = {"type": "object", "required": ["orderId"]}
    return {"description": description, "type": ["object", "boolean"], "examples": [example]}


def duration(description: str, low: float, high: float, default: float | None = None) -> Schema:
    """How long, as text. No pattern can see the upper bound; it is told."""
    not_zero = r"(?![0.]+[a-z])" if low else ""
    schema: Schema = {
        "description": f"{description} One number and one unit, from {spell_duration(low)} to {spell_duration(high)}.",
        "type": "string",
        "pattern": f"^{not_zero}(?:{scalars.DURATION.pattern})$",
        "examples": ["150ms", "2s", "5m"],
    }
    return schema if default is None else {**schema, "default": spell_duration(default)}


def size(description: str, low: int, high: int, default: int) -> Schema:
    """How many bytes, as a number or as text."""
    return {
        "description": f"{description} A number of bytes, or 64KiB, 16MiB, 1GiB; at least {low}.",
        "default": next(f"{default // by}{unit}" for unit, by in reversed(scalars.SIZES.items()) if default % by == 0),
        "anyOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": whole(scalars.SIZE.pattern)},
        ],
    }


def or_variables(schema: Schema) -> Schema:
    """A setting: a value, or text that holds variables, of which nothing but their form can be seen."""
    said = {key: schema[key] for key in ("description", "default", "examples") if key in schema}
    bare = {key: value for key, value in schema.items() if key not in said}
    if bare.get("type") == "string":
        bare["not"] = {"pattern": r"\$\{"}
    choices = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    return {**said, "anyOf": [*choices, {"type": "string", "pattern": _WITH_VARIABLES}]}
