"""The invariant: no run is under way without a call in flight, a timer, a wait or a write; what breaks it is mended."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from legato.app import App
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.records import Signalled
from legato.hosts.journal.run import DurableRun
from legato.kernel import Wait
from legato.model.function import Function
from legato.model.payload import EMPTY, json_payload
from legato.model.settings import Settings
from legato.telemetry.log import Log
from tests.support.gateway_process import write_project

FUNCTIONS = {"slow": Function(name="slow", builtin="slow"), "echo": Function(name="echo", builtin="echo")}


class Nobody:
    method = b"POST"
    rest = query = b""
    hops = 0
    fields: dict[bytes, bytes] = {}


def within(folder: Path, steps: list[object], main: Callable[[App, JournalHost, DurableRun], Awaitable[None]]) -> None:
    """Runs `main` with a durable run of these steps that has begun, and that somebody waits for."""
    write_project(folder, {"f": {"durable": True, "steps": steps}}, {})

    async def go() -> None:
        app = App(Settings(folder=str(folder), functions=FUNCTIONS), Log(io.StringIO()))
        assert app.load() == []
        app.open_journal()
        host = app.journal
        assert host is not None
        bound = app.orchestrator.find("f").bound
        assert bound is not None
        stored = asyncio.Event()
        payload = json_payload({"seconds": 0.5})
        refused: list[str] = []
        listener: Any = lambda run, value, failure: None  # noqa: E731
        run = host.begin(bound, payload, Nobody(), None, None, lambda _: stored.set(), refused.append, listener)
        await stored.wait()
        await asyncio.sleep(0.05)
        await main(app, host, run)
        await app.close()
        assert refused == []

    asyncio.run(go())


async def until(host: JournalHost, run: DurableRun, state: str) -> None:
    end = time.monotonic() + 10
    while (stored := await host.beside.run(host.journal.run, run.key)) is None or stored.row.state != state:
        assert time.monotonic() < end, stored
        await asyncio.sleep(0.01)


async def look(host: JournalHost) -> None:
    await host._watch_over()  # pyright: ignore[reportPrivateUsage]


def test_a_run_that_is_well_is_left_alone(tmp_path: Path) -> None:
    async def main(app: App, host: JournalHost, run: DurableRun) -> None:
        await look(host)
        assert host.mended == 0
        assert host.live[run.key] is run

    within(tmp_path, [{"wait": "go"}], main)


def test_a_wait_that_nobody_watches(tmp_path: Path) -> None:
    async def main(app: App, host: JournalHost, run: DurableRun) -> None:
        leaf = next(run.kernel.open_leaves())
        assert isinstance(leaf, Wait)
        leaf.handle = None
        assert host.is_stuck(run)
        await look(host)
        assert host.gauges()["mended"] == 1
        again = await host.take_up(run.key)
        assert again is not None
        assert again is not run
        again.signal("go#1", "go", EMPTY, lambda: None)
        await until(host, run, "succeeded")

    within(tmp_path, [{"wait": "go"}], main)


def test_a_run_that_is_under_way_and_in_nobodys_memory(tmp_path: Path) -> None:
    async def main(app: App, host: JournalHost, run: DurableRun) -> None:
        host.let_go(run)
        await look(host)
        assert host.mended == 0  # it might have ended just now
        await look(host)
        assert host.mended == 1
        await until(host, run, "succeeded")

    within(tmp_path, ["slow", "echo"], main)


def test_what_contradicts_the_journal_is_given_up_for_what_is_there(tmp_path: Path) -> None:
    async def main(app: App, host: JournalHost, run: DurableRun) -> None:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        with closing(sqlite3.connect(tmp_path / "legato-journal.db")) as journal:
            body = Signalled("other", None).encoded()
            event = (run.key, run.seq, time.time(), "signal", "other#1", body, None)
            journal.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", event)
            journal.commit()
        await asyncio.sleep(0.7)  # the outcome of the call has come, and cannot be written
        assert "cannot be written" in told[0]
        assert run.key not in host.live
        assert host.journal.trouble == ""  # the others have nothing to do with it
        await look(host)
        await look(host)
        await until(host, run, "succeeded")

    within(tmp_path, ["slow", "echo"], main)


def test_the_result_of_a_run_that_was_taken_up(tmp_path: Path) -> None:
    async def main(app: App, host: JournalHost, run: DurableRun) -> None:
        host.let_go(run)
        again = await host.take_up(run.key)
        assert again is not None
        got: list[object] = []
        again.listeners.append(lambda _, payload, failure: got.append((json.loads(payload.body), failure)))
        await until(host, run, "succeeded")
        assert got == [({"seconds": 0.5}, None)]

    within(tmp_path, ["slow", "echo"], main)
