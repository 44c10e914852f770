"""Answers of the API as JSON."""

from __future__ import annotations

import json
from typing import cast

import msgspec
from starlette.responses import Response


def encoded(body: object) -> bytes:
    """JSON of what the API says. What a function says may be no text that can be sent as it is."""
    try:
        return msgspec.json.encode(body, enc_hook=repr)
    except UnicodeEncodeError:
        return json.dumps(_plain(body)).encode()


def as_json(body: object, status: int = 200) -> Response:
    """An answer of this document."""
    return Response(encoded(body), status, media_type="application/json")


def _plain(body: object) -> object:
    """The same of plain values; JSON that is spliced in is decoded."""
    if isinstance(body, msgspec.Raw):
        return json.loads(bytes(body))
    if isinstance(body, dict):
        return {key: _plain(value) for key, value in cast("dict[str, object]", body).items()}
    if isinstance(body, list):
        return [_plain(each) for each in cast("list[object]", body)]
    if isinstance(body, msgspec.Struct):
        return _plain(msgspec.to_builtins(body, enc_hook=repr))
    return body
