"""From the text of an expression to its tree, with every fault found on the way.

Syntax ends at its first fault; names that are not known are collected. Nesting is bounded before it is recursed into.
"""

from __future__ import annotations

from collections.abc import Collection

from legato.model.payload import MAX_DEPTH as JSON_DEPTH
from legato.values.cursor import SPLIT, Cursor
from legato.values.env import ROOTS, UNDO_ROOTS
from legato.values.faults import MAX_FAULTS, ExpressionError, Fault, quoted
from legato.values.functions import FUNCTIONS
from legato.values.kinds import TYPE_NAMES
from legato.values.operators import OPERATORS, Row, folded
from legato.values.strangers import check_call, unknown_name
from legato.values.tokens import MAX_SOURCE, Token
from legato.values.tree import (
    Call,
    Choice,
    Field,
    Has,
    Item,
    ListOf,
    Literal,
    Loop,
    MapOf,
    Minus,
    Node,
    Not,
    Path,
    Variable,
)

MAX_LOOPS = 2  # contract 4
_MAX_LEVEL = 48  # each level takes seven calls of Python's stack
# The comprehensions: how many arguments they take, the variable among them, and how they are written.
_LOOPS = {
    "map": (2, 3, "map(x, x.name)"),
    "filter": (2, 2, "filter(x, x.price > 10)"),
    "exists": (2, 2, "exists(x, x.price > 10)"),
    "all": (2, 2, "all(x, x.price > 10)"),
    "exists_one": (2, 2, "exists_one(x, x.price > 10)"),
    "existsOne": (2, 2, "existsOne(x, x.price > 10)"),
}
_NAMESPACES = {name.split(".")[0] for name in FUNCTIONS if "." in name}
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse(text: str, undo: bool) -> tuple[Node, list[Path]]:
    """The tree of an expression, and its static paths in order. Raises ExpressionError with every fault found."""
    if len(text) > MAX_SOURCE or len(text.encode("utf-8", "replace")) > MAX_SOURCE:
        raise ExpressionError([Fault(f"the expression is longer than {MAX_SOURCE} bytes", SPLIT)])
    if not text.strip():
        raise ExpressionError([Fault("`${}` holds no expression", "write one, or `$${` for a literal `${`")])
    return _Parser(text, UNDO_ROOTS if undo else ROOTS).parse()


