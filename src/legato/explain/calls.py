"""One call: which function it reaches, how often it is tried, how long that may take."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from legato.hosts.patience import longest_wait, worst_case
from legato.kernel.linker import CALLBACK_RETRY
from legato.model.flow import Callback
from legato.model.function import Function
from legato.model.policy import IDEMPOTENT_METHODS, MAX_ATTEMPTS, NO_RETRY, UNDO_RETRY, Breaker, Hedge, Retry
from legato.model.steps import CallStep, PythonStep, UndoCall
from legato.pictures.words import request, said

FunctionOf = Callable[[str], Function]


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call as it would be made; durations are seconds.

    `reaches` says what is called. `waits` is the longest that may pass between attempts in all, `worst` the longest of
    it all. `repeatable` says that it is tried again whatever became of the attempt before; else only if nothing was
    done. A `forward` call is tried until it is done, whatever `attempts` says.
    """

    path: str
    function: str
    reaches: str
    attempts: int
    timeout: float
    retry: Retry
    repeatable: bool
    waits: float = 0.0
    worst: float = 0.0
    is_undo: bool = False
    forward: bool = False
    hedge: Hedge | None = None
    breaker: Breaker | None = None
    concurrency: int = 0


def call_of(step: CallStep | PythonStep, path: str, function_of: FunctionOf, forward: bool = False) -> Call:
    """The call of a step."""
    name = step.python if isinstance(step, PythonStep) else step.function
    function = function_of(name)
    retry = step.retry or NO_RETRY
    method = "" if isinstance(step, PythonStep) or not function.url else step.method
    call = Call(
        path=path,
        function=name,
        reaches=reached(function, None if isinstance(step, PythonStep) else step),
        attempts=min(retry.attempts, MAX_ATTEMPTS),
        timeout=step.timeout or function.timeout,
        retry=retry,
        repeatable=step.idempotent or function.idempotent or function.keyed or method in IDEMPOTENT_METHODS,
        forward=forward,
        hedge=step.hedge if isinstance(step, CallStep) else None,
        breaker=function.breaker,
        concurrency=function.concurrency,
    )
    return _timed(call)


def undo_of(undo: UndoCall, path: str, function_of: FunctionOf) -> Call:
    """The undo of the step at `path`. It counts every outcome but `refused` as worth another try."""
    function = function_of(undo.function)
    retry = undo.retry or UNDO_RETRY
    call = Call(
        path=f"{path}/undo",
        function=undo.function,
        reaches=reached(function, undo),
        attempts=min(retry.attempts, MAX_ATTEMPTS),
        timeout=undo.timeout or function.timeout,
        retry=retry,
        repeatable=True,
        is_undo=True,
        breaker=function.breaker,
        concurrency=function.concurrency,
    )
    return _timed(call)


def callback_of(callback: Callback) -> Call:
    """The call that tells how a run has ended."""
    retry = callback.retry or CALLBACK_RETRY
    call = Call(
        path="/callback",
        function="callback",
        reaches=f"POST {said(callback.url)}",
        attempts=min(retry.attempts, MAX_ATTEMPTS),
        timeout=callback.timeout or Function(name="").timeout,
        retry=retry,
        repeatable=True,
    )
    return _timed(call)


def reached(function: Function, step: CallStep | UndoCall | None) -> str:
    """What is called: `POST http://orders/validate`, `Python shop.scoring:score`, `built-in echo`."""
    if function.python:
        return f"Python {said(function.python)}"
    if function.builtin:
        return f"built-in {function.builtin}"
    method, _, rest = ("POST", "", "") if step is None else request(step).partition(" ")
    return f"{method} {said(function.url)}{rest}"


def _timed(call: Call) -> Call:
    waits, worst = longest_wait(call.retry, call.attempts), worst_case(call)
    return msgspec.structs.replace(call, waits=round(waits, 9), worst=round(worst, 9))
