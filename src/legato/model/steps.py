"""The steps of a flow, as data: which kinds there are, and what each says. The canonical form of every language.

Durations are seconds. Texts that may hold expressions are kept as written, with their `${...}`; a `when` and what a
`foreach` goes over are texts that are one expression.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from legato.model.mapping import Mapping
from legato.model.policy import Hedge, Retry

Encoding = Literal["json", "form", "text"]
Decoding = Literal["", "json", "text", "xml", "form", "binary"]


class OnError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows when a step fails for good: `skip` it, go on with a `value`, or with what `steps` make of it.

    What the step had done until then is undone first.
    """

    action: Literal["skip", "value", "steps"]
    value: Mapping | None = None
    steps: tuple[Step, ...] = ()


class UndoCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The call that compensates a step. Without an `input` it posts `{"sent": ..., "result": ...}`."""

    function: str
    timeout: float | None = None
    retry: Retry | None = None
    method: str = "POST"
    path: str = ""
    query: dict[str, object] = {}
    headers: dict[str, str] = {}
    input: Mapping | None = None


class StepBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every step may say. `timeout` bounds the whole step, that of a call one attempt.

    The `undo` of a step that holds others takes the place of theirs when the step is done. A `pivot` is a step after
    which nothing in its flow is undone any more.
    """

    id: str = ""
    when: str = ""
    input: Mapping | None = None
    output: Mapping | None = None
    timeout: float | None = None
    on_error: OnError | None = None
    undo: UndoCall | None = None
    pivot: bool = False


class CallStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="call"):
    """Call a function with the current value; its answer is the next value.

    `success` holds statuses (`200`, `2xx`), those of 2xx if empty. `return_status` says which status the caller gets
    when the call fails with one, 0 for the same. `on_response` names Python code that makes the value of any complete
    answer. `forward` passes on the caller's sub-path and query: to a `pipeline`'s step with the method by fnkit's
    rule, as a `request` with the caller's own. With `at_most_once` a call is not made again after a crash: its run is
    parked.
    """

    function: str
    method: str = "POST"
    path: str = ""
    query: dict[str, object] = {}
    headers: dict[str, str] = {}
    encode: Encoding = "json"
    decode: Decoding = ""
    success: tuple[str, ...] = ()
    return_status: dict[str, int] = {}
    retry: Retry | None = None
    idempotent: bool = False
    hedge: Hedge | None = None
    on_response: str = ""
    forward: Literal["", "pipeline", "request"] = ""
    at_most_once: bool = False


class PythonStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="python"):
    """Call Python code, `module:qualname`, with the decoded value; what it returns is the next value."""

    python: str
    retry: Retry | None = None
    idempotent: bool = False
    at_most_once: bool = False


class SequenceStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="steps"):
    """Steps one after another, the value threading through."""

    steps: tuple[Step, ...]


class ParallelStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="parallel"):
    """Named branches at once, each with the same value; the results become one object in declared order.

    `quorum` is how many must succeed, 0 for all that are not skipped; when they have, the others are cancelled.
    `merge` makes the value of that object: as it is, `flat` (the branches' own keys, a collision being an error unless
    `prefer` orders the branches), `first` (that of the first branch that is there), or an expression. `lenient` joins
    as fnkit does: what is not JSON becomes a string.
    """

    branches: dict[str, Step]
    lenient: bool = False
    quorum: int = 0
    merge: str = ""
    prefer: tuple[str, ...] = ()


class Edge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node's being after another: with its value, with what `transform` makes of it, or in `order` only."""

    order: bool = False
    transform: Mapping | None = None


class GraphNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of a graph and the nodes that it comes after."""

    step: Step
    after: dict[str, Edge] = {}


class GraphStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="graph"):
    """Nodes, each run as soon as those that it is after have ended (contract 3 has what each gets)."""

    nodes: dict[str, GraphNode]


class ForeachStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="foreach"):
    """Steps for each item of a list, or for each `{"key", "value"}` of an object, `concurrency` of them at a time.

    `tolerate` items may fail, or `tolerate_percent` of them, or all but `min_successful`. The value is the list of
    the items' results in order, of `outcomes`, or, over an object, an `object` by key.
    """

    over: object
    steps: tuple[Step, ...]
    concurrency: int = 16
    tolerate: int = 0
    tolerate_percent: float = 0.0
    min_successful: int | None = None
    collect: Literal["values", "outcomes", "object"] = "values"


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps to be taken when a condition holds."""

    when: str
    steps: tuple[Step, ...]
    name: str = ""


class ChooseStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="choose"):
    """The first case whose condition holds, or `all` of those at once; else the `otherwise`, if there is one."""

    cases: tuple[Case, ...]
    otherwise: tuple[Step, ...] | None = None
    all: bool = False


class FlowStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="flow"):
    """Another flow, with the current value as its input."""

    flow: str


class SetStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="set"):
    """A value made of others."""

    set: Mapping


class SleepStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="sleep"):
    """Wait for so many seconds; the value stays as it is."""

    sleep: float


class WaitStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="wait"):
    """Wait for a signal by its name; its payload is the next value, or `default` when the timeout has passed.

    `schema` is a JSON Schema of the payload: a signal that does not fit it is refused.
    """

    wait: str
    default: Mapping | None = None
    schema: dict[str, object] | bool | None = None


class PublishStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="publish"):
    """Publish the value to a topic; it stays as it is."""

    publish: str


class RespondStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="respond"):
    """Answer the caller now and go on; the value stays as it is."""

    respond: Mapping
    status: int = 200
    headers: dict[str, str] = {}


class FailStep(StepBase, frozen=True, kw_only=True, omit_defaults=True, tag="fail"):
    """End the flow with an error that says so."""

    fail: str
    status: int = 500


Step = (
    CallStep
    | PythonStep
    | SequenceStep
    | ParallelStep
    | GraphStep
    | ForeachStep
    | ChooseStep
    | FlowStep
    | SetStep
    | SleepStep
    | WaitStep
    | PublishStep
    | RespondStep
    | FailStep
)


def kind_of(step: Step) -> str:
    """The kind of step, as it is written."""
    return str(type(step).__struct_config__.tag)
