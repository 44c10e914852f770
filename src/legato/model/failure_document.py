"""What is told of a failed run: the members of its problem document (contract 5), wherever that is shown."""

from __future__ import annotations

from legato.model.outcome import Failure

EXCERPT = 2048  # bytes of a function's body that a problem shows (contract 5)

_STATUS = {"deadline": 504, "overloaded": 503, "mistake": 500, "cancelled": 503, "disconnect": 499}


def status_of(failure: Failure) -> int:
    """The status that a failed run is answered with (contract 5): 502 where a function failed and nobody says another.

    A loop through gateways stays one all the way back: 508 says what to mend, 502 would say that something is down.
    """
    if failure.outcome.status == 508:
        return 508
    return failure.answer or _STATUS.get(failure.reason, 502)


def detail_of_failure(failure: Failure) -> str:
    """Why it failed, in a line."""
    if failure.reason in ("failed", "overloaded") and failure.path:
        return f"step {failure.path}: {failure.outcome.detail}"
    if failure.path and failure.reason == "mistake":
        return f"step {failure.path}: {failure.outcome.detail}"
    if failure.path and failure.reason in ("deadline", "cancelled"):
        return f"{failure.outcome.detail} in step {failure.path}"
    return failure.outcome.detail


def failure_members(failure: Failure) -> dict[str, object]:
    """Where and by what it failed, and what was undone; members without a value are None or empty."""
    outcome = failure.outcome
    upstream = None
    if outcome.status:
        upstream = {"status": outcome.status, "body": outcome.payload.excerpt(EXCERPT)}
    return {
        "step": failure.path,
        "function": failure.function,
        "outcome": outcome.kind if failure.reason in ("failed", "overloaded", "mistake") else None,
        "upstream": upstream,
        "errors": [_error(sibling) for sibling in failure.siblings],
        "undone": [path.removesuffix("/undo") for path, succeeded in failure.undo if succeeded],
        "not_undone": [path.removesuffix("/undo") for path, succeeded in failure.undo if not succeeded],
    }


def _error(failure: Failure) -> dict[str, object]:
    error: dict[str, object] = {"step": failure.path, "function": failure.function, "detail": failure.outcome.detail}
    if failure.outcome.status:
        error["upstream"] = {"status": failure.outcome.status, "body": failure.outcome.payload.excerpt(EXCERPT)}
    return error
