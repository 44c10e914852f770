"""What expressions can do with text: CEL's functions and those of its `strings` library. Positions count characters."""

from __future__ import annotations

from legato.values.faults import Mistake
from legato.values.kinds import kind_of
from legato.values.patterns import PATTERN_REMEDY, Matcher
from legato.values.signature import Function
from legato.values.working import Frame

_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


def _matches(frame: Frame, text: str, pattern: str) -> bool:
    fits = frame.matcher(pattern)
    if fits is None:
        raise Mistake(f"the pattern is not valid; {PATTERN_REMEDY}")
    return matches_pattern(frame, text, fits)


def matches_pattern(frame: Frame, text: object, fits: Matcher) -> bool:
    """Whether a part of a text fits. Raises Mistake for what is not text."""
    if not isinstance(text, str):
        raise Mistake(f"`matches` works on text, not on {kind_of(text)}")
    frame.spend(1 + len(text) // 2)
    return fits.is_valid(text)


def _contains(frame: Frame, text: str, part: str) -> bool:
    frame.spend(len(text) // 64)
    return part in text


def _starts_with(frame: Frame, text: str, part: str) -> bool:
    frame.spend(len(part) // 64)
    return text.startswith(part)


def _ends_with(frame: Frame, text: str, part: str) -> bool:
    frame.spend(len(part) // 64)
    return text.endswith(part)


def _within(position: int, text: str) -> int:
    if 0 <= position <= len(text):
        return position
    raise Mistake(f"there is no position {position} in a text of {len(text)} characters")


def _char_at(frame: Frame, text: str, index: int) -> str:
    index = _within(index, text)
    return text[index : index + 1]


def _index_of(frame: Frame, text: str, part: str, start: int = 0) -> int:
    frame.spend(len(text) // 64)
    return text.find(part, _within(start, text))


def _last_index_of(frame: Frame, text: str, part: str, start: int | None = None) -> int:
    end = len(text) if start is None else min(_within(start, text) + len(part), len(text))
    frame.spend_text(2 * len(text))
    # Python's search from the right takes quadratic time for some texts, that from the left does not.
    found = text[:end][::-1].find(part[::-1])
    return found if found < 0 else end - found - len(part)


def _substring(frame: Frame, text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else _within(end, text)
    if _within(start, text) > end:
        raise Mistake(f"position {start} is behind position {end}")
    frame.spend_text(end - start)
    return text[start:end]


def _replace(frame: Frame, text: str, old: str, new: str, limit: int = -1) -> str:
    frame.spend(len(text) // 64)
    count = text.count(old)
    if limit >= 0:
        count = min(count, limit)
    frame.spend_text(len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, count)


def _split(frame: Frame, text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    frame.spend_text(len(text))
    if separator:
        frame.make(min(text.count(separator), limit) if limit > 0 else text.count(separator))
        return text.split(separator, limit - 1 if limit > 0 else -1)
    frame.make(len(text))
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


def _join(frame: Frame, parts: list[object], separator: str = "") -> str:
    frame.spend(len(parts))
    for part in parts:
        if type(part) is not str:
            raise Mistake(f"`join` works on a list of texts, and there is {kind_of(part)}; write `map(x, string(x))`")
    texts = [str(part) for part in parts]
    frame.spend_text(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


def _lower(frame: Frame, text: str) -> str:
    frame.spend_text(len(text))
    return text.translate(_LOWER)


def _upper(frame: Frame, text: str) -> str:
    frame.spend_text(len(text))
    return text.translate(_UPPER)


def _trim(frame: Frame, text: str) -> str:
    frame.spend_text(len(text))
    return text.strip()


def _method(name: str, usage: str, kinds: str, run: object, optional: int = 0) -> Function:
    return Function(name, "method", usage, tuple(kinds.split()), run, optional)  # pyright: ignore[reportArgumentType]


STRINGS = [
    _method("contains", "text.contains('x')", "text text", _contains),
    _method("startsWith", "text.startsWith('x')", "text text", _starts_with),
    _method("endsWith", "text.endsWith('x')", "text text", _ends_with),
    Function("matches", "either", "text.matches('^[a-z]+$')", ("text", "text"), _matches),
    _method("charAt", "text.charAt(0)", "text integer", _char_at),
    _method("indexOf", "text.indexOf('x')", "text text integer", _index_of, 1),
    _method("lastIndexOf", "text.lastIndexOf('x')", "text text integer", _last_index_of, 1),
    _method("substring", "text.substring(0, 3)", "text integer integer", _substring, 1),
    _method("replace", "text.replace('a', 'b')", "text text text integer", _replace, 1),
    _method("split", "text.split(',')", "text text integer", _split, 1),
    _method("join", "list.join(',')", "list text", _join, 1),
    _method("lowerAscii", "text.lowerAscii()", "text", _lower),
    _method("upperAscii", "text.upperAscii()", "text", _upper),
    _method("trim", "text.trim()", "text", _trim),
]
