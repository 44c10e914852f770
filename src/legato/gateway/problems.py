"""Problem documents (RFC 9457): what a caller is told when there is no result."""

from __future__ import annotations

import msgspec

from legato.errors import NotJSON
from legato.model.failure_document import detail_of_failure, failure_members, status_of
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload, check_json
from legato.model.problem import Problem
from legato.model.problem_document import MEDIA_TYPE, problem_document
from legato.transport.request import Answer
from legato.values import Schema

CONTENT_TYPE = f"content-type: {MEDIA_TYPE}\r\n".encode()


def refusal(status: int, detail: str, headers: bytes = b"", **members: object) -> Answer:
    """A problem document as a whole answer."""
    return Answer(status, CONTENT_TYPE + headers, problem_document(status, detail, **members))


def detail_of(refused: Answer) -> str:
    """What a refusal says, for the log: its detail, and the first of its errors."""
    document = msgspec.json.decode(refused.body)
    first = next((f": {error['detail']}" for error in document.get("errors", ())), "")
    return f"{document['detail']}{first}"


def answered(failure: Failure) -> Outcome | None:
    """The answer that a run failed by, None where it failed otherwise."""
    return failure.outcome if failure.outcome.status and failure.reason == "failed" else None


def passable(status: int) -> int:
    """A function's status, or 502 for what cannot be passed on: what has no body, what is none (RFC 9110, 15)."""
    return status if status < 600 and status != 304 else 502


def of_failure(failure: Failure, flow: str, run_id: str) -> tuple[int, bytes]:
    """(status, document) of a failed run of a native flow."""
    status = status_of(failure)
    detail = detail_of_failure(failure)
    return status, problem_document(status, detail, flow=flow, run=run_id, **failure_members(failure))


def of_input(schema: Schema, payload: Payload, flow: str) -> Answer | None:
    """The refusal of an input that does not fit (contract 5): 400 for what is not JSON, 422 with every problem."""
    try:
        problems = schema.problems(payload)
    except NotJSON as error:
        return refusal(400, f"the flow takes JSON: {error}", flow=flow)
    if not problems:
        return None
    if payload.is_undeclared:
        try:
            check_json(payload.plain_body())
        except NotJSON:  # what was taken for text was meant as JSON
            return refusal(400, "the flow takes JSON, and the body is none; nor does it say what else it is", flow=flow)
    errors = [{"pointer": problem.pointer, "detail": problem.detail} for problem in problems]
    return refusal(422, "the body does not fit the flow's input schema", flow=flow, errors=errors)


def broken_definition(name: str, problems: tuple[Problem, ...]) -> Answer:
    """503: the flow is there and cannot be served; every problem is told."""
    errors = [problem.entry() for problem in problems]
    return refusal(503, f"the definition of {name} is broken", flow=name, errors=errors)
