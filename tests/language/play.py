"""Plays a flow that is written in YAML: reads it, links it, runs it on the inline host over functions that are given.

    played = play("steps: [double]", {"double": lambda value: value * 2}, 21)
    assert played.value == 42
    assert played.calls == [("double", 21)]

A function is what it answers: a value, a callable that makes one of what it was sent, or an Act of `legato.testing`.
Time is manual: an Act that comes `later(60)` costs nothing. A signal is a function whose name begins with `signal:`.
Every run is checked as `recorded` says, and replayed.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from textwrap import dedent
from typing import Any

from legato.errors import NotJSON
from legato.formats import read
from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost, InlineRun
from legato.kernel import LinkedCall, Respond, Wait, link
from legato.model.flow import Flow
from legato.model.outcome import Failure, Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.source import Source
from legato.model.steps import CallStep
from legato.ports import Attempt
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.testing import Act, ManualClock, run_in_manual_time
from legato.transport.wheel import Wheel
from tests.language.recorded import Recorded, recording

Function = Act | Callable[[Any], Any] | object
Disturbance = Callable[[InlineRun], None]


class Asked:
    """A call as a function saw it; `at` is how many seconds after the start."""

    def __init__(self, attempt: Attempt, value: Any, step: CallStep, at: float) -> None:
        self.path = attempt.path
        self.function = step.function
        self.value = value
        self.parts = attempt.parts
        self.step = step
        self.at = at
        self.key = attempt.identity.split(b"\r\n", 1)[0].partition(b"/")[2].decode()


class Functions:
    """A connector over Python values and callables; notes every call, and in `events` what happened in which order."""

    def __init__(self, functions: Mapping[str, Function], notes: bool = True) -> None:
        self.functions = functions
        self.notes = notes
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.aborted: list[str] = []
        self.events: list[str] = []
        self.since = 0.0

    def bind(self, call: LinkedCall) -> Target:
        """A target of a call."""
        return Target(self, call.definition)


class Target:
    """One function as one step calls it."""

    def __init__(self, functions: Functions, step: CallStep) -> None:
        self._all = functions
        self._step = step
        self.safe = step.idempotent
        self.timeout = step.timeout or 30.0

    def idempotent(self, attempt: Attempt) -> bool:
        """See ports.Target."""
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        """See ports.Target."""
        everything = self._all
        attempt.sent = True
        try:
            value: Any = attempt.payload.value()
        except NotJSON:
            value = attempt.payload
        loop = asyncio.get_running_loop()
        if everything.notes:
            everything.asked.append(Asked(attempt, value, self._step, loop.time() - everything.since))
            everything.events.append(f"begin {attempt.path}")
        function = everything.functions.get(self._step.function, value)
        answer = function(value) if callable(function) else function
        act = (
            answer if isinstance(answer, Act) else Act(payload=answer if isinstance(answer, Payload) else _json(answer))
        )
        everything.in_flight += 1
        everything.most_in_flight = max(everything.most_in_flight, everything.in_flight)
        if act.after is None:
            return
        if act.after:
            attempt.handle = loop.call_later(act.after, self._settle, attempt, act)
        else:
            self._settle(attempt, act)

    def _settle(self, attempt: Attempt, act: Act) -> None:
        attempt.handle = None
        self._all.in_flight -= 1
        if self._all.notes:
            self._all.events.append(f"end {attempt.path}")
        outcome = act.outcome(attempt.payload)
        outcome.shared = getattr(act, "shared", None)
        attempt.settle(outcome)

    def abort(self, attempt: Attempt) -> None:
        """See ports.Target."""
        if isinstance(attempt.handle, asyncio.TimerHandle):
            attempt.handle.cancel()
        self._all.in_flight -= 1
        self._all.aborted.append(attempt.path)
        self._all.events.append(f"abort {attempt.path}")
        attempt.settle(Outcome("unknown", detail="aborted"))


def _json(value: Any) -> Payload:
    return EMPTY if value is None else json_payload(value)


class Sharing(Act, frozen=True, kw_only=True):
    """What Python code does that shares values with others, or deletes them (None)."""

    shared: dict[str, bytes | None]


class Caller:
    """The request that starts a run."""

    def __init__(self, query: bytes = b"", headers: Mapping[bytes, bytes] | None = None, rest: bytes = b"") -> None:
        self.method = b"POST"
        self.rest = rest
        self.query = query
        self.hops = 0
        self.fields = dict(headers or {})


class Played:
    """How a flow went. `took` is how many seconds; `errors` what was spared, by path."""

    def __init__(
        self, run: InlineRun, functions: Functions, answers: list[tuple[Payload, Failure | None]], log: str
    ) -> None:
        self.run = run
        self.answers = answers
        self.asked = functions.asked
        self.functions = functions
        self.log = log
        self.payload, self.failure = answers[0]
        self.completed = run.kernel.completed
        self.took = run.now - run.started
        self.errors = run.kernel.errors

    @property
    def value(self) -> Any:
        """The result; the flow must have succeeded."""
        assert self.failure is None, f"{self.failure!r}"
        return self.payload.value()

    @property
    def error(self) -> Failure:
        """The failure; the flow must have failed."""
        assert self.failure is not None, f"the flow gave {self.payload!r}"
        return self.failure

    @property
    def mistake(self) -> tuple[str, str]:
        """(step, detail) of the flow's own mistake, which must be what it failed by."""
        assert self.error.reason == "mistake", f"{self.failure!r}"
        return self.error.path, self.error.outcome.detail

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """(path, what was sent) of each call in order."""
        return [(asked.path, asked.value) for asked in self.asked]

    @property
    def paths(self) -> list[str]:
        """The paths of the calls in order."""
        return [asked.path for asked in self.asked]

    @property
    def sent(self) -> dict[str, Any]:
        """What was sent, by path."""
        return dict(self.calls)

    @property
    def events(self) -> list[str]:
        """`begin PATH`, `end PATH`, `abort PATH` in order."""
        return self.functions.events

    @property
    def early(self) -> Respond | None:
        """What the caller was answered before the run had ended."""
        return self.run.answered


