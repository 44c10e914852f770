"""The gateway's settings: what `legato.yaml` says, with a default and a reason for each limit (contract 6 and 9)."""

from __future__ import annotations

from typing import Literal

import msgspec

from legato.model.function import Function

# What a token allows: to start flows, to see what there is and what it does, to define flows.
Scope = Literal["run", "observe", "define"]
CALLER_SCOPES: tuple[Scope, ...] = ("run", "observe")  # of a token that says nothing of scopes

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
    durable_runs: int = 10_000  # in memory at once; further starts are refused, waiting runs do not count
    recent_runs: int = 1000  # runs whose steps are remembered for whoever looks; about 1 KiB each


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be configured. `folder` is where relative paths start.

    `tokens` holds what each token allows. `store` is `sqlite:PATH`, the URL of a Valkey or Redis server, or `files`.
    `direct_functions` says which functions can be called at `/{function}`: none, all, or those named. `dev` is set by
    `legato dev`: answers and the log show each step's time.
    """

    folder: str = "."
    listen: str = "127.0.0.1:8080"
    tokens: dict[str, tuple[Scope, ...]] = {}
    open: bool = False
    access_log: bool = True
    flows: str = "flows"
    store: str = "sqlite:legato.db"
    direct_functions: bool | tuple[str, ...] = False
    default_function: str = "http://{name}:8080"
    functions: dict[str, Function] = {}
    timeout: float = 60.0  # a run's deadline where the flow sets none
    limits: Limits = Limits()
    python_modules: tuple[str, ...] = ()  # what flows may name as code beside the modules of the folder itself
    callback_secret: str = ""  # signs what callbacks post; without it no flow may have one
    data: str = "files:legato-data"  # large data: files:PATH, s3://BUCKET/PREFIX or module:Class
    journal: str = "legato-journal.db"  # where durable runs are written down; relative to the folder
    keep_runs: float = 30 * 86_400.0  # so long after their end durable runs are deleted, 0 for never
    answer_within: float = 30.0  # how long the caller of a durable flow waits before it gets 202; the run goes on
    dev: bool = False
