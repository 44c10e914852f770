"""What a host makes of an answer before it is delivered: checked, decoded, or wrapped for the code that judges it.

Here, and not in connectors: guards and metrics see what the function itself said.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from legato.errors import NotJSON
from legato.model.outcome import Outcome
from legato.model.payload import JSON, MAX_BYTES, Payload, too_large
from legato.model.steps import CallStep
from legato.values import DECODERS

Reader = Callable[[Outcome], Outcome]
Decoder = Callable[[Payload], Payload]


def reader_of(step: CallStep, inspected: bool) -> Reader | None:
    """How answers to the step are read; None for as they are.

    What cannot be read is garbage, and so `unknown` (contract 1): the function may have done its work.
    """
    decoder = DECODERS[step.decode] if step.decode else None
    if step.on_response:
        return lambda outcome: _whole(outcome, decoder)
    if decoder is not None:
        return lambda outcome: _decoded(outcome, decoder)
    return _checked if inspected else None


def _checked(outcome: Outcome) -> Outcome:
    """An answer that declares JSON is JSON."""
    if outcome.kind == "ok":
        try:
            outcome.payload.json()
        except NotJSON as error:
            return Outcome("unknown", outcome.payload, outcome.status, str(error))
    return outcome


def _decoded(outcome: Outcome, decoder: Decoder) -> Outcome:
    """An answer in another format as JSON. No body is no value, whatever the format."""
    if outcome.kind == "ok" and outcome.payload.size:
        try:
            outcome.payload = decoder(outcome.payload)
        except NotJSON as error:
            return Outcome("unknown", outcome.payload, outcome.status, f"the answer cannot be decoded: {error}")
    return outcome


def _whole(outcome: Outcome, decoder: Decoder | None) -> Outcome:
    """Any answer, whatever its status, as `{"status": ..., "content_type": ..., "body": ...}`.

    The body is a JSON value, else text, else base64: answers that say no often come in another format.
    """
    if not outcome.status:
        return outcome  # there was none
    payload = outcome.payload
    content_type = msgspec.json.encode(payload.content_type.decode("latin-1"))
    part = _part(payload, decoder)
    if len(part) > MAX_BYTES:
        detail = too_large(f"the answer of {payload.size} bytes as JSON")
        return Outcome("unknown", payload, outcome.status, detail)
    body = b'{"status":%d,"content_type":%b,"body":%b}' % (outcome.status, content_type, part)
    return Outcome("ok", Payload(JSON, (body,), len(body)), outcome.status, shared=outcome.shared)


def _part(payload: Payload, decoder: Decoder | None) -> bytes:
    if not payload.size:
        return b"null"
    if decoder is not None:
        try:
            return decoder(payload).json()
        except NotJSON:
            pass
    try:
        return payload.json()  # a body that says nothing of its type is JSON where it parses
    except NotJSON:
        return payload.lenient_json()
