"""`legato dev`: a gateway for developing, started anew whenever its code or its settings change.

The gateway is a process of its own, because nothing else forgets what Python code has left behind.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

import click
from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - names trio, which is not here

from legato.cli.dev_gateway import GatewayProcess
from legato.cli.dev_screen import Event, Run, Screen, screen, understood
from legato.cli.project import SETTINGS_FILE, checked_listen

DEBOUNCE = 300  # milliseconds: an editor writes a file in several moves

_CODE = frozenset({".py"})
_DEFINITIONS = frozenset({".yaml", ".yml", ".json"})
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of the settings' `listen`.")
@click.option("--open", "open_", is_flag=True, help="Serve the network without a credential, as for `legato serve`.")
def dev(path: Path, listen: str | None, open_: bool) -> None:
    """Serve a folder, reload, show every run.

    \b
        legato dev
        legato dev shop --listen 127.0.0.1:9000
    \b
    Each run is a line, with the milliseconds of each step, and why it failed:
        12:03:04  200  POST /orchestrate/hello  4.2  check-name 0.3 > greet 1.1
        12:03:09  502  POST /orchestrate/hello  1.0  check-name 0.4
                       check-name: say a name: {"name": "Ada"}
    A flow that is saved is served at once; code (*.py) and legato.yaml start the gateway anew. A mistake in them is
    shown, and the next change tries again. Answers carry Server-Timing, which browsers draw. Ctrl-C ends it.
    """
    arguments = [
        str(path),
        *(["--listen", checked_listen(listen)] if listen is not None else []),
        *(["--open"] if open_ else []),
    ]
    command = [sys.executable, "-m", "legato", "serve", "--dev", *arguments]
    shown = screen()
    try:
        asyncio.run(Development(path, command, shown).run())
    finally:
        shown.close()


class Development:
    """Keeps a gateway running, by `command`, for the project at `path`."""

    def __init__(self, path: Path, command: Sequence[str], shown: Screen) -> None:
        self._watched = Watched(path)
        self._command = command
        self._screen = shown
        self._gateway: GatewayProcess | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Go on until a signal says that it is enough."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` leaves it
                loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGWINCH, self._screen.resized)
        tasks = [asyncio.create_task(work) for work in (self._serve(), self._watch(), self._stopping.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # what none of them should raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self) -> None:
        if self._stopping.is_set() and self._gateway is not None:
            self._gateway.kill()
        self._stopping.set()

    async def _serve(self) -> None:
        """One gateway after another."""
        while True:
            self._changed.clear()
            self._gateway = gateway = GatewayProcess(self._take)
            try:
                await gateway.start(self._command)
                await _first(gateway.wait(), self._changed.wait())
                if gateway.status is not None:
                    await gateway.last_words()
                    self._screen.message(
                        f"the gateway ended with status {gateway.status}: mend what it says above; "
                        "it starts again when a file changes"
                    )
                    await self._changed.wait()
            finally:
                await gateway.stop()

    async def _watch(self) -> None:
        """Note changes. What is served without a restart matters only to a gateway that could not start."""
        async for changes in _changes(self._watched):
            is_down = self._gateway is None or self._gateway.status is not None
            names = sorted({self._watched.name(path) for path in changes if is_down or self._watched.restarts(path)})
            if names and not self._changed.is_set():
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                self._screen.message(f"{names[0]}{more} changed: the gateway starts again")
                self._changed.set()

    def _take(self, line: bytes, is_error: bool) -> None:
        """Show a line of the gateway's output."""
        try:
            printed, event = (line.decode("utf-8", "replace"), None) if is_error else understood(line)
            if printed or event is None:
                self._screen.printed(printed, is_error)
            if isinstance(event, Run):
                self._screen.run(event)
            elif event is not None and event["event"] != "started":  # standard error says so already
                self._screen.message(_told(event))
        except OSError:  # nobody looks any more
            self._stopping.set()


def _told(event: Event) -> str:
    """An event of the gateway's log, in words."""
    if event["event"] == "definition":
        problems = event.get("problems") or ()
        return "\n".join([f"flow {event.get('flow')}: {_state(event)}", *map(str, problems)])
    said = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("time", "event"))
    return f"{event['event']}: {said}" if said else str(event["event"])


def _state(event: Event) -> str:
    """What became of a flow; the state of one that is broken may be that of the version before it."""
    if event.get("change") != "broken":
        return str(event.get("state") or event.get("change"))
    return "broken; the version before is served" if event.get("state") == "ok" else "broken"


async def _first(*waits: Awaitable[object]) -> None:
    """Wait for whichever comes first."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class Watched:
    """Which files of a project matter; virtual environments, hidden folders and compiled code do not."""

    def __init__(self, path: Path) -> None:
        folder = path if path.is_dir() else path.parent
        self.folder = folder.resolve()
        self._settings = self.folder / (SETTINGS_FILE if path.is_dir() else path.name)

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a file is code, settings or a definition; watchfiles asks."""
        file = Path(path)
        if file != self._settings and file.suffix not in _CODE | _DEFINITIONS:
            return False
        within = file.relative_to(self.folder)
        if any(part.startswith(".") or part in ("__pycache__", "node_modules") for part in within.parts):
            return False
        return not any((self.folder / parent / "pyvenv.cfg").exists() for parent in within.parents[:-1])

    def restarts(self, path: str) -> bool:
        """Whether a gateway that runs must start anew to see the change."""
        file = Path(path)
        return file == self._settings or file.suffix in _CODE

    def name(self, path: str) -> str:
        """What messages call a file."""
        return str(Path(path).relative_to(self.folder))


async def _changes(watched: Watched) -> AsyncIterator[set[str]]:
    """The files that changed, again and again."""
    polling = None
    while True:
        try:
            async for changes in awatch(
                watched.folder,
                watch_filter=watched,
                debounce=DEBOUNCE,
                force_polling=polling,
                ignore_permission_denied=True,
            ):
                yield {path for _, path in changes}
        except OSError:
            if polling:
                raise
            polling = True  # more folders than the system watches: look at them every now and then
