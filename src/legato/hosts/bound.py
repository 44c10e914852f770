"""A program bound to the functions it calls: what a host needs at hand for each call, looked up once."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from legato.kernel import LinkedCall, Program
from legato.model.policy import MAX_ATTEMPTS, NO_RETRY, UNDO_RETRY
from legato.ports import Target
from legato.telemetry.metrics import Meter, Metrics


class BoundCall:
    """One call of a program with its target, its retry policy and its meter.

    `unsafe` says whether repeating the call does harm, None where that depends on the request.
    """

    __slots__ = (
        "attempts", "begin", "function", "inspected", "is_undo", "key", "meter", "path", "retry", "span", "target",
        "timeout", "took", "unsafe",
    )  # fmt: skip

    def __init__(self, call: LinkedCall, target: Target, meter: Meter) -> None:
        self.path = call.path
        self.function = call.function
        self.key = b"/" + call.key
        self.span = b"%08x" % crc32(call.key)  # the second half of its span id; the first is the run's
        self.target = target
        self.begin = target.begin
        self.timeout = target.timeout
        self.unsafe = None if call.definition.forward else not target.safe
        self.meter = meter
        self.took = meter.took
        self.retry = call.definition.retry or (UNDO_RETRY if call.is_undo else NO_RETRY)
        self.attempts = min(self.retry.attempts, MAX_ATTEMPTS)
        self.is_undo = call.is_undo
        self.inspected = call.inspected


class BoundProgram:
    """A program ready to be run by a host. `retired` says that no new run should be expected."""

    __slots__ = (
        "calls",
        "least_timeout",
        "meter",
        "name",
        "on_disconnect",
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
        self.timeout = program.flow.timeout or default_timeout
        self.on_disconnect = program.flow.on_disconnect
        self.meter = metrics.flow(self.name)
        self.took = self.meter.took
        self.calls = [BoundCall(call, bind(call), metrics.function(call.function)) for call in program.calls]
        self.least_timeout = min([self.timeout, *(call.timeout for call in self.calls)])
