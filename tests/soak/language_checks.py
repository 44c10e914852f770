"""What the front ends promise of any text: an answer soon, a flow or its problems with their places, nothing unsaid."""

from __future__ import annotations

import copy
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import msgspec

from legato.formats import read, read_settings
from legato.kernel import Program, linked
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.payload import Payload, json_payload
from legato.model.problem import Problem
from legato.model.source import Source
from legato.values import EvaluationFailed, ExpressionError, compile_expression
from tests.soak.flow_player import Found, any_payload, any_value, play
from tests.soak.flow_texts import Text, encoded
from tests.soak.flow_trees import KEYS, TELLING, VALUES, closed, places

T = TypeVar("T")

STRANGE = ("zzz", "Steps", "timeouts", "ifs", "on-error", "retry_", "\u00e9", "1")  # keys of nothing
READING = 2.0  # CPU seconds
EVALUATING = 1.0
_DURATION = re.compile(r"[0-9.]+(?:ms|s|m|h|d)")
_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
# What can be said of a file as a whole; everything else has its place in it.
_WHOLE = re.compile(
    r"the file is empty|larger than|nested too deep|not valid JSON: .* is not a JSON value|\d+ more problems"
)


def timed(what: str, limit: float, work: Callable[[], T]) -> T:
    """What it gives; raises Found if it takes more CPU than that."""
    before = time.thread_time()
    result = work()
    taken = time.thread_time() - before
    if taken > limit:
        raise Found(f"{what} takes {taken:.1f} s")
    return result


def check_reading(text: Text) -> Definition | None:
    """The definition in a text, which is read as its own language and as the others; None of settings."""
    data = encoded(text.text)
    settings, problems = timed(
        "reading settings", READING, lambda: read_settings(data, "legato.yaml", "shop", {"TOKEN": "x"})
    )
    _check_problems(data, "legato.yaml", settings, tuple(problems))
    if text.language == "settings":
        return None
    other = "fnkit" if text.language == "native" else "native"
    _read(data, text.name, other)
    definition, again = _read(data, text.name, text.language), _read(data, text.name, text.language)
    if (definition.flow, definition.problems) != (again.flow, again.problems):
        raise Found("read twice, it is not the same")
    return definition


def _read(data: bytes, name: str, language: str) -> Definition:
    origin = f"{name}.{'yaml' if language == 'native' else 'json'}"
    source = Source(name=name, language=language, text=data, origin=origin)  # type: ignore[arg-type]
    definition = timed("reading", READING, lambda: read(source))
    _check_problems(data, origin, definition.flow, definition.problems)
    _check_places(data, origin, definition.warnings)
    if definition.flow is not None:
        check_model(definition.flow)
    return definition


def check_model(flow: Flow) -> None:
    """The canonical form is whole: read back, it is the same flow of the same version."""
    again = msgspec.json.decode(msgspec.json.encode(flow), type=Flow)
    if again != flow or again.version != flow.version:
        raise Found(f"the model does not come back the same: {flow!r} became {again!r}")


def _check_problems(data: bytes, origin: str, value: object, problems: tuple[Problem, ...]) -> None:
    if (value is None) != bool(problems):
        raise Found(f"{'neither a value nor' if value is None else 'a value and'} problems: {problems}")
    _check_places(data, origin, problems)


def _check_places(data: bytes, origin: str, problems: tuple[Problem, ...]) -> None:
    if not problems:
        return
    text = data.decode("utf-8-sig", "replace")
    lines = _BREAK.split(text)
    for problem in problems:
        str(problem).encode()
        if not problem.message or not problem.remedy or problem.file != origin:
            raise Found(f"a problem without message, remedy or file: {problem!r}")
        if not problem.message.isprintable() or not problem.remedy.isprintable():
            raise Found(f"a problem that a terminal cannot show: {problem!r}")
        if not problem.line:
            if not _WHOLE.search(problem.message) and text.strip():
                raise Found(f"a problem without a place: {problem!r}")
        elif not (1 <= problem.line <= len(lines) and 1 <= problem.column <= len(lines[problem.line - 1]) + 1):
            raise Found(f"a problem outside of the file ({len(lines)} lines): {problem!r}")


