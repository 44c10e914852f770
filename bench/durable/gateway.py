"""Legato over a folder with a journal that is there before it starts, is filled, and is started upon again."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.contenders import BENCH, copied, serving
from bench.durable.contenders import ENGINES
from bench.durable.engine import Contending
from bench.durable.fill import census, fill
from bench.plan import HEADERS, REQUEST
from bench.process import Running, free_port
from bench.stage import Stage, StartFailed, ask

ASYNC = {**HEADERS, "prefer": "respond-async"}


class Gateway:
    """A folder, and the process that serves it, if one does."""

    def __init__(self, stage: Stage, folder: Path, functions: int) -> None:
        self.stage, self.folder = stage, folder
        self.journal = folder / "legato-journal.db"
        copied(BENCH / "durable/legato", functions, folder)

    def start(self) -> float:
        """Start it; seconds until it says that it is ready. Raises StartFailed."""
        machine, since = self.stage.machine, time.monotonic()
        port = free_port()
        launch = serving(self.folder, port)
        cores = machine.load_core, machine.gateway_core
        self.running: Running = self.stage.begin("legato", port, launch, *cores, ready=_ready)
        return time.monotonic() - since

    def contending(self) -> Contending:
        return Contending(ENGINES["legato"], self.running.port, [self.running])

    def begin_run(self, flow: str) -> bytes:
        """Start a run without waiting for its end; its id."""
        answer = ask(self.running.port, "POST", f"/orchestrate/{flow}", REQUEST, ASYNC)
        if answer.status != 202 or "legato-run" not in answer.headers:
            raise StartFailed(f"a run of {flow} got {answer.status} {answer.body[:200]!r}")
        return UUID(answer.headers["legato-run"]).bytes

    def document(self, run: bytes) -> dict[str, Any]:
        """What the gateway says of a run."""
        answer = ask(self.running.port, "GET", f"/api/runs/{UUID(bytes=run)}")
        if answer.status != 200:
            raise StartFailed(f"/api/runs/{UUID(bytes=run)} got {answer.status} {answer.body[:200]!r}")
        return json.loads(answer.body)

    def wait_for(self, run: bytes, state: str, seconds: float) -> float:
        """Until a run is in a state; seconds it took."""
        since = time.monotonic()
        while (found := self.document(run)["state"]) != state:
            if time.monotonic() - since > seconds:
                raise StartFailed(f"a run is {found} after {seconds:.0f} s, and should be {state}")
            time.sleep(0.02)
        return time.monotonic() - since

    def signal(self, run: bytes, name: str) -> None:
        """Give a run the signal that it waits for."""
        answer = ask(self.running.port, "POST", f"/api/runs/{UUID(bytes=run)}/signals/{name}", REQUEST)
        if answer.status >= 300:
            raise StartFailed(f"a signal for {UUID(bytes=run)} got {answer.status} {answer.body[:200]!r}")

    def fill(self, flow: str, state: str, count: int) -> bytes:
        """Start, make one run, stop, copy it `count` times; the id of a copy. Raises StartFailed."""
        self.start()
        template = self.begin_run(flow)
        self.wait_for(template, state, 10)
        self.running.stop()
        copy = fill(self.journal, template, count)
        if (runs := census(self.journal)[0]) != count + 1:
            raise StartFailed(f"the journal holds {runs:,} runs instead of {count + 1:,}")
        return copy

    def bytes_each(self) -> float:
        """Bytes of the journal for each of its runs; to be asked when it is stopped."""
        runs, size = census(self.journal)
        return size / runs


def _ready(port: int) -> None:
    if ask(port, "GET", "/readyz").status != 200:
        raise OSError("not ready yet")
