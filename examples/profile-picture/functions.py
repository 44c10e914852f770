"""Pictures for profiles. A picture is the bytes `\x89TOY`, and `\xfe` for each face in it."""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol

from legato.errors import Refused

MAGIC = b"\x89TOY"
FACE = b"\xfe"

_raw: dict[str, bytes] = {}
_profiles: dict[str, bytes] = {}
_numbers = count(1)


class Request(Protocol):
    """What is read of a request."""

    path: str
    query: dict[str, str]


def store_raw(picture: bytes) -> dict[str, Any]:
    """Keep what was uploaded for as long as it is worked on."""
    if not isinstance(picture, bytes) or not picture.startswith(MAGIC):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise Refused("this is no picture", status=415)
    key = f"raw-{next(_numbers)}"
    _raw[key] = picture
    return {"key": key}


def face_detect(picture: bytes) -> dict[str, Any]:
    """How many faces there are."""
    return {"faces": picture.count(FACE)}


def colorize(picture: bytes) -> bytes:
    """The picture in colour."""
    return picture + b"+colour"


def resize(picture: bytes, request: Request) -> bytes:
    """The picture as wide as asked for."""
    return picture + f"+{request.query['width']}px".encode()


def store_profile(picture: bytes, request: Request) -> dict[str, Any]:
    """Keep the finished picture."""
    _profiles[request.path[1:]] = picture
    return {"picture": request.path[1:], "bytes": len(picture)}


def delete_raw(nothing: None, request: Request) -> None:
    """Delete what was uploaded."""
    _raw.pop(request.path[1:])


def tell_user(message: dict[str, Any]) -> None:
    """Tell somebody who is not waiting any more."""
