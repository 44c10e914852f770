"""What may stand where a definition has steps: a function's name, code, operators, a mapping as in a file, lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from legato.builder.code import Code
from legato.builder.written import Composed, Tree, Written, tree_of
from legato.errors import DefinitionError
from legato.formats.tree import MAX_DEPTH

# A function's name, Python code, `Steps`, a `Graph`, a step as a file has it, or several of these one after another.
Body = str | Callable[..., Any] | Composed | Mapping[str, object] | Sequence[Any]


def block(body: Body, label: str, depth: int = 0) -> list[Tree]:
    """The steps of a body, as a list in a file."""
    if depth > MAX_DEPTH:
        raise DefinitionError(f"{label}: nested deeper than {MAX_DEPTH} levels (split it)")
    if _is_list(body):
        return [each for part in cast("Sequence[Body]", body) for each in block(part, label, depth + 1)]
    if isinstance(body, Composed):
        tree = body.tree()
        return cast("list[Tree]", tree) if isinstance(tree, list) else [tree]
    return [_step(body, label)]


def single(body: Body, label: str) -> Tree:
    """A body where a file has one step or a list: operators that are one step stand for that step."""
    if isinstance(body, Composed):
        steps = block(body, label)
        return steps[0] if len(steps) == 1 else steps
    return block(body, label) if _is_list(body) else _step(body, label)


def mapping(body: Body, label: str, **keys: Tree) -> Tree:
    """A body as one step, with these keys added to it."""
    tree = single(body, label)
    if isinstance(tree, Written):
        return tree._replace(tree={**tree.tree, **keys})
    if isinstance(tree, str):
        return {"call": tree, **keys}
    if isinstance(tree, list):
        return {"steps": cast("list[Tree]", tree), **keys}
    return {**cast("dict[str, Tree]", tree), **keys}


def _is_list(body: object) -> bool:
    return isinstance(body, Sequence) and not isinstance(body, str | Written | Code)


def _step(body: object, label: str) -> Tree:
    if isinstance(body, str | Mapping | Written):
        return tree_of(cast("object", body), label)
    if callable(body):
        return {"python": Code(body)}
    kind = type(body).__name__
    raise DefinitionError(f"{label}: {kind} is no step (give a function's name, Python code, or Steps)")
