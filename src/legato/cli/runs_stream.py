"""The events of a run as a gateway streams them; a stream that is lost is taken up where it was."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from legato.cli.client import Gateway
from legato.cli.refusals import refused
from legato.cli.terminal import warn

PATIENCE = 60.0  # seconds for which a gateway may be away: it is being restarted, perhaps
PAUSE = 0.5


class Event(msgspec.Struct):
    """One event: its number, its kind and what it says. The calls in flight are told without a number."""

    number: str
    kind: str
    said: dict[str, Any]


def streamed(gateway: Gateway, path: str) -> Iterator[Event]:
    """The events of the run at `path` until it ends. Ends with 1 where it cannot be watched, 3 where it is lost."""
    last = kind = ""
    heard = time.monotonic()
    while True:
        try:
            for event in _events(gateway, path, last):
                heard = time.monotonic()
                if event.number:
                    last, kind = event.number, event.kind
                yield event
        except (OSError, http.client.HTTPException):
            pass  # as if it had ended there
        if kind == "ended":
            return
        if time.monotonic() - heard > PATIENCE:
            warn(f"the gateway has not been heard for {PATIENCE:.0f} s")
            raise click.exceptions.Exit(3)
        time.sleep(PAUSE)


def _events(gateway: Gateway, path: str, last: str) -> Iterator[Event]:
    headers = {"last_event_id": last} if last else {}
    answer = gateway.stream("observe", f"{path}/events", accept="text/event-stream", **headers)
    if answer.status >= 400 and not (last and answer.status == 503):  # else it is stopping, or has just started
        refused(answer.status, answer.read())
    number, kind = "", ""
    while line := answer.readline():
        name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition(": ")
        match name:
            case "id":
                number = value
            case "event":
                kind = value
            case "data":
                yield Event(number, kind, json.loads(value))
                number = ""
            case _:
                pass
