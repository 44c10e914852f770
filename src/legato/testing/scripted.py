"""A connector that follows a script: what each attempt does is said beforehand, and what was done can be read after.

    connector = ScriptedConnector()
    connector.script("pay", retryable(), ok({"paid": True}))   # the first attempt fails, all others succeed
    connector.script("ship", ok().held())                      # settles when the test says so, or when aborted

It keeps the promises of `ports.Target` and holds the host to its own: settling twice is an AssertionError.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from legato.model.function import Function
from legato.model.outcome import Kind, Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.policy import IDEMPOTENT_METHODS
from legato.model.steps import CallStep
from legato.ports import Attempt

Event = tuple[Literal["begin", "abort", "settle"], str, int]


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt does: its outcome, whether anything is sent, and when it settles.

    `payload` None echoes what was sent. `after` is 0 for at once, seconds for later, None for when the test says so.
    """

    kind: Kind = "ok"
    payload: Payload | None = None
    status: int = 200
    detail: str = ""
    retry_after: float | None = None
    overloaded: bool = False
    sent: bool = True
    after: float | None = 0.0

    def later(self, seconds: float) -> Act:
        """The same, but it settles after so many seconds."""
        return msgspec.structs.replace(self, after=seconds)

    def held(self) -> Act:
        """The same, but it settles when the test says so: `ScriptedAttempt.settle`."""
        return msgspec.structs.replace(self, after=None)

    def outcome(self, sent: Payload) -> Outcome:
        """A fresh outcome; a host may write on it."""
        payload = sent if self.payload is None else self.payload
        return Outcome(
            self.kind,
            payload if self.kind == "ok" or self.payload is not None else EMPTY,
            self.status,
            self.detail or ("" if self.kind == "ok" else f"scripted: {self.kind}"),
            self.retry_after,
            self.overloaded,
        )


def ok(value: object = msgspec.UNSET, status: int = 200) -> Act:
    """A success: the value as JSON, or the request's own payload if none is given."""
    return Act(payload=None if value is msgspec.UNSET else json_payload(value), status=status)


def refused(status: int = 422, value: object = None) -> Act:
    """A definite no."""
    return Act(kind="refused", status=status, payload=EMPTY if value is None else json_payload(value))


def retryable(status: int = 503, retry_after: float | None = None, *, sent: bool = True) -> Act:
    """Come again; `sent` false stands for a connection that could not be made."""
    return Act(kind="retryable", status=status if sent else 0, retry_after=retry_after, sent=sent)


def unknown(status: int = 0) -> Act:
    """Something was sent and no complete answer came, or a 5xx did."""
    return Act(kind="unknown", status=status)


class ScriptedAttempt:
    """An attempt as the connector saw it. `number` counts the attempts of one idempotency key from 1."""

    def __init__(self, connector: ScriptedConnector, function: str, attempt: Attempt, act: Act, number: int) -> None:
        self._connector = connector
        self._attempt = attempt
        self.function = function
        self.key = key_of(attempt)
        self.path = self.key.partition("/")[2]
        self.payload = attempt.payload
        self.act = act
        self.number = number
        self.aborted = False
        self.outcome: Outcome | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """Whether it has begun and not settled."""
        return self.outcome is None

    def settle(self, act: Act | None = None) -> None:
        """Settle as scripted, or as `act` says."""
        self.finish((act or self.act).outcome(self.payload))

    def finish(self, outcome: Outcome) -> None:
        """Settle with this outcome."""
        assert self.outcome is None, f"{self!r} is settled twice"
        self.outcome = outcome
        if self.timer is not None:
            self.timer.cancel()
        self._connector.events.append(("settle", self.path, self.number))
        self._attempt.settle(outcome)

    def __repr__(self) -> str:
        return f"ScriptedAttempt({self.path!r}, {self.number})"


class ScriptedConnector:
    """Follows a script by function name or by path; what has none echoes at once.

    `attempts` and `events` record everything in order.
    """

    def __init__(self) -> None:
        self._scripts: dict[str, tuple[Act, ...]] = {}
        self._numbers: dict[str, int] = {}
        self.attempts: list[ScriptedAttempt] = []
        self.events: list[Event] = []

    def script(self, name: str, *acts: Act) -> None:
        """What the attempts of each call do, one after another; the last act repeats.

        `name` is a function's name, or a call's path (contract 2), which wins.
        """
        assert acts, "a script needs at least one act"
        self._scripts[name] = acts

    def bind(self, function: Function, step: CallStep) -> ScriptedTarget:
        """See ports.Connector."""
        return ScriptedTarget(self, function, step)

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def pending(self) -> list[ScriptedAttempt]:
        """The attempts that have begun and not settled, in the order in which they began."""
        return [attempt for attempt in self.attempts if attempt.pending]

    def of(self, path: str) -> list[ScriptedAttempt]:
        """The attempts of the calls at `path`."""
        return [attempt for attempt in self.attempts if attempt.path == path]

    def begin(self, function: str, attempt: Attempt) -> None:
        """Follow the script; for the targets."""
        key = key_of(attempt)
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        acts = self._scripts.get(key.partition("/")[2]) or self._scripts.get(function) or (Act(),)
        act = acts[min(number, len(acts)) - 1]
        seen = ScriptedAttempt(self, function, attempt, act, number)
        self.attempts.append(seen)
        self.events.append(("begin", seen.path, number))
        attempt.handle = seen
        attempt.sent = act.sent
        if act.after == 0.0:
            seen.settle()
        elif act.after is not None:
            seen.timer = asyncio.get_running_loop().call_later(act.after, seen.settle)

    def abort(self, attempt: Attempt) -> None:
        """Settle at once: `unknown` if anything was sent, `cancelled` if not; for the targets."""
        seen = attempt.handle
        assert isinstance(seen, ScriptedAttempt), "an attempt that never began is aborted"
        assert seen.pending, f"{seen!r} is aborted after it settled"
        seen.aborted = True
        self.events.append(("abort", seen.path, seen.number))
        seen.finish(Outcome("unknown" if attempt.sent else "cancelled", detail="aborted"))


class ScriptedTarget:
    """One scripted function as one call step calls it."""

    def __init__(self, connector: ScriptedConnector, function: Function, step: CallStep) -> None:
        self._connector = connector
        self._name = function.name
        self.timeout = step.timeout or function.timeout
        self.safe = function.idempotent or function.keyed or step.idempotent or step.method in IDEMPOTENT_METHODS

    def idempotent(self, attempt: Attempt) -> bool:
        """See ports.Target."""
        return self.safe

    def begin(self, attempt: Attempt) -> None:
        """See ports.Target."""
        self._connector.begin(self._name, attempt)

    def abort(self, attempt: Attempt) -> None:
        """See ports.Target."""
        self._connector.abort(attempt)


def key_of(attempt: Attempt) -> str:
    """The idempotency key of an attempt: `<root>/<path>`."""
    for line in attempt.identity.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name == b"idempotency-key":
            return value.decode()
    raise AssertionError("the attempt has no idempotency key")
