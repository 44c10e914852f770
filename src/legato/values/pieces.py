"""Strings that may hold `${...}`: cut into literal text and expressions. `$${` is a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from legato.model.payload import MAX_BYTES, too_large
from legato.values.dig import kind_of_json
from legato.values.env import Env, Reference
from legato.values.expression import Expression, compile_expression
from legato.values.faults import MAX_FAULTS, EvaluationFailed, ExpressionError, Fault, quoted, shown
from legato.values.tokens import end_of_expression

Pointer = tuple[str | int, ...]

# Of a path, a query, a header or a message: more than any server reads of a head (1 MiB is Go's limit, and the widest).
# What is larger takes seconds to encode in percents.
MAX_LINE = 1024 * 1024

_OPENING = re.compile(r"\$\$\{|\$\{")


class Faults:
    """Collects faults and references while something is compiled; gives up what nobody would read."""

    def __init__(self, undo: bool) -> None:
        self.undo = undo
        self.references: list[Reference] = []
        self._faults: list[Fault] = []

    @property
    def full(self) -> bool:
        """Whether further faults would not be noted."""
        return len(self._faults) >= MAX_FAULTS

    def add(self, message: str, remedy: str, pointer: Pointer = (), offset: int = 0) -> None:
        """Note a fault."""
        if not self.full:
            self._faults.append(Fault(message, remedy, offset, pointer))

    def pieces(self, text: str, pointer: Pointer = ()) -> list[str | Expression]:
        """The pieces of a string; empty texts are left out. Faults and references are noted with their places."""
        pieces: list[str | Expression] = []
        literal = ""
        done = 0
        while match := _OPENING.search(text, done):
            literal += text[done : match.start()]
            done = match.end()
            if match[0] == "$${":
                literal += "${"
                continue
            if literal:
                pieces.append(literal)
                literal = ""
            try:
                end = end_of_expression(text, done)
            except ExpressionError as error:
                self._note(error, pointer, done)
                closing = text.find("}", done)
                if closing < 0 or self.full:
                    return pieces
                done = closing + 1
                continue
            self._expression(pieces, text[done:end], pointer, done)
            done = end + 1
        literal += text[done:]
        if literal:
            pieces.append(literal)
        return pieces

    def _expression(self, pieces: list[str | Expression], source: str, pointer: Pointer, offset: int) -> None:
        try:
            expression = compile_expression(source, undo=self.undo)
        except ExpressionError as error:
            self._note(error, pointer, offset)
            return
        pieces.append(expression)
        self.references += [
            Reference(each.root, each.step, each.offset + offset, each.fields, each.written, pointer)
            for each in expression.references
        ]

    def _note(self, error: ExpressionError, pointer: Pointer, offset: int) -> None:
        for fault in error.faults:
            self.add(fault.message, fault.remedy, pointer, fault.offset + offset)

    def settled(self) -> tuple[Reference, ...]:
        """The references, if there is no fault. Raises ExpressionError with all of them if there is."""
        if self._faults:
            raise ExpressionError(self._faults)
        return tuple(self.references)


def as_text(expression: Expression, env: Env) -> str:
    """What an expression gives within a text. Raises EvaluationFailed for null, which would leave a hole."""
    document = expression.evaluate(env)
    if kind_of_json(document) == "null":
        source = expression.source.strip()
        otherwise = shown(f"{source} != null ? {source} : ''")
        raise EvaluationFailed(f"{shown(source)} is null, which has no place in a text; write {otherwise}")
    return text_of_json(document)


def text_of_json(document: bytes) -> str:
    """A part of a JSON document as text: text as it is, numbers as written, objects and lists as compact JSON."""
    kind = kind_of_json(document)
    if kind == "text":
        return msgspec.json.decode(document, type=str)
    if kind in ("an object", "a list"):
        document = msgspec.json.format(document, indent=-1)
    return document.decode().strip()


def text_of(pieces: Sequence[str | Expression], env: Env, limit: int = MAX_BYTES) -> str:
    """The text that pieces make, of at most `limit` characters. Raises EvaluationFailed."""
    texts = (piece if isinstance(piece, str) else as_text(piece, env) for piece in pieces)
    return joined(texts, pieces, limit)


def joined(texts: Iterable[str], pieces: Sequence[str | Expression], limit: int) -> str:
    """Texts as one, counted before they are copied. Raises EvaluationFailed, which shows the pieces they come from."""
    room = limit
    found: list[str] = []
    for text in texts:
        room -= len(text)
        if room < 0:
            raise EvaluationFailed(too_large(f"the text {written(pieces)}", limit))
        found.append(text)
    return "".join(found)


def written(pieces: Sequence[str | Expression]) -> str:
    """What pieces were cut from, for messages."""
    text = "".join(piece.replace("${", "$${") if isinstance(piece, str) else f"${{{piece.source}}}" for piece in pieces)
    return quoted(text)
