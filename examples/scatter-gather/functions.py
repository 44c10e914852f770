"""A service of which there are three replicas, and three shops that have nothing to do with each other."""

from __future__ import annotations

from typing import Any, Protocol


class Request(Protocol):
    """What is read of a request."""

    path: str
    query: dict[str, str]


def price(asked: dict[str, str] | None, request: Request) -> dict[str, Any]:
    """What something costs, and which replica says so."""
    return {"replica": int(request.path[1:]), "price": 42}


def offers(asked: dict[str, str], request: Request) -> dict[str, Any]:
    """What a shop offers."""
    shop = int(request.path[1:])
    return {"offers": [{"shop": shop, "sku": asked["sku"], "price": 50 - shop}]}
