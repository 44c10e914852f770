"""Random flows that are right, or nearly so: every kind of step with every key, and expressions that see something."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.soak.expression_texts import Expressions

Tree = dict[str, Any]

FUNCTIONS = ("get", "pay", "b-c", "ship", "tell", "score")
ROOTS = ("input", "value")
CONTAINERS = ("steps", "parallel", "graph", "foreach", "choose")
LEAVES = (*("name", "call", "call") * 4, *("python", "set", "set") * 2, "sleep", "respond", "fail", "flow")
DURATIONS = ("1ms", "50ms", "1s", "2.5s", "5m", "2h", "1d")


def some(random: Random, count: int, makers: dict[str, Callable[[], Any]]) -> Tree:
    """A few of the keys, with what is made for them."""
    return {key: makers[key]() for key in random.sample(sorted(makers), count)}


class Flows:
    """Makes flows; `others` are the names of flows that may be used in one."""

    def __init__(self, random: Random, others: tuple[str, ...] = ()) -> None:
        self.random = random
        self.others = others
        self._ids = 0
        self._left = 0  # steps that may still be made

    def flow(self, name: str) -> Tree:
        """A whole flow."""
        random = self.random
        self._ids, self._left = 0, random.choice((3, 8, 20, 40))
        seen: list[str] = []
        flow: Tree = {
            "flow": name,
            "steps": self.steps(random.choice((1, 2, 3, 4)), seen, ROOTS, random.choice((1, 2, 3, 4))),
        }
        handled = (*ROOTS, "run", "error", "errors")
        callbacks = ("https://h/done?id=${run.id}", {"url": "http://h/${input.a}", "when": "failure"})
        return flow | some(random, random.choice((0, 1, 2, 4)), {
            "description": lambda: "x", "timeout": lambda: random.choice(("1ms", "2.5s", "2m")), "input": self.schema,
            "on_disconnect": lambda: random.choice(("cancel", "finish")),
            "output": lambda: self.mapping(seen, (*ROOTS, "run", "request")),
            "on_failure": lambda: self.steps(2, [], handled, 1), "finally": lambda: self.steps(1, [], handled, 1),
            "callback": lambda: random.choice(callbacks),
        })  # fmt: skip

    def schema(self) -> Any:
        """What an input must fit."""
        return self.random.choice(
            (True, {"type": "object"}, {"type": ["object", "array", "null"]}, {"minProperties": 1})
        )

    def steps(self, count: int, seen: list[str], roots: tuple[str, ...], depth: int) -> list[Any]:
        """Steps of one scope, each of which sees those before it."""
        steps: list[Any] = []
        for _ in range(count):
            steps.append(self.step(seen, roots, depth))
            if isinstance(steps[-1], dict) and "id" in steps[-1]:
                seen.append(steps[-1]["id"])
        return steps

    def step(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Any:
        """One step."""
        random = self.random
        self._left -= 1
        kind = random.choice(LEAVES if depth <= 0 or self._left <= 0 else (*LEAVES, *CONTAINERS, *CONTAINERS))
        if kind == "name" or (kind == "flow" and not self.others):
            return random.choice(FUNCTIONS)
        step = getattr(self, f"_{kind}")(seen, roots, depth)
        step |= some(random, random.choice((0, 0, 0, 1, 1, 2, 3)), {
            "when": lambda: f"${{{self.expressions(seen, roots).condition()}}}",
            "input": lambda: self.mapping(seen, roots), "output": lambda: self.mapping(seen, roots),
            "timeout": lambda: random.choice(DURATIONS), "on_error": lambda: self._on_error(seen, roots, depth),
        })  # fmt: skip
        if random.random() < 0.5:
            self._ids += 1
            step["id"] = f"s{random.choice('-_')}{self._ids}"
        return step

    def expressions(self, seen: list[str], roots: tuple[str, ...]) -> Expressions:
        """Expressions that see what may be seen here."""
        return Expressions(self.random, roots, seen)

    def mapping(self, seen: list[str], roots: tuple[str, ...]) -> Any:
        """What a value is made of."""
        random = self.random
        if random.random() < 0.15:
            shapes = {"under": "a", "pick": ["a", "items.a"], "drop": "b", "rename": {"a": "c"}, "wrap": "all"}
            return {key: shapes[key] for key in random.sample(sorted(shapes), random.choice((1, 1, 2)))}
        if random.random() < 0.1:
            return {"value": {"pick": self.template(seen, roots, 1)}}
        return self.template(seen, roots, 2)

    def template(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Any:
        """Data with expressions in it."""
        random, expressions = self.random, self.expressions(seen, roots)
        match random.randrange(8 if depth > 0 else 5):
            case 0 | 1 | 2:
                return f"${{{expressions.value()}}}"
            case 3:
                return random.choice((None, True, 0, -1.5, "", "text", "$${x}", 2**70, "\u00e9\u4e2d"))
            case 4:
                return f"to ${{{expressions.text()}}} and $${{{expressions.value()}}}!"
            case 5:
                return [self.template(seen, roots, depth - 1) for _ in range(random.randrange(3))]
            case _:
                return {
                    key: self.template(seen, roots, depth - 1) for key in random.sample(["a", "b", "items", "total"], 2)
                }

    def _retry(self) -> Tree:
        random = self.random
        retry: Tree = {"attempts": random.choice((1, 2, 3, 100))}
        if random.random() < 0.5:
            retry |= {"backoff": random.choice(("0s", "1ms", "1h")), "when_status": [502]}
        return retry

    def _undo(self, seen: list[str], roots: tuple[str, ...]) -> Any:
        random = self.random
        if random.random() < 0.5:
            return random.choice(FUNCTIONS)
        undo: Tree = {"call": random.choice(FUNCTIONS)}
        known = (*roots, "sent", "result")
        return undo | some(random, random.randrange(4), {
            "input": lambda: self.mapping(seen, known), "retry": self._retry, "timeout": lambda: "2s",
            "method": lambda: "DELETE", "path": lambda: "/x/${run.id}",
            "query": lambda: {"id": "${has(result.id) ? result.id : 1}"}, "headers": lambda: {"x-a": "${run.flow}"},
        })  # fmt: skip

    def _call(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        random, expressions = self.random, self.expressions(seen, roots)
        step: Tree = {"call": random.choice(FUNCTIONS)}
        step |= some(random, random.choice((0, 0, 0, 1, 1, 2, 4)), {
            "method": lambda: random.choice(("GET", "PUT", "DELETE", "POST")), "undo": lambda: self._undo(seen, roots),
            "path": lambda: random.choice(("/v1", "/v1/${" + expressions.text() + "}/x", "/${run.id}-${run.step}")),
            "query": lambda: {"q": f"${{{expressions.text()}}}", "n": [1, None, True]}, "retry": self._retry,
            "headers": lambda: {"X-A": f"${{{expressions.text()}}}"}, "encode": lambda: random.choice(("form", "text")),
            "decode": lambda: random.choice(("json", "text", "xml", "form", "binary")), "idempotent": lambda: True,
            "success": lambda: random.choice((200, ["2xx", 404])), "on_response": lambda: "shop.flows:judge",
            "return_status": lambda: random.choice((True, [404, "5xx"], {"404": 410})),
        })  # fmt: skip
        if random.random() < 0.1:
            step |= {"hedge": random.choice((True, "10ms", {"delay": "0s", "attempts": 5})), "idempotent": True}
        return step

    def _python(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        step: Tree = {"python": "shop.flows:score"}
        return step | ({"undo": self._undo(seen, roots)} if self.random.random() < 0.3 else {})

    def _set(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {"set": self.mapping(seen, roots)}

    def _sleep(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {"sleep": self.random.choice(("1ms", "1s", "10m", "365d"))}

    def _respond(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {
            "respond": self.mapping(seen, roots),
            "status": self.random.choice((200, 202, 503)),
            "headers": {"x-a": "${run.id}"},
        }

    def _fail(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {
            "fail": "no ${" + self.expressions(seen, roots).text() + "}",
            "status": self.random.choice((400, 422, 599)),
        }

    def _flow(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {"flow": self.random.choice(self.others)}

    def _on_error(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Any:
        known = (*roots, "error", "errors")
        match self.random.randrange(5):
            case 0 | 1:
                return self.random.choice(("skip", "skip", "fail"))
            case 2 | 3:
                return {"value": self.mapping(seen, known)}
            case _:
                return {"steps": self.steps(1, [*seen], known, min(depth - 1, 1))}

    def _steps(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        return {"steps": self.steps(self.random.randrange(4), seen, roots, depth - 1)}

    def _parallel(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        random = self.random
        names = random.sample(["x", "y", "z", "pay"], random.randrange(1, 5))
        branch = {name: self.steps(random.choice((1, 1, 2)), [*seen], roots, depth - 1) for name in names}
        step: Tree = {"parallel": {name: steps[0] if len(steps) == 1 else steps for name, steps in branch.items()}}
        if random.random() < 0.4:
            step["join"] = random.choice(("all", "any", {"quorum": random.randrange(1, len(names) + 1)}))
        if random.random() < 0.4:
            step["merge"] = random.choice(("flat", "first", "${size(value)}", "${value}"))
        if step.get("merge") == "flat":
            step["prefer"] = random.sample(names, random.randrange(len(names) + 1))
        return step

    def _graph(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        random = self.random
        nodes: Tree = {}
        for n in range(random.randrange(1, 7)):
            node = self.step([*seen, *nodes] if random.random() < 0.1 else [*seen], roots, depth - 1)
            after = random.sample(sorted(nodes), random.randrange(min(len(nodes), 3) + 1))
            if after:
                kinds = ("data", "data", "order", "${value}", "${has(value.a) ? value.a : 0}", {"pick": "a"})
                edges = {name: random.choice(kinds) for name in after}
                node = {**(node if isinstance(node, dict) else {"call": node}), "after": random.choice((after, edges))}
                node.pop("id", None)
            nodes[f"n{n}"] = node
        return {"graph": nodes}

    def _foreach(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        random = self.random
        over: Any = random.choice(
            (
                f"${{{self.expressions(seen, roots).value()}}}",
                "${lists.range(30)}",
                [1, {"a": "${value}"}, None],
                "${ {'a': 1, 'b': 2} }",
            )
        )
        known = tuple(dict.fromkeys((*roots, "item", "index")))
        body: Tree = {"steps": self.steps(random.choice((0, 1, 1, 2)), [*seen], known, depth - 1)}
        maybe: Tree = {
            "concurrency": random.choice((1, 2, 7, 1000)), "tolerate": random.choice((0, 1, "50%", "100%")),
            "min_successful": random.choice((0, 1, 3)), "collect": random.choice(("values", "outcomes", "object")),
        }  # fmt: skip
        body |= {key: maybe[key] for key in random.sample(sorted(maybe), random.choice((0, 1, 1, 2)))}
        return {"foreach": {"over": over, **body}} if random.random() < 0.3 else {"foreach": over, **body}

    def _choose(self, seen: list[str], roots: tuple[str, ...], depth: int) -> Tree:
        random, expressions = self.random, self.expressions(seen, roots)
        cases: list[Tree] = []
        for n in range(random.randrange(1, 4)):
            body: Tree = (
                {"call": random.choice(FUNCTIONS)}
                if random.random() < 0.3
                else {"steps": self.steps(1, [*seen], roots, depth - 1)}
            )
            cases.append({"when": f"${{{expressions.condition()}}}", "name": f"c{n}", **body})
        if random.random() < 0.5:
            cases.append({"otherwise": True, "steps": self.steps(1, [*seen], roots, depth - 1)})
        return {"choose": random.choice((cases, {"all": True, "cases": cases}))}
