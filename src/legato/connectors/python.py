"""Functions that are Python code in this process: `module:qualname`, called with the decoded value.

A coroutine function runs on the event loop, any other in a thread of a bounded pool, so that it cannot hold up the
gateway. What it returns is the answer: None is null, bytes and Payload go as they are, everything else as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import traceback
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import attrgetter
from typing import Any

from legato.errors import ComeAgain, DefinitionError, NotJSON, Refused
from legato.model.flow import CallStep
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.ports import Attempt

THREAD_NAME = "legato-function"
THREADS = 32  # blocking functions at once; more wait their turn


class PythonConnector:
    """Binds functions that have a `python` name. `shows_errors` has what they raise printed, for developing."""

    def __init__(self, shows_errors: bool = False) -> None:
        self._shows_errors = shows_errors
        self._loaded: dict[str, Callable[[Any], Any] | str] = {}  # or why it cannot be
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)

    def bind(self, function: Function, step: CallStep) -> PythonTarget:
        """Import the code. Raises DefinitionError when it is not there or cannot be called."""
        return PythonTarget(function, step, self._code_of(function), self._threads, self._shows_errors)

    def load(self, functions: Iterable[Function]) -> None:
        """Import the code of all that are Python; what cannot be imported is a problem of the flows that call it."""
        for function in functions:
            if function.python:
                with suppress(DefinitionError):
                    self._code_of(function)

    def _code_of(self, function: Function) -> Callable[[Any], Any]:
        """The code, imported once, whether that works or not. Raises DefinitionError."""
        if function.name not in self._loaded:
            try:
                self._loaded[function.name] = load_callable(function)
            except DefinitionError as error:
                self._loaded[function.name] = str(error)
        code = self._loaded[function.name]
        if isinstance(code, str):  # not the exception itself, to which each raise would add its frames
            raise DefinitionError(code)
        return code

    async def close(self) -> None:
        """Let running threads end by themselves; start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PythonTarget:
    """One Python function as one call step calls it."""

    def __init__(
        self,
        function: Function,
        step: CallStep,
        code: Callable[[Any], Any],
        threads: ThreadPoolExecutor,
        shows_errors: bool,
    ) -> None:
        self.timeout = step.timeout or function.timeout
        self.safe = function.idempotent or function.keyed or step.idempotent
        self._code = code
        self._is_async = inspect.iscoroutinefunction(code)
        self._threads = threads
        self._shows_errors = shows_errors

    def idempotent(self, attempt: Attempt) -> bool:
        """Whether calling twice does no harm, by the definition's word."""
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        """Start the code."""
        try:
            value = attempt.payload.value()
        except NotJSON as error:
            attempt.settle(Outcome("refused", status=415, detail=f"the function takes JSON or text: {error}"))
            return
        attempt.sent = True
        work: Coroutine[Any, Any, Outcome] = self._awaited(value) if self._is_async else self._threaded(value)
        task = asyncio.get_running_loop().create_task(work)
        attempt.handle = task
        task.add_done_callback(lambda done: _settle(attempt, done))

    def abort(self, attempt: Attempt) -> None:
        """Cancel a coroutine; a thread cannot be stopped and ends unheard."""
        task = attempt.handle
        attempt.handle = None
        if isinstance(task, asyncio.Task):
            task.cancel()
        attempt.settle(Outcome("unknown", detail="aborted"))

    async def _awaited(self, value: object) -> Outcome:
        try:
            return Outcome("ok", _answer(await self._code(value)), 200)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a function that calls sys.exit ends itself, not the gateway
            return self._failed(error)

    async def _threaded(self, value: object) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._called, value)

    def _called(self, value: object) -> Outcome:
        # Caught in the thread: asyncio cannot carry a StopIteration over, and the call would hang.
        try:
            return Outcome("ok", _answer(self._code(value)), 200)
        except BaseException as error:
            return self._failed(error)

    def _failed(self, error: BaseException) -> Outcome:
        if self._shows_errors and not isinstance(error, Refused | ComeAgain):
            ours = error.__traceback__  # the frame that called the function says nothing to its author
            traceback.print_exception(type(error), error, ours and ours.tb_next)
        return _outcome_of(error)


def _settle(attempt: Attempt, task: asyncio.Task[Outcome]) -> None:
    if attempt.handle is not task:
        return  # aborted, and settled then
    attempt.handle = None
    if task.cancelled():
        attempt.settle(Outcome("unknown", detail="the function was cancelled"))
    elif (error := task.exception()) is not None:
        attempt.settle(_outcome_of(error))
    else:
        attempt.settle(task.result())


def _answer(result: object) -> Payload:
    if result is None:
        return EMPTY
    if isinstance(result, Payload):
        return result
    if isinstance(result, bytes):
        return Payload(b"application/octet-stream", (result,), len(result))
    return json_payload(result)


def _outcome_of(error: BaseException) -> Outcome:
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


def load_callable(function: Function) -> Callable[[Any], Any]:
    """Import `module:qualname`. Raises DefinitionError naming what is missing."""
    module_name, _, qualname = function.python.partition(":")
    where = f"function {function.name}: python: {function.python}"
    try:
        code = attrgetter(qualname)(importlib.import_module(module_name))
    except AttributeError as error:
        raise DefinitionError(f"{where}: {error}") from None
    except (Exception, SystemExit) as error:
        # Whatever a module does when it is imported is its author's mistake, and is told as such.
        raise DefinitionError(f"{where}: cannot import {module_name}: {type(error).__name__}: {error}") from None
    if not callable(code):
        raise DefinitionError(f"{where} is a {type(code).__name__}, which cannot be called")
    return code
