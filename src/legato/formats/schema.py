"""The languages as JSON Schema (draft 2020-12), for editors: completion, explanations, marks at what is wrong.

Built from what the readers themselves go by: their keys, bounds, words and patterns. The readers stay the judges: a
schema refuses nothing that they take, but some of what they refuse it cannot see, such as two ids that are the same.
"""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

import json
from collections.abc import Callable

from legato.formats import calls, native
from legato.formats.calls import LONGEST, MAX_PATH, METHODS, SHORTEST
from legato.formats.fnkit import MODES
from legato.formats.scalars import HOUR, spell_duration
from legato.formats.schema_parts import (
    DIALECT,
    IN_URL,
    Schema,
    count,
    duration,
    flag,
    in_any_case,
    mapping,
    name,
    text,
    whole,
)
from legato.formats.schema_settings import FUNCTION_NAME, settings_schema
from legato.formats.steps import KINDS
from legato.model.flow import MAX_BRANCHES, MAX_STEPS
from legato.model.outcome import classify
from legato.model.policy import MAX_ATTEMPTS, UNDO_RETRY, Retry
from legato.model.settings import Settings

_STEP: Schema = {"$ref": "#/$defs/step"}
_STEPS: Schema = {"$ref": "#/$defs/steps"}
_CLIMBING = r"(?:/|%2[fF])(?:\.|%2[eE]){2}(?:/|%2[fF]|$)"


def schema_text(language: str) -> str:
    """The schema of one of SCHEMAS, as a file holds it."""
    return json.dumps(SCHEMAS[language](), indent=2, ensure_ascii=False) + "\n"


def flow_schema() -> Schema:
    """A flow of the native language."""
    keys: dict[str, Schema] = {
        "flow": name("The flow's name, which is also its file's: flows/hello.yaml says `flow: hello`."),
        "description": text("What the flow is for, for readers."),
        "timeout": duration(
            "How long a run may take in all; then its caller gets 504, and what was done is undone. Without it the "
            f"settings' `timeout` holds, {spell_duration(Settings().timeout)} by default.",
            SHORTEST,
            LONGEST,
        ),
        "on_disconnect": {
            "description": "What becomes of a run whose caller leaves: `cancel` ends it and undoes what was done, "
            "`finish` lets it go on. Without it, a run goes on once it has called what is not idempotent.",
            "enum": list(native.ON_DISCONNECT),
        },
        "steps": {
            "description": "What to do, one after another: the first step gets the request's body, each next one the "
            f"answer of the one before; the last answer is the result. At most {MAX_STEPS:,} in all.",
            "minItems": 1,
            **_STEPS,
        },
    }
    return {
        "$schema": DIALECT,
        "title": "A flow",
        "description": "A flow: steps that call functions, in sequence and in parallel.",
        **mapping(native.KNOWN, keys, ("flow", "steps")),
        "$defs": {"steps": {"type": "array", "maxItems": MAX_STEPS, "items": _STEP}, "step": _step()},
    }


def _step() -> Schema:
    keys: dict[str, Schema] = {
        **_call_keys(),
        "id": name(
            "What the step is called in paths, errors and the log; unique within its flow or branch. Without it: the "
            "branch's name, else the function's, else the kind of step."
        ),
        "steps": {"description": "Steps one after another, as one step: to give them a name, by `id`.", **_STEPS},
        "parallel": {
            "description": "Branches by name, called at once, each with the current value. The next value is an object "
            f"of their answers by name. When one fails, the others are cancelled. At most {MAX_BRANCHES}.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": MAX_BRANCHES,
            "propertyNames": name(),
            "additionalProperties": {
                "description": "A branch: one step, or a list of steps in sequence.",
                "anyOf": [_STEP, _STEPS],
            },
        },
    }
    kinds = [mapping(known, keys, (kind,)) for kind, known in KINDS.items()]
    return {
        "description": f"A step: a function's name, or a mapping with one of {', '.join(KINDS)}.",
        "anyOf": [name("The function to call with the current value; short for `call: NAME`."), *kinds],
    }


def _call_keys() -> dict[str, Schema]:
    return {
        "call": name("The function to call with the current value; its answer is the next value."),
        "method": {
            "description": "The HTTP method. GET, HEAD and DELETE send no body.",
            "enum": [*METHODS],
            "default": "POST",
        },
        "path": {
            "description": "Appended to the function's URL. It begins with a slash; no query, no `..`.",
            "type": "string",
            "pattern": rf"^(?!.*{_CLIMBING})/(?:{IN_URL})*$",
            "maxLength": MAX_PATH,
            "examples": ["/v1/charges"],
        },
        "timeout": _attempt_timeout(),
        "idempotent": flag(
            "Calling it twice does no harm: it may be tried again even when nobody knows whether it was done. GET, "
            "HEAD, PUT, DELETE and OPTIONS are so anyway.",
            False,
        ),
        "retry": _retry("Without it the call is tried once."),
        "undo": {
            "description": "The function that undoes this call if the flow fails later. It gets "
            '{"sent": ..., "result": ...}: what this call was sent, and what it answered.',
            "anyOf": [name("The function that undoes this call."), _undo()],
        },
    }


def _attempt_timeout() -> Schema:
    words = "How long one attempt may take; after that nobody knows whether the function did its work. Without it the "
    return duration(words + "function's own `timeout` holds.", SHORTEST, LONGEST)


def _undo() -> Schema:
    keys: dict[str, Schema] = {
        "call": name("The function that undoes this call."),
        "timeout": _attempt_timeout(),
        "retry": _retry(f"An undo is tried {UNDO_RETRY.attempts} times unless this says otherwise."),
    }
    return mapping(keys, keys, ("call",))


def _retry(otherwise: str) -> Schema:
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
    return {"description": f"{words}that does no harm. {otherwise}", **mapping(calls.RETRY_KEYS, keys, ("attempts",))}


def pipeline_schema() -> Schema:
    """fnkit's form. Its keys are not closed: fnkit passes over those that it does not know."""
    return {
        "$schema": DIALECT,
        "title": "A pipeline",
        "description": "A pipeline as fnkit keeps it: functions in sequence or in parallel.",
        "type": "object",
        "properties": {
            "mode": {
                "description": "`sequential`: each step gets the answer of the one before. `parallel`: all get the "
                "request, and the result is an object of their answers by name; none may be listed twice.",
                "anyOf": [{"enum": [*MODES]}, {"type": "string", "pattern": whole("|".join(map(in_any_case, MODES)))}],
            },
            "steps": {
                "description": f"The functions to call, by name; at most {MAX_STEPS:,}, in parallel {MAX_BRANCHES}.",
                "type": "array",
                "items": {
                    "description": "A function's name. Blanks around it do not count, nor does an empty one.",
                    "type": "string",
                    "pattern": rf"^\s*(?:{FUNCTION_NAME})?\s*$",
                },
                "contains": {"type": "string", "pattern": r"\S"},
            },
        },
        "required": ["mode", "steps"],
    }


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "flow": flow_schema,
    "settings": settings_schema,
    "pipeline": pipeline_schema,
}
