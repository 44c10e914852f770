"""Who may do what: bearer tokens with scopes, and the little that is open where no token is configured."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import blake2b
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from legato.gateway.problems import refusal
from legato.model.settings import Scope, Settings
from legato.transport.request import Answer, Head

_CHALLENGE = 'www-authenticate: Bearer realm="legato"{}\r\n'
_PUBLIC = frozenset({b"/livez", b"/readyz"})
_READING = frozenset({b"GET", b"HEAD"})
_OF_PROXIES = frozenset({b"forwarded", b"via", b"x-real-ip"})
_SIGNAL = re.compile(rb"/api/runs/[^/]+/signals/[^/]+", re.DOTALL)
_NOBODY = b""


class Credentials:
    """The configured tokens. None configured: whoever reaches the gateway may start flows and look."""

    def __init__(self, settings: Settings) -> None:
        # Looked up by keyed hash (SipHash), so the time it takes tells nothing about how much of a guess is right.
        self._known = {b"Bearer " + token.encode(): scopes for token, scopes in settings.tokens.items()}
        self._digests = {credential: digest(credential[7:]) for credential in self._known}
        self._loopback = is_loopback(settings.listen)

    def check(self, head: Head, scope: Scope | None) -> bytes | Answer:
        """What stands for the caller in keys, or the refusal. No scope: anybody may."""
        if scope is None:
            return _NOBODY
        if not self._known:
            return self._check_open(head.fields, scope)
        credential = self._credential(head.fields)
        if credential is None:
            detail = "send a configured token as `Authorization: Bearer <token>`"
            return refusal(401, detail, _CHALLENGE.format("").encode())
        if scope not in self._known[credential]:
            detail = f"this token lacks the scope `{scope}`: use one that has it, or give it the scope in auth.tokens"
            if scope == "define":
                detail += "; the token in LEGATO_ADMIN_TOKEN has every scope"
            return refusal(403, detail, _CHALLENGE.format(f', error="insufficient_scope", scope="{scope}"').encode())
        return self._digests[credential]

    def _check_open(self, fields: Mapping[bytes, bytes], scope: Scope) -> bytes | Answer:
        """Defining flows is for this machine alone, and not for web pages that a browser on it shows.

        A page whose host name was made to resolve to loopback (DNS rebinding) gives itself away by `Host`, and a
        request from elsewhere that a proxy passes on by what the proxy says of it.
        """
        if scope != "define":
            return _NOBODY
        if not self._loopback:
            return refusal(403, "no token is configured that may define flows: set LEGATO_ADMIN_TOKEN")
        if any(name in _OF_PROXIES or name.startswith(b"x-forwarded-") for name in fields):
            detail = "flows are not defined through a proxy unless a token is configured: set LEGATO_ADMIN_TOKEN"
            return refusal(403, detail)
        host = fields.get(b"host", b"").decode("latin-1")
        if host.startswith("unix:") or not (is_loopback(host) or is_loopback(host + ":0")):
            return refusal(403, f"flows are defined at localhost, not at {host!r}, unless a token is configured")
        return _NOBODY

    def _credential(self, fields: Mapping[bytes, bytes]) -> bytes | None:
        """The caller's credential in its usual form, None for an unknown one."""
        authorization = fields.get(b"authorization", b"")
        if authorization not in self._known:
            # The scheme's name is case-insensitive (RFC 9110, 11.1), and more than one space may follow it.
            scheme, _, token = authorization.partition(b" ")
            authorization = b"Bearer " + token.strip() if scheme.lower() == b"bearer" else b""
        return authorization if authorization in self._known else None


def scope_of(head: Head) -> Scope | None:
    """What a request beside the flows needs to be allowed."""
    path = unquote_to_bytes(head.path)  # as the app will read it: /%61pi is /api
    if path in _PUBLIC:
        return None
    if head.method in _READING or not path.startswith(b"/api/"):
        return "observe"
    return "run" if _SIGNAL.fullmatch(path) else "define"


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches an address: HOST:PORT or unix:/path."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def digest(*parts: bytes) -> bytes:
    """A digest from which no part can be told, nor where one ends."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest().encode()


def granted(tokens: Mapping[str, Collection[Scope]], scope: Scope) -> str | None:
    """The first token that allows something."""
    return next((token for token, scopes in tokens.items() if scope in scopes), None)
