"""A payload: media type and bytes. Decoded only when somebody looks inside, at most once.

The bytes stay in the chunks in which they came, so that a large body passes through a flow without being copied.
An empty payload is what `null` looks like on the wire.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Sequence
from operator import add

import msgspec

from legato.errors import NotJSON

JSON = b"application/json"
MAX_DEPTH = 128  # contract 9: deeper documents are attacks, and recursive readers down the line break on them
# What is made here, and not received: as much as an answer may have (`limits.answer_body`). A few references to one
# value, in a few steps after one another, would otherwise be more than any machine has.
MAX_BYTES = 64 * 1024 * 1024
MAX_EXPANDED = MAX_BYTES  # a small encoded body must not become a huge one
_WINDOW = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # zlib's window bits; 16 more mean a gzip header
_RUN = re.compile(rb"\[+|\]+")
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_MARK = bytes(set(range(256)) - set(b'[]{}"'))
_KEPT = 1024 * 1024  # bytes that an encoded body may decode to and be kept: it looks small, and many are held at once
_SLICE = 64 * 1024  # bytes that are cut into strings at a time
# Types that say nothing: none at all, and what `curl -d` sends unasked. Such a body is JSON where it parses.
_UNDECLARED = frozenset({b"", b"application/x-www-form-urlencoded"})

_parse = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.encode


class Payload(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A media type (as on the wire, empty when none was given) and a body of `size` bytes in chunks.

    Immutable, so whoever holds one may send it again. `encoding` is a content encoding, empty for none. `assumed` says
    that the media type was not given but taken from elsewhere: it is sent on, and says nothing of what is inside.
    """

    content_type: bytes
    chunks: Sequence[bytes]
    size: int
    encoding: bytes = b""
    _json: bytes | None = None
    assumed: bool = False

    @classmethod
    def of(cls, content_type: bytes, *chunks: bytes) -> Payload:
        """A payload of these chunks."""
        return cls(content_type, chunks, sum(map(len, chunks)))

    @property
    def body(self) -> bytes:
        """The whole body; several chunks are joined once."""
        chunks = self.chunks
        if len(chunks) != 1:
            chunks = (b"".join(chunks),)
            msgspec.structs.force_setattr(self, "chunks", chunks)
        return chunks[0]

    @property
    def is_json(self) -> bool:
        """Whether the media type says JSON: `application/json` or any `+json` (RFC 6839), parameters aside."""
        if self.assumed:
            return False
        if self.content_type == JSON:
            return True
        media = self.content_type.split(b";", 1)[0].strip().lower()
        return media == JSON or media.endswith(b"+json")

    @property
    def is_undeclared(self) -> bool:
        """Whether the media type says nothing of what is inside."""
        return self.assumed or self.content_type.split(b";", 1)[0].strip().lower() in _UNDECLARED

    def json(self) -> bytes:
        """The body as a part of a JSON document: checked, not decoded.

        JSON is itself, text a string, nothing `null`. Raises NotJSON for a body that declares JSON and is not
        (syntax, UTF-8, depth over 128), and for one that is neither JSON nor text.
        """
        checked = self._json
        if checked is None:
            if self.content_type == JSON and self.size and not self.encoding and not self.assumed:
                checked = self.body  # the plain case of _as_json, which every parallel meets for every branch
                check_json(checked)
            else:
                checked = self._as_json()
                if self.encoding and len(checked) > _KEPT:
                    return checked
            msgspec.structs.force_setattr(self, "_json", checked)
        return checked

    def _as_json(self) -> bytes:
        if not self.size:
            return b"null"
        body = self.plain_body()
        if self.is_json:
            check_json(body)
            return body
        media = self.content_type.split(b";", 1)[0].strip().lower()
        if self.is_undeclared:
            try:
                check_json(body)
                return body
            except NotJSON:
                pass
        name = media.decode("latin-1") or "bytes of no declared type"
        try:
            text = _encode(body.decode("utf-8"))
        except UnicodeDecodeError:
            raise NotJSON(f"{name} of {self.size} bytes is neither JSON nor text") from None
        if len(text) > MAX_BYTES:  # a control character is six bytes
            raise NotJSON(too_large(f"{name} of {self.size} bytes as a JSON string"))
        return text

    def plain_body(self) -> bytes:
        """The body without its content encoding. Raises NotJSON for an unknown, broken or exploding one."""
        encoding = self.encoding.strip().lower()
        if not encoding:
            return self.body
        if encoding not in _WINDOW:
            raise NotJSON(f"the body is encoded as {encoding.decode('latin-1')}, which is passed on but not read here")
        inflate = zlib.decompressobj(_WINDOW[encoding])
        try:
            plain = inflate.decompress(self.body, MAX_EXPANDED + 1)
        except zlib.error as error:
            raise NotJSON(f"the body is not the {encoding.decode()} that it declares: {error}") from None
        if not inflate.eof or len(plain) > MAX_EXPANDED:
            raise NotJSON(f"the {encoding.decode()} body is cut short or expands beyond {MAX_EXPANDED} bytes")
        if inflate.unused_data:  # a second member (RFC 1952, 2.2) would be lost: refused, as nobody sends one
            raise NotJSON(f"the {encoding.decode()} body goes on after its end")
        return plain

    def lenient_json(self) -> bytes:
        """As `json`, but never fails: what does not parse is a string, what is no text is base64 in a string.

        This is fnkit's rule for parallel results, with its corruption of binary bodies mended.
        """
        if self.is_json and self.size:
            try:
                return self.json()
            except NotJSON:
                pass
        try:
            body = self.plain_body() if self.size else b""
        except NotJSON:
            body = self.body
        try:
            return _encode(body.decode("utf-8"))
        except UnicodeDecodeError:
            return _encode(base64.b64encode(body).decode("ascii"))

    def value(self) -> object:
        """The decoded value, for code that looks inside. Raises NotJSON as `json` does."""
        try:
            return msgspec.json.decode(self.json())
        except msgspec.DecodeError as error:
            raise NotJSON(f"JSON that cannot be held: {error}") from None  # numbers beyond what the type can be

    def excerpt(self, limit: int = 2048) -> str:
        """The first `limit` bytes as text, for messages."""
        head = b""
        for chunk in self.chunks:
            head += chunk[: limit - len(head)]
            if len(head) >= limit:
                break
        return head.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"Payload({self.content_type!r}, {self.excerpt(60)!r}, size={self.size})"


