"""The load of the durable part: the same run again and again, over some connections or over one, every answer compared.

One connection gives the latency of a lone run; the calls themselves are timed by the same generator, without an engine.
"""

from dataclasses import dataclass
from typing import Any

from bench.durable.disk import Disk
from bench.durable.engine import Contending
from bench.load.order import exchange, obey, order_of
from bench.load.wrk import LoadFailed
from bench.plan import ANSWERS, EXPECTED, NAMES, REQUEST
from bench.stage import Stage

PATIENCE = 30.0  # for the answers that are missing when the time is up


@dataclass(frozen=True)
class Spell:
    """What an engine did under load for a while."""

    runs: int
    seconds: float
    median_seconds: float
    cpu_seconds: float
    flushes: int | None
    problem: str

    @property
    def rate(self) -> float:
        return self.runs / self.seconds if self.seconds else 0.0

    @property
    def cpu_millis(self) -> float:
        return self.cpu_seconds / self.runs * 1e3 if self.runs else 0.0

    @property
    def flushes_each(self) -> float | None:
        return None if self.flushes is None or not self.runs else self.flushes / self.runs


def drive(stage: Stage, disk: Disk, contending: Contending, seconds: float, connections: int) -> Spell:
    """Raises LoadFailed."""
    name, flushes, cpu = contending.engine.name, disk.flushes(), contending.cpu_seconds()
    result = _timed(stage, contending.port, contending.engine.path, EXPECTED["sequence"], seconds, connections, name)
    now = disk.flushes()
    return Spell(
        result["requests"],
        result["seconds"],
        result["p50"],
        contending.cpu_seconds() - cpu,
        None if flushes is None or now is None else now - flushes,
        contending.ended() or _wrong(name, result),
    )


def calls_alone(stage: Stage, functions: int, seconds: float) -> float:
    """Median seconds of the calls of a run, one after the other, made by the generator itself. Raises LoadFailed."""
    name = NAMES[0]
    result = _timed(stage, functions, f"/{name}", ANSWERS[name], seconds, 1, "functions")
    problem = _wrong("functions", result)
    if problem and not stage.spoil:
        raise LoadFailed(problem)
    return result["p50"] * len(NAMES)


def _timed(
    stage: Stage, port: int, path: str, expected: bytes, seconds: float, connections: int, name: str
) -> dict[str, Any]:
    files = exchange(stage, f"durable-{path.replace('/', '-')}", REQUEST, expected)
    more = {"seconds": seconds, "connections": connections, "limit": PATIENCE}
    order = order_of("timed", port, path, files, more)
    return obey(order, f"load on {name}", seconds + PATIENCE + 10)


def _wrong(name: str, result: dict[str, Any]) -> str:
    return f"{name}: {result['wrong']} of {result['requests']} answers wrong or missing" if result["wrong"] else ""
