"""JSON Schemas: what a flow's input must be. Compiled once; nothing is ever fetched, patterns take linear time.

Problems say where and what is wanted, never what was sent: they are shown to callers and written to logs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import jsonschema_rs
import msgspec

from legato.model.payload import MAX_DEPTH, Payload
from legato.values.faults import MAX_FAULTS, ExpressionError, Fault, printable
from legato.values.patterns import PATTERN_OPTIONS, PATTERN_REMEDY

MAX_PROBLEMS = 100  # nobody reads more
_MAX_LISTED = 5_000  # elements; the engine collects every problem, some 10 us each, before it gives the first
_LATEST = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA = ("const", "enum", "default", "examples", "example")  # what is under these is no schema
_TYPES = "array, boolean, integer, null, number, object, string"


class SchemaProblem(msgspec.Struct, frozen=True):
    """One way in which a value is not what a schema asks for. `pointer` is a JSON Pointer (RFC 6901), empty for all."""

    pointer: str
    detail: str


class Schema:
    """A compiled JSON Schema; draft 2020-12 unless it says another. A `format` that is known is asserted."""

    __slots__ = ("_validator",)

    def __init__(self, validator: jsonschema_rs.Validator) -> None:
        self._validator = validator

    def problems(self, payload: Payload) -> list[SchemaProblem]:
        """What is wrong with a payload, nothing if it is as it should be. At most 100, then a count. No body is `null`.

        Raises NotJSON for a body that cannot be JSON.
        """
        value = payload.value()
        if self._validator.is_valid(value):
            return []
        if _elements(value) > _MAX_LISTED:
            return [
                *self._first(value),
                SchemaProblem("", "there may be more: a large body is checked up to its first problem"),
            ]
        errors = list(self._validator.iter_errors(value))
        found = [_problem(error) for error in errors[:MAX_PROBLEMS]]
        if len(errors) > MAX_PROBLEMS:
            found.append(SchemaProblem("", f"{len(errors) - MAX_PROBLEMS} more"))
        return found

    def _first(self, value: object) -> list[SchemaProblem]:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [_problem(error)]
        return []


def compile_schema(schema: object) -> Schema:
    """The schema that a JSON value is. Raises ExpressionError with every fault, each with the pointer to it."""
    if not isinstance(schema, (dict, bool)):
        raise ExpressionError([Fault("a JSON Schema is a mapping", "write for example {type: object}")])
    faults = list(_remote(cast("object", schema), ())) or list(_wrong(cast("Any", schema)))
    if faults:
        raise ExpressionError(faults[:MAX_FAULTS])
    try:
        return Schema(_validator(cast("Any", schema), "the value"))
    except jsonschema_rs.ValidationError as error:
        fault = _fault(error)
    except (ValueError, TypeError, OverflowError) as error:
        fault = Fault(f"the schema cannot be used: {_short(str(error))}", "write it as plain JSON, not too deep")
    raise ExpressionError([fault])


def _validator(schema: dict[str, Any] | bool, mask: str | None) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        schema, validate_formats=True, pattern_options=PATTERN_OPTIONS, offline=True, mask=mask
    )


@functools.lru_cache(maxsize=8)
def _meta_validator(draft: str) -> jsonschema_rs.Validator:
    return _validator({"$ref": draft}, None)


def _wrong(schema: dict[str, Any] | bool) -> Iterable[Fault]:
    """What the draft's own schema has against it; nothing for what it is not able to look at."""
    draft = schema.get("$schema", _LATEST) if isinstance(schema, dict) else _LATEST
    try:
        errors = _meta_validator(draft).iter_errors(schema)
    except (jsonschema_rs.ValidationError, ValueError, TypeError, OverflowError):
        return  # compiling it says why
    yield from map(_fault, errors)


def _fault(error: jsonschema_rs.ValidationError) -> Fault:
    path = tuple(error.instance_path)
    if path and path[-1] == "type":
        return Fault("this is no type of JSON", f"write one of {_TYPES}, or a list of them", 0, path)
    if error.message.endswith('is not a "regex"'):
        return Fault("the pattern is not valid", PATTERN_REMEDY, 0, path)
    return Fault(f"the schema is not valid: {_short(error.message)}", "see json-schema.org for what it may be", 0, path)


def _remote(schema: object, path: tuple[str | int, ...]) -> Iterable[Fault]:
    """References to other documents: a gateway does not fetch what a definition names."""
    if len(path) > MAX_DEPTH:
        yield Fault(f"the schema is nested deeper than {MAX_DEPTH}", "use `$defs` and `$ref`", 0, path)
    elif isinstance(schema, dict):
        for name, value in cast("Mapping[str, object]", schema).items():
            if name in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
                yield Fault(
                    f"`{name}` names another document",
                    "copy it under `$defs`, and write #/$defs/name",
                    0,
                    (*path, name),
                )
            elif name not in _DATA:
                yield from _remote(value, (*path, name))
    elif isinstance(schema, list):
        for index, value in enumerate(cast("Sequence[object]", schema)):
            yield from _remote(value, (*path, index))


def _problem(error: jsonschema_rs.ValidationError) -> SchemaProblem:
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
    message = "there must be nothing here" if error.message.startswith("False schema") else error.message
    return SchemaProblem(pointer, _short(message))


def _short(text: str) -> str:
    return printable(text.split("\n", 1)[0], 300)


def _elements(value: object) -> int:
    """How many elements a value has, counted until there are too many."""
    count = 0
    rest = [value]
    while rest and count <= _MAX_LISTED:
        each = rest.pop()
        if isinstance(each, dict):
            each = list(cast("dict[str, object]", each).values())
        if isinstance(each, list):
            count += len(cast("list[object]", each))
            rest.extend(cast("list[object]", each)[: _MAX_LISTED + 1])
    return count
