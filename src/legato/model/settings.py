"""The gateway's settings: what `legato.yaml` says, with a default and a reason for each limit (contract 6 and 9)."""

from __future__ import annotations

import msgspec

from legato.model.function import Function

KiB = 1024
MiB = 1024 * KiB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in bytes, counts and seconds. Whoever raises one should know which attack or accident it stops."""

    url: int = 8 * KiB  # what common servers accept; longer ones are mistakes
    header_bytes: int = 64 * KiB  # headers are held in memory before anything is known about the caller
    header_count: int = 100
    request_body: int = 16 * MiB  # a body is held until its flow ends
    answer_body: int = 64 * MiB
    header_time: float = 10.0  # slow-loris: a connection that never finishes its headers
    body_time: float = 30.0  # silence between two parts of a body
    keep_alive: float = 75.0  # idle connections cost memory; longer than the 60 s of usual load balancers
    drain: float = 30.0  # how long a stopping gateway waits for its runs
    hops: int = 8  # a gateway that reaches itself


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be configured. `folder` is where relative paths start."""

    folder: str = "."
    listen: str = "127.0.0.1:8080"
    tokens: tuple[str, ...] = ()
    open: bool = False
    access_log: bool = True
    flows: str = "flows"
    default_function: str = "http://{name}:8080"
    functions: dict[str, Function] = {}
    timeout: float = 60.0  # a run's deadline where the flow sets none
    limits: Limits = Limits()
