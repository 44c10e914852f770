"""A function: what a call step calls, by name, and how it is reached."""

from __future__ import annotations

from typing import Literal

import msgspec

from legato.model.policy import Breaker

Builtin = Literal["echo", "fail", "slow"]


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of `url`, `python` (`module:qualname`) and `builtin` is set.

    `timeout` (seconds) bounds one attempt. `idempotent` says that calling twice does no harm; `keyed` that the
    function honours `Idempotency-Key`. `connections` bounds connections to it; `ca` is a file of trusted
    certificates for `https`. `breaker` refuses calls while the function fails, `concurrency` is how many calls of it
    may be in flight, 0 for any number; more wait their turn.
    """

    name: str
    url: str = ""
    python: str = ""
    builtin: Builtin | Literal[""] = ""
    timeout: float = 30.0
    idempotent: bool = False
    keyed: bool = False
    connections: int = 256
    ca: str = ""
    breaker: Breaker | None = None
    concurrency: int = 0
