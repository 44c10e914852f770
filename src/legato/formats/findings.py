"""What `kernel.check` finds out about a whole flow, reported where it was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from legato.formats.places import Places, within
from legato.formats.report import WHOLE_FILE, Report
from legato.kernel import Fault
from legato.model.flow import Flow

# Steps refer to others in expressions and in graphs only, and to what flow they are in by a few words; each step has
# been read by itself. Looking at the whole costs half as much as reading it, which ten thousand plain flows would
# notice. Any escape may stand for a `${`.
_REFERS = re.compile(r"\$\{|\\|graph|wait|pivot|strategy|at_most_once")
_LONGEST = 600

Find = Callable[[Flow], Sequence[Fault]]


def may_have_findings(text: str) -> bool:
    """Whether a flow's text needs a look at the whole."""
    return _REFERS.search(text) is not None


def report_findings(flow: Flow, report: Report, places: Places, find: Find) -> None:
    """Add every fault of a flow to the report, and every warning."""
    try:
        faults = find(flow)
    except Exception as error:  # as for documents: a defect of ours must not stop the gateway
        report.add(
            WHOLE_FILE, f"the flow cannot be checked: {type(error).__name__}", "mend what else is reported first"
        )
        return
    for fault in faults:
        node = places.node(fault.step, fault.key, fault.pointer)
        place = WHOLE_FILE if node is None else within(report, node, fault.offset)
        message, remedy = _short(fault.message), _short(fault.remedy)
        if fault.warning:
            report.warn(place, message, remedy)
        else:
            report.add(place, message, remedy)


def _short(text: str) -> str:
    """A message as long as somebody reads: a cycle of a thousand nodes is named by its first."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