def flow_of(text: str, name: str = "main") -> Flow:
    """A flow from YAML; `flow:` is written for it. Its problems are an AssertionError."""
    text = dedent(text)
    if not text.lstrip().startswith("flow:"):
        text = f"flow: {name}\n{text}"
    definition = read(Source(name=name, origin=f"{name}.yaml", language="native", text=text.encode()))
    assert definition.flow is not None, "\n".join(map(str, definition.problems))
    return definition.flow


def problems_of(text: str, name: str = "main") -> str:
    """The problems of a flow in YAML, as text."""
    text = f"flow: {name}\n{dedent(text)}"
    definition = read(Source(name=name, origin=f"{name}.yaml", language="native", text=text.encode()))
    return "\n".join(map(str, (*definition.problems, *definition.warnings)))


def play(
    text: str | Flow,
    functions: Mapping[str, Function] | None = None,
    value: Any = None,
    *,
    flows: Mapping[str, str | Flow] | None = None,
    caller: Caller | None = None,
    timeout: float = 60.0,
    patience: float = 3600.0,
    disturb: Mapping[float, Disturbance] | None = None,
    record: bool = True,
) -> Played:
    """Run a flow to its end, in an event loop and a time of its own; `disturb` says what is done to it at which second.

    `record` false spares the checks, the replay and the notes of calls, for runs that are large.
    """
    others = {name: flow_of(other, name) if isinstance(other, str) else other for name, other in (flows or {}).items()}
    flow = flow_of(text) if isinstance(text, str) else text
    connector = Functions(functions or {}, record)
    bound = BoundProgram(link(flow, others.get), connector.bind, Metrics(), timeout)
    payload = value if isinstance(value, Payload) else _json(value)
    stage = partial(_stage, bound, connector, payload, caller or Caller(), patience, disturb or {})
    with recording() if record else nullcontext():
        played = run_in_manual_time(stage)
    kernel = played.run.kernel
    if isinstance(kernel, Recorded):
        kernel.replay()
    return played


class Host(InlineHost):
    """Tells when its run has ended, and sends signals to what waits for them."""

    def __init__(self, wheel: Wheel, log: Log, over: asyncio.Event, functions: Mapping[str, Function]) -> None:
        super().__init__(wheel, log)
        self.over = over
        self.functions = functions

    def wait(self, run: InlineRun, wait: Wait) -> None:
        """See InlineHost."""
        sent = self.functions.get(f"signal:{wait.name}", Act(after=None))
        sent = sent(None) if callable(sent) else sent
        act = sent if isinstance(sent, Act) else Act(payload=_json(sent))
        late = wait.seconds is not None and (act.after is None or act.after >= wait.seconds)
        after = wait.seconds if late else act.after
        assert after is not None, f"{wait.path} waits for ever"
        brings = Outcome("refused", status=504) if late else act.outcome(EMPTY)
        wait.handle = asyncio.get_running_loop().call_later(after, run.take, wait, brings)

    def ended(self, run: InlineRun) -> None:
        """See InlineHost."""
        super().ended(run)
        self.over.set()


async def _stage(
    bound: BoundProgram,
    connector: Functions,
    payload: Payload,
    caller: Caller,
    patience: float,
    disturb: Mapping[float, Disturbance],
    clock: ManualClock,
) -> Played:
    loop = asyncio.get_running_loop()
    troubles: list[Any] = []
    loop.set_exception_handler(lambda _, context: troubles.append(context))
    lines, wheel, over = io.StringIO(), Wheel(), asyncio.Event()
    host = Host(wheel, Log(lines), over, connector.functions)
    answers: list[tuple[Payload, Failure | None]] = []
    connector.since = clock.now
    run = host.start(bound, payload, caller, lambda _, result, failure: answers.append((result, failure)))
    for at, do in disturb.items():
        loop.call_later(at, do, run)
    async with asyncio.timeout(patience):
        await over.wait()
    assert not connector.in_flight, "a call was left behind"
    assert len(answers) == 1, f"the caller was answered {len(answers)} times"
    wheel.close()
    host.log.flush()
    left = [handle for handle in getattr(loop, "_scheduled") if not handle.cancelled()]  # noqa: B009 - not our own
    late = {at for at in disturb if at > clock.now - connector.since}
    assert len(left) <= len(late), f"timers were left behind: {left}"
    for handle in left:
        handle.cancel()
    assert not troubles, troubles
    for asked in connector.asked:
        assert asked.key == asked.path, "the key is not the path"
    return Played(run, connector, answers, lines.getvalue())
