"""Code-first flows: `@flow` on an `async def`, which may use any control flow that Python has."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, overload

import msgspec

from legato.builder.code import PREFIX, Anything
from legato.builder.context import Context, decoded
from legato.builder.flows import read_head
from legato.builder.spelling import Duration, duration
from legato.builder.written import tree_of
from legato.errors import DefinitionError, NotJSON, Refused
from legato.formats.functions import PYTHON
from legato.kernel import check
from legato.kernel.code_run import CodeRun
from legato.model.definition import Definition
from legato.model.flow import Flow as Model
from legato.model.payload import Payload

Coded = Callable[..., Awaitable[Any]]


class CodeFlow:
    """A flow that is code. Calling it calls the code, with a context that is there already."""

    def __init__(self, function: Coded, model: Model) -> None:
        self._function = function
        self._file = getattr(getattr(function, "__code__", None), "co_filename", "")
        self._takes_value = _takes_value(function, model.name)
        self.name = model.name
        self.model = model
        self._code: Mapping[str, Anything] = {model.code: self._begin}
        self.__doc__ = function.__doc__

    @property
    def version(self) -> str:
        """The digest of what is known of it: its code counts by its name, and by the version that it states."""
        return self.model.version

    def definition(self, origin: str = "") -> Definition:
        """The flow as a definition. `origin` says where it was found."""
        return Definition(name=self.name, origin=origin or self._file, flow=self.model, code=self._code)

    def _begin(self, code: CodeRun, payload: Payload) -> Awaitable[Any]:
        context = Context(code, payload)
        if not self._takes_value:
            return self._function(context)
        try:
            value = decoded(payload)
        except NotJSON as error:
            raise Refused(f"the input is {error}", 400) from None
        return self._function(context, value)

    def __call__(self, *arguments: Any, **named: Any) -> Awaitable[Any]:
        """Call the code from the code of another flow, as a part of that."""
        return self._function(*arguments, **named)

    def __repr__(self) -> str:
        return f"CodeFlow({self.name!r})"


@overload
def flow(function: Coded, /) -> CodeFlow: ...
@overload
def flow(
    *,
    name: str | None = None,
    version: str | int | None = None,
    durable: bool | None = None,
    strategy: str | None = None,
    description: str | None = None,
    timeout: Duration | None = None,
    answer_within: Duration | None = None,
    input: Mapping[str, object] | bool | None = None,
    on_disconnect: str | None = None,
) -> Callable[[Coded], CodeFlow]: ...
def flow(function: Coded | None = None, /, **said: Any) -> CodeFlow | Callable[[Coded], CodeFlow]:
    """Make a flow of an `async def f(ctx: Context, value)`; its name is the function's, with `-` for `_`.

    Raises DefinitionError for what cannot be a flow.
    """
    if function is not None:
        return _made(function, said)
    return lambda given: _made(given, said)


def _made(function: Coded, said: Mapping[str, Any]) -> CodeFlow:
    written = str(getattr(function, "__name__", type(function).__name__))
    name = said.get("name") or written.replace("_", "-")
    label = f"flow {name}"
    if not inspect.iscoroutinefunction(function):
        raise DefinitionError(f"{label}: {written} cannot wait for its steps (write it as `async def`)")
    version = said.get("version")
    if said.get("durable") and version is None:
        raise DefinitionError(f"{label}: a durable flow of code states its version (write @flow(version=1, ...))")
    keys = {key: value for key, value in said.items() if value is not None and key not in ("name", "version")}
    for key in ("timeout", "answer_within"):
        if key in keys:
            keys[key] = duration(keys[key], label)
    keys.setdefault("description", (inspect.getdoc(function) or "").partition("\n")[0])
    keys = {key: tree_of(value, label) for key, value in {"flow": name, **keys}.items() if value != ""}
    model = read_head(keys, str(name), label)
    for fault in check(msgspec.structs.replace(model, steps=())):
        raise DefinitionError(f"{label}: {fault.message} ({fault.remedy})")
    place = _place(function, str(name)) + ("" if version is None else f"@{version}")
    return CodeFlow(function, msgspec.structs.replace(model, steps=(), code=place))


def _place(function: Coded, name: str) -> str:
    place = f"{function.__module__}:{getattr(function, '__qualname__', '')}"
    if function.__module__ != "__main__" and PYTHON.fullmatch(place):
        return place
    return f"{PREFIX}{name.replace('-', '_')}:flow"


def _takes_value(function: Coded, name: str) -> bool:
    signature = inspect.signature(function)
    for given in ((None, None), (None,)):
        try:
            signature.bind(*given)
        except TypeError:
            continue
        return len(given) == 2
    asked = f"async def {getattr(function, '__name__', 'f')}(ctx, value)"
    raise DefinitionError(f"flow {name}: its code is given a context and a value (write {asked})")
