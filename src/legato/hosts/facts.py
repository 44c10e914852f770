"""What a run knows of the request that started it, as expressions see it."""

from __future__ import annotations

from urllib.parse import parse_qsl

from legato.kernel import Facts, Program
from legato.model.payload import json_payload
from legato.ports import Caller


def facts_of(program: Program, run_id: bytes, caller: Caller) -> Facts:
    """The facts that a program looks at; the rest is not made."""
    if "request" not in program.roots:
        return Facts(run_id.decode())
    document = {
        "method": caller.method.decode("latin-1"),
        "path": caller.rest.decode("latin-1"),
        "query": query_of(caller.query),
        "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in caller.fields.items()},
    }
    return Facts(run_id.decode(), json_payload(document))


def query_of(query: bytes) -> dict[str, str | list[str]]:
    """The parameters of a query: text, or a list of texts for one that is there several times."""
    found: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace"):
        before = found.get(name)
        if before is None:
            found[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            found[name] = [before, value]
    return found
