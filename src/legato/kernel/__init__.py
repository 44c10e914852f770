"""The kernel: what a flow means. Events in, commands out; no I/O, no clock, no event loop.

`linker.link` turns a flow into a program of steps with paths; `run.Run` interprets it. A host carries the commands out,
in whatever way it likes, and delivers the outcomes one by one. The same program and the same deliveries in the same
order give the same commands: that is all that replay needs.
"""

from legato.kernel.calls import LinkedCall
from legato.kernel.linker import CALLBACK, check, link, linked
from legato.kernel.program import Program
from legato.kernel.run import Facts, Run
from legato.kernel.scheduler import Call, Cancel, Command, Leaf, Respond, Sleep
from legato.kernel.sight import Fault

__all__ = [
    "CALLBACK",
    "Call",
    "Cancel",
    "Command",
    "Facts",
    "Fault",
    "Leaf",
    "LinkedCall",
    "Program",
    "Respond",
    "Run",
    "Sleep",
    "check",
    "link",
    "linked",
]
