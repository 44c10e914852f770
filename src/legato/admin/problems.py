"""Problems of the API as exceptions, and the few things that all its routes need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from legato.errors import StoreUnavailable
from legato.model.problem_document import MEDIA_TYPE, problem_document
from legato.transport.beside import Beside

_stores = Beside(4)  # apart from other work: who waits for a store that hangs must not hold up /metrics

P = ParamSpec("P")
T = TypeVar("T")


class Problematic(HTTPException):
    """Ends a request with a problem document."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(status, detail, headers)
        self.members = members


async def as_problem(request: Request, error: Exception) -> Response:
    """Starlette's handler of HTTPException."""
    assert isinstance(error, HTTPException)
    detail, members = error.detail, {}
    if isinstance(error, Problematic):
        members = error.members
    elif error.status_code == 404:
        detail = "there is nothing here; flows are at /orchestrate/{flow}"
    elif error.status_code == 405:
        detail = f"{request.method} is not possible here"
    body = problem_document(error.status_code, detail, **members)
    return Response(body, error.status_code, dict(error.headers or {}), media_type=MEDIA_TYPE)


async def ask_store(function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """Call what asks a store. One that cannot be used is 503, in its own words."""
    try:
        return await _stores.run(function, *args, **keywords)
    except StoreUnavailable as error:
        raise Problematic(503, str(error), {"retry-after": "1"}) from None


def number(query: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    """A whole number of the query."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise Problematic(400, f"`{key}` is a number from {least} to {most}, not {text!r}")
    return int(text)
