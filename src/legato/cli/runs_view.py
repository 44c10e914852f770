"""How a run that is watched is shown: on a terminal as a list of steps that keeps itself up to date, else as lines."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol

import click
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from legato.cli.runs_stream import Event
from legato.cli.terminal import clean

DRAWN = 4  # times a second, so that the time of what is in flight is seen to pass
_COLORS = {
    "ok": "green", "running": "cyan", "waiting": "magenta", "parked": "yellow", "cancelled": "dim",
    "succeeded": "green", "undoing": "yellow",
}  # fmt: skip
_QUIET = ("seq", "at", "kind", "path", "began", "trace", "void", "completed")


class View(Protocol):
    """Where a run is shown."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def take(self, event: Event) -> None:
        """Show what has happened."""
        ...


def view_of(run: str, flow: str) -> View:
    """A list where a terminal is, lines where none is."""
    console = Console(highlight=False, markup=False, emoji=False)
    return LiveView(run, flow, console) if sys.stdout.isatty() and not console.is_dumb_terminal else Lines()


class Lines:
    """A line for each event."""

    def __enter__(self) -> object:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to be done."""

    def take(self, event: Event) -> None:
        """See View. Calls in flight are no events."""
        if event.number:
            click.echo(event_line(event.said))


def event_line(event: dict[str, Any]) -> str:
    """An event on one line: its time (UTC), its kind, the step, and what it says."""
    said = [f"{key}={_text(value)}" for key, value in event.items() if key not in _QUIET]
    return clean("  ".join([event["at"][11:23], event["kind"], event.get("path") or "-", *said]))


def _text(value: object) -> str:
    if isinstance(value, dict):  # why a run has failed
        return str(value.get("detail", "")) if "detail" in value else "{...}"  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return str(value)


class Row(msgspec.Struct):
    """A step as it is shown. `seq` is the number of the event that it was told by, -1 for what is in flight."""

    state: str
    seq: int = -1
    began: float | None = None
    ended: float | None = None
    attempts: int = 1
    detail: str = ""


class Steps:
    """The steps of a run, by what has happened in it."""

    def __init__(self) -> None:
        self.state = "running"
        self.began: float | None = None
        self.ended: float | None = None
        self.rows: dict[str, Row] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        said, kind = event.said, event.kind
        path, at = said.get("path", ""), _seconds(said.get("at"))
        match kind:
            case "started":
                self.began = at
            case "in_flight":
                for call in said["calls"]:
                    self._in_flight(call)
            case "timer":
                until = f" until {said['until']}" if "until" in said else ""
                waits = f"for {said['signal']}" if "signal" in said else ""
                self.rows[path] = Row("waiting", said["seq"], at, detail=f"{waits}{until}".strip())
            case "attempt":
                row = self._row(path, said, "running")
                row.attempts, row.detail = said["attempt"], said.get("detail", said["outcome"])
            case "outcome":
                row = self._row(path, said, said["outcome"])
                row.began, row.ended = _seconds(said.get("began")) or row.began, at
                row.attempts, row.detail = said["attempts"], said.get("detail", "")
            case "parked":
                row = self._row(path or "the run", said, "parked")
                row.detail = said["why"]
                self.state = "parked"
            case "cancel":
                self.state = "undoing"
            case "decided":
                self._row(path or "the run", said, "running")
                self.state = "running"
            case "retried":
                void = set(said["void"])
                self.rows = {path: row for path, row in self.rows.items() if row.seq not in void}
                self.state, self.ended = "running", None
            case "ended":
                self.state, self.ended = said["state"], at
            case _:
                pass

    def _row(self, path: str, said: dict[str, Any], state: str) -> Row:
        row = self.rows.setdefault(path, Row(state))
        row.state, row.seq = state, said["seq"]
        return row

    def _in_flight(self, call: dict[str, Any]) -> None:
        row = self.rows.setdefault(call["path"], Row("running"))
        if row.state in ("running", "parked"):
            row.state, row.attempts = "running", call["attempt"]
            row.began = _seconds(call["began"]) if row.began is None else row.began


class LiveView:
    """The steps, the newest lowest, as many as fit."""

    def __init__(self, run: str, flow: str, console: Console) -> None:
        self._run = run
        self._flow = flow
        self._console = console
        self._steps = Steps()
        self._live = Live(
            console=console,
            refresh_per_second=DRAWN,
            vertical_overflow="crop",
            get_renderable=self._drawn,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> object:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def take(self, event: Event) -> None:
        """See View."""
        self._steps.take(event)

    def _drawn(self) -> Group:
        steps, now = self._steps, datetime.now(UTC).timestamp()
        head = Text.assemble(
            f"{clean(self._flow)}  {self._run}  ", _state(steps.state), f"  {_time(steps.began, steps.ended, now)}"
        )
        fitting = list(steps.rows.items())[-max(1, self._console.height - 3) :]
        width = max((len(clean(path)) for path, _ in fitting), default=0)
        lines = [head]
        for path, row in fitting:
            attempts = f" \N{MULTIPLICATION SIGN}{row.attempts}" if row.attempts > 1 else ""
            line = Text.assemble("  ", clean(path).ljust(min(width, 60)), "  ", _state(row.state))
            line.append(f"{attempts}  {_time(row.began, row.ended, now)}  ")
            line.append(clean(row.detail), "dim")
            lines.append(line)
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)


def _state(state: str) -> Text:
    return Text(state.ljust(9), _COLORS.get(state, "red"))


def _time(began: float | None, ended: float | None, now: float) -> str:
    if began is None:
        return ""
    seconds = max(0.0, (now if ended is None else ended) - began)
    if seconds < 1.0:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120.0:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
