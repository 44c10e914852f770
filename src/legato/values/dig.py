"""Finds parts of JSON documents by their paths, in the bytes: nothing else of the document is decoded.

Says what is there instead when a part is missing: kinds, keys and counts, never a value.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET, Raw

from legato.errors import NotJSON
from legato.model.payload import Payload
from legato.values.env import Env
from legato.values.faults import Mistake, printable
from legato.values.kinds import keys_of

Pointer = tuple[str | int, ...]
Reader = Callable[[bytes | Raw], Raw]

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNFIT_KEY = re.compile(r"[\x00-\x1f\"\\\ud800-\udfff]")  # what msgspec does not take as the name of a field
_MAX_FIELDS = 16  # levels in one go: msgspec recurses into them
_ABSENT = (msgspec.DecodeError, AttributeError, IndexError, KeyError, TypeError)  # what a reader raises
_KINDS = {
    ord("n"): "null",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    ord('"'): "text",
    ord("["): "a list",
    ord("{"): "an object",
}


def kind_of_json(document: bytes) -> str:
    """What a part of a JSON document is, by its first byte: `text`, `a number`, `an object`..."""
    return _KINDS.get(document.lstrip()[0], "a number")


def spelt(root: str, step: str, pointer: Sequence[str | int]) -> str:
    """A path as one writes it: `steps.payment.lines[0]["unit-price"]`."""
    parts = [root]
    for part in (step, *pointer) if step else pointer:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif _IDENTIFIER.fullmatch(part):
            parts.append("." + part)
        else:
            parts.append(f'["{printable(part)}"]')
    return "".join(parts)


class Digger:
    """Looks for one path: a root or a step, and the way from there."""

    __slots__ = ("_read", "pointer", "root", "step")

    def __init__(self, root: str, step: str, pointer: Pointer) -> None:
        self.root = root
        self.step = step
        self.pointer = pointer
        self._read: Reader | None = None  # made when it is needed: most flows of many never run

    def payload(self, env: Env) -> Payload:
        """The payload at the root."""
        return env.step(self.step) if self.step else env.root(self.root)

    def document(self, env: Env) -> bytes:
        """The JSON of the payload at the root. Raises Mistake if it cannot be JSON."""
        try:
            return (env.step(self.step) if self.step else env.root(self.root)).json()
        except NotJSON as error:
            raise Mistake(f"`{spelt(self.root, self.step, ())}` cannot be read: {error}") from None

    def dig(self, document: bytes, env: Env) -> bytes:
        """The part at the end of the path, as it was written. Raises Mistake saying what is there instead."""
        if not self.pointer:
            return document
        try:
            return bytes(self.reader(document))
        except _ABSENT:
            raise Mistake(_absent(self, document, self.payload(env).is_json)) from None

    def is_in(self, payload: Payload) -> bool:
        """What `has` says, of the payload at the root. A step is there when its result is not null.

        False also where something on the way is missing, null, no object, or not JSON.
        """
        try:
            document = payload.json()
            if not self.pointer:
                return document.strip() != b"null"
            self.reader(document)
        except (NotJSON, *_ABSENT):
            return False
        return True

    @property
    def reader(self) -> Reader:
        """What reads the part out of a document. What it raises says only that there is none."""
        if self._read is None:
            self._read = _reader(self.pointer)
        return self._read


@functools.lru_cache(maxsize=4096)
def _reader(pointer: Pointer) -> Reader:
    fields = names_of(pointer)
    if not fields:
        return _stepwise(pointer)
    read = _by_fields(fields)
    rest = pointer[len(fields) :]
    if not rest:
        return read
    further = _reader(rest)
    return lambda document: further(read(document))


def names_of(pointer: Pointer) -> tuple[str, ...]:
    """The fields with which a path begins, as far as they can be read in one go."""
    names: list[str] = []
    for part in pointer[:_MAX_FIELDS]:
        if not isinstance(part, str) or _UNFIT_KEY.search(part):
            break
        names.append(part)
    return tuple(names)


def _by_fields(names: tuple[str, ...]) -> Reader:
    """One pass over the document, in which everything but the wanted field is skipped."""
    shape: type = Raw
    for name in reversed(names):
        shape = msgspec.defstruct("Part", [("f", shape, msgspec.field(default=UNSET))], rename={"f": name}, gc=False)
    decode = msgspec.json.Decoder(shape).decode
    take = operator.attrgetter(".".join("f" * len(names)))

    def read(document: bytes | Raw) -> Raw:
        found = take(decode(document))
        if found is UNSET:
            raise KeyError
        return found

    return read


def _stepwise(pointer: Pointer) -> Reader:
    first, rest = pointer[0], pointer[1:]
    further = _reader(rest) if rest else None

    def read(document: bytes | Raw) -> Raw:
        found = _list(document)[first] if isinstance(first, int) else _object(document)[first]
        return further(found) if further else found

    return read


def _absent(digger: Digger, document: bytes, is_json: bool) -> str:
    """Why there is nothing at the end of a path."""
    root, step, pointer = digger.root, digger.step, digger.pointer
    whole = spelt(root, step, pointer)
    for level, part in enumerate(pointer):
        here = spelt(root, step, pointer[:level])
        kind = kind_of_json(document)
        if level == 0 and kind == "text" and not is_json:
            return f"`{whole}`: `{here}` is text, not JSON"
        wanted = "an object" if isinstance(part, str) else "a list"
        if kind != wanted:
            return f"`{whole}`: `{here}` is {kind}, not {wanted}"
        if isinstance(part, int):
            items = _list(document)
            if part >= len(items):
                return f"`{whole}`: there is no `[{part}]` in the {f'list of {len(items)}' if items else 'empty list'}"
            document = bytes(items[part])
        else:
            fields = _object(document)
            if part not in fields:
                where = f"object with the keys{keys_of(fields)}" if fields else "empty object"
                return f"`{whole}`: there is no `{printable(part)}` in the {where}"
            document = bytes(fields[part])
    return f"`{whole}` cannot be read"
