"""The gateway that is killed, life after life, and what its journal holds after each death."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from legato.hosts.journal.records import Record, record_of
from legato.stores.blobs import Blobs
from legato.stores.blobs_folder import FolderData
from legato.telemetry.ids import id_text
from tests.soak.crash_flows import Document
from tests.support.gateway_process import TROUBLE, free_port, write_project

JOURNAL = "legato-journal.db"
STARTING = 60.0  # seconds
STOPPING = 40.0


class Noted(NamedTuple):
    """An event as it lies in a journal."""

    seq: int
    at: float
    kind: str
    path: str
    body: bytes
    size: int | None


class Wreck:
    """What lies on the disk when the process is dead: runs by id, `(state, flow)`, and their events."""

    def __init__(self, folder: Path, check: bool) -> None:
        # A copy: to open the journal itself would put its log in order, and spare the next life the work.
        copy = folder / "wreck"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in (JOURNAL, f"{JOURNAL}-wal"):
            if (folder / name).exists():
                shutil.copyfile(folder / name, copy / name)
        self.runs: dict[str, tuple[str, str]] = {}
        self.events: dict[str, list[Noted]] = {}
        if not (copy / JOURNAL).exists():
            return
        with closing(sqlite3.connect(copy / JOURNAL)) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'run'").fetchone()[0]:
                return
            for run, state, flow in connection.execute("SELECT id, state, flow FROM run"):
                self.runs[id_text(run).decode()] = state, flow
            query = "SELECT run, seq, at, kind, path, body, size FROM event ORDER BY run, seq"
            for run, *event in connection.execute(query):
                self.events.setdefault(id_text(run).decode(), []).append(Noted(*event))
            if check:
                [[found]] = connection.execute("PRAGMA integrity_check").fetchall()
                assert found == "ok", f"the journal is damaged: {found}"


class Gateway:
    """`legato serve` in a folder, started again and again; each `life` reaches the functions under its own address."""

    def __init__(self, folder: Path, flows: Mapping[str, Document], functions: int) -> None:
        self.folder = folder
        self.flows = flows
        self.functions = functions
        self.port = free_port()
        self.life = 0
        self.deaths: list[float] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._output = folder / "output"
        self._log = folder / "log"

    def start(self) -> None:
        """Start the next life, and do not wait for it."""
        self.life += 1
        entries: dict[str, object] = {
            name: {"url": f"http://127.0.0.1:{self.functions}/{self.life}/{name}", "timeout": "20s"}
            for name in ("once", "firm", "never")
        }
        for name in ("again", "undo", "sure"):
            entries[name] = {"url": f"http://127.0.0.1:{self.functions}/{self.life}/{name}", "idempotent": True}
        settings = {"listen": f"127.0.0.1:{self.port}", "functions": entries, "limits": {"drain": "10s"}}
        write_project(self.folder, self.flows, settings)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEGATO_", "CACHE_"))}
        with self._output.open("ab") as output, self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "legato", "serve", str(self.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=output, env=environment,
            )  # fmt: skip

    @property
    def is_owner(self) -> bool:
        """Whether the present life has got as far as owning the journal."""
        try:
            return (self.folder / f"{JOURNAL}.lock").read_bytes().strip() == b"%d" % self._pid
        except FileNotFoundError:
            return False

    @property
    def _pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def until_owner(self) -> None:
        """Wait until the journal is the present life's: its recovery begins then."""
        until = time.monotonic() + STARTING
        while not self.is_owner:
            self._check_alive(until, "does not take its journal")
            await asyncio.sleep(0.003)

    async def until_live(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + STARTING
        while True:
            self._check_alive(until, "does not listen")
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /livez HTTP/1.1\r\nhost: legato\r\nconnection: close\r\n\r\n")
                came = await asyncio.wait_for(reader.readline(), 1)
                writer.close()
                if b" 200 " in came:
                    return
            except (OSError, TimeoutError):
                pass
            await asyncio.sleep(0.01)

    def _check_alive(self, until: float, what: str) -> None:
        assert self.process is not None
        died = self.process.poll()
        assert died is None, f"the gateway ended by itself with {died}:\n{self._output.read_text()[-4000:]}"
        assert time.monotonic() < until, f"the gateway {what}:\n{self._output.read_text()[-4000:]}"

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        died = self.process.poll()
        assert died is None, f"the gateway ended by itself with {died}:\n{self._output.read_text()[-4000:]}"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.deaths.append(time.time())

    async def stop(self) -> None:
        """End it in order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(self.process.wait, STOPPING)
        assert status == 0, f"the gateway ended with {status}:\n{self._output.read_text()[-4000:]}"

    def left(self) -> list[tuple[str, str]]:
        """Runs that have not ended, `(id, state)`, while it lives."""
        uri = f"file:{self.folder / JOURNAL}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            found = connection.execute("SELECT id, state FROM run WHERE ended IS NULL").fetchall()
        return [(id_text(run).decode(), state) for run, state in found]

    def end(self) -> None:
        """End it whatever its state is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check_output(self) -> None:
        """Nothing that looks like a bug may have been written, nor that a run had to be mended."""
        errors = self._output.read_text(errors="replace")
        assert not TROUBLE.search(errors), f"the gateway wrote:\n{errors[-8000:]}"
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # cut off by a death
            odd = event.get("event") in ("mended", "not_taken_up", "journal_unreadable", "unanswerable")
            assert not odd, f"the gateway said {line}"

    def body_of(self, event: Noted) -> Record:
        """The record of an event, wherever its body is."""
        body = event.body
        if event.size is not None:
            body = Blobs(FolderData(self.folder / "legato-data")).fetch(event.body, event.size)
        return record_of(event.kind, body)
