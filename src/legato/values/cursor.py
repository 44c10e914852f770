"""Where a parser is among the tokens of an expression, and the faults that it has found."""

from __future__ import annotations

from typing import NoReturn

from legato.values.faults import ExpressionError, Fault, printable
from legato.values.tokens import Token, tokens_of
from legato.values.tree import MAX_DEPTH, Node

WORD_OPERATORS = {
    "and": "&&", "or": "||", "not": "!", "is": "==", "eq": "==", "ne": "!=", "mod": "%", "div": "/",
}  # fmt: skip
SPLIT = "compute parts of it in a `set` step"


class Cursor:
    """Tokens one after another. What stops the parsing is raised, what does not is collected in `faults`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.at = 0
        self.faults: list[Fault] = []

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.at]

    @property
    def last(self) -> Token:
        """The token that was taken last."""
        return self.tokens[self.at - 1]

    def take(self) -> Token:
        """Take the next token."""
        token = self.tokens[self.at]
        self.at += 1
        return token

    def ahead(self, mark: str) -> bool:
        """Whether this mark comes next."""
        return self.next.kind == "mark" and self.next.text == mark

    def took(self, mark: str) -> bool:
        """Take this mark if it comes next; gives whether it did."""
        if self.ahead(mark):
            self.at += 1
            return True
        return False

    def expect(self, mark: str, what: str) -> None:
        """Take this mark. Raises ExpressionError if another token comes next."""
        if not self.took(mark):
            self.unexpected(f"`{mark}` {what}")

    def fault(self, message: str, remedy: str, offset: int) -> None:
        """Note what does not stop the parsing."""
        self.faults.append(Fault(message, remedy, offset))

    def stop(self, message: str, remedy: str, offset: int) -> NoReturn:
        """Raise what does."""
        raise ExpressionError([Fault(message, remedy, offset)])

    def unexpected(self, wanted: str) -> NoReturn:
        """Raise what is to be said of the next token, where `wanted` should be."""
        token = self.next
        before = self.tokens[self.at - 1] if self.at else Token("mark", "", 0, 0)
        if token.kind == "end":
            self.stop("the expression ends too early", f"it should go on with {wanted}", token.start)
        if token.kind == "name" and token.text in WORD_OPERATORS:
            self.stop(f"`{token.text}` is not an operator here", f"write `{WORD_OPERATORS[token.text]}`", token.start)
        if token.kind == "value" and token.text[:1] == "." and before.kind != "mark":
            self.stop(
                f"`{token.text}` is no field", f"write `[{token.text[1:]}]` for an element of a list", token.start
            )
        if isinstance(token.value, str) and isinstance(before.value, str):
            self.stop("a text stands beside another", "join them with `+`, and check the quotes", token.start)
        self.stop(
            f"`{printable(token.text, 40)}` stands where {wanted} should be", "check what is before it", token.start
        )

    def depth_of(self, offset: int, *nodes: Node) -> int:
        """The depth of a node over these. Raises ExpressionError for one that is too deep to be walked."""
        depth = 1 + max((node.depth for node in nodes), default=0)
        if depth > MAX_DEPTH:
            self.stop(f"the expression is nested deeper than {MAX_DEPTH}", SPLIT, offset)
        return depth
