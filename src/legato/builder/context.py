"""What code-first flows are given: their calls, pauses and branches, and what they know of their run.

What is said of a call is read once, by the rules of the files, for all calls that say the same.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, cast

import msgspec

from legato.builder.checked import read_step
from legato.builder.code import Anything, importable_name
from legato.builder.parts import Path, parts_of
from legato.builder.spelling import Duration, Status, duration, spelled
from legato.builder.written import Where, Written
from legato.errors import DefinitionError, LegatoError, NotJSON
from legato.kernel.code import payload_of
from legato.kernel.code_run import CodeRun, Saga
from legato.kernel.growth import Growth
from legato.kernel.pending import Pending
from legato.kernel.scheduler import Respond
from legato.kernel.wait import LinkedWait
from legato.model.mapping import AS_IT_IS
from legato.model.names import name_problem
from legato.model.outcome import Outcome
from legato.model.paths import natural_id
from legato.model.payload import Payload, json_payload
from legato.model.policy import Hedge, Retry
from legato.model.steps import CallStep, PythonStep, SleepStep, WaitStep

if TYPE_CHECKING:
    from legato.builder.code_flow import CodeFlow
    from legato.builder.flows import Flow

NOTHING: Final = object()  # what is given where nothing is: None is a value

_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


class Policy(TypedDict, total=False):
    """What a call may say of how it is made: see `docs/reference/python.md`."""

    timeout: Duration | None
    retry: int | Mapping[str, object] | Retry | None
    idempotent: bool | None
    undo: str | Mapping[str, object] | None
    pivot: bool | None
    at_most_once: bool | None


class CallPolicy(Policy, total=False):
    """What a call of a function may say besides."""

    method: str | None
    encode: str | None
    decode: str | None
    success: Status | list[Status] | None
    hedge: bool | Duration | Mapping[str, object] | Hedge | None


class Context:
    """The run of a code-first flow, for its code.

    Everything that is begun begins at once, and is awaited when its result is needed; what nobody awaits is cancelled
    at the end. Awaiting what failed raises StepError.
    """

    __slots__ = ("_code", "_payload", "shared")

    def __init__(self, code: CodeRun, payload: Payload) -> None:
        self._code = code
        self._payload = payload
        self.shared = Shared(code)

    # What it can do.

    def call(
        self,
        function: str,
        value: object = None,
        *,
        id: str | None = None,  # noqa: A002 - as in the language
        path: Path | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        **policy: Unpack[CallPolicy],
    ) -> Pending:
        """Call a function with a value; it leaves the answer, decoded: JSON, text, or bytes."""
        return self._call(function, value, id, path, query, headers, policy, decoded)

    def call_raw(
        self,
        function: str,
        value: object = None,
        *,
        id: str | None = None,  # noqa: A002 - as in the language
        path: Path | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        **policy: Unpack[CallPolicy],
    ) -> Pending:
        """The same, but it leaves the answer as it came: a payload, media type and bytes."""
        return self._call(function, value, id, path, query, headers, policy, _as_it_is)

    def python(
        self,
        function: Anything | str,
        value: object = None,
        *,
        id: str | None = None,  # noqa: A002 - as in the language
        **policy: Unpack[Policy],
    ) -> Pending:
        """Call Python code that may block, or wait for other things, in a thread or a task of its own."""
        growth = self._growth()
        forward = self._code.forward
        name = function if isinstance(function, str) else importable_name(function)
        if not name:
            shown = getattr(function, "__name__", repr(function))
            raise DefinitionError(f"`{shown}` cannot be found by its name (define it at the top of a module)")
        key = ("python", name, repr(policy), forward)
        linked = growth.find(key)
        if linked is None:
            self._check_policy(policy, f"ctx.python({name!r})")
            step = read_step(_written({"python": name, **spelled(policy, name)}, f"ctx.python({name!r})"))
            assert isinstance(step, PythonStep)
            definition = CallStep(
                function=name,
                timeout=step.timeout,
                retry=step.retry,
                idempotent=step.idempotent,
                undo=step.undo,
                pivot=step.pivot,
                at_most_once=step.at_most_once,
            )
            linked = growth.call(key, definition, forward)
        place = _checked(id) if id is not None else natural_id(PythonStep(python=name))
        return self._code.call(linked, payload_of(value), place, decoded)

    def flow(
        self,
        flow: str | Flow | CodeFlow,
        value: object = None,
        *,
        id: str | None = None,  # noqa: A002 - as in the language
    ) -> Pending:
        """Run another flow within this run: by its name, or as it is in Python."""
        growth = self._growth()
        if isinstance(flow, str):
            model, code = growth.named(flow), dict[str, Anything]()
        else:
            model, code = flow.model, dict(flow.definition().code)
        place = model.name if id is None else _checked(id)
        step = growth.flow(model, code, self._code.forward)
        return self._code.flow_within(step, payload_of(value), place, decoded)

    def sleep(self, time: Duration, *, id: str | None = None) -> Pending:  # noqa: A002 - as in the language
        """Pause; it leaves nothing."""
        return self._code.sleep(_seconds(time), "sleep" if id is None else _checked(id))

    async def gather(self, *steps: Awaitable[Any]) -> list[Any]:
        """What all of them leave, in order. When one fails, the others are cancelled."""
        return await self._code.gather(steps)

    async def select(self, *steps: Awaitable[Any]) -> Any:
        """What the first one leaves that succeeds. The others are cancelled, and what they did is undone."""
        return await self._code.select(steps)

    async def race(self, *steps: Awaitable[Any]) -> tuple[int, Any]:
        """(which, what it leaves) of the first one that ends, or what it raises. The others as by `select`."""
        return await self._code.race(steps)

    async def foreach(
        self, items: Iterable[Any], begin: Callable[[Any], Awaitable[Any]], concurrency: int = 16
    ) -> list[Any]:
        """What `begin` leaves for each item, in order, so many of them at a time. When one fails, all are cancelled."""
        return await self._code.foreach(list(items), begin, concurrency)

    def saga(self) -> Saga:
        """`async with`: when the block raises, what was done in it and has an `undo` is undone at once."""
        return self._code.saga()

    def respond(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer the caller now, and go on."""
        self._growth()
        run = self._code.run
        if run.responded:
            raise LegatoError("the caller has been answered already: one `respond` in a run")
        parts, keys = parts_of(None, None, headers)
        read_step(_written({"respond": None, "status": status, **keys}, "ctx.respond"))
        run.respond(Respond(payload_of(value), status, b"" if parts is None else parts.headers))

    def wait(
        self,
        signal: str,
        *,
        timeout: Duration | None = None,
        default: object = NOTHING,
        schema: Mapping[str, object] | bool | None = None,
        id: str | None = None,  # noqa: A002 - as in the language
    ) -> Pending:
        """Wait for a signal by its name; it leaves what the signal brings, decoded.

        After `timeout` it leaves `default`, or fails where there is none. `schema` is a JSON Schema of what the signal
        brings. Raises LegatoError in a flow that is not durable.
        """
        growth = self._growth()
        self._check_durable(f"ctx.wait({signal!r})")
        step = _wait_step(signal, timeout, b"" if schema is None else json_payload(schema).body)
        compiled = growth.schema(step.schema)
        if default is NOTHING:
            otherwise = None
        elif timeout is None:
            raise LegatoError(f"ctx.wait({signal!r}): `default` is never used without `timeout` (say how long to wait)")
        else:
            otherwise = _Made(payload_of(default))
        place = step.wait if id is None else _checked(id)
        return self._code.wait_for(
            lambda path: LinkedWait(path, step.wait, step.timeout, otherwise, compiled), place, decoded
        )

    def _check_durable(self, what: str) -> None:
        if not self._code.durable:
            raise LegatoError(
                f"{what} needs a run that can be stored: say @flow(durable=True, version=...) of {self._code.flow}, "
                "and of the flow that calls it"
            )

    # What it knows.

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._code.run.facts.id

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        return self._code.flow

    @property
    def request(self) -> dict[str, Any]:
        """The request that started the run: `method`, `path`, `query`, `headers`; empty where there was none."""
        return cast("dict[str, Any]", decoded(self._code.run.facts.request) or {})

    @property
    def payload(self) -> Payload:
        """The flow's input as it came: media type and bytes."""
        return self._payload

    def _check_policy(self, policy: Mapping[str, Any], label: str) -> None:
        """Raise LegatoError for what only a durable run can promise."""
        for key in ("pivot", "at_most_once"):
            if policy.get(key):
                self._check_durable(f"{label}: `{key}`")

    def _growth(self) -> Growth:
        """What links calls. Raises ForeignAwait unless the flow's own code is running."""
        return self._code.here and self._code.growth

    def _call(
        self,
        function: str,
        value: object,
        given: str | None,
        path: Path | None,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str] | None,
        policy: Mapping[str, Any],
        take: Callable[[Payload], Any],
    ) -> Pending:
        growth = self._growth()
        forward = self._code.forward
        parts, said = parts_of(path, query, headers)
        key = (function, value is None, tuple(said), tuple(headers or ()), repr(policy), forward)
        linked = growth.find(key)
        if linked is None:
            label = f"ctx.call({function!r})"
            self._check_policy(policy, label)
            step = read_step(_written({"call": function, **said, **spelled(policy, label)}, label))
            assert isinstance(step, CallStep)
            if step.method in _BODILESS and value is not None:
                step = msgspec.structs.replace(step, input=AS_IT_IS)  # a body that is given is sent
            linked = growth.call(key, step, forward)
        place = function if given is None else _checked(given)
        return self._code.call(linked, payload_of(value), place, take, parts)

    def __repr__(self) -> str:
        return f"Context({self._code.flow!r}, run={self.run_id!r})"


