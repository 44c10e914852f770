"""Functions that are Python code in this process: `module:qualname`, called with the decoded value.

A coroutine function runs on the event loop, any other in a thread of a bounded pool, so that it cannot hold up the
gateway. What it returns is the answer: None is null, bytes and Payload go as they are, everything else as JSON.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from legato.connectors.python_code import Code, check_named, code_of, load_code, place_of
from legato.connectors.python_context import PythonContext
from legato.connectors.python_data import DataOfRuns
from legato.connectors.python_outcome import outcome_of, outcome_of_error
from legato.errors import ComeAgain, DefinitionError, NotJSON, Refused
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.steps import CallStep
from legato.ports import Attempt, DataStore

THREAD_NAME = "legato-function"
THREADS = 32  # blocking functions at once; more wait their turn
REMEMBERED = 4096  # pieces of code; definitions come and go, and what they name has no end


class PythonConnector:
    """Binds functions that have a `python` name. `shows_errors` has what they raise printed, for developing.

    `threads` is where functions that are no coroutines run, if not in threads of its own. `may_name` says of which
    modules a definition may name code; that of the settings may be anywhere. `data` is where `context.data` is kept.
    """

    def __init__(
        self,
        shows_errors: bool = False,
        threads: Executor | None = None,
        may_name: Callable[[str], bool] | None = None,
        data: DataStore | None = None,
    ) -> None:
        self._runs = None if data is None else DataOfRuns(data)
        self._shows_errors = shows_errors
        self._may_name = may_name
        self._loaded: dict[str, Code | str] = {}  # or why it cannot be
        self._threads = threads or ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)

    def bind(self, function: Function, step: CallStep) -> PythonTarget:
        """Import the code. Raises DefinitionError when it is not there, cannot be called, or must not be named."""
        if function.name == function.python and self._may_name is not None:
            check_named(function.python, self._may_name)
        return self.target(function, step, self._code_of(function))

    def target(self, function: Function, step: CallStep, code: Code) -> PythonTarget:
        """Calls of code that is there already."""
        return PythonTarget(function, step, code, self._threads, self._shows_errors, self._runs)

    def with_code(self, code: Mapping[str, Callable[..., Any]]) -> CodeConnector:
        """This connector for a definition that brings code of its own, by the names that its steps give it."""
        return CodeConnector(self, code)

    def load(self, functions: Iterable[Function]) -> None:
        """Import the code of all that are Python; what cannot be imported is a problem of the flows that call it."""
        for function in functions:
            if function.python:
                with suppress(DefinitionError):
                    self._code_of(function)

    @property
    def runs_with_data(self) -> AbstractSet[str]:
        """Runs that have put data and have not ended, as they come and go."""
        return frozenset() if self._runs is None else self._runs.put

    def run_ended(self, run_id: str, recovered: bool = False) -> None:
        """Delete the data of a run that has ended for good, in a thread; one that has put none costs nothing.

        `recovered`: an earlier process may have put some.
        """
        if self._runs is not None:
            self._runs.clear(run_id, recovered)

    def _code_of(self, function: Function) -> Code:
        """The code, imported once, whether that works or not. Raises DefinitionError."""
        place = place_of(function)
        code = self._loaded.get(place)
        if code is None:
            try:
                code = load_code(function)
            except DefinitionError as error:
                code = str(error)
            if len(self._loaded) >= REMEMBERED:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[place] = code
        if isinstance(code, str):  # not the exception itself, to which each raise would add its frames
            raise DefinitionError(code)
        return code

    async def close(self) -> None:
        """Let running threads end by themselves; start no more."""
        if self._runs is not None:
            await self._runs.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class CodeConnector:
    """Binds what a definition brings as code; everything else as the connector does whose threads it uses."""

    def __init__(self, connector: PythonConnector, code: Mapping[str, Callable[..., Any]]) -> None:
        self._connector = connector
        self._code = code

    def bind(self, function: Function, step: CallStep) -> PythonTarget:
        """Find the code. Raises DefinitionError when it cannot be called."""
        code = self._code.get(function.python)
        if code is None:
            return self._connector.bind(function, step)
        return self._connector.target(function, step, code_of(code, place_of(function)))

    async def close(self) -> None:
        """Nothing is held."""


class PythonTarget:
    """One Python function as one call step calls it."""

    def __init__(
        self,
        function: Function,
        step: CallStep,
        code: Code,
        threads: Executor,
        shows_errors: bool,
        runs: DataOfRuns | None = None,
    ) -> None:
        self.timeout = step.timeout or function.timeout
        self.safe = function.idempotent or function.keyed or step.idempotent
        self._code = code
        self._threads = threads
        self._shows_errors = shows_errors
        self._data = None if runs is None else runs.of

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
        context = PythonContext(attempt, self._data) if self._code.context else None
        attempt.sent = True
        start = self._awaited if self._code.is_async else self._threaded
        work: Coroutine[Any, Any, Outcome] = start(value, context)
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

    async def _awaited(self, value: object, context: PythonContext | None) -> Outcome:
        try:
            return outcome_of(await self._call(value, context), context)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a function that calls sys.exit ends itself, not the gateway
            return self._failed(error)

    async def _threaded(self, value: object, context: PythonContext | None) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._called, value, context)

    def _called(self, value: object, context: PythonContext | None) -> Outcome:
        # Caught in the thread: asyncio cannot carry a StopIteration over, and the call would hang.
        try:
            return outcome_of(self._call(value, context), context)
        except BaseException as error:
            return self._failed(error)

    def _call(self, value: object, context: PythonContext | None) -> Any:
        code = self._code
        return code.function(value) if context is None else code.function(value, **{code.context: context})

    def _failed(self, error: BaseException) -> Outcome:
        if self._shows_errors and not isinstance(error, Refused | ComeAgain):
            frames = error.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
                frames = frames.tb_next  # those that called the function say nothing to its author
            traceback.print_exception(type(error), error, frames)
        return outcome_of_error(error)


def _settle(attempt: Attempt, task: asyncio.Task[Outcome]) -> None:
    if attempt.handle is not task:
        return  # aborted, and settled then
    attempt.handle = None
    if task.cancelled():
        attempt.settle(Outcome("unknown", detail="the function was cancelled"))
    elif (error := task.exception()) is not None:
        attempt.settle(outcome_of_error(error))
    else:
        attempt.settle(task.result())
