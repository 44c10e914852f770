"""A legacy service that registers users, and two that were added without touching it."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlencode

from legato.errors import Refused


class Request(Protocol):
    """What is read of a request."""

    path: str
    query: dict[str, str]


def register_user(user: dict[str, Any] | None) -> dict[str, str]:
    """Register a user; the legacy service has one answer for everybody."""
    if user is not None and user.get("name") == "root":
        raise Refused("there is a user root", status=409)
    return {"message": "pong"}


def publish_event(event: dict[str, str]) -> dict[str, str]:
    """Tell other services."""
    return {"message": "pong"}


def send_welcome(nothing: None, request: Request) -> dict[str, Any]:
    """Send an e-mail, and say how it was asked for."""
    return {"req_uri": f"/welcome{request.path}?{urlencode(request.query, safe='/')}", "req_method": "GET"}
