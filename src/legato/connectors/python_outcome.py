"""What a call of Python code comes to: its result or its exception, as an outcome."""

from __future__ import annotations

import inspect

from legato.connectors.python_context import PythonContext
from legato.errors import ComeAgain, NotJSON, Refused
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload


def outcome_of(result: object, context: PythonContext | None) -> Outcome:
    """A call that returned, with what it shares. Raises NotJSON for what is no answer."""
    return Outcome("ok", _answer(result), 200, shared=None if context is None else context.changes)


def _answer(result: object) -> Payload:
    if result is None:
        return EMPTY
    if isinstance(result, Payload):
        return result
    if isinstance(result, bytes):
        return Payload(b"application/octet-stream", (result,), len(result))
    if inspect.iscoroutine(result):
        result.close()  # else Python warns that nobody awaits it, in some other place
        raise NotJSON("a coroutine, which is not awaited in a thread: make the function an `async def`")
    return json_payload(result)


def outcome_of_error(error: BaseException) -> Outcome:
    """A call that raised. What it says is shown to callers only where it was meant for them."""
    text = str(error).encode("utf-8", "replace").decode()  # a message may hold what no document can
    if isinstance(error, Refused):
        return Outcome("refused", status=error.status, detail=text)
    if isinstance(error, ComeAgain):
        return Outcome("retryable", status=503, detail=text, retry_after=error.delay)
    if isinstance(error, NotJSON):
        return Outcome("unknown", status=500, detail=f"the function's answer: {text}")
    # What it says may be meant for nobody outside (an address, a password); it goes to the log.
    name = type(error).__name__
    return Outcome("unknown", status=500, detail=f"the function raised {name}", private=f"{name}: {text}")
