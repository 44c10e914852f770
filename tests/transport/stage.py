"""The flows that most tests of the transport need."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess


def pipe(*steps: str, mode: str = "sequential") -> str:
    """A fnkit pipeline of these steps."""
    return json.dumps({"mode": mode, "steps": list(steps)})


def again(**more: object) -> dict[str, object]:
    """A call of `a` that is tried three times, without much waiting."""
    return {"call": "a", "retry": {"attempts": 3, "backoff": "1ms"}, **more}


FLOWS: dict[str, object] = {
    "echo": ["echo"],
    "one": ["a"],
    "two": ["a", "b"],
    "get": [{"call": "a", "method": "GET"}],
    "head": [{"call": "a", "method": "HEAD"}],
    "put": [{"call": "a", "method": "PUT"}],
    "delete": [{"call": "a", "method": "DELETE"}],
    "join": [{"parallel": {"left": "a", "right": "b"}}],
    "join-echo": [{"parallel": {"only": "echo"}}],
    "pipe": pipe("a", "b"),
    "pipe-one": pipe("a"),
    "pipe-join": pipe("a", "b", mode="parallel"),
    "get-cancels": {"steps": [{"call": "a", "method": "GET"}, "b"]},
    "get-finishes": {"on_disconnect": "finish", "steps": [{"call": "a", "method": "GET"}, "b"]},
    "post-finishes": {"steps": ["a", "b"]},
    "post-cancels": {"on_disconnect": "cancel", "steps": ["a", "b"]},
    "post-then-get": ["a", {"call": "b", "method": "GET"}],
    "undo-on-leave": {"on_disconnect": "cancel", "steps": [{"call": "a", "undo": "c"}, "b"]},
    "short-call": [{"call": "a", "timeout": "300ms"}],
    "short-get": [{"call": "a", "method": "GET", "timeout": "300ms"}],
    "short-run": {"timeout": "300ms", "steps": ["a"]},
    "short-run-of-three": {"timeout": "300ms", "steps": ["a", "a", "a"]},
    "again": [again()],
    "again-get": [again(method="GET")],
    "again-safe": [again(idempotent=True)],
    "again-two": [again(), {"call": "b", "retry": {"attempts": 3, "backoff": "1ms"}}],
    "undo": [{"call": "a", "id": "first", "undo": "c"}, {"call": "a", "id": "second", "undo": "c"}, "b"],
}


@dataclass
class Stage:
    gateway: GatewayProcess
    functions: dict[str, FunctionServer]
