"""Why something was not done, as a person reads it: problem documents, and what fnkit's pipelines answer instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

import msgspec

from legato.cli.terminal import clean, warn

EXCERPT = 2000  # characters of an answer that is no document, of a proxy in between perhaps
TOKEN_HINT = "set LEGATO_TOKEN (or LEGATO_ADMIN_TOKEN to define flows)"  # noqa: S105 - names of variables

Document = Mapping[str, Any]


def refused(status: int, answer: bytes) -> NoReturn:
    """Show why a request was refused, and end with 1."""
    tell_refusal(status, answer)
    sys.exit(1)


def fail(problem: Document) -> NoReturn:
    """Show a problem document, and end with 1."""
    warn("\n".join(told(problem)))
    sys.exit(1)


def tell_refusal(status: int, answer: bytes) -> None:
    """Show why a request was refused."""
    problem = _document(status, answer)
    warn("\n".join(told(problem)))
    if status in (401, 403) and "step" not in problem:  # a step's own refusal is none of ours
        warn(TOKEN_HINT)


def _document(status: int, answer: bytes) -> Document:
    """The document of a refusal, or one that is made of what came instead."""
    try:
        problem = msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {"detail": answer[:EXCERPT].decode("utf-8", "replace")}
    return problem if problem.get("detail") or problem.get("error") else {"detail": f"the gateway answered {status}"}


def told(problem: Document) -> Iterator[str]:
    """What a problem document says, line by line."""
    said = [str(problem[key]) for key in ("error", "detail") if problem.get(key)]  # `error` is fnkit's word
    yield ": ".join(said) or json.dumps(problem)
    yield from _of_run(problem)
    for error in _several(problem, "errors"):
        if "step" not in error:
            yield from _of_definition(error)
    for failure in _several(problem, "failures"):
        yield f"  step {failure.get('step')}: {failure.get('status')} {clean(str(failure.get('body', '')))}".rstrip()


def _of_run(problem: Document) -> Iterator[str]:
    """Where a run failed, with what, and what of it was taken back."""
    if step := problem.get("step"):
        function = problem.get("function", step)
        calls = f", which calls {function}" if function != step else ""
        yield clean(f"  step: {step}{calls}{_in_brackets(problem.get('outcome'))}")
    upstream = problem.get("upstream")
    if upstream is None and "body" in problem:  # fnkit's
        upstream = problem
    if isinstance(upstream, dict):
        answer = cast("dict[str, Any]", upstream)
        yield clean(f"  upstream: {answer.get('status')} {answer.get('body', '')}").rstrip()
    for error in _several(problem, "errors"):
        if error.get("step") not in (None, problem.get("step")):
            yield clean(f"  also: step {error['step']}: {error.get('detail', '')}")
    for key, label in (("undone", "undone"), ("not_undone", "not undone")):
        if problem.get(key):
            yield clean(f"  {label}: {', '.join(map(str, problem[key]))}")
    if problem.get("run"):
        yield clean(f"  run: {problem['run']}")


def _of_definition(error: Document) -> Iterator[str]:
    place = ":".join(str(error[key]) for key in ("file", "line", "column") if error.get(key))
    yield f"{place}: {error.get('detail', '')}"
    if error.get("source"):
        yield f"    {error['source']}"
    if error.get("remedy"):
        yield f"  remedy: {error['remedy']}"


def _several(problem: Document, key: str) -> list[dict[str, Any]]:
    found = problem.get(key)
    each = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", item) for item in each if isinstance(item, dict)]


def _in_brackets(word: object) -> str:
    return f" ({word})" if word else ""
