"""A program bound to the functions it calls: what a host needs at hand for each call, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from zlib import crc32

import msgspec

from legato.hosts.reading import Reader, reader_of
from legato.kernel import LinkedCall, Program
from legato.model.policy import MAX_ATTEMPTS, NO_RETRY, UNDO_RETRY, Retry
from legato.ports import Attempt, Target
from legato.telemetry.metrics import Meter, Metrics

FOREVER = 10 * 365 * 86_400.0  # seconds: a durable run has no deadline unless it says so
UNTIL_DONE = 2**31  # attempts of a call that only goes forward
TAIL_TIME = 0.1  # seconds for which a call's tail is good: so exact is what calls say of the time that is left


def call_tail(flags: bytes, hops: int, left: float) -> bytes:
    """The end of every call's identity: trace flags, hop count, and how many seconds of the run are left."""
    if left > FOREVER / 2:
        return b"-%b\r\nlegato-hops: %d\r\n" % (flags, hops + 1)
    left += 1e-6  # sums of clock readings fall short of what was meant by that much, and are cut off below
    seconds = b"%.1f" % (int(left * 10) / 10) if left > 1.0 else b"%.3f" % max(int(left * 1000) / 1000, 0.001)
    return b"-%b\r\nlegato-hops: %d\r\nlegato-timeout: %b\r\n" % (flags, hops + 1, seconds)


class BoundCall(msgspec.Struct, eq=False, kw_only=True):
    """One call of a program with its target, its retry policy and its meter.

    `unsafe` says whether repeating the call does harm, None where that depends on the request; `forward` that it is
    tried until it is done. `read` is what is made of its answers. `begin` and `took` are the target's and the meter's.
    """

    path: str
    key: bytes  # the end of its idempotency key
    span: bytes  # the second half of its span id; the first is the run's
    function: str
    target: Target
    begin: Callable[[Attempt], None]
    timeout: float
    unsafe: bool | None
    meter: Meter
    took: Callable[[float], None]
    retry: Retry
    attempts: int
    is_undo: bool
    forward: bool
    read: Reader | None

    @classmethod
    def of(cls, call: LinkedCall, target: Target, meter: Meter) -> BoundCall:
        """A call bound to its target."""
        retry = call.definition.retry or (UNDO_RETRY if call.is_undo else NO_RETRY)
        return cls(
            path=call.path,
            key=b"/" + call.key,
            span=_span(call.key),
            function=call.function,
            target=target,
            begin=target.begin,
            timeout=target.timeout,
            unsafe=None if call.definition.forward else not target.safe,
            meter=meter,
            took=meter.took,
            retry=retry,
            attempts=min(retry.attempts, MAX_ATTEMPTS) if not call.forward else UNTIL_DONE,
            is_undo=call.is_undo,
            forward=call.forward,
            read=reader_of(call.definition, call.inspected),
        )

    def at(self, path: str) -> BoundCall:
        """The same call at another path: that of an item of a foreach, or of a code-first flow."""
        other, key = copy(self), path.encode()
        other.path, other.key, other.span = path, b"/" + key, _span(key)
        return other


def _span(key: bytes) -> bytes:
    return b"%08x" % crc32(key)


class BoundProgram:
    """A program ready to be run by a host. `retired` says that no new run should be expected."""

    __slots__ = (
        "_bind",
        "_metrics",
        "calls",
        "first_tail",
        "least_timeout",
        "meter",
        "name",
        "on_disconnect",
        "pin",
        "program",
        "retired",
        "timeout",
        "took",
        "version",
    )

    def __init__(
        self, program: Program, bind: Callable[[LinkedCall], Target], metrics: Metrics, default_timeout: float
    ) -> None:
        self.program = program
        self.retired = False
        self.version = program.flow.version
        self.name = program.flow.name
        self.timeout = program.flow.timeout or (FOREVER if program.flow.durable else default_timeout)
        self.pin: tuple[bytes, bytes] | None = None  # of a durable flow: the digest of what it is, and that
        self.first_tail = call_tail(b"01", 0, self.timeout)
        self.on_disconnect = program.flow.on_disconnect
        self.meter = metrics.flow(self.name)
        self.took = self.meter.took
        self.calls: list[BoundCall] = []
        self._bind = bind
        self._metrics = metrics
        self._admit(program.calls)
        # Of the calls that are known beforehand; one of code sees to its own time (see Attempts, Lane).
        self.least_timeout = min([self.timeout, *(call.timeout for call in self.calls)])
        if program.growth is not None:
            program.growth.admit = self._admit

    def _admit(self, calls: Sequence[LinkedCall]) -> None:
        """Bind calls, all of them or, where one cannot be bound, none. Raises DefinitionError."""
        self.calls += [BoundCall.of(call, self._bind(call), self._metrics.function(call.function)) for call in calls]
