"""Functions behind HTTP/1.1: where they are, and the pools of connections to them."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from legato.connectors.http_head import Address
from legato.connectors.http_target import HttpTarget
from legato.errors import DefinitionError
from legato.model.function import Function
from legato.model.steps import CallStep
from legato.transport.pool import Origin, Pool
from legato.transport.wheel import Wheel


class HttpConnector:
    """Binds functions that have a URL. Functions of one origin share a pool."""

    def __init__(self, wheel: Wheel, max_answer: int) -> None:
        self._wheel = wheel
        self._max_answer = max_answer
        # Held by who is bound to them and, as long as they have connections, by the wheel: functions come and go.
        self._pools = WeakValueDictionary[tuple[Origin, int], Pool]()

    def bind(self, function: Function, step: CallStep) -> HttpTarget:
        """Prepare calls. Raises DefinitionError for a URL or certificate file that cannot be used."""
        pool, address = self.pool_of(function)
        return HttpTarget(pool, function, step, address)

    def pool_of(self, function: Function) -> tuple[Pool, Address]:
        """The pool of a function's origin, and where the function is on it. Raises DefinitionError as `bind` does."""
        origin, address = parse_url(function)
        key = (origin, function.connections)
        pool = self._pools.get(key)
        if pool is None:
            try:
                pool = Pool(origin, self._wheel, function.connections, self._max_answer)
            except OSError as error:
                raise DefinitionError(f"function {function.name}: cannot read {function.ca}: {error}") from None
            self._pools[key] = pool
        return pool, address

    def connections(self) -> dict[str, float]:
        """How many upstream connections are idle, busy and connecting."""
        counts = [pool.counts for pool in list(self._pools.values())]
        totals = [sum(column) for column in zip(*counts, strict=True)] or [0, 0, 0]
        return dict(zip(("idle", "busy", "connecting"), totals, strict=True))

    async def close(self) -> None:
        """Close every pool."""
        for pool in list(self._pools.values()):
            await pool.close()


def parse_url(function: Function) -> tuple[Origin, Address]:
    """(origin, where on it) of a function's URL. Raises DefinitionError when it has none."""
    try:
        return _parse_url(function.url, function.ca)
    except ValueError as error:
        raise DefinitionError(f"function {function.name}: {function.url!r} {error}") from None


@lru_cache(4096)  # ten thousand flows call the same few functions
def _parse_url(url: str, ca: str) -> tuple[Origin, Address]:
    parts = urlsplit(url)
    if parts.scheme == "http+unix":
        return Origin(socket=unquote(parts.netloc)), Address("localhost", parts.path, parts.query)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not an http, https or http+unix URL")
    tls = parts.scheme == "https"
    origin = Origin(host=host, port=port or (443 if tls else 80), tls=tls, ca=ca)
    return origin, Address(parts.netloc.rpartition("@")[2], parts.path, parts.query)
