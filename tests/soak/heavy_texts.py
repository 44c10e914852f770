"""Definitions that are as large and as awkward to read as a file may be, of any size."""

from __future__ import annotations

from collections.abc import Callable

HEAD = "flow: order\nsteps:\n"
GRAPH = f"{HEAD}- graph:\n    n0: f\n"
SCHEMA = "flow: order\nsteps: [f]\ninput: {properties: "
HEADERS = f"{HEAD}- call: f\n  headers: "
MOST = 9_990  # parts: a flow may have 10,000 steps


def filled(size: int, head: str, part: Callable[[int], str], between: str = "\n") -> str:
    """As many parts as fit."""
    parts: list[str] = []
    size -= len(head)
    for n in range(MOST):
        parts.append(part(n))
        size -= len(parts[-1]) + len(between)
        if size < 0:
            break
    return head + between.join(parts[:-1])


def _branches(n: int) -> str:
    return "- parallel: {" + ", ".join(f"b{m}: f" for m in range(30)) + "}"


def _after_all(n: int) -> str:
    return f"    n{n + 1}: {{call: f, after: [{', '.join(f'n{m}' for m in range(n + 1))}]}}"


Text = Callable[[int], str]  # of so many bytes

HEAVY: dict[str, Text] = {
    "expressions": lambda size: filled(size, HEAD, lambda n: f'- set: "${{value.a + {n}}}"'),
    "long expressions": lambda size: filled(size, HEAD, lambda n: f'- set: "${{value.a{n}{" + value.b" * 200}}}"'),
    "bad expressions": lambda size: filled(size, HEAD, lambda n: '- set: "${valu + ' + "x+" * 500 + 'x}"'),
    "deep lists": lambda size: filled(size, HEAD, lambda n: "- set: " + "[" * 100 + '"${value}"' + "]" * 100),
    "one template": lambda size: filled(size, f"{HEAD}- set:\n", lambda n: f'    k{n}: "${{value.k{n}}}"'),
    "conditions": lambda size: filled(size, f"{HEAD}- {{call: f, id: s0}}\n", lambda n: (
        f'- {{call: f, id: s{n + 1}, when: "${{has(steps.s{n}.a)}}"}}'
    )),
    "unknown steps": lambda size: filled(size, HEAD, lambda n: f'- {{call: f, id: s{n}, input: "${{steps.t{n}}}"}}'),
    "a chain": lambda size: filled(size, GRAPH, lambda n: f"    n{n + 1}: {{call: f, after: n{n}}}"),
    "a graph of all after all": lambda size: filled(size, GRAPH, _after_all),
    "a chain that looks back": lambda size: filled(size, GRAPH, lambda n: (
        f"    n{n + 1}: {{call: f, after: n{n}, input: '${{steps.n0}}'}}"
    )),
    "cases": lambda size: filled(size, f"{HEAD}- choose:\n", lambda n: f'  - {{when: "${{value == {n}}}", call: f}}'),
    "branches": lambda size: filled(size, HEAD, _branches),
    "quotes": lambda size: filled(size, HEAD, lambda n: '- set: "${' + "'" * 99 + '"'),
    "openings": lambda size: f'{HEAD}- set: "' + "${ " * (size // 3) + '"',
    "literal openings": lambda size: f'{HEAD}- set: "' + "$${ " * (size // 4) + '"',
    "a schema": lambda size: filled(size, f"{SCHEMA}{{", lambda n: f"a{n}: {{pattern: '^(a|b)*c$'}}", ", ") + "}}",
    "a shape": lambda size: f"{HEAD}- set: {{pick: [" + ",".join(f"a{n}.b.c" for n in range(size // 12)) + "]}",
    "headers": lambda size: filled(size, f"{HEADERS}{{", lambda n: f"x{n}: '${{value}}'", ", ") + "}",
    "a path": lambda size: f"{HEAD}- call: f\n  path: '" + "/${value.a}" * (size // 11) + "'",
}  # fmt: skip
