"""fnkit's answers: the bodies and statuses that its callers rely on, with their defects mended (contract 5)."""

from __future__ import annotations

import msgspec

from legato.gateway.problems import answered, passable, status_of
from legato.model.outcome import Failure

JSON = b"content-type: application/json\r\n"


def of_failure(failure: Failure, parallel: bool) -> tuple[int, bytes]:
    """(status, body) of a failed pipeline."""
    return _parallel(failure) if parallel else _sequential(failure)


def _sequential(failure: Failure) -> tuple[int, bytes]:
    """The step's own status with its body; where no answer came, 502 (or what our limits say) with the detail."""
    outcome = failure.outcome
    if answered(failure):
        return passable(outcome.status), msgspec.json.encode({"error": "Step failed", **_step(failure)})
    body = {"error": "Step failed", "step": failure.function, "detail": outcome.detail}
    return status_of(failure), msgspec.json.encode(body)


def _parallel(failure: Failure) -> tuple[int, bytes]:
    """Every step that failed of itself; `details` is the first as a string, as fnkit had it."""
    failures = [_step(sibling) for sibling in failure.siblings or (failure,)]
    body = {
        "error": "Parallel execution failed",
        "failures": failures,
        "details": msgspec.json.encode(failures[0]).decode(),
    }
    return status_of(failure), msgspec.json.encode(body)


def _step(failure: Failure) -> dict[str, object]:
    outcome = failure.outcome
    if outcome.status:
        body = outcome.payload.body.decode("utf-8", "replace") if outcome.payload.size else ""
        return {"step": failure.function, "status": outcome.status, "body": body}
    return {"step": failure.function, "status": 502, "body": outcome.detail}
