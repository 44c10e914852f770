"""Runs wrk with check.lua: as many requests as the contender can answer, every answer compared."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.plan import CONNECTIONS, EXPECTED, HEADERS, REQUEST
from bench.process import Running
from bench.stage import Stage, path_of

SCRIPT = Path(__file__).with_name("check.lua")


class LoadFailed(Exception):
    pass


@dataclass(frozen=True)
class Burst:
    """What one run of the load saw, and what the contender's processes spent meanwhile."""

    requests: int
    seconds: float
    cpu_seconds: float
    problem: str

    @property
    def cpu_micros(self) -> float:
        return self.cpu_seconds / self.requests * 1e6 if self.requests else 0.0

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


def saturate(stage: Stage, running: Running, kind: str, seconds: int) -> Burst:
    asked, expected = stage.scratch / "request.json", stage.scratch / f"{kind}.json"
    asked.write_bytes(REQUEST)
    expected.write_bytes(EXPECTED.get(kind, REQUEST))  # what is composed of echoes gives back what was asked
    url = f"http://127.0.0.1:{running.port}{path_of(running.name, kind)}"
    headers = [word for pair in HEADERS.items() for word in pair]
    command = [stage.machine.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", str(SCRIPT), url]
    before = running.cpu_seconds()
    command += ["--", str(asked), str(expected), *headers]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    except subprocess.TimeoutExpired as problem:
        raise LoadFailed(f"wrk did not end on {running.name}") from problem
    spent = running.cpu_seconds() - before
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("RESULT ", "SAMPLE ")))
    if "RESULT" not in lines:
        raise LoadFailed(f"wrk ended with code {done.returncode}: {one_line(done.stderr or done.stdout)}")
    requests, micros, wrong, errors = map(int, lines["RESULT"].split())
    return Burst(requests, micros / 1e6, spent, _problem(running, kind, requests, wrong, errors, lines["SAMPLE"]))


def one_line(text: str) -> str:
    return " | ".join(line.strip() for line in text.splitlines()[-3:])[-300:]


def _problem(running: Running, kind: str, requests: int, wrong: int, errors: int, sample: str) -> str:
    where = f"{running.name}, {kind}"
    if running.ended() is not None:
        return f"{where}: the process ended with code {running.ended()}: {running.last_words()}"
    if wrong:
        return f"{where}: {wrong} of {requests} answers wrong, the first: {sample}"
    if errors:
        return f"{where}: {errors} connection errors or time-outs"
    return "" if requests else f"{where}: no request was answered"
