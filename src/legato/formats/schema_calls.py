"""The schemas of the steps that call, `call` and `python`, and of what belongs to them: retry, hedge, undo."""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

from legato.formats import calls, functions, retries
from legato.formats.retries import MAX_HEDGES
from legato.formats.scalars import HOUR
from legato.formats.schema_parts import Schema, count, duration, flag, mapping, name, whole
from legato.formats.schema_values import headers, made, path, query, status
from legato.formats.undos import LONGEST, METHODS, SHORTEST, UNDO_KEYS
from legato.model.outcome import classify
from legato.model.policy import MAX_ATTEMPTS, UNDO_RETRY, Hedge, Retry


def call_keys() -> dict[str, Schema]:
    """The keys of a call."""
    return {
        "call": name("The function to call with the current value; its answer is the next value."),
        "method": _method("The HTTP method. GET, HEAD and DELETE send no body unless `input` says which."),
        "path": path("Appended to the function's URL."),
        "query": query(),
        "headers": headers("Headers for the function, by name."),
        "encode": {
            "description": "How the value becomes the request's body: as JSON, as a form, or as text.",
            "enum": [*calls.ENCODINGS],
            "default": "json",
        },
        "decode": {
            "description": "What the answer's body is, whatever it declares. The next value is its JSON.",
            "enum": [*calls.DECODINGS],
        },
        "success": {
            "description": "Which statuses are a success, instead of those of 2xx.",
            **status({"type": "array", "minItems": 1, "items": status()}),
            "examples": ["2xx", [200, 404]],
        },
        "return_status": _return_status(),
        "hedge": _hedge(),
        "on_response": code("Python code that makes the next value of any complete answer."),
        **python_keys(),
    }


def python_keys() -> dict[str, Schema]:
    """The keys of a step of Python code, which calls have as well but for `python` itself."""
    return {
        "python": code("Python code in the gateway's process; it gets the value and returns the next one."),
        "idempotent": flag(
            "Calling it twice does no harm: it may be tried again even when nobody knows whether it was done. GET, "
            "HEAD, PUT, DELETE and OPTIONS are so anyway.",
            False,
        ),
        "retry": retry("Without it the call is tried once."),
        "at_most_once": flag(
            "In a durable flow: never make the call again after a crash which leaves open whether it was made. The run "
            "is parked then, for somebody to look.",
            False,
        ),
    }


def undo() -> Schema:
    """The call that undoes a step."""
    return {"anyOf": [name("The function that undoes this step."), _undo()]}


def attempt_timeout() -> Schema:
    """How long an attempt may take."""
    words = "How long one attempt may take; after that nobody knows whether the function did its work. Without it the "
    return duration(words + "function's own `timeout` holds.", SHORTEST, LONGEST)


def code(description: str) -> Schema:
    """Where Python code is."""
    return {
        "description": f"{description} module:function, imported from the folder of legato.yaml.",
        "type": "string",
        "pattern": whole(functions.PYTHON.pattern),
        "examples": ["shop.scoring:score"],
    }


def _method(description: str) -> Schema:
    return {"description": description, "enum": [*METHODS], "default": "POST"}


def _return_status() -> Schema:
    return {
        "description": "Which of the function's statuses the caller gets when the call fails: `true` for those of 4xx, "
        "a list of them, or a mapping of what the function answers to what the caller gets.",
        "anyOf": [
            {"type": "boolean"},
            {"type": "array", "items": status()},
            {
                "type": "object",
                "propertyNames": {"pattern": r"^[1-5](?:[0-9]{2}|[xX]{2})$"},
                "additionalProperties": {"type": "integer", "minimum": 400, "maximum": 599},
            },
        ],
        "examples": [True, [404, 409], {"5xx": 503}],
    }


def _hedge() -> Schema:
    keys: dict[str, Schema] = {
        "delay": duration("How long to wait before the next one is started.", 0, HOUR, Hedge().delay),
        "attempts": count("How many in all.", 2, MAX_HEDGES, default=Hedge().attempts),
    }
    return {
        "description": "Start the same call again when it takes long, and take the first good answer. Only for calls "
        "that may be repeated.",
        "anyOf": [
            {"type": "boolean"},
            duration("The delay alone.", 0, HOUR),
            mapping(retries.HEDGE_KEYS, keys),
        ],
        "examples": [True, "100ms"],
    }


def _undo() -> Schema:
    keys: dict[str, Schema] = {
        "call": name("The function that undoes this step."),
        "timeout": attempt_timeout(),
        "retry": retry(f"An undo is tried {UNDO_RETRY.attempts} times unless this says otherwise."),
        "method": _method("The HTTP method of the undo."),
        "path": path("Appended to the function's URL."),
        "query": query(),
        "headers": headers("Headers for the function, by name."),
        "input": made("What the undo is sent; `sent` and `result` are the step's own."),
    }
    return mapping(UNDO_KEYS, keys, ("call",))


def retry(otherwise: str) -> Schema:
    """How often something is tried; `otherwise` says what holds without it."""
    retried = [status for status in range(400, 500) if classify(status) != "refused"]
    keys: dict[str, Schema] = {
        "attempts": count("How often to try in all, the first time included.", 1, MAX_ATTEMPTS, examples=[3]),
        "backoff": duration(
            "The longest wait before the second attempt; it doubles with each one after. The wait itself is random "
            "below that, so that callers do not come back all at once.",
            0,
            HOUR,
            Retry().backoff,
        ),
        "max_backoff": duration(
            "The longest wait of all, at least `backoff`. It also bounds what a function wishes by Retry-After.",
            0,
            HOUR,
            Retry().max_backoff,
        ),
        "when_status": {
            "description": "Statuses after which to try again although the call is not idempotent. "
            f"{', '.join(map(str, retried))} and 503 are tried again anyway, other 4xx never.",
            "type": "array",
            "items": {
                "type": "integer",
                "anyOf": [{"minimum": 300, "maximum": 399}, {"enum": retried}, {"minimum": 500, "maximum": 599}],
            },
            "examples": [[502]],
        },
    }
    words = (
        "How often the call is tried. A definite no (4xx) is final; what was perhaps done is tried again only where "
    )
    return {"description": f"{words}that does no harm. {otherwise}", **mapping(retries.RETRY_KEYS, keys, ("attempts",))}
