"""What a call from code says beside its value: path, query and headers, as they go over the wire.

Nothing that code puts in can leave its place: segments, names and values are encoded, header lines checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import quote

from legato.builder.written import Tree
from legato.errors import DefinitionError
from legato.formats.requests import MAX_PATH
from legato.kernel.calls import RenderedParts

Path = str | Sequence[str | int]
Scalar = str | int | float | bool | None

# In the definition of a call, for what is another thing each time: it says that the host is to look at the parts.
ANOTHER = "${run.id}"

_NOT_IN_PATH = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}?#]|%(?![0-9A-Fa-f]{2})")
_HEADER = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_WAYS_UP = frozenset({".", ".."})


def parts_of(
    path: Path | None, query: Mapping[str, object] | None, headers: Mapping[str, str] | None
) -> tuple[RenderedParts | None, dict[str, Tree]]:
    """(what is sent this time, what the call's definition says of it). Raises DefinitionError."""
    if path is None and not query and not headers:
        return None, {}
    said: dict[str, Tree] = {}
    if path is not None:
        said["path"] = f"/{ANOTHER}"
    if query:
        said["query"] = {"a": ANOTHER}
    if headers:
        said["headers"] = dict.fromkeys(headers, ANOTHER)
    return RenderedParts(_path(path), _query(query or {}), _headers(headers or {})), said


def _path(path: Path | None) -> bytes:
    if path is None:
        return b""
    if not isinstance(path, str):
        segments = [str(segment) for segment in path]
        if any(segment in _WAYS_UP or not segment for segment in segments):
            raise DefinitionError(f"the path {segments} has a segment that is empty, or a way up (give names only)")
        path = "".join([f"/{quote(segment, safe='')}" for segment in segments])
    elif not path.startswith("/") or _NOT_IN_PATH.search(path):
        raise DefinitionError(
            f"the path {path!r} is none (begin it with a slash, and give what varies as segments: path=['orders', id])"
        )
    elif any(part in _WAYS_UP for part in path.lower().replace("%2e", ".").replace("%2f", "/").split("/")):
        raise DefinitionError(f"the path {path!r} has a way up (write the whole path)")
    if len(path) > MAX_PATH:
        raise DefinitionError(f"the path is longer than {MAX_PATH} characters (send what is long in the body)")
    return path.encode("ascii")


def _query(query: Mapping[str, object]) -> bytes:
    """`name=value&...`: a list repeats its name, None leaves it out."""
    pairs: list[str] = []
    for name, value in query.items():
        values = cast("Sequence[object]", value) if isinstance(value, list | tuple) else [value]
        pairs += [f"{quote(name, safe='')}={quote(_text(each, name), safe='')}" for each in values if each is not None]
    return "&".join(pairs).encode("ascii")


def _text(value: object, name: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = type(value).__name__
    raise DefinitionError(f"`{name}` in the query is a {kind} (give text, a number, or a list of them)")


def _headers(headers: Mapping[str, str]) -> bytes:
    lines: list[bytes] = []
    for name, value in headers.items():
        if not isinstance(value, str) or _HEADER.fullmatch(value) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"the header `{name}` is {value!r} (give one line of visible characters)")
        lines.append(b"%b: %b\r\n" % (name.lower().encode("ascii"), value.encode("latin-1")))
    return b"".join(lines)
