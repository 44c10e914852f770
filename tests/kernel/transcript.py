"""Drives a run by a transcript and writes down what it does: one line per event, `event -> commands ; state`.

    start       -> a, b
    a refused   -> cancel b
    b cancelled -> ; end failed a

Events are `<path> <outcome> [JSON]`, `cancel`, `deadline`, `disconnect`, each also with `hard ` before it. A call with
no outcome written in JSON answers `{"at": "<path>"}`; a wait's time passes by `late`. Every transcript is replayed from
its own record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any

from legato.kernel import Cancel, Command, Respond, Run, link
from legato.model.flow import Flow
from legato.model.outcome import Outcome, Reason
from legato.model.payload import EMPTY, JSON, Payload, json_payload
from tests.kernel.flows import INPUT

REASONS: dict[str, Reason] = {"cancel": "cancelled", "deadline": "deadline", "disconnect": "disconnect"}


class Driven:
    """A run, its leaves by path, and the transcript so far."""

    def __init__(self, flow: Flow, flows: Mapping[str, Flow] | None = None) -> None:
        self.run = Run(link(flow, (flows or {}).get))
        self.calls: dict[str, Any] = {}
        self.lines: list[str] = []

    def note(self, event: str, commands: Sequence[Command]) -> None:
        """Write down what an event caused."""
        words: list[str] = []
        for command in commands:
            if isinstance(command, Cancel):
                words.append(f"cancel {command.path}")
            elif not isinstance(command, Respond):
                assert command.path not in self.calls, f"{command.path} is issued twice"
                self.calls[command.path] = command
                words.append(command.path)
        line = f"{event} -> {', '.join(words)}"
        if self.run.state == "ended":
            failure = self.run.failure
            line += " ; end ok" if failure is None else f" ; end {failure.reason} {failure.path}"
        elif self.run.state == "undoing":
            line += " ; undoing"
        self.lines.append(line.replace("->  ;", "-> ;").strip())

    def start(self, payload: Payload = INPUT) -> None:
        """Start the run."""
        self.note("start", self.run.start(payload))

    def deliver(self, path: str, outcome: Outcome) -> None:
        """Deliver an outcome."""
        self.note(f"{path} {outcome.kind}", self.run.deliver(self.calls[path], outcome))

    def do(self, event: str) -> None:
        """Do what an event says."""
        first, _, rest = event.partition(" ")
        hard = first == "hard"
        if hard:
            first = rest
        if first in REASONS:
            self.note(event, self.run.cancel(REASONS[first], hard=hard))
            return
        kind, _, body = rest.partition(" ")
        payload = EMPTY
        if kind == "late":
            self.note(event, self.run.deliver(self.calls[first], Outcome("refused", status=504)))
            return
        if kind == "ok":
            payload = Payload.of(JSON, body.encode()) if body else json_payload({"at": first})
        self.deliver(first, Outcome(kind, payload, {"ok": 200, "refused": 422}.get(kind, 0)))  # type: ignore[arg-type]


def play(flow: Flow, transcript: str, payload: Payload = INPUT, flows: Mapping[str, Flow] | None = None) -> Driven:
    """Do every event of the transcript and check every command; then check that a replay does the same."""
    expected = [line.split("#")[0].rstrip() for line in dedent(transcript).strip().splitlines()]
    expected = [" ".join(line.split()) for line in expected if line]
    driven = _driven(flow, expected, payload, flows)
    assert "\n".join(driven.lines) == "\n".join(_without_bodies(line) for line in expected)
    assert _driven(flow, expected, payload, flows).lines == driven.lines
    return driven


def _driven(flow: Flow, expected: list[str], payload: Payload, flows: Mapping[str, Flow] | None) -> Driven:
    driven = Driven(flow, flows)
    for line in expected:
        event = line.partition(" ->")[0]
        if event == "start":
            driven.start(payload)
        else:
            driven.do(event)
    return driven


def _without_bodies(line: str) -> str:
    event, arrow, rest = line.partition(" ->")
    words = event.split(" ")
    return " ".join(words[:2]) + arrow + rest
