"""Random expressions: by the grammar of CEL, with more or less sense, and damaged."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

FIELDS = ("a", "b", "items", "total", "name", "id", "price")
LITERALS = (
    "0", "1", "-1", "2", "10", "0.5", "1e308", "9223372036854775807", "9223372036854775808", "0x1f", "''", "'a'",
    '"x, y"', "'}'", "r'\\d'", "b'a'", "'\\u00e9'", "true", "false", "null", "[]", "{}", "[1, 2]", "{'a': 1}", "'5s'",
    "'2026-01-31T12:00:00Z'",
)  # fmt: skip
BINARY = ("+", "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "&&", "||", "||", "in")
METHODS = (
    "size()", "trim()", "upperAscii()", "split(',')", "join('-')", "sort()", "distinct()", "flatten()", "sum()",
    "min()", "reverse()", "charAt(0)", "indexOf('a')", "substring(1)", "replace('a', 'bb')", "contains('a')",
    "matches('^a+$')", "startsWith('a')", "slice(0, 1)", "getFullYear()", "getHours()", "lastIndexOf('')", "zzz()",
)  # fmt: skip
FUNCTIONS = (
    "size", "string", "int", "double", "bool", "bytes", "type", "dyn", "duration", "timestamp", "has", "math.abs",
    "math.greatest", "math.least", "math.round", "lists.range", "zzz",
)  # fmt: skip
LOOPS = ("map", "filter", "exists", "all", "exists_one")


class Expressions:
    """Makes random expressions that look at `roots` and at the results of `steps`."""

    def __init__(self, random: Random, roots: Sequence[str], steps: Sequence[str] = ()) -> None:
        self.random = random
        self.roots = roots
        self.steps = steps

    def path(self) -> str:
        """A plain path."""
        random = self.random
        if self.steps and random.random() < 0.4:
            path = f"steps.{random.choice(self.steps).replace('-', '_')}"
        else:
            path = random.choice(self.roots)
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            field = random.choice(FIELDS)
            path += random.choice((f".{field}", f".{field}", f'["{field}"]', f"[{random.randrange(3)}]"))
        return path

    def any(self, depth: int = 3, variables: tuple[str, ...] = ()) -> str:
        """An expression of any kind."""
        random = self.random
        if depth <= 0 or random.random() < 0.15:
            if variables and random.random() < 0.5:
                return random.choice(variables)
            return self.path() if random.random() < 0.6 else random.choice(LITERALS)
        inner = lambda: self.any(depth - 1 - random.randrange(2), variables)  # noqa: E731 - made only where it is needed
        match random.randrange(11):
            case 0 | 1 | 2:
                return f"{inner()} {random.choice(BINARY)} {inner()}"
            case 3:
                return f"({inner()}) {random.choice(BINARY)} ({inner()})"
            case 4:
                return f"({inner()} ? {inner()} : {inner()})"
            case 5:
                return f"{random.choice(('!', '-', '!!', '--'))}({inner()})"
            case 6:
                return f"({inner()}).{random.choice(METHODS)}"
            case 7:
                return f"{random.choice(FUNCTIONS)}({inner()})"
            case 8:
                return f"has({self.path()})"
            case 9:
                variable = random.choice("xyz")
                body = self.any(depth - 1, (*variables, variable))
                return f"({inner()}).{random.choice(LOOPS)}({variable}, {body})"
            case _:
                return random.choice(("[{}, {}]", "{{'a': {}, 'b': {}}}", "({})[{}]")).format(inner(), inner())

    def condition(self) -> str:
        """An expression that mostly is a boolean, whatever the data are."""
        path = self.path()
        if self.random.random() < 0.07:
            return self.any(2)
        return self.random.choice(
            (f"has({path}.a)", f"!has({path}.a)", f"has({path}.total) && type({path}.total) == int && {path}.total > 1",
             "true", "true", "false", f"size([{self.root()}]) == 1", f"{self.root()} != null", f"{path} == 1")
        )  # fmt: skip

    def value(self) -> str:
        """An expression that mostly has a value, whatever the data are."""
        root, path = self.root(), self.path()
        if self.random.random() < 0.07:
            return self.any(2)
        return self.random.choice(
            (root, root, root, f"[{root}, {root}]", f"{{'a': {root}}}", f"has({path}.a) ? {path}.a : null", path,
             f"type({root}) == list ? {root} : [{root}]", f"has({root}.items) ? {root}.items : [1, 2]")
        )  # fmt: skip

    def text(self) -> str:
        """An expression that mostly is text or a number, whatever the data are."""
        root = self.root()
        choices = (
            "run.id",
            "size('abc')",
            f"type({root}) == string ? {root} : 'x'",
            f"has({root}.id) ? string({root}.id) : 'y'",
        )
        return self.random.choice(choices) if self.random.random() < 0.9 else self.path()

    def root(self) -> str:
        """A whole root, or a whole result."""
        if self.steps and self.random.random() < 0.4:
            return f"steps.{self.random.choice(self.steps).replace('-', '_')}"
        return self.random.choice(self.roots)

    def damaged(self, text: str) -> str:
        """An expression with a few characters changed."""
        random = self.random
        for _ in range(random.choice((1, 1, 2, 4))):
            at = random.randrange(len(text) + 1)
            piece = random.choice(
                (*"(){}[].,'\"\\?:!&|=<>+-*/%$ \n\0éx0", "${", "}", "&&", " and ", "steps.", ".map(x,")
            )
            text = text[:at] + random.choice((piece, piece * 2, "")) + text[at + random.randrange(3) :]
        return text
