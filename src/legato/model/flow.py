"""What a flow is: a named composition of steps. The canonical form that every format is read into."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from legato.model.policy import Retry

MAX_STEPS = 10_000  # contract 9: a flow larger than this is a program in disguise
MAX_DEPTH = 50  # contract 9: nesting; keeps recursion over a definition far from Python's own limit
MAX_BRANCHES = 256  # contract 9: fan-out of one parallel; wider work is a foreach with a window


class UndoCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The call that compensates another; it posts `{"sent": ..., "result": ...}`."""

    function: str
    timeout: float | None = None
    retry: Retry | None = None


class CallStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="call"):
    """Call a function with the current value; its answer is the next value.

    `timeout` (seconds) bounds one attempt. `forward` passes on the caller's sub-path and query: to a `pipeline`'s step
    with the method by fnkit's rule, as a `request` with the caller's own.
    """

    function: str
    id: str = ""
    method: str = "POST"
    path: str = ""
    timeout: float | None = None
    retry: Retry | None = None
    idempotent: bool = False
    undo: UndoCall | None = None
    forward: Literal["", "pipeline", "request"] = ""


class SequenceStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="steps"):
    """Steps one after another, the value threading through."""

    steps: tuple[Step, ...]
    id: str = ""


class ParallelStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="parallel"):
    """Named branches at once, each with the same value; the results become one object in declared order.

    `lenient` joins as fnkit does: what is not JSON becomes a string.
    """

    branches: dict[str, Step]
    id: str = ""
    lenient: bool = False


Step = CallStep | SequenceStep | ParallelStep


class Flow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named, versioned composition of steps.

    `timeout` (seconds) bounds the whole run. `dialect` says whose answers the caller expects.
    """

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    timeout: float | None = None
    on_disconnect: Literal["", "cancel", "finish"] = ""
    dialect: Literal["native", "fnkit", "direct"] = "native"

    @property
    def version(self) -> str:
        """The digest of the canonical definition: same meaning, same version.

        Nothing is sorted: the order of a parallel's branches is that of its calls and of its result.
        """
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]
