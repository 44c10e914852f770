"""The languages as JSON Schema (draft 2020-12), for editors: completion, explanations, marks at what is wrong.

Built from what the readers themselves go by: their keys, bounds, words and patterns. The readers stay the judges: a
schema refuses nothing that they take, but some of what they refuse it cannot see, such as two ids that are the same.
"""

# The readers' own tables and patterns are the only ones; a second set would drift.

from __future__ import annotations

import json
from collections.abc import Callable

from legato.formats import callbacks, native
from legato.formats.fnkit import MODES
from legato.formats.kinds import FLOW_KEYS
from legato.formats.modifiers import LONGEST_STORED
from legato.formats.scalars import DAY, spell_duration
from legato.formats.schema_calls import retry
from legato.formats.schema_parts import (
    DIALECT,
    IN_HOST,
    IN_URL,
    STEPS,
    Schema,
    duration,
    flag,
    in_any_case,
    json_schema,
    mapping,
    name,
    text,
    whole,
)
from legato.formats.schema_settings import FUNCTION_NAME, settings_schema
from legato.formats.schema_steps import step_definitions
from legato.formats.schema_values import made, value_definition
from legato.formats.undos import LONGEST, SHORTEST
from legato.kernel.linker import CALLBACK_RETRY
from legato.model.flow import MAX_BRANCHES, MAX_STEPS, Flow
from legato.model.settings import Settings


def schema_text(language: str) -> str:
    """The schema of one of SCHEMAS, as a file holds it."""
    return json.dumps(SCHEMAS[language](), indent=2, ensure_ascii=False) + "\n"


def flow_schema() -> Schema:
    """A flow of the native language."""
    return {
        "$schema": DIALECT,
        "title": "A flow",
        "description": "A flow: steps that call functions, in sequence, in parallel, as a graph.",
        **mapping(FLOW_KEYS, _flow_keys(), ("flow", "steps")),
        "$defs": {**step_definitions(), "value": value_definition()},
    }


def _flow_keys() -> dict[str, Schema]:
    timeout = (
        "How long a run may take in all; then its caller gets 504, and what was done is undone. Without it the "
        f"settings' `timeout` holds, {spell_duration(Settings().timeout)} by default; for a durable flow none does. Up "
        f"to {spell_duration(LONGEST)} in a flow that is not durable."
    )
    waiting = "How long a caller waits for a durable run before it gets 202 and the run's id; the run goes on."
    return {
        "flow": name("The flow's name, which is also its file's: flows/hello.yaml says `flow: hello`."),
        "description": text("What the flow is for, for readers."),
        "timeout": duration(timeout, SHORTEST, LONGEST_STORED),
        "on_disconnect": {
            "description": "What becomes of a run whose caller leaves: `cancel` ends it and undoes what was done, "
            "`finish` lets it go on. Without it, a run goes on once it has called what is not idempotent.",
            "enum": list(native.ON_DISCONNECT),
        },
        "durable": flag("A run survives a crash: what it did is on a journal.", False),
        "strategy": {
            "description": "Which way a failed call leads, in a durable flow: `backward`, what was done is undone, or "
            "`forward`, the call is tried until it is done.",
            "enum": [*native.STRATEGIES],
            "default": Flow(name="").strategy,
        },
        "answer_within": duration(waiting, 0, DAY),
        "input": json_schema("A JSON Schema that the request's body must fit; 422 for one that does not."),
        "output": made("What the result is made of, instead of the last value.", {"id": "${input.orderId}"}),
        "on_failure": {
            "description": "What is done when the flow has failed and was undone; `error` says what went wrong.",
            **STEPS,
        },
        "finally": {"description": "What is done at the end, whether the flow failed or not.", **STEPS},
        "callback": _callback(),
        "steps": {
            "description": "What to do, one after another: the first step gets the request's body, each next one the "
            f"answer of the one before; the last answer is the result. At most {MAX_STEPS:,} in all.",
            "minItems": 1,
            **STEPS,
        },
    }


def _callback() -> Schema:
    url: Schema = {
        "description": "Where to post, http:// or https://. Its server is fixed; path and query may hold ${...}.",
        "type": "string",
        "pattern": rf"^(?:{in_any_case('https')}|{in_any_case('http')})://(?:{IN_HOST})+(?:[/?]|$)",
        "anyOf": [{"pattern": rf"://[^/?]+(?:[/?](?:{IN_URL}|\?)*)?$"}, {"pattern": r"\$\{"}],
        "examples": ["https://shop.example/done?order=${input.orderId}"],
    }
    keys: dict[str, Schema] = {
        "url": url,
        "when": {"description": "After which end to post.", "enum": [*callbacks.WHEN], "default": "always"},
        "timeout": duration("How long one attempt may take.", SHORTEST, LONGEST),
        "retry": retry(f"Without it, it is tried {CALLBACK_RETRY.attempts} times."),
    }
    return {
        "description": "Where the result or the failure is posted when a run has ended: a URL, or a mapping.",
        "anyOf": [url, mapping(callbacks.CALLBACK_KEYS, keys, ("url",))],
    }


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
