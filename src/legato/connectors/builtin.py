"""Built-in functions for trying things: `echo`, `fail` (status by input) and `slow` (seconds by input)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from legato.errors import NotJSON
from legato.model.function import Function
from legato.model.outcome import Outcome, classify
from legato.model.payload import json_payload
from legato.model.steps import CallStep
from legato.ports import Attempt

LONGEST = 3600.0  # seconds that `slow` waits at most


class BuiltinConnector:
    """Binds functions that have a `builtin` name."""

    def bind(self, function: Function, step: CallStep) -> BuiltinTarget:
        """Choose the behaviour by name."""
        return BuiltinTarget(function, step)

    async def close(self) -> None:
        """Nothing is held."""


class BuiltinTarget:
    """One built-in function as one call step calls it."""

    def __init__(self, function: Function, step: CallStep) -> None:
        self.timeout = step.timeout or function.timeout
        self.safe = function.idempotent or function.keyed or step.idempotent
        self._act = _ACTS[function.builtin or "echo"]

    def idempotent(self, attempt: Attempt) -> bool:
        """Whether calling twice does no harm, by the definition's word."""
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        """Behave as the name says."""
        attempt.sent = True
        self._act(attempt)

    def abort(self, attempt: Attempt) -> None:
        """Stop waiting."""
        if attempt.handle is not None:  # of `slow`; uvloop's handles are not asyncio's
            cast("asyncio.TimerHandle", attempt.handle).cancel()
        attempt.settle(Outcome("unknown", detail="aborted"))


def _echo(attempt: Attempt) -> None:
    attempt.settle(Outcome("ok", attempt.payload, 200))


def _fail(attempt: Attempt) -> None:
    """Answer with the status in the input's `status` (400 to 599), else 500."""
    status = int(_number(attempt, "status", 500.0))
    status = status if 400 <= status <= 599 else 500
    body = json_payload({"error": "the built-in function `fail` was asked to", "status": status})
    attempt.settle(Outcome(classify(status), body, status, f"the function answered {status}"))


def _slow(attempt: Attempt) -> None:
    """Echo after the input's `seconds`, else one."""
    seconds = min(max(_number(attempt, "seconds", 1.0), 0.0), LONGEST)
    attempt.handle = asyncio.get_running_loop().call_later(seconds, _echo, attempt)


_ACTS: dict[str, Callable[[Attempt], None]] = {"echo": _echo, "fail": _fail, "slow": _slow}


def _number(attempt: Attempt, name: str, default: float) -> float:
    try:
        value = attempt.payload.value()
    except NotJSON:
        return default
    if not isinstance(value, dict):
        return default
    number = cast("dict[str, object]", value).get(name)
    return float(number) if isinstance(number, int | float) else default
