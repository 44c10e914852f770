"""The operators of the language, for whatever is a list of steps. Each validates at once, by the rules of the files.

What an operator makes is a tree as a file has it; nothing in here knows what a step means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, Unpack, cast

from legato.builder.bodies import Body, block, single
from legato.builder.branching import chosen_branches, made_items
from legato.builder.checked import Scope
from legato.builder.code import Anything, code_of
from legato.builder.spelling import CallOptions, Duration, Modifiers, Repeatable, duration, spelled
from legato.builder.written import Composed, Tree, Written, caller, tree_of
from legato.errors import DefinitionError
from legato.model.names import name_problem

Case = tuple[str, Body] | tuple[str, Body, str]


class Operators(Composed):
    """Steps one after another, the value threading through. Every operator gives the same object back.

    Operators raise DefinitionError, which names the operator, what is wrong, and the remedy.
    """

    def __init__(self) -> None:
        self._scope = Scope()

    def tree(self) -> Tree:
        """See Composed."""
        return list(self._scope.written)

    def _add(self, label: str, tree: Mapping[str, Tree]) -> Self:
        self._scope.add(Written(label, tree, caller()))
        return self

    def call(self, function: str, **options: Unpack[CallOptions]) -> Self:
        """Call a function with the current value; its answer is the next one."""
        label = f"call {function}"
        return self._add(label, {"call": tree_of(function, label), **spelled(options, label)})

    def modify(self, code: Anything | str, **options: Unpack[Repeatable]) -> Self:
        """Call Python code with the decoded value: a callable, or `module:function`. What it returns is the next."""
        label = f"modify {getattr(code, '__name__', code)}"
        return self._add(label, {"python": code_of(code, label), **spelled(options, label)})

    def set(self, value: object, **options: Unpack[Modifiers]) -> Self:
        """Make a value of others: JSON whose texts may hold `${...}`, or shaping words."""
        return self._add("set", {"set": tree_of(value, "set"), **spelled(options, "set")})

    def steps(self, *bodies: Body, **options: Unpack[Modifiers]) -> Self:
        """Do steps one after another, as one step."""
        return self._add("steps", {"steps": block(bodies, "steps"), **spelled(options, "steps")})

    def parallel(
        self,
        bodies: Mapping[str, Body] | None = None,
        *,
        join: str | int | Mapping[str, int] | None = None,
        merge: str | None = None,
        prefer: list[str] | None = None,
        options: Modifiers | None = None,
        **branches: Body,
    ) -> Self:
        """Do named branches at once, each with the current value; the results become one object.

        Branches whose names are no Python words go into `bodies`; modifiers of the step, which would look like
        branches, into `options`. A whole number after `join` is a quorum.
        """
        label = "parallel"
        everyone = {**(bodies or {}), **branches}
        if bodies and (twice := sorted(bodies.keys() & branches.keys())):
            raise DefinitionError(f"{label}: the branch `{twice[0]}` is there twice (rename one of them)")
        quorum = {"quorum": join} if isinstance(join, int) and not isinstance(join, bool) else join
        tree = {"parallel": {name: single(body, f"{label} {name}") for name, body in everyone.items()}}
        keys = {**(options or {}), "join": quorum, "merge": merge, "prefer": prefer}
        return self._add(label, {**tree, **spelled(keys, label)})

    def foreach(
        self,
        over: object,
        body: Body,
        *,
        concurrency: int | None = None,
        tolerate: int | str | None = None,
        min_successful: int | None = None,
        collect: str | None = None,
        aggregate: Anything | str | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Do steps for each item of a list, or for each `{"key", "value"}` of an object.

        `over` is an expression, the items themselves, or code that makes them of the value; the results of what code
        made are an object by key, if it made one. `aggregate` is code that gets the results, and makes the next value.
        """
        label = "foreach"
        limits = {
            "concurrency": concurrency,
            "tolerate": tolerate,
            "min_successful": min_successful,
            "collect": collect,
        }
        keys, steps = spelled(limits, label), block(body, label)
        after = None if aggregate is None else code_of(aggregate, label)
        modifiers = spelled(options, label)
        if callable(over):
            return self._add(label, {"steps": made_items(code_of(over, label), steps, keys, after), **modifiers})
        loop: dict[str, Tree] = {"foreach": {"over": tree_of(over, label)}, "steps": steps, **keys}
        if after is None:
            return self._add(label, {**loop, **modifiers})
        return self._add(label, {"steps": [loop, {"python": after}], **modifiers})

    def choose(
        self,
        *cases: Case,
        otherwise: Body | None = None,
        all: bool = False,  # noqa: A002 - as in the language
        **options: Unpack[Modifiers],
    ) -> Self:
        """Do the steps of the first case whose condition holds: `("${...}", steps)`; else those of `otherwise`.

        With `all`, every case that holds is done at once, and the value is an object by their names:
        `("${...}", steps, "name")`.
        """
        label = "choose"
        listed: list[Tree] = [_case(case, label) for case in cases]
        if otherwise is not None:
            listed.append({"otherwise": True, "steps": block(otherwise, label)})
        tree: Tree = {"all": True, "cases": listed} if all else listed
        return self._add(label, {"choose": tree, **spelled(options, label)})

    def branch(
        self,
        condition: Anything | str,
        cases: Mapping[str, Body],
        *,
        aggregate: Anything | str | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Do the branches whose keys Python code gives for the value, all at once, each with that value.

        The results are an object by key, of which `aggregate` may make the next value. No keys: the value stays. A key
        that is no branch fails the flow.
        """
        label = "branch"
        after = None if aggregate is None else code_of(aggregate, label)
        graph = chosen_branches(code_of(condition, label), cases, after, label)
        return self._add(label, {"graph": graph, **spelled(options, label)})

    def graph(self, graph: Composed | Mapping[str, object], **options: Unpack[Modifiers]) -> Self:
        """Do the nodes of a `Graph`, each as soon as those before it have ended."""
        label = "graph"
        tree = tree_of(graph, label)
        nodes = tree.tree["graph"] if isinstance(tree, Written) else tree
        return self._add(label, {"graph": nodes, **spelled(options, label)})

    def flow(self, flow: Any, **options: Unpack[Modifiers]) -> Self:
        """Run another flow, by its name or by itself, with the current value as its input."""
        name = flow if isinstance(flow, str) else getattr(flow, "name", flow)
        label = f"flow {name}"
        return self._add(label, {"flow": tree_of(name, label), **spelled(options, label)})

    def sleep(self, time: Duration, **options: Unpack[Modifiers]) -> Self:
        """Wait; the value stays as it is."""
        return self._add("sleep", {"sleep": duration(time, "sleep"), **spelled(options, "sleep")})

    def wait(
        self,
        signal: str,
        *,
        default: object = None,
        schema: Mapping[str, object] | bool | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Wait for a signal; what it brings is the next value, or `default` when the `timeout` has passed.

        `schema` is a JSON Schema of what it brings.
        """
        label = f"wait {signal}"
        keys = {**options, "default": default, "schema": schema}
        return self._add(label, {"wait": tree_of(signal, label), **spelled(keys, label)})

    def publish(self, topic: str, **options: Unpack[Modifiers]) -> Self:
        """Publish the value to a topic; it stays as it is."""
        label = f"publish {topic}"
        return self._add(label, {"publish": tree_of(topic, label), **spelled(options, label)})

    def respond(
        self,
        value: object = "${value}",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Answer the caller now, and go on; the value stays as it is."""
        keys = {**options, "status": status, "headers": headers}
        return self._add("respond", {"respond": tree_of(value, "respond"), **spelled(keys, "respond")})

    def fail(self, text: str, *, status: int | None = None, **options: Unpack[Modifiers]) -> Self:
        """End the flow with an error that says so."""
        return self._add("fail", {"fail": tree_of(text, "fail"), **spelled({**options, "status": status}, "fail")})


def _case(case: Case, label: str) -> Tree:
    if not isinstance(case, tuple) or len(case) not in (2, 3):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f'{label}: {case!r} is no case (write ("${{...}}", steps), with `all` also a name)')
    when, body, *name = cast("tuple[Any, ...]", case)
    if callable(when):
        raise DefinitionError(f"{label}: a condition is an expression (write `branch` where Python code chooses)")
    tree: dict[str, Tree] = {"when": tree_of(when, label), "steps": block(body, label)}
    return {**tree, "name": tree_of(name[0], label)} if name else tree


def checked_name(name: object, label: str) -> str:
    """A name of a flow, a node or the like. Raises DefinitionError for what is none."""
    if not isinstance(name, str):
        raise DefinitionError(f"{label}: {name!r} is no name (write text)")
    if problem := name_problem(name):
        raise DefinitionError(f"{label}: {problem} (choose another name)")
    return name
