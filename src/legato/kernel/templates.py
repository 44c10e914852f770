"""Compiles what a flow says in expressions, each checked against what can be seen where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from legato.kernel.calls import LinkedCall, PartTemplates, UndoCall
from legato.kernel.modified import Maker
from legato.kernel.sight import Fault, Sight
from legato.model import mapping as model
from legato.model import steps as definitions
from legato.model.flow import Flow
from legato.model.payload import EMPTY, Payload
from legato.model.steps import CallStep
from legato.values import (
    Env,
    Expression,
    ExpressionError,
    PathTemplate,
    Reference,
    Schema,
    Shape,
    TextTemplate,
    compile_expression,
    compile_path,
    compile_query,
    compile_schema,
    compile_shape,
    compile_template,
    compile_text,
    is_fixed,
)

T = TypeVar("T")

MAX_FAULTS = 100


class Shaped:
    """A shape, which is always of the value."""

    references: tuple[Reference, ...] = ()

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def payload(self, env: Env) -> Payload:
        """See Maker."""
        return self._shape.payload(env.root("value"))


class Nothing:
    """Stands where a mapping could not be compiled; its flow is never run."""

    references: tuple[Reference, ...] = ()

    def payload(self, env: Env) -> Payload:
        """See Maker."""
        return EMPTY


class Templates:
    """Compiles, and notes faults and the roots that are used."""

    def __init__(self, faults: list[Fault], roots: set[str]) -> None:
        self._faults = faults
        self._roots = roots

    def optional(
        self, mapping: model.Mapping | None, step: object, key: str, sight: Sight, undo: bool = False
    ) -> Maker | None:
        """A mapping; None for none."""
        return None if mapping is None else self.mapping(mapping, step, key, sight, undo)

    def mapping(self, mapping: model.Mapping, step: object, key: str, sight: Sight, undo: bool = False) -> Maker:
        """A mapping."""
        if isinstance(mapping, model.Template):
            return self.template(mapping.value, step, key, sight, undo)
        shape = mapping
        made = self._compiled(
            lambda: compile_shape(shape.under, shape.pick, shape.drop, shape.rename, shape.wrap), step, key
        )
        return Nothing() if made is None else Shaped(made)

    def template(self, value: object, step: object, key: str, sight: Sight, undo: bool = False) -> Maker:
        """A template."""
        made = self._compiled(lambda: compile_template(value, undo=undo), step, key)
        if made is None:
            return Nothing()
        self._check(made.references, step, key, sight)
        return made

    def condition(self, text: str, step: object, key: str, sight: Sight) -> Expression | None:
        """A condition; None where there is none."""
        if not text:
            return None
        stripped = text.strip()
        if not (stripped.startswith("${") and stripped.endswith("}")):
            self._faults.append(
                Fault(step=step, key=key, message="a condition is one expression", remedy='write "${...}"')
            )
            return None
        lead = text.index("${") + 2
        made = self._compiled(lambda: compile_expression(stripped[2:-1]), step, key, lead)
        if made is not None:
            self._check(made.references, step, key, sight, lead)
        return made

    def text(self, text: str, step: object, key: str, sight: Sight) -> TextTemplate:
        """A text with expressions in it."""
        made = self._compiled(lambda: compile_text(text), step, key)
        if made is None:
            return compile_text("-")
        self._check(made.references, step, key, sight)
        return made

    def headers(
        self, headers: Mapping[str, str], step: object, sight: Sight, undo: bool = False, lead: str = ""
    ) -> list[tuple[bytes, TextTemplate]]:
        """Header lines by name."""
        found: list[tuple[bytes, TextTemplate]] = []
        for name, text in headers.items():
            key = f"{lead}headers"
            made = self._compiled(lambda text=text: compile_text(text, undo=undo), step, key, 0, (name,))
            if made is not None:
                self._check(made.references, step, key, sight, 0, (name,))
                found.append((name.encode(), made))
        return found

    def parts(
        self,
        path: str,
        query: Mapping[str, object],
        headers: Mapping[str, str],
        step: object,
        sight: Sight,
        undo: bool = False,
    ) -> PartTemplates | None:
        """What a call says beside its payload; None where all of it is known beforehand, and the host's to prepare."""
        lead = "undo." if undo else ""
        made_path: PathTemplate | None = None
        if "${" in path:
            made_path = self._compiled(lambda: compile_path(path, undo=undo), step, f"{lead}path")
            if made_path is not None:
                self._check(made_path.references, step, f"{lead}path", sight)
        made_query = None
        if query:
            made_query = self._compiled(lambda: compile_query(dict(query), undo=undo), step, f"{lead}query")
            if made_query is not None:
                self._check(made_query.references, step, f"{lead}query", sight)
        made_headers = self.headers(headers, step, sight, undo, lead)
        return None if is_fixed(path, query, headers) else PartTemplates(made_path, made_query, made_headers)

    def url(self, url: str, flow: Flow, sight: Sight) -> PartTemplates:
        """A whole URL, given as the path."""
        made = self._compiled(lambda: compile_path(url), flow, "callback")
        if made is not None:
            self._check(made.references, flow, "callback", sight)
        return PartTemplates(made, None, ())

    def undo(
        self, undo: definitions.UndoCall, step: object, sight: Sight, linked: Callable[[CallStep], LinkedCall]
    ) -> UndoCall:
        """The undo of a call; `linked` gives its definition a place among the program's calls."""
        definition = CallStep(
            function=undo.function,
            timeout=undo.timeout,
            retry=undo.retry,
            method=undo.method,
            path=undo.path,
            query=undo.query,
            headers=undo.headers,
            input=undo.input,
        )
        template = self.optional(undo.input, step, "undo.input", sight, undo=True)
        parts = self.parts(undo.path, undo.query, undo.headers, step, sight, undo=True)
        return UndoCall(linked(definition), template, parts)

    def schema(self, given: dict[str, object] | bool | None, step: object, key: str) -> Schema | None:
        """A schema, of a flow's input say; None where anything fits."""
        return None if given is None else self._compiled(lambda: compile_schema(given), step, key)

    def _compiled(
        self,
        compile_it: Callable[[], T],
        step: object,
        key: str,
        lead: int = 0,
        pointer: tuple[str | int, ...] = (),
    ) -> T | None:
        try:
            return compile_it()
        except ExpressionError as error:
            for each in error.faults:
                self._faults.append(
                    Fault(
                        step=step,
                        key=key,
                        message=each.message,
                        remedy=each.remedy,
                        offset=each.offset + lead,
                        pointer=(*pointer, *each.pointer),
                    )
                )
            return None

    def _check(
        self,
        references: tuple[Reference, ...],
        step: object,
        key: str,
        sight: Sight,
        lead: int = 0,
        pointer: tuple[str | int, ...] = (),
    ) -> None:
        for each in references:
            self._roots.add(each.root)
            if len(self._faults) > MAX_FAULTS:
                continue  # what is meant instead takes thought, and nobody reads more
            trouble = sight.trouble_with(each.step) if each.root == "steps" else None
            if trouble is not None:
                message, remedy = trouble
                self._faults.append(
                    Fault(
                        step=step,
                        key=key,
                        message=message,
                        remedy=remedy,
                        offset=each.offset + lead,
                        pointer=(*pointer, *each.pointer),
                    )
                )
