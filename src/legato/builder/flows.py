"""Flows and lists of steps as Python builds them, and the definitions that they become."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self, cast

import msgspec

from legato.builder.bodies import Body, block
from legato.builder.code import CodeBook, code_of
from legato.builder.operators import Operators
from legato.builder.spelling import Duration, duration, retry
from legato.builder.written import Nodes, Tree, Written, caller, complaints, plain, tree_of
from legato.errors import DefinitionError
from legato.formats.native import read_root
from legato.formats.report import Report
from legato.model import flow as model
from legato.model.definition import Definition
from legato.model.policy import Retry
from legato.model.problem import Problem
from legato.model.source import Source

_NOT_DURABLE = "is found by no other process, and a durable flow must be, after a restart"


class Steps(Operators):
    """Steps without a name: a branch, an item's steps, a part of flows that several share."""

    def __init__(self, *bodies: Body) -> None:
        super().__init__()
        for each in block(bodies, "Steps"):
            label = each if isinstance(each, str) else "step"
            self._scope.add(each if isinstance(each, Written) else Written(label, _mapping(each), caller()))


class Flow(Operators):
    """A flow: its name, what it says as a whole, and its steps, one operator after another.

    `timeout` bounds the run; `input` is a JSON Schema; `output` makes the result. Raises DefinitionError at once for
    what can be seen to be wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        timeout: Duration | None = None,
        durable: bool | None = None,
        strategy: str | None = None,
        answer_within: Duration | None = None,
        input: Mapping[str, object] | bool | None = None,  # noqa: A002 - as in the language
        output: object = None,
        on_disconnect: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._where = caller()
        self._definition: Definition | None = None
        self._durable = bool(durable)
        label = f"flow {name}"
        said = {
            "flow": name,
            "description": description,
            "timeout": None if timeout is None else duration(timeout, label),
            "durable": durable or None,
            "strategy": strategy,
            "answer_within": None if answer_within is None else duration(answer_within, label),
            "input": input,
            "output": output,
            "on_disconnect": on_disconnect,
        }
        self._keys: dict[str, Tree] = {key: tree_of(value, label) for key, value in said.items() if value is not None}
        self._check(label)

    def tree(self) -> Tree:
        """A flow is no step."""
        raise DefinitionError(f"flow {self.name} is no step of another (write .flow({self.name!r}))")

    def callback(
        self,
        url: str,
        *,
        when: str | None = None,
        timeout: Duration | None = None,
        retry: int | Mapping[str, object] | Retry | None = None,
    ) -> Self:
        """Post the result, or the failure, to a URL when the run has ended."""
        said = {"when": when, "timeout": timeout, "retry": retry}
        keys = {key: _CALLBACK[key](value, "callback") for key, value in said.items() if value is not None}
        return self._say("callback", {"url": tree_of(url, "callback"), **keys})

    def on_failure(self, handler: Body) -> Self:
        """Do this when the flow has failed and was undone: steps, or code that gets the error.

        What it leaves is what the caller gets, with the status of the failure; code that gives None says nothing.
        """
        if callable(handler):
            return self._say("on_failure", [{"graph": _unless_none(code_of(handler, "on_failure"))}])
        return self._say("on_failure", block(handler, "on_failure"))

    def finally_(self, handler: Body) -> Self:
        """Do this at the end, however the flow ended: steps, or code that gets how (`succeeded`, `failed`, ...)."""
        if callable(handler):
            return self._say("finally", [{"python": code_of(handler, "finally"), "input": "${run.state}"}])
        return self._say("finally", block(handler, "finally"))

    def _say(self, key: str, tree: Tree) -> Self:
        if key in self._keys:
            raise DefinitionError(f"{key}: the flow says this already (keep one)")
        self._keys[key] = tree
        try:
            self._check(key)
        except DefinitionError:
            del self._keys[key]
            raise
        return self

    def _add(self, label: str, tree: Mapping[str, Tree]) -> Self:
        self._definition = None
        written = Written(label, tree, caller())
        self._check_code(written, label)
        self._scope.add(written)
        return self

    def _check(self, label: str) -> None:
        """Raise DefinitionError for what the flow says as a whole, its steps aside."""
        self._definition = None
        read_head(self._keys, str(self.name), label)
        self._check_code(self._keys, label)

    def _check_code(self, tree: Tree, label: str) -> None:
        if self._durable:
            book = CodeBook(self.name)
            plain(tree, book.name_of)
            if book.opaque:
                name = book.opaque[0].partition(":")[2]
                raise DefinitionError(f"{label}: `{name}` {_NOT_DURABLE} (define it at the top of a module)")

    @property
    def document(self) -> dict[str, Any]:
        """The flow as a file would have it, where code is called by its name."""
        return cast("dict[str, Any]", plain(self._document(), CodeBook(self.name).name_of))

    def _document(self) -> dict[str, Tree]:
        return {**self._keys, "steps": list(self._scope.written)}

    @property
    def model(self) -> model.Flow:
        """The flow in its canonical form. Raises DefinitionError with every problem, each with its line of Python."""
        definition = self.definition()
        if definition.flow is None:
            raise DefinitionError("\n".join(map(str, definition.problems)))
        return definition.flow

    @property
    def version(self) -> str:
        """The digest of what it means: that of the same flow in a file. Raises DefinitionError as `model` does."""
        return self.model.version

    def definition(self, origin: str = "") -> Definition:
        """The flow as a definition: good, or broken and why. `origin` says where it was found."""
        if self._definition is None:
            self._definition = self._read()
        return msgspec.structs.replace(self._definition, origin=origin or self._where.file)

    def _read(self) -> Definition:
        book = CodeBook(self.name)
        nodes, report = Nodes(book), Report("")
        document = self._document()
        text = msgspec.json.format(msgspec.json.encode(self.document), indent=2)
        source = Source(name=self.name, language="native", text=text, origin="")
        reading = read_root(nodes.of(document), report, source)
        return Definition(
            name=self.name,
            origin="",
            source=source,
            flow=reading.flow,
            problems=self._placed(nodes, reading.problems),
            warnings=self._placed(nodes, reading.warnings),
            code=book.code,
        )

    def _placed(self, nodes: Nodes, problems: list[Problem]) -> tuple[Problem, ...]:
        return tuple(nodes.problems(problems, self._where.file, os.getcwd()))

    def __repr__(self) -> str:
        return f"Flow({self.name!r})"


def _unless_none(handler: Tree) -> dict[str, Tree]:
    """Code that gets the error, as a graph that leaves its value as it was where the code gives none."""
    said = {"set": "${steps.handle}", "when": "${steps.handle != null}", "after": {"handle": "order"}}
    return {"handle": {"python": handler, "input": "${error}"}, "say": said}


def read_head(keys: Mapping[str, Tree], name: str, label: str) -> model.Flow:
    """What a flow says as a whole, with a step in the place of its own. Raises DefinitionError."""
    report, root = Report(""), Nodes(CodeBook("flow")).of({**keys, "steps": ["step"]})
    source = Source(name=name, language="native", text=b"", origin="")
    reading = read_root(root, report, source, find=None)
    if reading.flow is None:
        raise DefinitionError(f"{label}: {complaints(report)}")
    return reading.flow


_CALLBACK = {"when": tree_of, "timeout": duration, "retry": retry}


def _mapping(step: Tree) -> Mapping[str, Tree]:
    return {"call": step} if isinstance(step, str) else step
