"""A catalog over stores in memory, in an event loop that turns when the test says so."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from legato.catalog import Catalog
from legato.model.problem import Problem
from legato.model.source import Gone, Source
from legato.telemetry.log import Log
from legato.testing import MemoryStore

BROKEN = b"steps: [a\n"


def text(name: str, *steps: str) -> bytes:
    """A good definition."""
    return json.dumps({"flow": name, "steps": list(steps) or ["f"]}).encode()


def source(name: str, body: bytes | None = None, origin: str = "", draft: bool = False, trouble: str = "") -> Source:
    origin = origin or f"somewhere {name}"
    problem = Problem(file=origin, message=trouble) if trouble else None
    body = b"" if trouble else text(name) if body is None else body
    return Source(name=name, language="native", text=body, origin=origin, draft=draft, trouble=problem)


def gone(name: str, origin: str = "", how: Any = "deleted") -> Gone:
    return Gone(name=name, origin=origin or f"somewhere {name}", how=how)


class Scene:
    """`changes` are the names that the catalog said had changed, batch by batch."""

    def __init__(self, *stores: MemoryStore) -> None:
        self.stores = stores
        self.lines = io.StringIO()
        self.log = Log(self.lines)
        self.catalog = Catalog(stores, self.log)
        self.changes: list[list[str]] = []

    def changed(self, names: Sequence[str]) -> None:
        self.changes.append(list(names))

    def begin(self) -> Scene:
        """As a gateway starts: read everything, then follow it. Needs a running loop."""
        self.catalog.load()
        self.catalog.watch(self.changed)
        return self

    async def turn(self) -> list[list[str]]:
        """Let the loop take over what was told; the changes since the last time."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the log is written at the end of a turn
        changes, self.changes = self.changes, []
        return changes

    @property
    def shown(self) -> dict[str, str]:
        """The definitions in a word each: their state and where they come from."""
        return {name: f"{each.state} {each.origin}" for name, each in self.catalog.definitions.items()}


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test as a coroutine."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
