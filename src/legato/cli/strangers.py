"""Functions that the settings do not name: a container's name perhaps, or a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from legato.cli.terminal import warn
from legato.model.flow import Flow
from legato.model.settings import Settings
from legato.model.walk import functions_called
from legato.orchestrator import function_named

NAMED = 20  # a line each; more say nothing more
NEAR = 0.75  # of difflib's ratio: `chek-name` and `check-name` have 0.95


def warn_of_strangers(flows: Iterable[Flow], settings: Settings) -> int:
    """Say which functions of the flows have no entry, and count them."""
    lines = list(strangers(flows, settings))
    for line in lines[:NAMED]:
        warn(line)
    if len(lines) > NAMED:
        warn(f"and {len(lines) - NAMED} more functions without an entry")
    return len(lines)


def strangers(flows: Iterable[Flow], settings: Settings) -> Iterator[str]:
    """The functions of the flows that have no entry. Whoever has no entries at all relies on the default rule."""
    if not settings.functions:
        return
    is_default_chosen = settings.default_function != Settings().default_function
    called = {name for flow in flows for name in functions_called(flow)}
    spelt = {_spelt(name): name for name in settings.functions}
    for name in sorted(called - settings.functions.keys()):
        near = difflib.get_close_matches(_spelt(name), spelt, 1, NEAR)
        if near or not is_default_chosen:
            meant = f"; did you mean `{spelt[near[0]]}`?" if near else ""
            url = function_named(name, settings).url
            yield f"{name} has no entry in `functions` and is called at {url}{meant}"


def _spelt(name: str) -> str:
    """A name without what is mixed up most: `chargePayment` and `charge_payment` are near `charge-payment`."""
    return name.lower().replace("_", "-")
