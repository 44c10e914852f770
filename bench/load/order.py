"""Starts a generator with an order and reads its result."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from bench.load.wrk import LoadFailed, one_line
from bench.plan import EXPECTED, HEADERS, REQUEST
from bench.process import ROOT, Running
from bench.stage import Stage, path_of

COMMAND = (sys.executable, "-m", "bench.load.generator")


@dataclass(frozen=True)
class Exchange:
    """The request's body and the answer's, as files for the generator."""

    body: Path
    expected: Path


def usual(stage: Stage, kind: str) -> Exchange:
    return exchange(stage, f"usual-{kind}", REQUEST, EXPECTED[kind])


def exchange(stage: Stage, name: str, body: bytes, expected: bytes) -> Exchange:
    files = Exchange(stage.scratch / f"{name}-body", stage.scratch / f"{name}-expected")
    files.body.write_bytes(body)
    files.expected.write_bytes(expected)
    return files


def _order(running: Running, kind_of_load: str, kind: str, files: Exchange, more: dict[str, Any]) -> str:
    return order_of(kind_of_load, running.port, path_of(running.name, kind), files, more)


def order_of(kind_of_load: str, port: int, path: str, files: Exchange, more: dict[str, Any]) -> str:
    order = {"kind": kind_of_load, "port": port, "path": path, "headers": HEADERS}
    return json.dumps({**order, "body": str(files.body), "expected": str(files.expected), "more": more}) + "\n"


def generate(
    running: Running, kind_of_load: str, kind: str, files: Exchange, time_limit: float, **more: Any
) -> dict[str, Any]:
    return obey(_order(running, kind_of_load, kind, files, more), f"{kind_of_load} load on {running.name}", time_limit)


def obey(order: str, what: str, time_limit: float) -> dict[str, Any]:
    """Run one generator to its end."""
    try:
        done = subprocess.run(COMMAND, input=order, capture_output=True, text=True, timeout=time_limit, cwd=ROOT)
    except subprocess.TimeoutExpired as problem:
        raise LoadFailed(f"{what} did not end") from problem
    if done.returncode:
        raise LoadFailed(f"{what}: {one_line(done.stderr)}")
    return json.loads(done.stdout)


@contextmanager
def idling(running: Running, files: Exchange, count: int, limit: float) -> Generator[dict[str, Any], None, None]:
    """Inside, `count` connections are open and idle. The yielded facts are complete only afterwards."""
    complaints = files.body.with_suffix(".log")
    with complaints.open("w") as log:
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
        )
    try:
        given, told = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        given.write(_order(running, "idle", "sequence", files, {"count": count, "limit": limit}))
        given.flush()
        line = told.readline()
        if not line:
            raise LoadFailed(f"idle connections on {running.name}: {one_line(complaints.read_text())}")
        facts: dict[str, Any] = json.loads(line)
        yield facts
        last, _ = process.communicate("\n", timeout=limit)
        if process.returncode:
            raise LoadFailed(f"idle connections on {running.name}: {one_line(complaints.read_text())}")
        facts.update(json.loads(last))
    except subprocess.TimeoutExpired as problem:
        raise LoadFailed(f"idle connections on {running.name} did not end") from problem
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
