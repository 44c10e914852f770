"""Runs a flow on the inline host, in time that only jumps, over functions that answer what they like, or not at all.

Checked of every run: it ends within its time and its undo's, each leaf gets one delivery and a key of its own, the
caller one answer, nothing is left, nothing escapes, a mistake says at which step, and a replay does the same.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import msgspec

from legato.errors import DefinitionError
from legato.gateway.problems import of_failure
from legato.hosts.bound import BoundProgram
from legato.hosts.guards import Guards
from legato.hosts.inline import UNDO_TIME, InlineHost, InlineRun
from legato.hosts.recent import Clock, run_document
from legato.kernel import LinkedCall, Program
from legato.model.function import Function
from legato.model.outcome import Failure, Outcome, classify
from legato.model.payload import EMPTY, JSON, Payload, json_payload
from legato.model.policy import Breaker
from legato.model.steps import CallStep
from legato.ports import Attempt, Target
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.testing import ManualClock, run_in_manual_time
from legato.transport.wheel import Wheel
from tests.language.recorded import Recorded, recording

SLACK = 2.0  # seconds by which timers may be late, all in all
TURNS = 200_000  # of the loop: a run that needs more than these is not getting anywhere
_INTERNAL = re.compile(r"(?:^|: )(?:[A-Z]\w*(?:Error|Exception)|StopIteration|AssertionError)\b")


class Found(Exception):
    """A promise that was not kept."""


class Caller:
    """Somebody with a query and headers."""

    method = b"POST"
    rest = b"/a%20b"
    query = b"a=1&a=2&b=%zz&=&c"
    hops = 0
    fields: Mapping[bytes, bytes] = {b"x-a": b"caf\xe9", b"content-type": b"application/json"}


def any_value(random: Random, depth: int = 3) -> Any:
    """A JSON value with the fields that the expressions ask for."""
    match random.randrange(9 if depth > 0 else 5):
        case 0:
            return random.choice((None, True, False))
        case 1 | 2:
            return random.choice((0, 1, -1, 2**53, 2**63, 2**70, 1.5, 1e300, -0.0))
        case 3 | 4:
            return random.choice(
                (
                    "",
                    "a",
                    "x, y",
                    "5s",
                    "2026-01-31T12:00:00Z",
                    "\u00e9\u4e2d\U0001f600",
                    "a\0\n\x1f",
                    "../..",
                    "x" * 3000,
                )
            )
        case 5 | 6:
            return [any_value(random, depth - 1) for _ in range(random.choice((0, 1, 2, 5)))]
        case _:
            names = random.sample(["a", "b", "items", "total", "name", "id", "price", "", "a b"], random.randrange(6))
            return {name: any_value(random, depth - 1) for name in names}


def any_payload(random: Random) -> Payload:
    """What a function or a caller may send: JSON of every kind, other formats, and what is not what it says."""
    match random.randrange(12):
        case 0:
            return EMPTY
        case 1:
            return Payload.of(
                random.choice((b"", b"application/octet-stream", b"image/png", JSON)), random.randbytes(40)
            )
        case 2:
            broken = (
                b"{",
                b'{"a":1}x',
                b'"\xff"',
                b'"\\ud800"',
                b"[" * 500 + b"]" * 500,
                b"NaN",
                b"1e999",
                b"01",
                b"\xef\xbb\xbf{}",
                b" ",
                b'{"a":1,"a":2}',
            )
            return Payload.of(JSON, random.choice(broken))
        case 3:
            kinds = (
                b"text/plain; charset=utf-16",
                b"application/xml",
                b"application/x-www-form-urlencoded",
                b"text/plain",
            )
            return Payload.of(
                random.choice(kinds), random.choice((b"a=1&b=2", b"<a><b>1</b></a>", b"caf\xe9", b"{}", b"text"))
            )
        case 4:
            body = msgspec.json.encode(any_value(random))
            return Payload(JSON, (body,), len(body), random.choice((b"gzip", b"br")))
        case 5:
            body = json.dumps(any_value(random), indent=1).encode("utf-8", "surrogatepass")
            return Payload(JSON, [body[:3], body[3:7], body[7:]], len(body))
        case _:
            return json_payload(any_value(random))


class RandomConnector:
    """Functions whose every attempt ends as chance has it, now, later, or only when it is aborted."""

    def __init__(self, random: Random, loop: asyncio.AbstractEventLoop) -> None:
        self.random = random
        self.loop = loop
        self.guards = Guards()
        self.kindness = random.choice((0.5, 0.8, 0.97, 1.0))
        self.open: set[Attempt] = set()
        self.keys: dict[str, object] = {}
        self.wrong: list[str] = []  # noted as well as raised: a host takes what a connector raises for an outcome

    def refuse(self, what: str) -> Found:
        """What to raise."""
        self.wrong.append(what)
        return Found(what)

    def bind(self, call: LinkedCall) -> Target:
        """See hosts.bound. Raises DefinitionError as real functions do."""
        random = self.random
        function = Function(name=call.function, url="http://x", breaker=Breaker() if random.random() < 0.1 else None,
                            concurrency=random.choice((0, 0, 0, 1, 3)))  # fmt: skip
        return self.guards.guard(function, call.definition, RandomTarget(self, call.definition))


class RandomTarget:
    """One function as one step calls it."""

    def __init__(self, connector: RandomConnector, step: CallStep) -> None:
        self._all = connector
        self.timeout = step.timeout or connector.random.choice((0.05, 1.0, 30.0))
        self.safe = step.idempotent or step.method == "GET"

    def idempotent(self, attempt: Attempt) -> bool:
        """See ports.Target."""
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        """See ports.Target."""
        everything, random = self._all, self._all.random
        if attempt in everything.open:
            raise self._all.refuse(f"{attempt.path} is begun twice")
        everything.open.add(attempt)
        self._check(attempt)
        attempt.handle = None
        outcome = self._outcome()
        attempt.sent = outcome.kind != "retryable" or bool(outcome.status)
        when = random.random()
        if when < 0.5:
            self._settle(attempt, outcome)
        elif when < 0.97 or everything.kindness == 1.0:
            delay = random.choice((0.0, 0.0, 0.001, 0.02, 0.5, 40.0))
            attempt.handle = everything.loop.call_later(delay, self._settle, attempt, outcome)

    def _outcome(self) -> Outcome:
        random = self._all.random
        payload = any_payload(random)
        if random.random() < self._all.kindness:
            return Outcome(
                "ok",
                payload,
                random.choice((200, 200, 201, 204)),
                shared=random.choice((None, None, {"a": b"1"}, {"a": None})),
            )
        status = random.choice((400, 404, 408, 409, 429, 500, 502, 503, 508, 302, 0))
        if not status:
            return Outcome(random.choice(("unknown", "retryable")), detail="no answer")
        return Outcome(
            classify(status), payload, status, f"the function answered {status}", random.choice((None, None, 0.5, 1e6))
        )

    def _check(self, attempt: Attempt) -> None:
        key = next(line for line in attempt.identity.split(b"\r\n") if line.startswith(b"idempotency-key: "))
        leaf: Any = attempt
        while hasattr(leaf, "parent"):
            leaf = leaf.parent
        if self._all.keys.setdefault(key.decode(), leaf.call) is not leaf.call:
            raise self._all.refuse(f"two calls have the key {key!r}")
        if key.decode().partition("/")[2] != attempt.path:
            raise self._all.refuse(f"the call at {attempt.path} has the key {key!r}")
        parts = attempt.parts
        if parts is not None:
            if not re.fullmatch(rb"(?:/[^\s?#]*)?|https?://\S*", parts.path) or re.search(rb"[\s#]", parts.query):
                raise self._all.refuse(f"{attempt.path} asks for {parts.path!r}?{parts.query!r}")
            if not re.fullmatch(rb"(?:[a-z0-9-]+: [^\r\n\0]*\r\n)*", parts.headers):
                raise self._all.refuse(f"{attempt.path} sends the headers {parts.headers!r}")

    def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt not in self._all.open:
            raise self._all.refuse(f"{attempt.path} is settled twice")
        self._all.open.discard(attempt)
        attempt.settle(outcome)

    def abort(self, attempt: Attempt) -> None:
        """See ports.Target."""
        if attempt not in self._all.open:
            raise self._all.refuse(f"{attempt.path} is aborted after it settled")
        handle: Any = attempt.handle
        if handle is not None:
            handle.cancel()
        self._settle(attempt, Outcome("unknown" if attempt.sent else "cancelled", detail="aborted"))


class Player:
    """One run of one program."""

    def __init__(self, random: Random, clock: ManualClock) -> None:
        self.random = random
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._escaped)
        self.escaped: list[str] = []
        self.connector = RandomConnector(random, self.loop)
        self.lines = io.StringIO()
        self.wheel = Wheel()
        self.host = InlineHost(self.wheel, Log(self.lines), recent_runs=5)
        self.answers: list[tuple[Payload, Failure | None]] = []

    def _escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.escaped.append(f"{context.get('message')}: {context.get('exception')!r}")

    async def play(self, program: Program) -> str:
        """How the run ended, in a word; raises Found."""
        random = self.random
        try:
            bound = BoundProgram(program, self.connector.bind, Metrics(), random.choice((0.5, 60.0)))
        except DefinitionError:
            return "not bound"
        began, payload = self.clock.now, any_payload(random)
        run = self.host.start(
            bound, payload, Caller(), lambda _, result, failure: self.answers.append((result, failure))
        )
        self._disturb(run)
        turns = 0
        while run.kernel.state != "ended":
            turns += 1
            latest = began + bound.timeout + UNDO_TIME + SLACK
            if turns > TURNS or self.clock.now > latest + SLACK:
                left = [leaf.path for leaf in run.kernel.open_leaves()]
                late = f"{run.kernel.state} after {self.clock.now - began:.1f} s, {turns} turns"
                raise Found(f"does not end: {late}, open: {left}")
            pause = self.loop.create_future()
            self.loop.call_later(0.0 if turns < 1000 else 1.0, pause.set_result, None)
            await pause
        await asyncio.sleep(0)
        self._check(run)
        assert isinstance(run.kernel, Recorded)
        run.kernel.replay()
        failure = run.kernel.failure
        return "ok" if failure is None else failure.reason

    def _disturb(self, run: InlineRun) -> None:
        random = self.random
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            cancel = partial(run.cancel, random.choice(("cancelled", "deadline")), hard=random.random() < 0.3)
            what = random.choice((run.caller_left, cancel))
            self.loop.call_later(random.choice((0.0, 0.01, 0.3, 41.0)), what)

    def _check(self, run: InlineRun) -> None:
        kernel = run.kernel
        left = [leaf.path for leaf in kernel.open_leaves()]
        wrong = {
            "escaped": self.escaped,
            "wrong": self.connector.wrong,
            "attempts left": [attempt.path for attempt in self.connector.open],
            "leaves left": left,
            "runs left": list(self.host.runs()),
            "answers": [] if len(self.answers) == 1 else self.answers or ["none"],
        }
        for what, those in wrong.items():
            if those:
                raise Found(f"{what}: {those}")
        for failure in (kernel.failure, *kernel.handler_failures, *kernel.errors.values(), self.answers[0][1]):
            if failure is not None:
                self._check_failure(failure, run)
        if kernel.failure is None:
            kernel.result.body  # noqa: B018 - it can be made
        for remembered in self.host.recent.all(()):
            msgspec.json.encode(run_document(remembered, Clock()))
        self.host.log.flush()
        for line in self.lines.getvalue().splitlines():
            if json.loads(line).get("event") == "unanswerable":
                raise Found(f"the log says {line}")
        self.wheel.close()

    def _check_failure(self, failure: Failure, run: InlineRun) -> None:
        outcome = failure.outcome
        is_of_output = run.kernel.program.output is not None and failure.reason == "mistake"
        if failure.reason in ("mistake", "stated", "failed") and not failure.path and not is_of_output:
            raise Found(f"{failure!r} names no step: {outcome.detail}")
        if failure.reason == "mistake" and _INTERNAL.search(outcome.detail):
            raise Found(f"{failure!r} is of our own making: {outcome.detail}")
        status, document = of_failure(failure, "order", "run")
        if not 400 <= status <= 599 or not msgspec.json.decode(document)["detail"]:
            raise Found(f"{failure!r} is answered {status} {document!r}")


def play(random: Random, program: Program) -> str:
    """Run a program once, in an event loop and a time of its own: how it ended, in a word. Raises Found."""

    async def main(clock: ManualClock) -> str:
        return await Player(random, clock).play(program)

    with recording():
        return run_in_manual_time(main)
