"""From the tree of an expression to closures. Nothing is looked up by name at run time."""

from __future__ import annotations

from collections.abc import Mapping

from legato.values import closures
from legato.values.closures import Evaluate
from legato.values.dig import Digger
from legato.values.functions import FUNCTIONS
from legato.values.kinds import TYPE_NAMES
from legato.values.loops import LOOPS, Turns
from legato.values.numbers import ARITHMETIC
from legato.values.patterns import matcher
from legato.values.strings import matches_pattern
from legato.values.tree import (
    Call,
    Chain,
    Choice,
    Compare,
    Field,
    Has,
    Item,
    ListOf,
    Literal,
    Logic,
    Loop,
    MapOf,
    Minus,
    Node,
    Not,
    Path,
    Variable,
)
from legato.values.working import MISSING, Frame
from legato.values.writing import read

Scope = Mapping[str, int]


class Code:
    """What a tree was compiled to: `run`, and how many paths and variables its frames have room for."""

    __slots__ = ("paths", "run", "variables")

    def __init__(self, tree: Node) -> None:
        compiler = _Compiler()
        self.run = compiler.node(tree, {})
        self.paths = len(compiler.paths)
        self.variables = compiler.variables


class _Compiler:
    def __init__(self) -> None:
        self.paths: dict[tuple[bool, str, str, tuple[str | int, ...]], int] = {}
        self.variables = 0
        self.size = 0  # of what was compiled so far, in nodes
        self.inner: list[tuple[Evaluate, int]] = []  # loops over paths within the loop that is being compiled

    def node(self, node: Node, scope: Scope) -> Evaluate:
        self.size += 1
        match node:
            case Literal():
                return closures.constant(node.value)
            case Path():
                return self.path(node)
            case Variable():
                return self.variable(node, scope)
            case Field():
                return closures.field(self.node(node.operand, scope), node.name)
            case Item():
                return closures.item(self.node(node.operand, scope), self.node(node.key, scope))
            case Call():
                return self.call(node, scope)
            case ListOf():
                return closures.list_of([self.node(item, scope) for item in node.items])
            case MapOf():
                return closures.map_of([(self.node(k, scope), self.node(v, scope)) for k, v in node.entries])
            case Has():
                return self.has(node.member, scope)
            case Loop():
                return self.loop(node, scope)
            case _:
                return self.operation(node, scope)

    def operation(self, node: Node, scope: Scope) -> Evaluate:
        match node:
            case Not():
                return closures.invert(self.node(node.operand, scope))
            case Minus():
                return closures.minus(self.node(node.operand, scope))
            case Logic():
                return closures.logic(node.operator, [self.node(each, scope) for each in node.operands])
            case Compare():
                return closures.compare(node.operator, self.node(node.left, scope), self.node(node.right, scope))
            case Chain():
                rest = [(ARITHMETIC[operator], self.node(operand, scope)) for operator, operand in node.rest]
                return closures.chain(self.node(node.first, scope), rest)
            case Choice():
                parts = (self.node(part, scope) for part in (node.condition, node.yes, node.no))
                return closures.choice(*parts)
            case _:
                raise AssertionError(f"no rule for {type(node).__name__}")

    def path(self, node: Path) -> Evaluate:
        slot = self.slot(node, False)
        digger = Digger(node.root, node.step, node.pointer)

        def evaluate(frame: Frame) -> object:
            value = frame.paths[slot]
            if value is MISSING:
                env = frame.env
                document = digger.document(env)
                frame.spend(len(document) // 256)
                value = frame.paths[slot] = read(digger.dig(document, env), frame)
            return value

        return evaluate

    def there(self, node: Path) -> Evaluate:
        """Whether there is something at the end of a path."""
        slot = self.slot(node, True)
        digger = Digger(node.root, node.step, node.pointer)

        def evaluate(frame: Frame) -> object:
            found = frame.paths[slot]
            if found is MISSING:
                payload = digger.payload(frame.env)
                frame.spend(payload.size // 256)
                found = frame.paths[slot] = digger.is_in(payload)
            return found

        return evaluate

    def slot(self, node: Path, is_asked: bool) -> int:
        """Where a frame keeps what is at a path, or whether there is anything: looked for once in an evaluation."""
        return self.paths.setdefault((is_asked, node.root, node.step, node.pointer), len(self.paths))

    def variable(self, node: Variable, scope: Scope) -> Evaluate:
        slot = scope.get(node.name)
        if slot is None:
            return closures.constant(TYPE_NAMES[node.name])
        return lambda frame: frame.variables[slot]

    def call(self, node: Call, scope: Scope) -> Evaluate:
        function = FUNCTIONS[node.name]
        if node.name == "matches" and isinstance(node.arguments[1], Literal):
            fits = matcher(str(node.arguments[1].value), True)
            if fits is not None:
                text = self.node(node.arguments[0], scope)
                return lambda frame: matches_pattern(frame, text(frame), fits)
        arguments = [self.node(argument, scope) for argument in node.arguments]
        checks = function.checks(len(arguments))
        return lambda frame: function.call(frame, [argument(frame) for argument in arguments], checks)

    def has(self, member: Node, scope: Scope) -> Evaluate:
        if isinstance(member, Path):
            return self.there(member)
        return closures.has(self.member(member, scope))

    def member(self, node: Node, scope: Scope) -> Evaluate:
        """As `node`, but gives MISSING where a field or an element on the way is missing."""
        match node:
            case Field():
                return closures.maybe(self.member(node.operand, scope), closures.constant(node.name))
            case Item():
                return closures.maybe(self.member(node.operand, scope), self.node(node.key, scope))
            case Path():
                whole, there = self.node(node, scope), self.there(node)
                return lambda frame: whole(frame) if there(frame) else MISSING
            case _:
                return self.node(node, scope)

    def loop(self, node: Loop, scope: Scope) -> Evaluate:
        over = self.node(node.over, scope)
        slot = self.variables
        self.variables += 1
        inner_scope = {**scope, node.variable: slot}
        outer, self.inner = self.inner, []
        before = self.size
        test = self.node(node.test, inner_scope) if node.test else None
        result = self.node(node.result, inner_scope) if node.result else None
        cost = 1 + self.size - before
        turns = Turns(node.kind, over, slot, cost, tuple(self.inner))
        self.inner = outer
        if isinstance(node.over, Path):
            self.inner.append((over, cost))
        return LOOPS[node.kind](turns, test, result)
