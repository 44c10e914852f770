"""HTTP messages as bytes, for callers and for functions."""

from __future__ import annotations

JSON = b"application/json"


def request(
    target: str = "/orchestrate/echo",
    body: bytes | None = None,
    method: str | None = None,
    version: str = "1.1",
    **fields: str,
) -> bytes:
    """A request; `content_type="x"` becomes `content-type: x`. A body gets its length, and makes a POST."""
    lines = [f"{method or ('GET' if body is None else 'POST')} {target} HTTP/{version}", "Host: gateway"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if body is not None:
        if "content_type" not in fields:
            lines.append("content-type: application/json")
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


def answer(status: int = 200, body: bytes = b'{"ok":true}', content_type: bytes = JSON, *fields: bytes) -> bytes:
    """An answer with its length; further fields as `b"name: value"`."""
    lines = [b"HTTP/1.1 %d Some Reason" % status]
    if body:
        lines.append(b"Content-Type: " + content_type)
    lines += [*fields, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


def of_head(*lines: bytes, body: bytes = b"") -> bytes:
    """A message of exactly these lines."""
    return b"\r\n".join([*lines, b"", b""]) + body
