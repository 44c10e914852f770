"""Functions for the tests of the Python connector."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from legato.errors import ComeAgain, Refused
from legato.model.payload import Payload

NOT_CALLABLE = 5
seen: list[object] = []


class Inner:
    """A place for a dotted name."""

    @staticmethod
    def double(value: int) -> int:
        return value * 2


def price(order: dict[str, int]) -> dict[str, object]:
    return {"total": order["amount"] * 2, "thread": threading.current_thread().name}


async def price_soon(order: dict[str, int]) -> dict[str, object]:
    await asyncio.sleep(0)
    return {"total": order["amount"] * 2, "thread": threading.current_thread().name}


def give(what: str) -> Any:
    """Whatever is asked for."""
    return {
        "none": None,
        "bytes": b"\x00\xff",
        "payload": Payload.of(b"text/csv", b"a,b"),
        "text": "words",
        "list": [1, None],
        "object": object(),
    }[what]


def fail(how: str) -> None:
    if how == "refused":
        raise Refused("no such order", 404)
    if how == "again":
        raise ComeAgain("busy", 2.5)
    if how == "stop":
        next(iter(()))
    raise KeyError(how)


async def fail_soon(how: str) -> None:
    fail(how)


async def hang(value: object) -> None:
    seen.append(value)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


async def cancel_itself(_: object) -> None:
    raise asyncio.CancelledError


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"
