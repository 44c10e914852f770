"""Fakes to test flows and hosts with: a scripted connector, time that tests move, a host on a stage, stores in memory.

Part of the product: who extends Legato tests with what Legato is tested with. Nothing of the gateway imports this.
"""

from legato.testing.clock import ManualClock, run_in_manual_time
from legato.testing.scripted import Act, ScriptedAttempt, ScriptedConnector, ok, refused, retryable, unknown
from legato.testing.stage import Ended, Stage
from legato.testing.stores import MemoryStore

__all__ = [
    "Act",
    "Ended",
    "ManualClock",
    "MemoryStore",
    "ScriptedAttempt",
    "ScriptedConnector",
    "Stage",
    "ok",
    "refused",
    "retryable",
    "run_in_manual_time",
    "unknown",
]
