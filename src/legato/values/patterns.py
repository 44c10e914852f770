"""Regular expressions, of one dialect wherever a user writes one: `matches` in expressions, `pattern` in schemas.

The engine is the one behind JSON Schema's `pattern`: linear in the text, bounded in memory; so it has no lookaround and
no backreferences. Python's `re` would let a pattern take for ever.
"""

from __future__ import annotations

import functools

import jsonschema_rs

# Bytes of a compiled pattern. What an author wrote is compiled once, when it is loaded; what comes with the data, each
# time, and a large one takes tens of milliseconds.
_WRITTEN = 8 * 1024 * 1024
_FROM_DATA = 256 * 1024
PATTERN_REMEDY = "write a smaller one, without lookaround and backreferences"
MAX_PATTERN = 1000  # characters of one that comes with the data

PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=_WRITTEN, dfa_size_limit=_WRITTEN)

Matcher = jsonschema_rs.Draft202012Validator


@functools.lru_cache(maxsize=1024)
def matcher(pattern: str, is_written: bool) -> Matcher | None:
    """What tells by `is_valid` whether a part of a text fits; None for a pattern that cannot be used."""
    options = PATTERN_OPTIONS
    if not is_written:
        if len(pattern) > MAX_PATTERN:
            return None
        options = jsonschema_rs.RegexOptions(size_limit=_FROM_DATA, dfa_size_limit=_FROM_DATA)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    except ValueError:
        return None
