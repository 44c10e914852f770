"""The words of an expression: CEL's tokens with their places. Also finds where a `${...}` ends."""

from __future__ import annotations

import re
from typing import NamedTuple

from legato.values.faults import ExpressionError, Fault

MAX_SOURCE = 4096  # contract 4

_SPACE = re.compile(r"(?:[ \t\r\n\f]+|//[^\n]*)+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(
    r"(?P<prefix>[rR][bB]?|[bB][rR]?)?(?P<quote>\"\"\"|'''|\"|')"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.[0-9]+|[0-9]+(?=[eE][+-]?[0-9])|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+)"
    r"|(?P<mark>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])"
)
_INSIDE = {quote: re.compile(rf"(?:[^\\\n{quote}]|\\.)*{quote}") for quote in ('"', "'")} | {
    quote * 3: re.compile(rf"(?s:(?:[^\\]|\\.)*?{quote * 3})") for quote in ('"', "'")
}
_RAW_INSIDE = {quote: re.compile(rf"[^\n{quote}]*{quote}") for quote in ('"', "'")} | {
    quote * 3: re.compile(rf"(?s:.*?{quote * 3})") for quote in ('"', "'")
}
_ESCAPE = re.compile(
    r"\\(?:[xX](?P<byte>[0-9a-fA-F]{2})|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-3][0-7]{2})|(?P<plain>[abfnrtv\\'\"`?])|(?P<wrong>.?))",
    re.DOTALL,
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_INSTEAD = {
    "=": ("`=` is not an operator here", "write `==` to compare"),
    "&": ("`&` is not an operator here", "write `&&`"),
    "|": ("`|` is not an operator here", "write `||`"),
    ";": ("`;` is not part of an expression", "remove it: an expression is one value"),
    "$": ("`${` within an expression", "remove it: everything in here is an expression already"),
    "`": ("a backquote is no quotation mark here", "write '...' or \"...\" around text"),
    "\N{LEFT DOUBLE QUOTATION MARK}": ("a typographic quotation mark", "write '...' or \"...\" around text"),
    "\N{RIGHT DOUBLE QUOTATION MARK}": ("a typographic quotation mark", "write '...' or \"...\" around text"),
    "\N{LEFT SINGLE QUOTATION MARK}": ("a typographic quotation mark", "write '...' or \"...\" around text"),
    "\N{RIGHT SINGLE QUOTATION MARK}": ("a typographic quotation mark", "write '...' or \"...\" around text"),
}


class Token(NamedTuple):
    """A word: its `kind` is `name`, `value` (a literal), `mark` or `end`; `value` is set for literals."""

    kind: str
    text: str
    start: int
    end: int
    value: object = None


def tokens_of(text: str) -> list[Token]:
    """All tokens of an expression, the last of kind `end`. Raises ExpressionError for what is no token."""
    found: list[Token] = []
    at = 0
    while (token := _next(text, at)).kind != "end":
        found.append(token)
        at = token.end
    found.append(token)
    return found


def end_of_expression(text: str, start: int) -> int:
    """The offset of the `}` that ends an expression beginning at `start`: braces in strings and maps do not count.

    Raises ExpressionError if there is none within reach; its offsets count from `start`.
    """
    depth = at = 0
    window = text[start : start + MAX_SOURCE + 1]
    while (token := _next(window, at)).kind != "end":
        if token.kind == "mark" and token.text == "{":
            depth += 1
        elif token.kind == "mark" and token.text == "}":
            if not depth:
                return start + token.start
            depth -= 1
        at = token.end
    if len(window) > MAX_SOURCE:
        message = f"an expression is longer than {MAX_SOURCE} characters, or its `}}` is missing"
        raise _error(message, "compute parts of it in a `set` step", -2)
    raise _error("the `${` is never closed", "write the `}` that ends it, or `$${` for a literal `${`", -2)


def _next(text: str, at: int) -> Token:
    space = _SPACE.match(text, at)
    if space:
        at = space.end()
    if at >= len(text):
        return Token("end", "", at, at)
    match = _WORD.match(text, at)
    if match is not None:
        kind = match.lastgroup
        if kind == "name" or kind == "mark":
            return Token(kind, match[0], at, match.end())
        return _number(text, match) if kind == "number" else _quoted(text, match)
    char = text[at]
    known = _INSTEAD.get(char)
    if known:
        raise _error(known[0], known[1], at)
    named = f"`{char}`" if char.isprintable() else f"the character U+{ord(char):04X}"
    raise _error(f"{named} is not part of an expression", "remove it, or put quotation marks around text", at)


def _number(text: str, match: re.Match[str]) -> Token:
    written, start, end = match[0], match.start(), match.end()
    if end < len(text) and text[end] in "uU" and not _NAME.match(text, end + 1):
        raise _error("unsigned integers do not exist in JSON", f"write {written}", start)
    if _NAME.match(text, end) or (end < len(text) and text[end].isalnum()):
        raise _error(f"`{text[start : end + 1]}` is neither a number nor a name", "names begin with a letter", start)
    if written[:2] in ("0x", "0X"):
        return Token("value", written, start, end, int(written[2:], 16) if len(written) < 20 else 2**64)
    if written.isdigit():
        return Token("value", written, start, end, int(written) if len(written) < 40 else 2**64)
    value = float(written)
    if value == float("inf"):
        raise _error(f"`{written}` is beyond what a number can be", "write a smaller one", start)
    return Token("value", written, start, end, value)


def _quoted(text: str, opening: re.Match[str]) -> Token:
    prefix, quote = (opening["prefix"] or "").lower(), opening["quote"]
    raw = "r" in prefix
    inside = (_RAW_INSIDE if raw else _INSIDE)[quote].match(text, opening.end())
    if inside is None:
        raise _error(f"text that begins with {quote} is never closed", f"write {quote} at its end", opening.start())
    content = text[opening.end() : inside.end() - len(quote)]
    value: object
    if "b" in prefix:
        value = content.encode("utf-8", "surrogatepass") if raw else _unescaped_bytes(content, opening.end())
    else:
        value = content if raw else _unescaped(content, opening.end())
        if not raw and "\\" not in content:
            value = content
        _check_surrogates(str(value), opening.start())
    return Token("value", text[opening.start() : inside.end()], opening.start(), inside.end(), value)


def _unescaped(content: str, start: int) -> str:
    def replaced(match: re.Match[str]) -> str:
        if match["plain"]:
            return _PLAIN.get(match["plain"], match["plain"])
        if match["octal"]:
            return chr(int(match["octal"], 8))
        digits = match["byte"] or match["four"] or match["eight"]
        if not digits or int(digits, 16) > 0x10FFFF:
            raise _no_escape(match, start)
        return chr(int(digits, 16))

    return _ESCAPE.sub(replaced, content) if "\\" in content else content


def _unescaped_bytes(content: str, start: int) -> bytes:
    made = bytearray()
    at = 0
    for match in _ESCAPE.finditer(content):
        made += content[at : match.start()].encode("utf-8", "surrogatepass")
        at = match.end()
        if match["plain"]:
            made += _PLAIN.get(match["plain"], match["plain"]).encode()
        elif match["octal"] or match["byte"]:
            made.append(int(match["octal"], 8) if match["octal"] else int(match["byte"], 16))
        else:
            raise _no_escape(match, start)
    return bytes(made + content[at:].encode("utf-8", "surrogatepass"))


def _no_escape(match: re.Match[str], start: int) -> ExpressionError:
    return _error(f"`{match[0]}` is no escape", "write `\\\\` for a backslash, or r'...'", start + match.start())


def _check_surrogates(value: str, start: int) -> None:
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise _error("text with half a surrogate pair", "write the character itself, or `\\U` and eight digits", start)


def _error(message: str, remedy: str, offset: int) -> ExpressionError:
    return ExpressionError([Fault(message, remedy, offset)])
