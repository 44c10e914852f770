"""Telling somebody how a run has ended: a POST to a URL of the flow's, signed as Standard Webhooks 1.0 says.

The receiver knows by `webhook-id`, the run's id, what it has had already: so a callback may always be repeated.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from time import time

import msgspec

from legato.connectors.http import HttpConnector
from legato.connectors.http_head import Address
from legato.connectors.http_target import HttpTarget
from legato.errors import DefinitionError
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.steps import CallStep
from legato.ports import Attempt
from legato.transport.pool import Pool

_SERVER = re.compile(r"(?:http|https)://[^/?#@$\s]+(?=[/?]|$)", re.IGNORECASE)
_ENCODED = "whsec_"  # before a secret that is written in base64


class CallbackConnector:
    """Binds calls whose path is a whole URL. Its scheme and host are fixed; the rest may hold expressions.

    Connections are the HTTP connector's. `secret` signs; without one nothing can be bound.
    """

    def __init__(self, http: HttpConnector, secret: str) -> None:
        self._http = http
        self._secret = secret

    def bind(self, function: Function, step: CallStep) -> CallbackTarget:
        """Prepare the callback to `step.path`. Raises DefinitionError for a URL that cannot be used, or no secret."""
        key = _key(self._secret)
        if not key:
            raise DefinitionError("a callback is signed, and there is no key to sign with: set `callback_secret`")
        server = _SERVER.match(step.path)
        if server is None:
            raise DefinitionError(f"callback: {step.path!a} does not begin with a server: write https://host/path")
        pool, address = self._http.pool_of(msgspec.structs.replace(function, url=server[0], python="", builtin=""))
        return CallbackTarget(pool, function, step, Address(address.host, ""), server[0].encode(), key)

    async def close(self) -> None:
        """Nothing is held."""


class _Signed:
    """See ports.Parts."""

    __slots__ = ("headers", "path", "query")

    def __init__(self, path: bytes, headers: bytes) -> None:
        self.path = path
        self.query = b""
        self.headers = headers


class CallbackTarget(HttpTarget):
    """One URL as one flow tells it."""

    __slots__ = ("_key", "_server", "_url")

    def __init__(
        self, pool: Pool, function: Function, step: CallStep, address: Address, server: bytes, key: bytes
    ) -> None:
        super().__init__(pool, function, CallStep(function=step.function, timeout=step.timeout), address)
        self.safe = True
        self._server = server
        self._key = key
        self._url = step.path.encode()

    def begin(self, attempt: Attempt) -> None:
        """Sign what is known now, and post it."""
        url = self._url if attempt.parts is None else attempt.parts.path
        place = url[len(self._server) :]
        if not url.startswith(self._server) or place[:1] not in (b"", b"/", b"?"):
            # Fail closed: whatever made this URL, the flow's author has named another server.
            attempt.settle(Outcome("refused", detail=f"the callback would leave {self._server.decode()}"))
            return
        payload = attempt.payload
        known = b"webhook-id: %b\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%b\r\n"
        run, moment = attempt.view.id.encode(), int(time())
        headers = known % (run, moment, signature(self._key, run, moment, payload.body))
        place = place if place.startswith(b"/") else b"/" + place
        self._begin(attempt, b"POST", self._head.of(_Signed(place, headers)), payload, bodiless=False)


def signature(key: bytes, message_id: bytes, timestamp: int, body: bytes) -> bytes:
    """HMAC-SHA256 of `id.timestamp.body`, in base64."""
    digest = hmac.digest(key, b"%b.%d.%b" % (message_id, timestamp, body), "sha256")
    return base64.b64encode(digest)


def _key(secret: str) -> bytes:
    """The key that a secret stands for: what is behind `whsec_` is base64, any other text is the key itself."""
    if not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error as error:
        raise DefinitionError(f"`callback_secret` begins with {_ENCODED} and is not base64 then: {error}") from None
