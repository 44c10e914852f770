"""Definitions as text, read into the model. One file per language; no key of any language is known outside.

`read` and `read_all` are for definitions, `settings.read_settings` for `legato.yaml`. Nothing in here raises because
of what a file holds, and nothing in here opens a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from legato.formats.fnkit import read_pipeline
from legato.formats.native import read_flow
from legato.formats.settings import read_settings
from legato.model.bundle import Bundle, Definition
from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Source

__all__ = ["read", "read_all", "read_settings"]


def read(source: Source) -> Definition:
    """The definition in a source: a flow, or the problems that it has."""
    native = source.language == "native" or _is_native_json(source.text)
    flow, problems = read_flow(source) if native else read_pipeline(source)
    return Definition(name=source.name, origin=source.origin, flow=flow, problems=tuple(problems))


def read_all(sources: Iterable[Source]) -> Bundle:
    """Every definition by name. A name that several sources define is broken: which one is meant is not ours to say."""
    found: dict[str, list[Definition]] = {}
    for source in sources:
        found.setdefault(source.name, []).append(read(source))
    return Bundle(definitions={name: same[0] if len(same) == 1 else _conflict(same) for name, same in found.items()})


def _conflict(same: list[Definition]) -> Definition:
    origins = ", ".join(definition.origin for definition in same)
    message = f"the flow {same[0].name!r} is defined {len(same)} times: {origins}"
    conflict = Problem(file=same[0].origin, message=message, remedy="keep one of them")
    problems = [problem for definition in same for problem in definition.problems]
    return Definition(name=same[0].name, origin=origins, problems=(conflict, *problems))


def _is_native_json(text: bytes) -> bool:
    """Whether JSON is a flow of our own (`flow`, and no `mode`). What does not parse counts as a pipeline."""
    if len(text) > MAX_BYTES:
        return False
    try:
        document: Any = json.loads(text.decode("utf-8-sig"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "flow" in document and "mode" not in document