class Shared:
    """Values that the run shares with Python steps, its own and those of flows within."""

    __slots__ = ("_code",)

    def __init__(self, code: CodeRun) -> None:
        self._code = code

    def get(self, name: str, default: Any = None) -> Any:
        """A shared value; `default` where there is none."""
        value = self._code.run.shared.get(name)
        return default if value is None else msgspec.json.decode(value)

    def set(self, name: str, value: object) -> None:
        """Share a value. Raises NotJSON, and LegatoError where too much would be shared."""
        self._change(name, json_payload(value).body)

    def delete(self, name: str) -> None:
        """Share a value no longer."""
        self._change(name, None)

    def _change(self, name: str, value: bytes | None) -> None:
        outcome = self._code.run.share(Outcome("ok"), {name: value})
        if outcome.kind != "ok":
            raise LegatoError(f"{outcome.detail}: delete some")


def decoded(payload: Payload) -> Any:
    """A payload as Python has it: None for nothing, JSON decoded, text, else bytes. Raises NotJSON for broken JSON."""
    if not payload.size:
        return None
    try:
        return payload.value()
    except NotJSON:
        if payload.is_json:
            raise
        return payload.body


def _as_it_is(payload: Payload) -> Payload:
    return payload


class _Made:
    """A value as a mapping that is made already."""

    __slots__ = ("_payload",)

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def payload(self, env: object, /) -> Payload:
        """See legato.kernel.modified.Maker."""
        return self._payload


@functools.lru_cache(maxsize=256)
def _wait_step(signal: str, timeout: Duration | None, schema: bytes) -> WaitStep:
    """What is said of a wait, read by the rules of the files. Raises DefinitionError."""
    label = f"ctx.wait({signal!r})"
    keys: dict[str, Any] = {"wait": signal}
    if timeout is not None:
        keys["timeout"] = duration(timeout, label)
    if schema:
        keys["schema"] = msgspec.json.decode(schema)
    step = read_step(_written(keys, label))
    assert isinstance(step, WaitStep)
    return step


@functools.lru_cache(maxsize=256)
def _seconds(time: Duration) -> float:
    step = read_step(_written({"sleep": duration(time, "ctx.sleep")}, "ctx.sleep"))
    assert isinstance(step, SleepStep)
    return step.sleep


def _checked(name: str) -> str:
    if problem := name_problem(name):
        raise DefinitionError(f"id: {problem} (choose another name)")
    return name


def _written(tree: dict[str, Any], label: str) -> Written:
    return Written(label, tree, Where("", 0))
