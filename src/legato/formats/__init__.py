"""Definitions as text, read into the model. One file per language; no key of any language is known outside.

`read` is for definitions, `settings.read_settings` for `legato.yaml`. Nothing in here raises because of what a text
holds, and nothing in here opens a file.
"""

from __future__ import annotations

import json
from typing import Any

from legato.formats.findings import Find
from legato.formats.fnkit import read_pipeline
from legato.formats.native import read_flow
from legato.formats.settings import read_settings
from legato.model.definition import Definition
from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Language, Source

__all__ = ["language_of", "placed", "read", "read_settings"]

_decode = json.JSONDecoder(parse_int=str, parse_float=str).decode  # no conversion of numbers that nobody looks at


def read(source: Source) -> Definition:
    """The definition in a source: a flow, or the problems that it has."""
    warnings: list[Problem] = []
    if source.trouble is not None:
        flow, problems = None, [source.trouble]
    elif source.language == "native" or _is_native_json(source.text):
        flow, problems, warnings = read_flow(source)
    else:
        flow, problems = read_pipeline(source)
    return Definition(
        name=source.name,
        origin=source.origin,
        source=source,
        flow=flow,
        problems=tuple(problems),
        warnings=tuple(warnings),
        draft=source.draft,
    )


def placed(source: Source, find: Find) -> list[Problem]:
    """The faults that `find` finds in the flow of a source, each where it was written. The text is read again."""
    if source.language == "native" or _is_native_json(source.text):
        return read_flow(source, find).problems
    return []


def language_of(text: bytes) -> Language:
    """Which language a text without a file's name is in: fnkit's pipelines are JSON objects with `mode`."""
    document = _json(text)
    return "fnkit" if isinstance(document, dict) and "mode" in document and "flow" not in document else "native"


def _is_native_json(text: bytes) -> bool:
    """Whether JSON is a flow of our own (`flow`, and no `mode`). What does not parse counts as a pipeline."""
    document = _json(text)
    return isinstance(document, dict) and "flow" in document and "mode" not in document


def _json(text: bytes) -> Any:
    """The value of a JSON text, None for anything else."""
    if len(text) > MAX_BYTES:
        return None
    try:
        return _decode(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
