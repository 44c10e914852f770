"""Flows built in Python: operators in place of a file's keys, with the same rules and the same model at the end.

Operators make the tree that a file would have, and `formats` reads it: nothing in here knows what a step means. How
flows that are code run is in `kernel.code`; who serves or runs them is above.
"""

from legato.builder.code_flow import CodeFlow, flow
from legato.builder.context import Context
from legato.builder.flows import Flow, Steps
from legato.builder.graph import Graph

__all__ = ["CodeFlow", "Context", "Flow", "Graph", "Steps", "flow"]
