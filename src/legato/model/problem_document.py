"""Problem documents (RFC 9457): the shape of every error that Legato answers."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

MEDIA_TYPE = "application/problem+json"


def problem_document(status: int, detail: str, **members: object) -> bytes:
    """A problem document. `title` is the status' own phrase; members without a value are left out."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": detail,
        **{name: member for name, member in members.items() if member not in (None, "", [])},
    }
    return msgspec.json.encode(document)


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
