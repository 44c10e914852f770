"""How the demo prints: plain text, one thing at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from demo.processes import Call

WIDTH = 40  # characters of the time line


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def curl(port: int, path: str, body: str, token: str) -> str:
    """The line that a user would type."""
    return f"$ curl -H 'Authorization: Bearer {token}' -d '{body}' http://localhost:{port}{path}"


def pretty(value: Any) -> str:
    """JSON as people read it: short values on one line, long ones with a line for each member."""
    flat = json.dumps(value)
    if len(flat) <= 100 or not isinstance(value, dict):
        return flat
    items = cast("dict[str, Any]", value).items()
    members = [f"  {json.dumps(name)}: {json.dumps(member)}" for name, member in items]
    return "{\n" + ",\n".join(members) + "\n}"


def calls_table(calls: Sequence[Call], began: float, took: float) -> str:
    """When each function was called and for how long, by its own clock, over the time of the whole request."""
    rows = ["", "  called            status   after    took   seen over the time of the request"]
    for call in calls:
        start = round((call.began - began) / took * WIDTH)
        length = max(1, round((call.ended - call.began) / took * WIDTH))
        bar = (" " * start + "=" * length)[:WIDTH]
        after, lasted = (call.began - began) * 1000, (call.ended - call.began) * 1000
        rows.append(f"  {call.function:16}  {call.status:6}  {after:4.0f} ms  {lasted:3.0f} ms  |{bar:{WIDTH}}|")
    return "\n".join(rows)
