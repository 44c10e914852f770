"""Bodies in other formats than JSON: read into JSON, and request bodies written from it. One table for each way."""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote_plus

import msgspec

from legato.errors import NotJSON
from legato.model.payload import JSON, MAX_BYTES, Payload, check_json, json_payload, too_large
from legato.values.dig import kind_of_json
from legato.values.faults import EvaluationFailed, printable
from legato.values.pieces import text_of_json
from legato.values.xml import read_xml

FORM = b"application/x-www-form-urlencoded"
TEXT = b"text/plain; charset=utf-8"
MAX_FIELDS = 100_000  # of a form: more are no form

_SLICE = 64 * 1024  # characters that are encoded at a time

_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
# Python knows many more, of which some are no character sets and some take quadratic time.
_CHARSETS = frozenset({"ascii", "gb18030", "gbk", "big5", "euc_jp", "euc_kr", "shift_jis", "koi8-r", "koi8-u"})
_FAMILIES = ("utf-8", "utf-16", "utf-32", "iso8859-", "cp125")


def _charset(payload: Payload) -> str | None:
    """The character set that a payload declares. Raises NotJSON for one that is not known."""
    match = _CHARSET.search(payload.content_type)
    if match is None:
        return None
    written = match[1].decode("ascii")
    try:
        name = codecs.lookup(written).name
    except LookupError:
        name = ""
    if name in _CHARSETS or name.startswith(_FAMILIES):
        return name
    raise NotJSON(f"the character set {written} is not known")


def _text_of(payload: Payload) -> str:
    charset = _charset(payload) or "utf-8"
    try:
        return payload.plain_body().decode(charset).removeprefix("\ufeff")
    except (UnicodeDecodeError, ValueError):
        raise NotJSON(f"the body of {payload.size} bytes is not text in {charset}") from None


def _from_json(payload: Payload) -> Payload:
    if not payload.size:
        return Payload.of(JSON, b"null")
    body = payload.plain_body()
    check_json(body)
    return Payload.of(JSON, body)


def _made(value: object, payload: Payload) -> Payload:
    """What was read as JSON, which may be several times as large. Raises NotJSON for more than may be made."""
    made = json_payload(value)
    if made.size > MAX_BYTES:
        raise NotJSON(too_large(f"the body of {payload.size} bytes as JSON"))
    return made


def _from_text(payload: Payload) -> Payload:
    return _made(_text_of(payload), payload)


def _from_xml(payload: Payload) -> Payload:
    # The parser knows few character sets, and what a header says goes before what the document does (RFC 7303, 3).
    is_told = _charset(payload) is not None
    document = _text_of(payload).encode("utf-8") if is_told else payload.plain_body()
    made = _made(read_xml(document, "utf-8" if is_told else None), payload)
    check_json(made.body)  # a list stands between each level of elements: twice as deep as the document
    return made


def _from_form(payload: Payload) -> Payload:
    text = _text_of(payload)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise NotJSON("the form holds bytes that are not UTF-8") from None
    except ValueError:
        raise NotJSON(f"the form has more than {MAX_FIELDS:,} fields") from None
    fields: dict[str, str | list[str]] = {}
    for name, value in pairs:
        known = fields.get(name)
        if known is None:
            fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[name] = [known, value]
    return _made(fields, payload)


def _from_binary(payload: Payload) -> Payload:
    return _made(base64.b64encode(payload.plain_body()).decode("ascii"), payload)


# Each gives the JSON that a payload holds in this format, whatever type it declares; raises NotJSON if it does not.
# json: as it is. text: a string. xml: see `xml`. form: an object, a repeated name as a list. binary: base64.
DECODERS: dict[str, Callable[[Payload], Payload]] = {
    "json": _from_json,
    "text": _from_text,
    "xml": _from_xml,
    "form": _from_form,
    "binary": _from_binary,
}


def _to_json(payload: Payload) -> Payload:
    return payload


def _to_form(payload: Payload) -> Payload:
    document = _json_of(payload, "a form")
    kind = kind_of_json(document)
    if kind != "an object":
        raise EvaluationFailed(f"a form is made of an object, and there is {kind}")
    made: list[str] = []
    room = MAX_BYTES + 1  # the first has no `&` before it
    for name, value in msgspec.json.decode(document, type=dict[str, msgspec.Raw]).items():
        part, key = bytes(value), _quoted(name)
        is_list = kind_of_json(part) == "a list"
        for item in msgspec.json.decode(part, type=list[msgspec.Raw]) if is_list else [part]:
            text = _field(name, bytes(item))
            if text is None:
                continue
            made.append(f"{key}={_quoted(text)}")
            room -= len(made[-1]) + 1
            if room < 0:
                raise EvaluationFailed(too_large(f"the form, at `{printable(name)}`,"))
    return Payload.of(FORM, "&".join(made).encode("ascii"))


def _quoted(text: str) -> str:
    """As forms encode it; slice by slice, as what encodes it makes a list of every character."""
    if len(text) <= _SLICE:
        return quote_plus(text)
    return "".join([quote_plus(text[start : start + _SLICE]) for start in range(0, len(text), _SLICE)])


def _field(name: str, value: bytes) -> str | None:
    kind = kind_of_json(value)
    if kind in ("an object", "a list"):
        raise EvaluationFailed(f"a form holds no nested values, and `{printable(name)}` is or holds {kind}")
    return None if kind == "null" else text_of_json(value)


def _to_text(payload: Payload) -> Payload:
    if payload.content_type.lower().startswith(b"text/"):
        return payload
    document = _json_of(payload, "text")
    kind = kind_of_json(document)
    if kind not in ("text", "a number", "a boolean"):
        raise EvaluationFailed(f"a body of text is made of text, a number or a boolean, and there is {kind}")
    return Payload.of(TEXT, text_of_json(document).encode("utf-8"))


def _json_of(payload: Payload, what: str) -> bytes:
    try:
        return payload.json()
    except NotJSON as error:
        raise EvaluationFailed(f"{what} cannot be made of this: {error}") from None


# Each gives a request body in this format, of a JSON payload; raises EvaluationFailed for what has no place in it.
# json: as it is. form: an object of scalars and lists of them, null left out. text: text, a number or a boolean.
ENCODERS: dict[str, Callable[[Payload], Payload]] = {"json": _to_json, "form": _to_form, "text": _to_text}
