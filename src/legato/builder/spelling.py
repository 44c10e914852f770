"""How Python says what a file says in words: durations, retries, undo. Each function gives a tree for the readers.

What does not fit is passed on as it is: the readers say what is wrong with it, in the words that they have for files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypedDict, cast

from legato.builder.code import Anything, Code, code_of
from legato.builder.written import Tree, tree_of
from legato.errors import DefinitionError
from legato.model.policy import Hedge, Retry

Duration = str | float | timedelta  # `2s`, seconds, or a timedelta
Status = str | int


class Modifiers(TypedDict, total=False):
    """What every step may say: see `docs/reference/flows.md`. `on_failure` is code that gets the error.

    A value that is None is not said at all; a null is written `{"value": None}`.
    """

    id: str | None
    when: str | None
    input: object
    output: object
    timeout: Duration | None
    on_error: object
    on_failure: Anything | str | None
    undo: str | Mapping[str, object] | None
    pivot: bool | None


class Repeatable(Modifiers, total=False):
    """What a step that calls something may say besides."""

    retry: int | Mapping[str, object] | Retry | None
    idempotent: bool | None
    at_most_once: bool | None


class CallOptions(Repeatable, total=False):
    """What a call may say besides."""

    method: str | None
    path: str | None
    query: Mapping[str, object] | None
    headers: Mapping[str, str] | None
    encode: str | None
    decode: str | None
    success: Status | list[Status] | None
    return_status: bool | list[Status] | Mapping[Status, int] | None
    hedge: bool | Duration | Mapping[str, object] | Hedge | None
    on_response: Anything | str | None


def duration(value: object, label: str) -> Tree:
    """A duration as text, if it is one: numbers are seconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return tree_of(value, label)
    text = f"{value:.9f}"
    return f"{text.rstrip('0').rstrip('.')}s" if "." in text else f"{text}s"


def retry(value: object, label: str) -> Tree:
    """How often a call is tried: a number of attempts, or the mapping of a file."""
    if isinstance(value, Retry):
        usual = Retry()
        value = {
            "attempts": value.attempts,
            "backoff": value.backoff,
            "max_backoff": value.max_backoff,
            **({"when_status": list(value.when_status)} if value.when_status != usual.when_status else {}),
        }
    if isinstance(value, int) and not isinstance(value, bool):
        return {"attempts": value}
    return _with(value, label, backoff=duration, max_backoff=duration)


def hedge(value: object, label: str) -> Tree:
    """A hedge: True, its delay, or the mapping of a file."""
    if isinstance(value, Hedge):
        value = {"delay": value.delay, "attempts": value.attempts}
    if isinstance(value, Mapping):
        return _with(cast("Mapping[str, object]", value), label, delay=duration)
    return duration(value, label)


def undo(value: object, label: str) -> Tree:
    """The call that undoes another: a function's name, or the mapping of a file."""
    return _with(value, label, timeout=duration, retry=retry)


def statuses(value: object, label: str) -> Tree:
    """Statuses, which may be the keys of a mapping."""
    if isinstance(value, Mapping):
        value = {str(status): each for status, each in cast("Mapping[object, object]", value).items()}
    return tree_of(value, label)


def on_failure(value: object, label: str) -> Tree:
    """Code that gets the error, and whose answer is the next value."""
    return {"steps": [{"python": code_of(value, label), "input": "${error}"}]}


def _code(value: object, label: str) -> Code | str:
    return code_of(value, label)


Spelling = Callable[[object, str], Tree]

_SPELLINGS: dict[str, Spelling] = {
    "timeout": duration,
    "retry": retry,
    "hedge": hedge,
    "undo": undo,
    "success": statuses,
    "return_status": statuses,
    "on_response": _code,
}


def spelled(options: Mapping[str, Any], label: str) -> dict[str, Tree]:
    """Options as the keys of a step. Unknown ones are kept: the readers know what was meant."""
    said = {name: value for name, value in options.items() if value is not None}
    if "on_failure" in said:
        if "on_error" in said:
            raise DefinitionError(f"{label}: `on_failure` and `on_error` say the same (keep one of them)")
        handler = on_failure(said["on_failure"], label)
        said = {name: value for name, value in said.items() if name != "on_failure"} | {"on_error": handler}
    return {name: _SPELLINGS.get(name, tree_of)(value, label) for name, value in said.items()}


def _with(value: object, label: str, **spellings: Spelling) -> Tree:
    """A mapping with some of its values spelled; anything else as it is."""
    if not isinstance(value, Mapping):
        return tree_of(value, label)
    entries = cast("Mapping[str, object]", value)
    return tree_of({key: spellings.get(key, tree_of)(each, label) for key, each in entries.items()}, label)
