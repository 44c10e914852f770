"""The ports between layers: functions, callers, definitions; in domain verbs, with what each method guarantees.

The transport's own (`Service`, `Sink`) and the kernel's (`LinkedStep`) stand where they are used.
"""

from __future__ import annotations

from typing import Protocol

from legato.model.flow import CallStep
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import Payload
from legato.model.problem import Problem
from legato.model.source import Source


class Attempt(Protocol):
    """One try of one call, as a connector sees it.

    - `sent` is set by the connector before the first byte leaves (or the code runs), and never unset.
    - `settle` is called exactly once for each attempt begun, aborted ones too; it may be called from within `begin`.
    - `identity` is the header lines that say which call of which run this is, each with CRLF: `Idempotency-Key:
      <root>/<path>` (contract 2), the same on every attempt; the W3C `traceparent`; the hop count.
    - `handle` is the connector's own place to keep what it needs to find the attempt again.
    """

    payload: Payload
    sent: bool
    handle: object

    @property
    def identity(self) -> bytes: ...

    @property
    def caller(self) -> Caller:
        """The request that started the run."""
        ...

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome."""
        ...


class Target(Protocol):
    """A function bound to one call step: everything that can be prepared is prepared."""

    @property
    def timeout(self) -> float:
        """Seconds that one attempt may take."""
        ...

    @property
    def safe(self) -> bool:
        """Whether every call may be repeated without harm, whatever the request (contract 1)."""
        ...

    def idempotent(self, attempt: Attempt) -> bool:
        """Whether this call may be repeated without harm; at least where all may."""
        ...

    def begin(self, attempt: Attempt) -> None:
        """Start the attempt; never raises because of data."""
        ...

    def abort(self, attempt: Attempt) -> None:
        """Stop the attempt. It settles at once: `unknown` if anything was sent, `cancelled` if not."""
        ...


class Connector(Protocol):
    """A way to reach functions."""

    def bind(self, function: Function, step: CallStep) -> Target:
        """Prepare calls of `function` by `step`. Raises DefinitionError when that can never work."""
        ...

    async def close(self) -> None:
        """Give back what is held: connections, threads."""
        ...


class Caller(Protocol):
    """What a run knows of the request that started it; bytes are as on the wire."""

    @property
    def method(self) -> bytes:
        """The HTTP method."""
        ...

    @property
    def rest(self) -> bytes:
        """The sub-path below the flow, empty or starting with a slash."""
        ...

    @property
    def query(self) -> bytes:
        """The query without its question mark."""
        ...

    @property
    def hops(self) -> int:
        """Through how many gateways the request has come."""
        ...


class DefinitionStore(Protocol):
    """Where definitions live."""

    def load(self) -> tuple[list[Source], list[Problem]]:
        """Every definition, sorted by name, and what could not be read; one bad definition harms no other."""
        ...
