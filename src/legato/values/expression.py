"""Expressions: CEL, by an interpreter of our own that no data make run for long. A plain path stays in the bytes."""

from __future__ import annotations

import functools

from legato.model.payload import JSON, Payload
from legato.values.compiler import Code
from legato.values.cursor import SPLIT
from legato.values.dig import Digger, kind_of_json
from legato.values.env import Env, Reference
from legato.values.faults import EvaluationFailed, ExpressionError, Fault, Limit, Mistake, shown
from legato.values.kinds import kind_of
from legato.values.parser import parse
from legato.values.tree import Path
from legato.values.working import Frame
from legato.values.writing import write


class Expression:
    """A compiled expression. `source` is its text without the `${}`; `references` are its static paths, in order.

    `path` is what looks for it if it is a plain path, None for any other.
    """

    __slots__ = ("_code", "_tree", "path", "references", "source")

    def __init__(self, source: str, undo: bool) -> None:
        tree, paths = parse(source, undo)
        self.source = source
        self.references = tuple(
            Reference(path.root, path.step, path.offset, path.pointer, path.written) for path in paths
        )
        self.path = Digger(tree.root, tree.step, tree.pointer) if isinstance(tree, Path) else None
        self._tree = tree
        self._code: Code | None = None

    def __str__(self) -> str:
        return shown(self.source)

    @property
    def code(self) -> Code:
        """What runs. Made when it is needed: of ten thousand flows most never run."""
        if self._code is None:
            self._code = Code(self._tree)
        return self._code

    def evaluate(self, env: Env) -> bytes:
        """The result as JSON; at the end of a plain path as it was written there. Raises EvaluationFailed."""
        try:
            path = self.path
            if path is not None:
                return path.dig(path.document(env), env)
            code = self.code
            frame = Frame(env, code.paths, code.variables)
            return write(code.run(frame), frame)
        except (Mistake, Limit) as error:
            raise self.failed(error) from None
        except RecursionError:
            raise self.failed("is nested too deep") from None

    def payload(self, env: Env) -> Payload:
        """The result as a payload; a path that is a whole root gives the very payload. Raises EvaluationFailed."""
        path = self.path
        if path is not None and not path.pointer:
            return path.payload(env)
        body = self.evaluate(env)
        return Payload(JSON, (body,), len(body), b"", body)  # the parts of a checked document need no further check

    def truth(self, env: Env) -> bool:
        """The result, which must be a boolean. Raises EvaluationFailed for any other."""
        try:
            path = self.path
            if path is not None:
                return self._boolean(path.dig(path.document(env), env))
            code = self.code
            result = code.run(Frame(env, code.paths, code.variables))
        except (Mistake, Limit) as error:
            raise self.failed(error) from None
        except RecursionError:
            raise self.failed("is nested too deep") from None
        if result is True or result is False:
            return result
        raise self._no_boolean(kind_of(result))

    def _boolean(self, document: bytes) -> bool:
        word = document.strip()
        if word == b"true" or word == b"false":
            return word == b"true"
        raise self._no_boolean(kind_of_json(document))

    def _no_boolean(self, kind: str) -> EvaluationFailed:
        return self.failed(f"is {kind}, not a boolean; compare it with something")

    def failed(self, reason: object) -> EvaluationFailed:
        """What to raise when this expression cannot be used, for this reason."""
        written = shown(self.source)
        text = str(reason).removeprefix(f"`{self.source}`: ")
        is_said_of_it = text.startswith(("is ", "needs ", "makes ", "converts ", "gives "))
        return EvaluationFailed(f"{written} {text}" if is_said_of_it else f"{written}: {text}")


@functools.lru_cache(maxsize=8192)
def _compiled(text: str, undo: bool) -> Expression:
    try:
        return Expression(text, undo)
    except RecursionError:  # whoever called is deep already
        raise ExpressionError([Fault("the expression is nested too deep", SPLIT)]) from None


def compile_expression(text: str, *, undo: bool = False) -> Expression:
    """The expression of a text without its `${}`; `undo` knows the roots `sent` and `result` too.

    Raises ExpressionError with every fault found. The same text gives the same object.
    """
    return _compiled(text, undo)
