"""Which steps' results a flow's expressions read: only those are kept."""

from __future__ import annotations

import re
from collections.abc import Container

import msgspec

from legato.model.flow import Flow
from legato.model.names import expression_name

# A step as nearly everybody writes it, or the word alone: then CEL's blanks, comments or escapes come in between.
_READ = re.compile(r"""(?<!")steps(?![A-Za-z0-9_])(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*\\?["']([^"'\\]+)\\?["']\s*\])?""")


class _Every:
    """Every name there is."""

    def __contains__(self, name: object) -> bool:
        return True


def steps_read(flow: Flow) -> Container[str]:
    """Names that follow `steps` anywhere in a flow: more than are read perhaps, never less."""
    text = msgspec.json.encode(flow).decode()
    names: list[str | None] = []
    if "steps" in text and "${" in text:
        names = [match[1] or match[2] for match in _READ.finditer(text)]
    return _Every() if None in names else {expression_name(name) for name in names if name}
