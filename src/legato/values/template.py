"""Templates: JSON values whose strings may hold expressions, made into payloads by splicing bytes.

What is constant is written when a template is compiled; at run time parts of documents are put between, undecoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec

from legato.model.payload import JSON, MAX_BYTES, MAX_DEPTH, Payload, too_large
from legato.values.env import Env, Reference
from legato.values.expression import Expression
from legato.values.faults import EvaluationFailed, printable
from legato.values.pieces import Faults, Pointer, text_of, written
from legato.values.together import groups

Part = Callable[[Env], bytes]
_encode = msgspec.json.encode


class Template:
    """A compiled template. `references` are the paths that it looks at; a constant one makes the same each time."""

    __slots__ = ("_constant", "_groups", "_only", "_parts", "_written", "is_constant", "references")

    def __init__(self, parts: Sequence[bytes | Expression | Text], references: tuple[Reference, ...]) -> None:
        only = parts[0] if len(parts) == 1 else None
        self._only = only if isinstance(only, Expression) else None
        self._written = parts
        self._parts: list[bytes | Part] = [part if isinstance(part, bytes) else part.evaluate for part in parts]
        self.references = references
        fixed = [part for part in parts if isinstance(part, bytes)]
        self.is_constant = len(fixed) == len(parts)
        self._constant = Payload.of(JSON, b"".join(fixed)) if self.is_constant else None
        paths = ((place, part.path) for place, part in enumerate(parts) if isinstance(part, Expression))
        self._groups = groups([(place, path) for place, path in paths if path is not None])

    def payload(self, env: Env) -> Payload:
        """What it makes of what `env` shows; a template that is a whole root gives the very payload.

        Raises EvaluationFailed.
        """
        if self._constant is not None:
            return self._constant
        if self._only is not None:
            return self._only.payload(env)
        parts = self._parts
        if self._groups:
            parts = parts.copy()
            for together, places in self._groups:
                for place, part in zip(places, together.parts(env) or (), strict=False):
                    parts[place] = part  # pyright: ignore[reportArgumentType] # bytes.join takes it as bytes
        room = MAX_BYTES
        made: list[bytes] = []
        for part in parts:
            document = part(env) if callable(part) else part
            made.append(document)
            room -= len(document)
            if room < 0:  # before they are copied together, or any more of them are made
                raise EvaluationFailed(self._too_large(made))
        body = b"".join(made)
        return Payload(JSON, (body,), len(body))

    def _too_large(self, made: Sequence[bytes]) -> str:
        sizes = [len(document) for document in made]
        largest = self._written[sizes.index(max(sizes))]
        what = "this" if isinstance(largest, bytes) else f"this, of which {largest} has {max(sizes):,} bytes,"
        return too_large(what)


class Text:
    """A string of a template with expressions in it."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Sequence[str | Expression]) -> None:
        self._pieces = pieces

    def evaluate(self, env: Env) -> bytes:
        """The string as JSON. Raises EvaluationFailed."""
        return _encode(text_of(self._pieces, env))

    def __str__(self) -> str:
        return written(self._pieces)


def compile_template(value: object, *, undo: bool = False) -> Template:
    """The template of a JSON value. A string that is one expression keeps its type, mixed text interpolates.

    Raises ExpressionError with every fault, each with the pointer to its string.
    """
    compiler = _Compiler(undo)
    compiler.part(value, (), 0)
    references = compiler.faults.settled()
    return Template(compiler.merged(), references)


class _Compiler:
    def __init__(self, undo: bool) -> None:
        self.faults = Faults(undo)
        self.parts: list[bytes | Expression | Text] = []

    def merged(self) -> list[bytes | Expression | Text]:
        """The parts, with neighbouring bytes as one."""
        merged: list[bytes | Expression | Text] = []
        fixed: list[bytes] = []
        for part in self.parts:
            if isinstance(part, bytes):
                fixed.append(part)
                continue
            if fixed:
                merged.append(b"".join(fixed))
                fixed = []
            merged.append(part)
        return [*merged, b"".join(fixed)] if fixed else merged

    def part(self, value: object, pointer: Pointer, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.faults.add(f"nested deeper than {MAX_DEPTH}", "no document is as deep as that", pointer)
        elif isinstance(value, str):
            self.text(value, pointer)
        elif isinstance(value, dict):
            self.object(cast("dict[object, object]", value), pointer, depth)
        elif isinstance(value, (list, tuple)):
            self.list(cast("Sequence[object]", value), pointer, depth)
        else:
            self.scalar(value, pointer)

    def scalar(self, value: object, pointer: Pointer) -> None:
        if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
            self.parts.append(
                _encode(value) if not isinstance(value, int) or isinstance(value, bool) else b"%d" % value
            )
        else:
            what = repr(value) if isinstance(value, float) else f"a value of type {type(value).__name__}"
            self.faults.add(f"{what} cannot be written as JSON", "write text, a number, a list or a mapping", pointer)

    def text(self, value: str, pointer: Pointer) -> None:
        pieces = self.faults.pieces(value, pointer)
        if len(pieces) == 1 and isinstance(pieces[0], Expression):
            self.parts.append(pieces[0])
        elif any(isinstance(piece, Expression) for piece in pieces):
            self.parts.append(Text(pieces))
        else:
            self.parts.append(self.encoded("".join(cast("list[str]", pieces)), pointer))

    def encoded(self, text: str, pointer: Pointer) -> bytes:
        try:
            return _encode(text)
        except UnicodeEncodeError:
            self.faults.add("text with half a surrogate pair", "write the character itself", pointer)
            return b'""'

    def list(self, items: Sequence[object], pointer: Pointer, depth: int) -> None:
        self.parts.append(b"[")
        for index, item in enumerate(items):
            if index:
                self.parts.append(b",")
            self.part(item, (*pointer, index), depth + 1)
        self.parts.append(b"]")

    def object(self, entries: Mapping[object, object], pointer: Pointer, depth: int) -> None:
        self.parts.append(b"{")
        for index, (key, value) in enumerate(entries.items()):
            if not isinstance(key, str):
                self.faults.add(
                    f"a key that is {type(key).__name__}, not text", "put quotation marks around it", pointer
                )
                continue
            within = (*pointer, key)
            if index:
                self.parts.append(b",")
            self.parts.append(self.encoded(self.key(key, within), within) + b":")
            self.part(value, within, depth + 1)
        self.parts.append(b"}")

    def key(self, key: str, pointer: Pointer) -> str:
        """A key is literal: an object whose keys are not known beforehand is an expression of its own."""
        at = key.replace("$${", "   ").find("${")
        if at >= 0:
            remedy = "write the whole object as one expression"
            self.faults.add(f"the key `{printable(key)}` holds an expression", remedy, pointer, at)
        return key.replace("$${", "${")
