"""A stage: an inline host over a connector, with everything a run needs and no gateway."""

from __future__ import annotations

import io
from collections.abc import Mapping

from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost, InlineRun
from legato.kernel import LinkedCall, link
from legato.model.flow import Flow
from legato.model.function import Function
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, Payload
from legato.ports import Connector, Target
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.transport.wheel import Wheel


class Caller:
    """Nobody in particular, for `ports.Caller`."""

    method = b"POST"
    rest = b""
    query = b""
    hops = 0
    fields: Mapping[bytes, bytes] = {}


class Ended:
    """What a host told when a run had ended."""

    def __init__(self, run: InlineRun, payload: Payload, failure: Failure | None) -> None:
        self.run = run
        self.payload = payload
        self.failure = failure


class Stage:
    """Starts flows and collects their ends. `functions` gives entries to names; the others get the defaults."""

    def __init__(
        self, connector: Connector, functions: Mapping[str, Function] | None = None, timeout: float = 60.0
    ) -> None:
        self.connector = connector
        self.functions = dict(functions or {})
        self.timeout = timeout
        self.wheel = Wheel()
        self.metrics = Metrics()
        self.lines = io.StringIO()
        self.host = InlineHost(self.wheel, Log(self.lines))
        self.ends: list[Ended] = []

    def bind(self, flow: Flow) -> BoundProgram:
        """The flow, ready to be started as often as wanted."""
        return BoundProgram(link(flow), self._bind, self.metrics, self.timeout)

    def start(self, flow: Flow | BoundProgram, payload: Payload = EMPTY, key_root: bytes | None = None) -> InlineRun:
        """Start a run; its end is appended to `ends`, possibly before this returns."""
        bound = flow if isinstance(flow, BoundProgram) else self.bind(flow)
        return self.host.start(bound, payload, Caller(), self._reply, key_root=key_root)

    def _bind(self, call: LinkedCall) -> Target:
        function = self.functions.get(call.function) or Function(name=call.function)
        return self.connector.bind(function, call.definition)

    def _reply(self, run: InlineRun, payload: Payload, failure: Failure | None) -> None:
        self.ends.append(Ended(run, payload, failure))
