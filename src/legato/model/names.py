"""Names of flows, functions, branches and ids: which are allowed, and why one is not (contract 2)."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
FNKIT_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+", re.ASCII)

# `localhost` as a function would reach this machine by the default rule; the others are our own first path segments.
_THIS_MACHINE = {"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}  # as /etc/hosts has it
RESERVED = frozenset(_THIS_MACHINE | {"orchestrate", "api", "livez", "readyz", "metrics", "openapi"})


def name_problem(name: str) -> str:
    """Why `name` cannot be used, in words; empty when it can."""
    if name in RESERVED:
        return f"the name {name!r} is reserved"
    if NAME.fullmatch(name):
        return ""
    return f"{name!r} is not a name: lower-case letters, digits, - and _, a letter first, at most 63"


def fnkit_name_problem(name: str) -> str:
    """As `name_problem`, by fnkit's own wider rule; a number is refused because it would reach an address."""
    if name.lower() in RESERVED:
        return f"the name {name!r} is reserved"
    if _NUMBER.fullmatch(name):
        return f"the name {name!r} is a number and would reach an address"
    if FNKIT_NAME.fullmatch(name) and len(name) <= 255:
        return ""
    return f"{name!r} is not a name: letters, digits, - and _"


def expression_name(name: str) -> str:
    """How an id is written in an expression: a hyphen is reachable as `_`."""
    return name.replace("-", "_")
