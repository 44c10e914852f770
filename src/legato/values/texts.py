"""Templates of texts: messages, and the values of headers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from legato.values.env import Env, Reference
from legato.values.expression import Expression
from legato.values.faults import EvaluationFailed
from legato.values.pieces import MAX_LINE, Faults, text_of, written

_NOT_IN_HEADER = re.compile(r"[^\x20-\x7e\xa0-\xff]")


class TextTemplate:
    """A text with expressions in it. `references` are the paths that it looks at."""

    __slots__ = ("_pieces", "is_constant", "references")

    def __init__(self, pieces: Sequence[str | Expression], references: tuple[Reference, ...]) -> None:
        self._pieces = tuple(pieces)
        self.is_constant = not any(isinstance(piece, Expression) for piece in pieces)
        self.references = references

    def text(self, env: Env) -> str:
        """The text. Raises EvaluationFailed."""
        return text_of(self._pieces, env, MAX_LINE)

    def header(self, env: Env) -> bytes:
        """The text as the value of a header, in Latin-1. Raises EvaluationFailed for what a header cannot hold."""
        text = text_of(self._pieces, env, MAX_LINE).strip(" ")
        wrong = _NOT_IN_HEADER.search(text)
        if wrong is not None:
            unfit = f"the character U+{ord(wrong[0]):04X}, which no header can hold; send it in the body"
            raise EvaluationFailed(f"{written(self._pieces)} makes a header with {unfit}")
        return text.encode("latin-1")


def compile_text(text: str, *, undo: bool = False) -> TextTemplate:
    """The template of a text. Raises ExpressionError with every fault."""
    faults = Faults(undo)
    pieces = faults.pieces(text)
    return TextTemplate(pieces, faults.settled())