EMPTY = Payload(b"", (b"",), 0)


def too_large(what: str, limit: int = MAX_BYTES) -> str:
    """What to say of what would be larger than it may be."""
    return f"{what} would have more than {limit:,} bytes; leave out what is not needed, or pass on a link to it"


def check_json(body: bytes) -> None:
    """Raise NotJSON unless `body` is one JSON document in UTF-8 of bounded depth. Builds no objects."""
    try:
        _parse(body)
        if not body.isascii():
            body.decode("utf-8")  # msgspec's Raw admits invalid UTF-8
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJSON(f"declared as JSON but {error}") from None
    except RecursionError:
        raise NotJSON("JSON nested too deep") from None
    # Fewer bytes or brackets than twice the limit cannot be too deep, which settles it for nearly every body.
    if len(body) > 2 * MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise NotJSON(f"JSON nested deeper than {MAX_DEPTH}")


def _depth(body: bytes) -> int:
    """The nesting of a valid JSON document, without a loop over its bytes.

    Strings and everything else but brackets are taken away. Then a few turns remove the innermost pairs each, which is
    most of any document; of what is left, runs of brackets are counted.
    """
    brackets = _brackets(body)
    removed = 0
    while brackets and removed < 8:
        brackets = brackets.replace(b"[]", b"")
        removed += 1
    level = deepest = 0
    for run in _RUN.finditer(brackets):
        length = run.end() - run.start()
        if brackets[run.start()] == 0x5B:
            level += length
            deepest = max(deepest, level)
        else:
            level -= length
    return removed + deepest


def _brackets(body: bytes) -> bytes:
    """The brackets of a valid JSON document that are not within strings, as `[` and `]`."""
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes side by side go: what is behind them stays as far within a string, or without, as it was.
    marks = body.translate(_TO_SQUARE, _NO_MARK).replace(b'""', b"")
    if b'"' not in marks:
        return marks
    kept: list[bytes] = []
    within = 0
    for start in range(0, len(marks), _SLICE):
        parts = marks[start : start + _SLICE].split(b'"')
        kept.append(b"".join(parts[within::2]))
        within ^= (len(parts) - 1) & 1
    return b"".join(kept)


def json_payload(value: object) -> Payload:
    """A JSON payload of a Python value. Raises NotJSON for what JSON cannot hold."""
    try:
        body = _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError, UnicodeError) as error:
        raise NotJSON(f"{type(value).__name__} cannot be written as JSON: {error}") from None
    return Payload(JSON, (body,), len(body))


def join_object(names: Sequence[bytes], parts: Sequence[bytes]) -> Payload:
    """One JSON object out of `"name":` prefixes and checked JSON parts, spliced: nothing is decoded."""
    body = b"{%b}" % b",".join(map(add, names, parts))
    return Payload(JSON, (body,), len(body))
