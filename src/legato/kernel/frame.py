"""A frame: one scope of a run, with what its expressions can see and the trail of what was done in it.

The flow, each branch, each item and each case has one; so does nobody, where nothing in it would be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from legato.errors import NotJSON
from legato.kernel.trail import Together, Trail
from legato.model.names import expression_name
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, MAX_BYTES, Payload, json_payload, too_large

if TYPE_CHECKING:
    from legato.kernel.run import Run

_NULL = json_payload(None)


class Frame:
    """See `values.Env`. `value` is set just before an expression is evaluated; `where` is the step's path then.

    `indexes` are those of the foreach items around, outermost first; of a flow within code, first the path of that.
    `ended` is for handlers: how their flow has.
    """

    __slots__ = (
        "ended", "error", "index", "indexes", "input", "item", "parent", "run", "steps", "trail", "value", "where",
    )  # fmt: skip

    def __init__(self, run: Run, parent: Frame | None, trail: Trail | None, entry: Payload) -> None:
        self.run = run
        self.parent = parent
        self.trail = trail
        self.steps: dict[str, Payload] = {}
        self.value = entry
        self.where = ""
        if parent is None:
            self.input = entry
            self.item: Payload | None = None
            self.index = -1
            self.indexes: tuple[int | str, ...] = ()
            self.error: Failure | None = None
            self.ended = ""
        else:
            self.input = parent.input
            self.item = parent.item
            self.index = parent.index
            self.indexes = parent.indexes
            self.error = parent.error
            self.ended = parent.ended

    def of_item(self, item: Payload, index: int) -> Frame:
        """This frame, as that of an item of a foreach."""
        self.item, self.index = item, index
        self.indexes = (*self.indexes, index)
        return self

    def keep(self, name: str, payload: Payload) -> None:
        """Make a step's result known to the steps after it."""
        self.steps[name] = payload

    def step(self, name: str) -> Payload:
        """A step's result by its id as expressions write it; `null` for one that has not run."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.steps:
                return frame.steps[name]
            frame = frame.parent
        return _NULL

    def root(self, name: str) -> Payload:
        """What a root stands for here."""
        match name:
            case "value":
                return self.value
            case "input":
                return self.input
            case "item":
                return self.item or _NULL
            case "index":
                return json_payload(self.index)
            case "error":
                return _NULL if self.error is None else error_payload(self.error)
            case "errors":
                return _errors(self.run.errors)
            case "request":
                return self.run.facts.request
            case "run":
                return self._run()
            case _:
                return EMPTY

    def _run(self) -> Payload:
        run = self.run
        return json_payload(
            {
                "id": run.facts.id,
                "flow": run.program.flow.name,
                "version": run.program.version,
                "step": self.where,
                "state": self.ended or run.outward_state,
                "completed": run.completed,
                "shared": {name: msgspec.Raw(value) for name, value in run.shared.items()},
            }
        )


class UndoView:
    """A frame as an undo sees it: with what was sent, what came back, and why it is undone.

    `value` is what the step left, its `result`: what the frame's was is any step's that has run since.
    """

    __slots__ = ("_frame", "_result", "_sent", "_why")

    def __init__(self, frame: Frame, sent: Payload, result: Payload | None, why: Failure | None) -> None:
        self._frame = frame
        self._sent = sent
        self._result = result
        self._why = why

    def root(self, name: str) -> Payload:
        """What a root stands for."""
        match name:
            case "sent":
                return self._sent
            case "result" | "value":
                return self._result or _NULL
            case "error" if self._why is not None:
                return error_payload(self._why)
            case _:
                return self._frame.root(name)

    def step(self, name: str) -> Payload:
        """A step's result."""
        return self._frame.step(name)


def inner_frame(run: Run, outer: Frame | None, undoable: bool, entry: Payload) -> tuple[Frame, Trail | None]:
    """A frame within another, with a trail of its own where something in it leaves one."""
    trail: Trail | None = [] if undoable and outer is not None and outer.trail is not None else None
    return Frame(run, outer, trail, entry), trail


def together(outer: Frame | None, trails: list[Trail], window: int = 0) -> None:
    """Note that these trails, and those that are added to them, are of work that is done side by side."""
    if outer is not None and outer.trail is not None:
        outer.trail.append(Together(trails, window))


def name_of(step_id: str) -> str:
    """How expressions write an id."""
    return expression_name(step_id)


def state_of(failure: Failure | None) -> str:
    """How a flow has ended, in words of contract 5."""
    if failure is None:
        return "succeeded"
    if failure.reason in ("cancelled", "disconnect"):
        return "cancelled"
    return "undone" if failure.undo and all(done for _, done in failure.undo) else "failed"


def error_document(failure: Failure) -> dict[str, object]:
    """A failure as expressions and handlers see it."""
    outcome = failure.outcome
    body: object = None
    if outcome.payload.size:
        body = msgspec.Raw(outcome.payload.lenient_json())
    return {
        "step": failure.path,
        "function": failure.function,
        "reason": failure.reason,
        "outcome": outcome.kind,
        "status": outcome.status or failure.answer,
        "detail": outcome.detail,
        "body": body,
    }


def error_payload(failure: Failure) -> Payload:
    """The same as JSON."""
    return json_payload(error_document(failure))


def _errors(failures: Mapping[str, Failure]) -> Payload:
    documents: dict[str, object] = {}
    room = MAX_BYTES
    for path, failure in failures.items():
        document = documents[path] = error_document(failure)
        body = document["body"]
        room -= len(body) if isinstance(body, msgspec.Raw) else 0
        if room < 0:  # each has the body of an answer, which may be large, and encoded to look small
            raise NotJSON(too_large("`errors`"))
    return json_payload(documents)
