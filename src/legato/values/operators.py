"""Which operators bind tighter than others, and what a row of operands and operators becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from legato.values.cursor import Cursor
from legato.values.tokens import Token
from legato.values.tree import Chain, Compare, Logic, Node

_ORDER = ("<", "<=", ">", ">=")
_COMPARING = ("==", "!=", *_ORDER, "in")
_LEVELS = (("*", "/", "%"), ("+", "-"), _COMPARING, ("&&",), ("||",))  # the tightest first
OPERATORS = {operator for level in _LEVELS for operator in level}


class Row(NamedTuple):
    """Operands, and the operators between them."""

    operands: list[Node]
    operators: list[Token]


def folded(row: Row, cursor: Cursor) -> Node:
    """One node of a row. No recursion, whatever the row's length. Raises ExpressionError through the cursor."""
    for operators in _LEVELS if row.operators else ():
        row = _folded(row, operators, cursor)
    return row.operands[0]


def _folded(row: Row, operators: Sequence[str], cursor: Cursor) -> Row:
    """The row with every run of these operators made one operand."""
    made = Row([], [])
    run = Row([row.operands[0]], [])
    for operator, operand in zip(row.operators, row.operands[1:], strict=True):
        if operator.text in operators:
            run.operators.append(operator)
            run.operands.append(operand)
            continue
        made.operands.append(_joined(run, cursor))
        made.operators.append(operator)
        run = Row([operand], [])
    made.operands.append(_joined(run, cursor))
    return made


def _joined(run: Row, cursor: Cursor) -> Node:
    """One node of a run of operators that bind alike."""
    first = run.operands[0]
    if not run.operators:
        return first
    operator = run.operators[0].text
    if operator in _COMPARING:
        return _compared(run, cursor)
    depth = cursor.depth_of(first.offset, *run.operands)
    if operator in ("&&", "||"):
        return Logic(first.offset, depth, operator, tuple(run.operands))
    rest = zip((token.text for token in run.operators), run.operands[1:], strict=True)
    return Chain(first.offset, depth, first, tuple(rest))


def _compared(run: Row, cursor: Cursor) -> Node:
    left = run.operands[0]
    before = ""
    for token, right in zip(run.operators, run.operands[1:], strict=True):
        if before in _ORDER and token.text in _ORDER:
            cursor.stop("comparisons cannot be chained", "write `a < b && b < c`", token.start)
        before = token.text
        left = Compare(left.offset, cursor.depth_of(left.offset, left, right), before, left, right)
    return left
