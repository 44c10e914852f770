"""Running one flow without a server, in whatever event loop there is: for tests and scripts.

The host, the kernel and the meaning are the gateway's; only functions are what the caller says. Nothing outlives a run.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import msgspec

from legato.builder import Flow
from legato.builder.code_flow import CodeFlow
from legato.builder.context import decoded
from legato.connectors.builtin import BuiltinConnector
from legato.connectors.python import PythonConnector, PythonTarget
from legato.connectors.python_code import code_of
from legato.errors import DefinitionError, LegatoError
from legato.formats import read
from legato.gateway.problems import of_failure
from legato.hosts.inline import InlineHost, InlineRun
from legato.kernel import Wait
from legato.kernel.code import payload_of
from legato.kernel.wait import TIMED_OUT
from legato.model import flow as model
from legato.model.definition import Definition
from legato.model.function import Function
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload
from legato.model.settings import Settings
from legato.model.source import Source
from legato.model.steps import CallStep
from legato.model.walk import functions_called
from legato.orchestrator import Orchestrator
from legato.ports import Connector, Target
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.transport.wheel import Wheel

P = ParamSpec("P")
T = TypeVar("T")

# A flow: as Python builds it, as code, in its canonical form, or as the text of a file.
AnyFlow = Flow | CodeFlow | model.Flow | Definition | str

_NAME = re.compile(
    r"^[\"']?flow[\"']?\s*:\s*[\"']?([A-Za-z0-9_-]+)|^\s*\{.*?[\"']?flow[\"']?\s*:\s*[\"']?([A-Za-z0-9_-]+)",
    re.M | re.S,
)


class RunFailed(LegatoError):
    """A run ended without a result.

    `status` is what a caller of the gateway would get, `document` the problem document; `step`, `function`, `outcome`
    and `upstream` are the document's. `body` is what the function answered, decoded where that is possible.
    """

    def __init__(self, failure: Failure, flow: str, run_id: str) -> None:
        status, body = of_failure(failure, flow, run_id)
        document: dict[str, Any] = msgspec.json.decode(body)
        super().__init__(f"flow {flow}: {document['detail']} (status {status})")
        self.failure = failure
        self.document = document
        self.status = status
        self.detail = failure.outcome.detail
        self.private = failure.outcome.private
        self.reason = failure.reason
        self.outcome = failure.outcome.kind
        self.step = failure.path
        self.function = failure.function
        self.undone: list[str] = document.get("undone", [])
        self.not_undone: list[str] = document.get("not_undone", [])
        self.run_id = run_id

    @property
    def body(self) -> object:
        """What the function answered, or, where the flow has a handler, what that says."""
        said = self.failure.said
        payload = self.failure.outcome.payload if said is None else said
        try:
            return decoded(payload)
        except LegatoError:
            return payload.body


async def run(
    flow: AnyFlow,
    input: object = None,  # noqa: A002 - as in the language
    *,
    functions: Mapping[str, object] | None = None,
    flows: Iterable[AnyFlow] = (),
    timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it is the run's
    signals: Mapping[str, object] | None = None,
) -> Any:
    """Run a flow, and give its result, decoded. Raises RunFailed, and DefinitionError for a flow that cannot run.

    `functions` are those that it calls, by name: a callable that gets the value, an exception that is raised, or
    anything else, which is the answer. Code that is no coroutine runs in the event loop, and must not block. `flows`
    are those that it uses; `timeout`, in seconds, bounds the run. `signals` are what its waits get, by name; a wait
    for another takes its `timeout`. Nothing is stored, that of a durable flow neither.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[InlineRun] = loop.create_future()
    wheel, log = Wheel(), Log(io.StringIO())
    host = _Host(wheel, log, ended, {name: payload_of(value) for name, value in (signals or {}).items()})
    orchestrator = _orchestrator(host, functions or {})
    for each in flows:
        orchestrator.deploy(_definition(each))
    main = _definition(flow)
    _check_given(main, functions or {})
    deployed = orchestrator.deploy(main)
    if deployed.bound is None:
        raise DefinitionError("\n".join([str(each) if each.line else each.message for each in deployed.problems]))
    bound, seconds = deployed.bound, timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    payload = payload_of(input)
    started: list[InlineRun] = []

    def start() -> None:  # in no task: what waits for its task to be cancelled would wait for the caller's
        try:
            started.append(orchestrator.start(bound, payload, _Nobody(), _unheard, timeout=seconds))
        except BaseException as error:
            ended.set_exception(error)

    loop.call_soon(start)
    try:
        await _until(ended, lambda: started)
    finally:
        wheel.close()
        log.flush()
    return _result(ended.result(), main.name)


def run_sync(
    flow: AnyFlow,
    input: object = None,  # noqa: A002 - as in the language
    *,
    functions: Mapping[str, object] | None = None,
    flows: Iterable[AnyFlow] = (),
    timeout: float | timedelta | None = None,
    signals: Mapping[str, object] | None = None,
) -> Any:
    """Run a flow where there is no event loop, as `run` does."""
    if asyncio._get_running_loop() is not None:  # pyright: ignore[reportPrivateUsage] - the only one that does not raise
        raise LegatoError("there is an event loop already: write `await legato.run(...)`")
    return asyncio.run(run(flow, input, functions=functions, flows=flows, timeout=timeout, signals=signals))