def check_nothing_unsaid(random: Random, tree: dict[str, Any], name: str) -> str:
    """A right flow with one key more has a problem that names the key, or has another meaning because of it."""
    before = check_reading(Text("native", name, json.dumps(tree)))
    tree = copy.deepcopy(tree)
    inside = random.choice(closed(tree))
    key = random.choice(random.choice((STRANGE, KEYS, sorted(TELLING), sorted(TELLING))))
    if key in inside:
        return "had it"
    values = (1, "x", ["a"], {"a": 1}, "${value}", "1s")
    inside[key] = copy.deepcopy(TELLING[key]) if key in TELLING and random.random() < 0.9 else random.choice(values)
    definition = check_reading(Text("native", name, json.dumps(tree)))
    if definition is None or before is None or before.flow is None:
        raise Found("it is no right flow")
    if definition.flow is None:
        if key in STRANGE and not any(f"`{key}`" in problem.message for problem in definition.problems):
            raise Found(
                f"the key {key!r} in {inside} is not named: {[str(problem) for problem in definition.problems]}"
            )
        return "told"
    if key in STRANGE or definition.flow.version == before.flow.version:
        raise Found(f"the key {key!r} in {inside} is accepted in silence")
    return "means something"


def check_nothing_ignored(random: Random, tree: dict[str, Any], name: str) -> str:
    """A right flow in which one value is another has a problem, or has another meaning because of it."""
    before = check_reading(Text("native", name, json.dumps(tree)))
    tree = copy.deepcopy(tree)
    around, key = random.choice(list(places(tree)))
    was, now = around[key], copy.deepcopy(random.choice(VALUES))
    if json.dumps(was) == json.dumps(now) or key in ("hedge", "foreach", "after") or _DURATION.fullmatch(str(was)):
        return "perhaps the same"  # these may be written in several ways
    around[key] = now
    definition = check_reading(Text("native", name, json.dumps(tree)))
    if definition is None or before is None or before.flow is None:
        raise Found("it is no right flow")
    if definition.flow is not None and definition.flow.version == before.flow.version:
        raise Found(f"{now!r} at {key!r} in {around} means the same as {was!r}")
    return "refused" if definition.flow is None else "means something"


def check_same_in_yaml_and_json(tree: Any, name: str) -> Definition:
    """A tree means the same whichever way it is written."""
    text = json.dumps(tree)
    native, other = check_reading(Text("native", name, text)), check_reading(Text("fnkit", name, text))
    assert native is not None
    assert other is not None
    if isinstance(tree, dict) and "flow" in tree and "mode" not in tree and native.flow != other.flow:
        raise Found(f"in YAML {native.flow or native.problems}, in JSON {other.flow or other.problems}")
    return native


def check_running(random: Random, flow: Flow, others: dict[str, Flow], times: int) -> Counter[str]:
    """An accepted flow links or says why not; linked, it runs well whatever its functions do."""
    program, faults = timed("linking", READING, lambda: linked(flow, others.get))
    for fault in faults:
        if not str(fault) or not fault.message:
            raise Found(f"a fault without words: {fault!r}")
    if any(not fault.warning for fault in faults):
        return Counter({"not linked": 1})
    return Counter(_played(random, program) for _ in range(times))


def _played(random: Random, program: Program) -> str:
    return play(random, program)


class Env:
    """What an expression sees: a value of its own behind each root and each step."""

    def __init__(self, payloads: dict[str, Payload], otherwise: Payload) -> None:
        self._payloads = payloads
        self._otherwise = otherwise

    def root(self, name: str) -> Payload:
        """See values.Env."""
        return self._payloads.get(name, self._otherwise)

    def step(self, name: str) -> Payload:
        """See values.Env."""
        return self._otherwise


def any_env(random: Random) -> Env:
    """An Env of random payloads."""
    payloads = {name: any_payload(random) for name in ("input", "value", "item", "error", "run")}
    return Env({**payloads, "index": json_payload(3)}, json_payload(any_value(random)))


def check_expression(text: str, env: Env, limit: float = EVALUATING) -> str:
    """Any text is an ExpressionError with places, or an expression that gives JSON or fails in words. Raises Found."""
    try:
        expression = timed("compiling", limit, lambda: compile_expression(text))
    except ExpressionError as error:
        for fault in error.faults:
            if not fault.message or not fault.remedy or not 0 <= fault.offset <= len(text):
                raise Found(f"a fault without words or place: {fault!r}") from None
        return "refused" if error.faults else _never("an ExpressionError without faults")
    for reference in expression.references:
        if not text[reference.offset :].startswith(reference.written[:1]):
            raise Found(f"a reference that does not stand there: {reference!r}")
    ways: list[Callable[[], object]] = [
        lambda: _check_json(expression.evaluate(env)),
        lambda: expression.truth(env),
        lambda: expression.payload(env),
    ]
    ends: list[str] = []
    for way in ways:
        try:
            timed("evaluating", limit, way)
            ends.append("value")
        except EvaluationFailed as error:
            if not str(error) or "${" not in str(error):
                raise Found(f"a failure that does not show the expression: {error}") from None
            ends.append("failed")
    return ends[0]


def _check_json(document: bytes) -> None:
    try:
        json.loads(document)
    except ValueError as error:
        raise Found(f"gives what is no JSON: {document[:200]!r}: {error}") from None


def _never(what: str) -> str:
    raise Found(what)