class _Parser(Cursor):
    def __init__(self, text: str, roots: Collection[str]) -> None:
        super().__init__(text)
        self.roots = roots
        self.level = 0
        self.variables: list[str] = []
        self.paths: list[Path] = []

    def parse(self) -> tuple[Node, list[Path]]:
        tree: Node | None = None
        try:
            tree = self.expression()
            if self.next.kind != "end":
                self.unexpected("an operator or the end")
        except ExpressionError as error:
            self.faults.extend(error.faults)
        if self.faults or tree is None:
            found = sorted(dict.fromkeys(self.faults), key=lambda fault: fault.offset)
            raise ExpressionError(found[:MAX_FAULTS])
        return tree, self.paths

    def expression(self) -> Node:
        self.level += 1
        if self.level > _MAX_LEVEL:
            self.stop(f"the expression is nested deeper than {_MAX_LEVEL}", SPLIT, self.next.start)
        node = self.operation()
        if self.took("?"):
            yes = self.operation()
            self.expect(":", "and what it is otherwise")
            no = self.expression()
            node = Choice(node.offset, self.depth_of(node.offset, node, yes, no), node, yes, no)
        self.level -= 1
        return node

    def operation(self) -> Node:
        """Operands and operators, first in a row, then folded from the tightest operators to the loosest."""
        row = Row([self.unary()], [])
        while self.next.kind in ("mark", "name") and self.next.text in OPERATORS:
            row.operators.append(self.take())
            row.operands.append(self.unary())
        return folded(row, self)

    def unary(self) -> Node:
        marks: list[Token] = []
        while self.ahead("!") or self.ahead("-"):
            marks.append(self.take())
        if marks and marks[-1].text == "-" and type(self.next.value) in (int, float):
            node = self.after(self.literal(self.take(), marks.pop().start, -1))
        else:
            node = self.after(self.primary())
        for mark in reversed(marks):
            kind = Not if mark.text == "!" else Minus
            node = kind(mark.start, self.depth_of(mark.start, node), node)
        return node

    # What follows a value: fields, indexes and methods.

    def after(self, node: Node) -> Node:
        while True:
            if self.took("."):
                node = self.member(node)
            elif self.took("["):
                opened = self.last.start
                key = self.expression()
                self.expect("]", "to end the index")
                node = self.item(node, key, opened)
            else:
                return node

    def member(self, node: Node) -> Node:
        token = self.next
        if self.ahead("?"):
            self.stop("`.?` is not known", "ask first: `has(a.b) ? a.b : null`", token.start - 1)
        if token.kind != "name":
            self.unexpected("the name of a field")
        self.take()
        if self.took("("):
            return self.method(node, token)
        if isinstance(node, Path):
            return self.extended(node, token.text)
        return Field(token.start, self.depth_of(token.start, node), node, token.text)

    def item(self, node: Node, key: Node, opened: int) -> Node:
        if isinstance(node, Path):
            constant = key.value if isinstance(key, Literal) else None
            if type(constant) is int and constant < 0:
                last = quoted(f"{node.written}[size({node.written}) - {-constant}]")
                self.stop("a list has no element before its first", f"write {last} to count from the end", opened)
            if isinstance(constant, str) or type(constant) is int:
                return self.extended(node, constant)
            self.whole_steps(node, opened)
        return Item(opened, self.depth_of(opened, node, key), node, key)

    def extended(self, path: Path, part: str | int) -> Path:
        """A path with one more part, which was taken just now."""
        written = self.text[path.offset : self.last.end]
        if path.root == "steps" and not path.step:
            if not isinstance(part, str) or not part:
                self.stop("which step is meant must be written out", "write `steps.name`", path.offset)
            longer = Path(path.offset, 1, "steps", part.replace("-", "_"), (), written)
        else:
            longer = Path(path.offset, 1, path.root, path.step, (*path.pointer, part), written)
        if len(longer.pointer) > JSON_DEPTH:
            self.stop(f"a path longer than {JSON_DEPTH}", "no document is as deep as that", path.offset)
        self.paths[self.paths.index(path)] = longer
        return longer

    def whole_steps(self, node: Node, offset: int) -> None:
        if isinstance(node, Path) and node.root == "steps" and not node.step:
            self.stop("which step is meant must be written out", "write `steps.name`", offset)

    def method(self, node: Node, token: Token) -> Node:
        self.whole_steps(node, token.start)
        if token.text in _LOOPS:
            return self.loop(node, token)
        return self.call(token.text, token.start, (node, *self.arguments()), is_method=True)

    def call(self, name: str, offset: int, arguments: tuple[Node, ...], is_method: bool) -> Node:
        check_call(self, name, arguments, offset, is_method, _LOOPS)
        return Call(offset, self.depth_of(offset, *arguments), name, arguments)

    def arguments(self) -> tuple[Node, ...]:
        """The rest of a call, from behind its `(`."""
        found: list[Node] = []
        while not self.took(")"):
            if found:
                self.expect(",", "or `)`")
            found.append(self.expression())
        return tuple(found)

    def loop(self, over: Node, token: Token) -> Node:
        kind = token.text
        least, most, usage = _LOOPS[kind]
        variable = self.next
        if variable.kind != "name" or variable.text in _CONSTANTS:
            self.stop(f"`{kind}` begins with a name for the element", f"write for example `{usage}`", variable.start)
        self.take()
        if len(self.variables) == MAX_LOOPS:
            remedy = "use a `foreach` step for the outer ones"
            self.stop(f"more than {MAX_LOOPS} nested comprehensions", remedy, token.start)
        self.variables.append(variable.text)
        parts: list[Node] = []
        while not self.took(")"):
            self.expect(",", f"and what to do with `{variable.text}`")
            parts.append(self.expression())
        self.variables.pop()
        if not least <= len(parts) + 1 <= most:
            self.stop(f"`{kind}` takes other arguments", f"write for example `{usage}`", token.start)
        result = parts[-1] if kind == "map" else None
        test = parts[0] if kind != "map" or len(parts) == 2 else None
        kind = "exists_one" if kind == "existsOne" else kind
        return Loop(token.start, self.depth_of(token.start, over, *parts), kind, over, variable.text, test, result)

    # Single values.

    def primary(self) -> Node:
        token = self.next
        if token.kind == "value":
            return self.literal(self.take(), token.start, 1)
        if token.kind == "name":
            return self.named(self.take())
        if self.took("["):
            return self.listed(token)
        if self.took("{"):
            return self.mapped(token)
        if not self.took("("):
            self.unexpected("a value")
        node = self.expression()
        self.expect(")", "to end the parentheses")
        return node  # a path in parentheses stays a path, and goes on as one: `(value.a).b`

    def literal(self, token: Token, offset: int, sign: int) -> Literal:
        value = token.value
        if isinstance(value, (int, float)):
            value = sign * value
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.fault(f"`{token.text[:40]}` is beyond 64 bits", "write a smaller integer, or a text", offset)
        return Literal(offset, 1, value)

    def listed(self, opened: Token) -> Node:
        items: list[Node] = []
        while not self.took("]"):
            if items:
                self.expect(",", "or `]`")
                if self.took("]"):
                    break
            items.append(self.expression())
        return ListOf(opened.start, self.depth_of(opened.start, *items), tuple(items))

    def mapped(self, opened: Token) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self.took("}"):
            if entries:
                self.expect(",", "or `}`")
                if self.took("}"):
                    break
            key = self.expression()
            self.expect(":", "and the value of the key")
            entries.append((key, self.expression()))
        nodes = [node for entry in entries for node in entry]
        return MapOf(opened.start, self.depth_of(opened.start, *nodes), tuple(entries))

    def named(self, token: Token) -> Node:
        name = token.text
        if name in _CONSTANTS:
            return Literal(token.start, 1, _CONSTANTS[name])
        if self.took("("):
            return self.called(token)
        if name in self.variables:
            return Variable(token.start, 1, name)
        if name in self.roots:
            path = Path(token.start, 1, name, "", (), name)
            self.paths.append(path)
            if name == "steps" and not self.ahead(".") and not self.ahead("["):
                self.fault("`steps` alone is no value", "write `steps.name`", token.start)
            return path
        if name in _NAMESPACES and [token.text for token in self.tokens[self.at : self.at + 3 : 2]] == [".", "("]:
            self.take()
            member = self.take()
            self.take()
            return self.call(f"{name}.{member.text}", token.start, self.arguments(), is_method=False)
        if name not in TYPE_NAMES:
            unknown_name(self, token, self.roots, self.variables)
        return Variable(token.start, 1, name)

    def called(self, token: Token) -> Node:
        if token.text == "has":
            return self.has(token)
        if token.text in _LOOPS:
            self.stop(f"`{token.text}` is written as a method", f"write `list.{_LOOPS[token.text][2]}`", token.start)
        return self.call(token.text, token.start, self.arguments(), is_method=False)

    def has(self, token: Token) -> Node:
        arguments = self.arguments()
        if len(arguments) != 1:
            self.stop("`has` asks for one field", "write `has(value.name)`", token.start)
        member = arguments[0]
        is_root = isinstance(member, Path) and not member.pointer and not member.step
        if is_root or not isinstance(member, (Path, Field, Item)):
            self.stop("`has` asks for a field", "write `has(value.name)`, or `value != null`", token.start)
        return Has(token.start, self.depth_of(token.start, member), member)