async def _until(ended: asyncio.Future[InlineRun], started: Callable[[], list[InlineRun]]) -> None:
    """Wait for the end; whoever stops waiting cancels the run, and once more, its undo."""
    try:
        await asyncio.wait((ended,))
    except asyncio.CancelledError:
        for each in started():
            each.cancel("cancelled")
        try:
            await asyncio.wait((ended,))
        except asyncio.CancelledError:
            for each in started():
                each.cancel("cancelled", hard=True)
            raise
        raise


def _result(ended: InlineRun, flow: str) -> Any:
    failure = ended.kernel.failure
    if failure is not None:
        raise RunFailed(failure, flow, ended.id.decode())
    return decoded(ended.kernel.result)


def _check_given(definition: Definition, functions: Mapping[str, object]) -> None:
    """Raise DefinitionError for functions that are called and not given: all of them at once."""
    called = () if definition.flow is None else functions_called(definition.flow)
    if missing := [name for name in dict.fromkeys(called) if name not in functions]:
        raise DefinitionError(_missing(missing, functions))


def _missing(names: Iterable[str], functions: Mapping[str, object]) -> str:
    wanted, given = ", ".join(f"`{name}`" for name in names), ", ".join(sorted(functions)) or "none"
    return f"the flow calls {wanted}, for which no function is given (given are {given})"


def _definition(flow: AnyFlow) -> Definition:
    if isinstance(flow, Definition):
        return flow
    if isinstance(flow, Flow | CodeFlow):
        return flow.definition()
    if isinstance(flow, model.Flow):
        return Definition(name=flow.name, origin="", flow=flow)
    if not isinstance(flow, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(flow).__name__
        raise DefinitionError(f"{kind} is no flow (give a Flow, a function with @flow, or the text of a definition)")
    match = _NAME.search(flow)
    name = (match[1] or match[2]) if match else "flow"
    return read(Source(name=name, language="native", text=flow.encode(), origin="text"))


def _orchestrator(host: InlineHost, functions: Mapping[str, object]) -> Orchestrator:
    python = PythonConnector(threads=_Here())
    fakes = _Fakes(python, functions)
    connectors: dict[str, Connector] = {
        "http": fakes, "callback": fakes, "builtin": BuiltinConnector(), "python": python,
    }  # fmt: skip
    return Orchestrator(Settings(), host, connectors, Metrics())


class _Fakes:
    """Binds the functions that are given."""

    def __init__(self, python: PythonConnector, functions: Mapping[str, object]) -> None:
        self._python = python
        self._functions = functions

    def bind(self, function: Function, step: CallStep) -> Target:
        """Find the function. Raises DefinitionError, which names those that are there."""
        name = function.name
        if name not in self._functions:
            raise DefinitionError(_missing([name], self._functions))
        return self._target(function, step, self._functions[name])

    def _target(self, function: Function, step: CallStep, fake: object) -> PythonTarget:
        def answer(_: object) -> object:
            if isinstance(fake, BaseException):
                raise fake
            return fake

        return self._python.target(function, step, code_of(fake if callable(fake) else answer, function.name))

    async def close(self) -> None:
        """Nothing is held."""


class _Here(Executor):
    """Runs what it is given at once: no threads, and the same order each time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor."""
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class _Host(InlineHost):
    """A host for one run."""

    def __init__(self, wheel: Wheel, log: Log, last: asyncio.Future[InlineRun], signals: Mapping[str, Payload]) -> None:
        super().__init__(wheel, log)
        self._last = last
        self._signals = signals

    def wait(self, run: InlineRun, wait: Wait) -> None:
        """Give the signal that there is; else let the time pass, if there is an end to it."""
        signal = self._signals.get(wait.name)
        if signal is not None:
            run.postpone(wait, Outcome("ok", signal))
        elif wait.seconds is None:
            detail = f"the run waits for the signal {wait.name!r}, which is not given: signals={{{wait.name!r}: ...}}"
            run.postpone(wait, Outcome("refused", detail=detail))
        else:
            over = Outcome("refused", status=TIMED_OUT, detail=f"no signal {wait.name!r} in {wait.seconds:g} s")
            wait.handle = asyncio.get_running_loop().call_later(wait.seconds, run.take, wait, over)

    def ended(self, run: InlineRun) -> None:
        """Let go of the run, and tell who waits for it."""
        super().ended(run)
        if not self._last.done():
            self._last.set_result(run)


class _Nobody:
    """The caller of a run that no request started."""

    method = b"POST"
    rest = b""
    query = b""
    hops = 0
    fields: Mapping[bytes, bytes] = {}


def _unheard(run: InlineRun, payload: Payload, failure: Failure | None) -> None:
    """Who waits is told at the end."""
