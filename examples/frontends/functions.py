"""Services that know nothing of who shows their data."""

from __future__ import annotations

from typing import Any, Protocol

from legato.errors import Refused

USERS = {"ada": {"name": "Ada", "email": "ada@example.com", "since": 2019}}
ORDERS = [{"id": n, "state": "shipped" if n < 3 else "packed", "total": 10 * n} for n in range(1, 5)]


class Request(Protocol):
    """What is read of a request."""

    path: str
    query: dict[str, str]


def get_user(nothing: None, request: Request) -> dict[str, Any]:
    """Who somebody is."""
    user = USERS.get(request.path[1:])
    if user is None:
        raise Refused("no such user", status=404)
    return user


def list_orders(nothing: None, request: Request) -> list[dict[str, Any]]:
    """The latest orders of somebody."""
    return ORDERS[: int(request.query["limit"])]


def recommend(nothing: None, request: Request) -> list[str]:
    """What else they may like."""
    return ["ink", "paper"]


def get_banner(nothing: None) -> dict[str, str]:
    """What everybody shall see."""
    return {"text": "Ink is cheap today"}
