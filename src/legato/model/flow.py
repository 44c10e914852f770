"""What a flow is: a named composition of steps. The canonical form that every format is read into."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from legato.model.mapping import Mapping
from legato.model.policy import Retry
from legato.model.steps import Step

MAX_STEPS = 10_000  # contract 9: a flow larger than this is a program in disguise
MAX_DEPTH = 50  # contract 9: nesting; keeps recursion over a definition far from Python's own limit
MAX_BRANCHES = 256  # contract 9: fan-out of one parallel; wider work is a foreach with a window
MAX_ITEMS = 1_000_000  # contract 9: items of one foreach
MAX_WINDOW = 1_000  # items of one foreach in flight: beyond it, connections to one function are the limit anyway


class Callback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the result or the failure is posted when the run has ended. Its host is fixed; the rest is a template."""

    url: str
    when: Literal["always", "success", "failure"] = "always"
    timeout: float | None = None
    retry: Retry | None = None


class Flow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named, versioned composition of steps.

    `timeout` (seconds) bounds the whole run. `input` is a JSON Schema. `code` names the Python code of a code-first
    flow (`module:qualname`), which has no steps of its own. `dialect` says whose answers the caller expects.
    `strategy` says which way a failed call leads: `backward`, what was done being undone, or `forward`, the call being
    tried until it is done.
    """

    name: str
    steps: tuple[Step, ...] = ()
    description: str = ""
    timeout: float | None = None
    on_disconnect: Literal["", "cancel", "finish"] = ""
    dialect: Literal["native", "fnkit", "direct"] = "native"
    durable: bool = False
    answer_within: float | None = None
    input: dict[str, object] | bool | None = None
    output: Mapping | None = None
    on_failure: tuple[Step, ...] = ()
    finally_: tuple[Step, ...] = msgspec.field(default=(), name="finally")
    callback: Callback | None = None
    code: str = ""
    strategy: Literal["backward", "forward"] = "backward"

    @property
    def version(self) -> str:
        """The digest of the canonical definition: same meaning, same version.

        Nothing is sorted: the order of a parallel's branches is that of its calls and of its result.
        """
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]
