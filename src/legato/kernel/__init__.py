"""The kernel: what a flow means. Events in, commands out; no I/O, no clock, no event loop.

`linker.link` turns a flow into a program of steps with paths; `run.Run` interprets it. A host carries the commands out,
in whatever way it likes, and delivers the outcomes one by one. The same program and the same deliveries in the same
order give the same commands: that is all that replay needs.
"""

from legato.kernel.calls import LinkedCall
from legato.kernel.linker import CALLBACK, check, link, linked
from legato.kernel.program import Program
from legato.kernel.run import Facts, Run
from legato.kernel.scheduler import Call, Cancel, Command, Leaf, Respond, Sleep, Wait
from legato.kernel.sight import Fault

# Of the kernel's behaviour. A journal holds deliveries, and says under which version they were recorded. To be raised
# by one with every change after which some recorded run would be issued other commands, or the same at other paths or
# in another order. What is only faster, or says a mistake in other words, is no such change.
VERSION = 1

__all__ = [
    "CALLBACK",
    "VERSION",
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
    "Wait",
    "check",
    "link",
    "linked",
]
