"""A program: a flow linked for running. Paths are computed once; at run time nothing is looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from legato.kernel.calls import LinkedCall, LinkedStep
from legato.kernel.subflow import Handlers
from legato.model.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from legato.kernel.calls import PartTemplates
    from legato.kernel.growth import Growth
    from legato.kernel.modified import Maker
    from legato.values import Schema


class LinkedCallback(msgspec.Struct, frozen=True):
    """The call that tells somebody how the run has ended."""

    call: LinkedCall
    parts: PartTemplates
    when: Literal["always", "success", "failure"]


class Program:
    """A flow ready to run: its root, and every call by index (undo calls too).

    `closes` says that something is to be done when the root has ended, however that was; `framed` that something in it
    is looked at, `roots` what of. `uses` are the flows in it, by name. `code` is the Python code of all of them;
    `growth` is there where some of it calls, which adds to `calls`. `waits` are the signals that something in it may
    wait for, with the schemas of those waits, None for one that takes any; None where code may wait for others.
    """

    __slots__ = (
        "callback", "calls", "closes", "code", "flow", "framed", "growth", "handlers", "output", "root", "roots",
        "schema", "uses", "version", "waits",
    )  # fmt: skip

    def __init__(
        self,
        flow: Flow,
        root: LinkedStep,
        calls: Sequence[LinkedCall],
        *,
        framed: bool = False,
        roots: Set[str] = frozenset(),
        uses: Set[str] = frozenset(),
        output: Maker | None = None,
        schema: Schema | None = None,
        handlers: Handlers | None = None,
        callback: LinkedCallback | None = None,
        code: Mapping[str, Callable[..., Any]] | None = None,
        growth: Growth | None = None,
        waits: Mapping[str, Sequence[Schema | None]] | None = None,
    ) -> None:
        self.flow = flow
        self.root = root
        self.calls = calls
        self.version = flow.version
        self.framed = framed
        self.roots = roots
        self.uses = uses
        self.output = output
        self.schema = schema
        self.handlers = handlers
        self.callback = callback
        self.closes = callback is not None or (handlers is not None and handlers.finally_ is not None)
        self.code: Mapping[str, Callable[..., Any]] = {} if code is None else code
        self.growth = growth
        self.waits = waits
