"""How a value is made from others, as data: what stands after `input:`, `output:`, `set:` and the like.

`legato.values` compiles and evaluates these; here they are only what an author wrote, in its canonical form.
"""

from __future__ import annotations

import msgspec

SHAPING = ("under", "pick", "drop", "rename", "wrap")  # the words, in the order in which they are applied


class Template(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="value"):
    """A JSON value whose strings may hold `${...}`."""

    value: object


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="shape"):
    """Fields chosen, renamed and wrapped, in the order of SHAPING. Paths are keys joined by dots."""

    under: str = ""
    pick: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    wrap: str = ""


Mapping = Template | Shape

AS_IT_IS = Template(value="${value}")
