"""What to say of names that an expression may not use: most are a known one misspelt, or another language's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from legato.values.cursor import WORD_OPERATORS, Cursor
from legato.values.env import UNDO_ROOTS
from legato.values.functions import FUNCTIONS
from legato.values.patterns import PATTERN_REMEDY, matcher
from legato.values.tokens import Token
from legato.values.tree import Literal, Node
from legato.values.words import did_you_mean

_OTHER_WORDS = {"None": "null", "True": "true", "False": "false", "nil": "null", "undefined": "null"}


def unknown_name(cursor: Cursor, token: Token, roots: Collection[str], variables: Collection[str]) -> None:
    """Note that the name just taken is not known."""
    name = token.text
    hyphenated = _hyphenated(cursor)
    if hyphenated:
        cursor.fault(*hyphenated)
    elif name in WORD_OPERATORS:
        cursor.stop(f"`{name}` is not an operator here", f"write `{WORD_OPERATORS[name]}`", token.start)
    elif name in _OTHER_WORDS:
        cursor.fault(f"`{name}` is not known", f"write `{_OTHER_WORDS[name]}`", token.start)
    elif name in UNDO_ROOTS:
        cursor.fault(f"`{name}` is known in `undo` only", "use it in the `input` of an undo", token.start)
    else:
        everything = f"write one of {', '.join(roots)}, or '{name[:40]}' for text"
        remedy = did_you_mean(name, (*roots, *variables), everything)
        cursor.fault(f"`{name[:60]}` is not known", remedy, token.start)


def _hyphenated(cursor: Cursor) -> tuple[str, str, int] | None:
    """What to say if the name just taken is a part of one with hyphens, as in `steps.check-order`."""
    here = first = last = cursor.at - 1
    tokens = cursor.tokens
    while first >= 2 and _is_hyphen(tokens, first - 1):
        first -= 2
    while last + 2 < len(tokens) and _is_hyphen(tokens, last + 1):
        last += 2
    if first == here or first < 2 or tokens[first - 1].text != ".":
        return None
    start = tokens[first].start
    name = cursor.text[start : tokens[last].end]
    if tokens[first - 2].text == "steps":
        return f"`{name}` reads as a subtraction", f"write `steps.{name.replace('-', '_')}`", start
    return f"`{name}` reads as a subtraction", f'write `["{name}"]` instead of `.{name}`', start


def _is_hyphen(tokens: Sequence[Token], at: int) -> bool:
    """Whether there is a `-` between two names, without a space."""
    before, minus, after = tokens[at - 1], tokens[at], tokens[at + 1]
    return (
        minus.text == "-"
        and before.kind == after.kind == "name"
        and before.end == minus.start
        and minus.end == after.start
    )


def check_call(
    cursor: Cursor, name: str, arguments: Sequence[Node], offset: int, is_method: bool, loops: Collection[str]
) -> None:
    """Note what is wrong with a call: no such function, not written so, not so many arguments."""
    function = FUNCTIONS.get(name)
    if function is None:
        known = [each for each, known in FUNCTIONS.items() if is_method == (known.form == "method")]
        near = did_you_mean(name, [*known, *loops, "has", *FUNCTIONS], "the reference of expressions lists them all")
        cursor.fault(f"there is no function `{name[:60]}`", near, offset)
    elif is_method and function.form == "function":
        cursor.fault(f"`{name}` is not written as a method", f"write `{function.usage}`", offset)
    elif not is_method and function.form == "method":
        cursor.fault(f"`{name}` is written as a method", f"write `{function.usage}`", offset)
    elif not function.least <= len(arguments) <= function.most:
        cursor.fault(f"`{name}` takes other arguments", f"write `{function.usage}`", offset)
    elif name == "matches" and isinstance(arguments[1], Literal):
        pattern = arguments[1].value
        if not isinstance(pattern, str) or matcher(pattern, True) is None:
            cursor.fault("the pattern is not valid", PATTERN_REMEDY, arguments[1].offset)
