"""Flows that make much of little, played in a child process with little memory: `python -m tests.language.swollen`.

Prints one JSON line for each: the status and the words that the caller gets, and the most memory so far.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from legato.model.outcome import Kind
from legato.model.payload import JSON, Payload
from legato.testing import Act
from tests.language.play import play
from tests.language.weighed import MEBIBYTE, ROOT, limit, weigh

ROOM = 1024 * MEBIBYTE  # address space beyond what the process has already: most of these would need more

SMALL = "x" * 1024
TEXT = Payload.of(JSON, b'"%b"' % (b"x" * MEBIBYTE))
LARGE = Payload.of(JSON, b'"%b"' % (b"x" * (40 * MEBIBYTE)))


def packed(document: bytes, kind: Kind = "ok", status: int = 200) -> Callable[[Any], Act]:
    """A function that answers JSON that looks small: a thousandth of what it is."""
    body = gzip.compress(document, 9)
    return lambda _: Act(kind=kind, status=status, payload=Payload(JSON, (body,), len(body), b"gzip"))


def again(step: str, times: int = 40) -> str:
    """The same step so many times."""
    return "steps:\n" + "\n".join(f"  - {step.replace('#', str(n))}" for n in range(times))


def beside(step: str, times: int = 20) -> str:
    """The same step so many times in a parallel."""
    return "{parallel: {" + ", ".join(f"b{n}: {step}" for n in range(times)) + "}, id: p}"


TWICE = "{set: '${value}'}"
BOMB = packed(b'"%b"' % (b"x" * (60 * MEBIBYTE)))
OBJECT = packed(b'{"a": "%b"}' % (b"x" * (60 * MEBIBYTE)))
REFUSES = packed(b'"%b"' % (b"x" * (30 * MEBIBYTE)), "refused", 422)
CONTROLS = Payload.of(b"text/plain", b"\x01" * (20 * MEBIBYTE))
BINARY = Payload.of(b"image/png", b"\xff" * (60 * MEBIBYTE))
ROWS = Payload.of(JSON, b"[" + b",".join([b'{"a":1}'] * 100_000) + b"]")

Case = tuple[str, Mapping[str, Any], Any]

# What many references to one value would make: by the flow, its functions, and its input.
CASES: dict[str, Case] = {
    "a list of itself": (again("{set: ['${value}', '${value}'], id: s#}"), {}, SMALL),
    "an object of itself": (again("{set: {a: '${value}', b: '${value}'}, id: s#}"), {}, SMALL),
    "a list of a part": (
        "steps: [{set: [" + ", ".join(["'${value.a[0]}'"] * 100) + "], id: s0}]",
        {},
        Payload.of(JSON, b'{"a": [%b]}' % LARGE.body),
    ),
    "a text of itself": (again("{set: '${value}${value}', id: s#}"), {}, SMALL),
    "a text of itself, of wide characters": (again("{set: '${value}${value}', id: s#}"), {}, SMALL + "\U0001f3b5"),
    "a text that is quoted": (again("{set: {a: '${value}!'}, id: s#}", 60), {}, {"a": "b"}),
    "an expression of itself": (again("{set: '${value + value}', id: s#}"), {}, SMALL),
    "an expression in bytes": ("steps: [{set: '${[value, value, value, value]}', id: s0}]", {}, LARGE),
    "a parallel of itself": (again(f"{{parallel: {{a: {TWICE}, b: {TWICE}}}, id: s#}}"), {}, SMALL),
    "a parallel of all there is": (f"steps: [{beside(TWICE, 200)}]", {}, LARGE),
    "a parallel of calls": (again("{parallel: {a: f, b: f}, id: s#}"), {}, SMALL),
    "a merged parallel": (f"steps: [{beside('bomb').replace('id: p', 'id: p, merge: flat')}]", {"bomb": OBJECT}, None),
    "a graph of itself": (again(f"{{graph: {{a: {TWICE}, b: {TWICE}}}, id: s#}}"), {}, SMALL),
    "a graph that comes together": (
        again("{graph: {a: f, b: f, c: {call: f, after: [a, b]}}, id: s#}"),
        {},
        SMALL,
    ),
    "a choice of all": (
        again(
            "{choose: {all: true, cases: [{when: '${true}', name: a, steps: [{set: '${value}'}]},"
            " {when: '${true}', name: b, steps: [{set: '${value}'}]}]}, id: s#}"
        ),
        {},
        SMALL,
    ),
    "a foreach": ("steps: [{foreach: '${[1, 2, 3]}', id: s0, steps: [{set: '${input}'}]}]", {}, LARGE),
    "a foreach, one by one": (
        "steps: [{foreach: '${lists.range(1000)}', concurrency: 1, id: s0, steps: [{set: '${input}'}]}]",
        {},
        TEXT,
    ),
    "a foreach of outcomes": (
        "steps: [{foreach: '${lists.range(1000)}', collect: outcomes, id: s0, steps: [{set: '${input}'}]}]",
        {},
        TEXT,
    ),
    "a foreach by key": (
        "steps: [{foreach: \"${{'a': 1, 'b': 2, 'c': 3}}\", collect: object, id: s0, steps: [{set: '${input}'}]}]",
        {},
        LARGE,
    ),
    "an input": ("steps: [{call: f, id: s0, input: {a: '${value}', b: '${value}'}}]", {}, LARGE),
    "an output": ("steps: [{call: f, id: s0, output: {a: '${value}', b: '${value}'}}]", {}, LARGE),
    "what follows a failure": ("steps: [{call: bad, id: s0, on_error: {value: '${value}${value}'}}]", {}, LARGE),
    "what is answered": ("steps: [{respond: '${value}${value}', id: s0}]", {}, LARGE),
    "an edge": (
        "steps: [{graph: {a: f, b: {call: f, after: {a: {transform: '${value}${value}'}}}}, id: s0}]",
        {},
        LARGE,
    ),
    "the result": ("steps: [f]\noutput: {a: '${value}', b: '${value}'}", {}, LARGE),
    "what is renamed": (
        f"steps: [{{set: '${{value}}', id: s0, output: {{rename: {{a: {'.'.join('k' * 1000 for _ in range(10))}}}}}}}]",
        {},
        ROWS,
    ),
    "a path": ("steps: [{call: f, id: s0, path: '/x/${value}'}]", {}, LARGE),
    "a path of many parts": (f"steps: [{{call: f, id: s0, path: '/{'${value}' * 100}'}}]", {}, SMALL * 32),
    "a query": ("steps: [{call: f, id: s0, query: {q: '${value}'}}]", {}, LARGE),
    "a query of texts": ("steps: [{call: f, id: s0, query: {q: '${value}-'}}]", {}, LARGE),
    "a query of many": (
        f"steps: [{{call: f, id: s0, query: {{{'q' * 1000}: '${{lists.range(100000)}}'}}}}]",
        {},
        LARGE,
    ),
    "a header": ("steps: [{call: f, id: s0, headers: {x-a: '${value}'}}]", {}, LARGE),
    "a message": ("steps: [{fail: 'no ${value}', id: s0}]", {}, LARGE),
    "answers that look small": (f"steps: [{beside('bomb')}]", {"bomb": BOMB}, None),
    "answers that look small, in a foreach": (
        "steps: [{foreach: '${lists.range(100)}', id: s0, steps: [bomb]}]",
        {"bomb": BOMB},
        None,
    ),
    "answers that look small, in a graph": (
        "steps: [{graph: {" + ", ".join(f"b{n}: bomb" for n in range(20)) + "}, id: s0}]",
        {"bomb": BOMB},
        None,
    ),
    "failures that look small": (
        f"steps: [{beside('{call: bad, on_error: skip}', 100)}, {{set: '${{errors.size()}}', id: s0}}]",
        {"bad": REFUSES},
        None,
    ),
    "a text of control characters": (
        "steps: [f, {parallel: {a: {set: '${steps.f}'}, b: {set: 1}}, id: s0}]",
        {"f": CONTROLS},
        None,
    ),
    "an answer that is decoded": ("steps: [{call: f, id: s0, decode: text}]", {"f": CONTROLS}, None),
    "a picture that is decoded": ("steps: [{call: f, id: s0, decode: binary}]", {"f": BINARY}, None),
    "an answer that is judged": ("steps: [{call: f, id: s0, on_response: 'shop:judge'}]", {"f": BINARY}, None),
}


def main() -> None:
    """All of them, one after another."""
    limit(ROOM)
    for name, (text, functions, value) in CASES.items():
        weigh(name, lambda text=text, functions=functions, value=value: _end(text, functions, value))


def _end(text: str, functions: Mapping[str, Any], value: Any) -> str:
    bad = Act(kind="refused", status=422)
    played = play(text, {"bad": bad, **functions}, value, record=False)
    failure = played.failure
    if failure is None:
        return json.dumps(["", "", f"{played.payload.size} bytes"])
    return json.dumps([failure.reason, failure.path, failure.outcome.detail])


def in_a_child() -> dict[str, dict[str, Any]]:
    """What a child process tells of CASES, by name. Fails if it dies."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.language.swollen"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"ended with {done.returncode} after {told[-1:]}: {done.stderr[-2000:]}"
    return {entry["name"]: entry for entry in told}


if __name__ == "__main__":
    main()
