"""What `legato dev` shows: a list of the last runs that keeps itself up to date on a terminal, else a line for each."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from datetime import datetime
from typing import Any, Protocol

import click
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from legato.cli.terminal import clean, clean_lines, warn

KEPT = 200  # runs; more than any window shows, and they outlive the gateway's restarts
ABOVE = 8  # lines of the window that are left for messages
DRAW_EVERY = 0.1  # seconds: a terminal that is redrawn for each of a thousand runs shows none of them
_INDENT = len("00:00:00  200  ")  # to where the request stands
_START = b'{"time":"'


class Step(msgspec.Struct):
    """A call of a run, as the access log has it."""

    path: str = ""
    ms: float = 0.0
    outcome: str = "ok"
    attempts: int = 1


class Run(msgspec.Struct):
    """A request, as the access log has it. What was refused before it became a run has no steps."""

    time: str
    method: str
    path: str
    status: int
    ms: float
    step: str = ""
    detail: str = ""
    steps: list[Step] = []


Event = dict[str, Any]


def understood(line: bytes) -> tuple[str, Run | Event | None]:
    """What a line of the gateway's output says: what functions printed, then a run or another event of its log."""
    start = line.find(_START)  # what was printed without an end of line stands before it
    if start >= 0:
        try:
            event: Event = msgspec.json.decode(line[start:], type=dict[str, Any])
            found = msgspec.convert(event, Run) if event["event"] == "request" else event
            return _printable(line[:start]), found
        except (msgspec.MsgspecError, KeyError):
            pass  # a function prints what it likes
    return _printable(line), None


class Screen(Protocol):
    """Where things are shown. Raises OSError when nobody can see it any more."""

    def run(self, run: Run) -> None:
        """Show a run that has ended."""
        ...

    def printed(self, text: str, is_error: bool) -> None:
        """Show a line that the gateway, or a function in it, wrote."""
        ...

    def message(self, text: str) -> None:
        """Show what has happened to the gateway."""
        ...

    def resized(self) -> None:
        """Take notice of another size of the window."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...


def screen() -> Screen:
    """A list where a terminal is, lines where none is."""
    console = Console(highlight=False, markup=False, emoji=False)
    return LiveScreen(console) if sys.stdout.isatty() and not console.is_dumb_terminal else PlainScreen()


class PlainScreen:
    """Runs and prints to standard output, a line each; the rest to standard error."""

    def run(self, run: Run) -> None:
        """See Screen."""
        parts = [_time(run), str(run.status), run.method, run.path, f"{run.ms:.1f}ms", _steps(run).plain, _trouble(run)]
        click.echo(clean("  ".join(part for part in parts if part)))

    def printed(self, text: str, is_error: bool) -> None:
        """See Screen."""
        click.echo(text, err=is_error)

    def message(self, text: str) -> None:
        """See Screen."""
        warn(text)

    def resized(self) -> None:
        """See Screen."""

    def close(self) -> None:
        """See Screen."""


class LiveScreen:
    """The last runs at the bottom of the terminal, the newest lowest; everything else scrolls by above them."""

    def __init__(self, console: Console) -> None:
        self.runs = deque[Run](maxlen=KEPT)
        self._console = console
        self._count = 0
        self._waiting: list[Text] = []
        self._drawing: asyncio.TimerHandle | None = None
        self._live = Live(
            console=console,
            auto_refresh=False,  # a text that nobody changes can be selected with the mouse
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            get_renderable=self._list,
        )
        self._live.start()

    def run(self, run: Run) -> None:
        """See Screen."""
        self.runs.append(run)
        self._count += 1
        self._changed()

    def printed(self, text: str, is_error: bool) -> None:
        """See Screen."""
        self._show(Text.from_ansi(text))

    def message(self, text: str) -> None:
        """See Screen."""
        self._show(Text(clean_lines(text), "cyan"))

    def close(self) -> None:
        """See Screen."""
        if self._drawing is not None:
            self._drawing.cancel()
        self._draw()
        self._live.stop()

    def resized(self) -> None:
        """See Screen."""
        self._changed()

    def _changed(self) -> None:
        """Draw anew before long."""
        if self._drawing is None:
            self._drawing = asyncio.get_running_loop().call_later(DRAW_EVERY, self._draw)

    def _show(self, line: Text) -> None:
        self._waiting.append(line)
        self._changed()

    def _draw(self) -> None:
        self._drawing = None
        if self._waiting:
            lines, self._waiting = self._waiting, []
            self._console.print(Text("\n").join(lines), soft_wrap=True)
        self._live.refresh()

    def _list(self) -> Group:
        """As many of the last runs as fit, and a line that says how to end this."""
        runs = self._fitting()
        requests = [Text(f"{clean(run.method)} {clean(run.path)}") for run in runs]
        width = min(max((request.cell_len for request in requests), default=0), max(16, self._console.width // 3))
        lines: list[Text] = []
        for run, request in zip(runs, requests, strict=True):
            request.truncate(width, overflow="ellipsis", pad=True)
            parts = [Text(_time(run), "dim"), _status(run), request, Text(f"{run.ms:7.1f}"), _steps(run)]
            lines.append(Text("  ").join(parts))
            if trouble := _trouble(run):
                lines.append(Text.assemble(" " * _INDENT, (trouble, "red")))
        count = "no run yet" if not self._count else f"{self._count:,} run{'s' if self._count > 1 else ''}"
        lines.append(Text(f"legato dev  {count}  Ctrl-C ends it", "dim"))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _fitting(self) -> list[Run]:
        room = max(3, self._console.height - ABOVE)
        fitting: list[Run] = []
        for run in reversed(self.runs):
            room -= 2 if _trouble(run) else 1
            if room < 0:
                break
            fitting.append(run)
        return fitting[::-1]


def _time(run: Run) -> str:
    """The time of day here; the log has it in UTC."""
    try:
        return f"{datetime.fromisoformat(run.time).astimezone():%H:%M:%S}"
    except ValueError:
        return ""


def _status(run: Run) -> Text:
    colors = {2: "green", 3: "cyan", 4: "yellow"}
    return Text(str(run.status), colors.get(run.status // 100, "red"))


def _steps(run: Run) -> Text:
    """Each step with its milliseconds and, when there was more than one, its attempts; the one that failed in red."""
    parts: list[Text] = []
    for step in run.steps:
        style = "red" if step.path == run.step else "" if step.outcome == "ok" else "yellow"
        attempts = f" \N{MULTIPLICATION SIGN}{step.attempts}" if step.attempts > 1 else ""
        parts.append(Text(f"{clean(step.path)}{attempts} {step.ms:.1f}", style))
    return Text(" \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ").join(parts)


def _trouble(run: Run) -> str:
    """Why a run failed, in a line."""
    where = f"{run.step}: " if run.step else ""
    return clean(f"{where}{run.detail}") if run.detail else ""


def _printable(line: bytes) -> str:
    return line.decode("utf-8", "replace")
