"""What the commands about runs have in common: the gateway, and the id that is meant by a part of one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from legato.cli.client import Gateway, find_gateway
from legato.cli.project import load_settings
from legato.cli.terminal import warn

SHORTEST = 8  # characters of an id that may stand for it
LOOKED_AT = 1000  # runs among which it is looked for, the last ones
SHOWN = 5

_PART = re.compile(rf"[0-9a-f-]{{{SHORTEST},35}}")


def gateway_of(project: Path, url: str | None) -> Gateway:
    """The gateway, whose runs are meant. Ends with 3 where none answers."""
    settings = load_settings(project)
    gateway = find_gateway(settings, url)
    if gateway is None:
        warn(f"no gateway answers at {settings.listen}; `legato serve` starts one")
        raise click.exceptions.Exit(3)
    return gateway


def run_path(gateway: Gateway, run: str) -> str:
    """Where the API has a run: by its id, or by the beginning of one among the last runs. Ends with 1 for several."""
    if _PART.fullmatch(run):
        ids = [found for found in _last_ids(gateway) if found.startswith(run)]
        if len(ids) > 1:
            more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            warn(f"{run} is the beginning of several runs: {', '.join(ids[:SHOWN])}{more}")
            sys.exit(1)
        run = ids[0] if ids else run
    return f"/api/runs/{quote(run, safe='', errors='replace')}"


def _last_ids(gateway: Gateway) -> list[str]:
    lists: list[Any] = [
        gateway.document("observe", "GET", f"/api/runs?limit={LOOKED_AT}&inline={inline}")["runs"]
        for inline in ("false", "true")
    ]
    return [run["id"] for runs in lists for run in runs]


def step_outcome(step: dict[str, Any]) -> str:
    """How a step stands, in a word: its outcome, or what it is about."""
    state: str = step.get("state", "-")
    return state if state in ("running", "waiting", "parked") else step.get("outcome", state)
