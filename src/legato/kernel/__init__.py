"""The kernel: what a flow means. Events in, commands out; no I/O, no clock, no event loop.

`program.link` turns a flow into steps with paths; `run.Run` interprets them. A host carries the commands out, in
whatever way it likes, and delivers the outcomes one by one. The same program and the same deliveries in the same
order give the same commands: that is all that replay needs.
"""

from legato.kernel.program import LinkedCall, Program, link
from legato.kernel.run import Run
from legato.kernel.scheduler import Call, Cancel, Command

__all__ = ["Call", "Cancel", "Command", "LinkedCall", "Program", "Run", "link"]
