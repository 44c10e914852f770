"""Which way a failure leads at each place of a flow, backward or forward: what the linker knows of that on its walk.

What asks for a run that can be stored is checked here, too.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from legato.kernel.sight import Fault
from legato.model.flow import Flow
from legato.model.policy import IDEMPOTENT_METHODS, NO_RETRY
from legato.model.steps import CallStep, ForeachStep, ParallelStep, PythonStep, SequenceStep, Step, WaitStep, kind_of

_DURABLE = "say `durable: true` in the flow"


class Course:
    """The course at the step that is being linked.

    `forward` says that a call there is tried until it is done: its flow says so, or it comes after a pivot, of its own
    flow or of one around; but not where a failure is taken by somebody, an `on_error` say, and not in handlers.
    """

    def __init__(self, faults: list[Fault], durable: bool = False, forward: bool = False) -> None:
        self._faults = faults
        self.durable = durable  # whether the run is: flows within share its host
        self._forward = forward  # the flow's strategy is, or the course around it
        self._pivot: str = ""  # the flow's, once it has been linked
        self._taken = False
        self._handler: str = ""  # of the flow, whose steps these are
        self._around: str = ""  # what the step is within, if it is not one of the flow's own

    @property
    def forward(self) -> bool:
        """See Course."""
        return (self._forward or bool(self._pivot)) and not self._taken

    @contextmanager
    def flow(self, flow: Flow) -> Generator[None]:
        """The steps of a flow."""
        before = self._forward, self._pivot, self._around, self._handler
        if flow.strategy == "forward" and not self.durable:
            message = "`strategy: forward` needs a run that can be stored: it may take as long as it takes"
            self._fault(flow, "strategy", message, _DURABLE)
        self._forward = self._forward or bool(self._pivot) or flow.strategy == "forward"
        self._pivot = self._around = self._handler = ""
        yield
        self._forward, self._pivot, self._around, self._handler = before

    @contextmanager
    def handler(self, name: str) -> Generator[None]:
        """The steps of a flow's handler, which must come to an end."""
        before = self._forward, self._pivot, self._around, self._handler
        self._forward, self._pivot, self._around, self._handler = False, "", "", name
        yield
        self._forward, self._pivot, self._around, self._handler = before

    @contextmanager
    def within(self, step: Step) -> Generator[None]:
        """What is within a step, or the call that it is."""
        before = self._taken, self._around
        self._taken = self._taken or step.on_error is not None or _spares(step)
        self._around = self._around or _scope_of(step)
        yield
        self._taken, self._around = before

    @contextmanager
    def fallback(self) -> Generator[None]:
        """The steps that follow a failure."""
        before, self._around = self._around, self._around or "`on_error`"
        yield
        self._around = before

    def check(self, step: Step, path: str) -> None:
        """What a step says of its saga, now that it has been linked: those after it come after its pivot."""
        if isinstance(step, CallStep | PythonStep) and step.at_most_once:
            self._check_once(step)
        is_call = isinstance(step, CallStep | PythonStep)  # that may have been done when it fails
        taken = self._taken or (is_call and step.on_error is not None)
        if step.undo is not None and self._pivot and not taken:
            message = f"nothing is undone after the pivot `{self._pivot}`: this `undo` is never used"
            self._warn(step, "undo", message, "remove it, or do the step before the pivot")
        if step.pivot and self._may_be_pivot(step):
            self._pivot = path

    def check_wait(self, step: WaitStep) -> None:
        """A wait may take longer than a process lives."""
        if not self.durable:
            self._fault(step, "wait", "a `wait` needs a run that can be stored", _DURABLE)

    def check_flow(self, step: Step, flow: Flow) -> bool:
        """Whether a flow may be run within this one."""
        if flow.durable and not self.durable:
            message = f"the flow `{flow.name}` is durable and would not be here"
            self._fault(step, "flow", message, "make this one durable too: `durable: true`")
        return self.durable or not flow.durable

    def _may_be_pivot(self, step: Step) -> bool:
        if not self.durable:
            self._fault(
                step, "pivot", "a `pivot` needs a run that can be stored: after it a run only goes on", _DURABLE
            )
        elif self._around:
            message = f"a `pivot` is a step of the flow itself, and this one is within {self._around}: what is beside "
            message += "it, or comes instead, could neither be undone nor be sure to be done"
            self._fault(step, "pivot", message, "say it of the step around, which then is the pivot as a whole")
        elif self._handler:
            message = f"a `pivot` means nothing in `{self._handler}`, where the flow has ended"
            self._fault(step, "pivot", message, "remove it")
        elif step.when or step.on_error is not None:
            word = "when" if step.when else "on_error"
            message = f"a `pivot` is certainly done, and with `{word}` it may not be"
            self._fault(step, "pivot", message, "put `steps` with `pivot: true` around it")
        elif self._pivot:
            message = f"the flow has a pivot, `{self._pivot}`, after which it only goes forward anyway"
            self._fault(step, "pivot", message, "keep one of them")
        else:
            if step.undo is not None and not isinstance(step, CallStep | PythonStep):
                message = "this `undo` is never used: when the step is done, it is the pivot"
                self._warn(step, "undo", message, "remove it")
            return True
        return False

    def _check_once(self, step: CallStep | PythonStep) -> None:
        if not self.durable:
            message = "`at_most_once` needs a run that can be stored: it is about what a crash leaves open"
            self._fault(step, "at_most_once", message, _DURABLE)
            return
        method = step.method if isinstance(step, CallStep) else "POST"
        retry = step.retry or NO_RETRY
        again = step.idempotent or method in IDEMPOTENT_METHODS or retry.when_status
        if again and retry.attempts > 1:
            message = "`at_most_once` is said of a call whose `retry` makes it again though it may have been done"
            self._warn(step, "at_most_once", message, "remove `at_most_once`, or what says that it may be repeated")
        elif isinstance(step, CallStep) and step.hedge is not None:
            message = "`at_most_once` is said of a call that `hedge` makes twice"
            self._warn(step, "at_most_once", message, "remove one of the two")

    def _fault(self, step: object, key: str, message: str, remedy: str) -> None:
        self._faults.append(Fault(step=step, key=key, message=message, remedy=remedy))

    def _warn(self, step: object, key: str, message: str, remedy: str) -> None:
        self._faults.append(Fault(step=step, key=key, message=message, remedy=remedy, warning=True))


def _spares(step: Step) -> bool:
    """Whether a step goes on though something in it has failed."""
    match step:
        case ForeachStep():
            tolerates = bool(step.tolerate or step.tolerate_percent) or step.min_successful is not None
            return tolerates or step.collect == "outcomes"
        case ParallelStep():
            return step.quorum > 0
        case _:
            return False


def _scope_of(step: Step) -> str:
    """What a step is as a place for a pivot; nothing where its steps are as good as the flow's own."""
    for word, said in (("when", step.when), ("on_error", step.on_error), ("undo", step.undo)):
        if said:
            return f"a step with `{word}`"
    return "" if isinstance(step, SequenceStep) else f"a `{kind_of(step)}`"
