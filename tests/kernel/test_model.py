"""Random flows, delivered in random order with every outcome and cancelled at every moment, against the reference.

What is checked (contract 1 and 7): exactly the calls that are due are issued, once, at the right moment and with the
right value; Cancel comes once, for calls in flight alone; the run ends after the last delivery with a result or a
failure; exactly what was done or maybe done is undone, last first; a replay of the record does the same.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from legato.kernel import Call, Cancel, Command, Leaf, Run, link
from legato.model.flow import Flow
from legato.model.outcome import Outcome
from legato.model.payload import Payload, json_payload
from tests.kernel.flows import BINARY
from tests.kernel.reference import Expected, Nothing, Opaque, Reference, meaning
from tests.kernel.strategies import flows, sagas, seeds, some_outcome

Event = tuple[str, Any, Any]


class Recorded:
    """A run that notes everything: events, the commands of each advance, when each call was issued."""

    def __init__(self, flow: Flow) -> None:
        self.run = Run(link(flow))
        self.calls: dict[str, Leaf] = {}
        self.issued: dict[str, float] = {}
        self.cancelled: dict[str, float] = {}
        self.answered: dict[str, tuple[int, Outcome]] = {}
        self.record: list[Event] = []
        self.advances: list[list[str]] = []
        self.cancel = self.hard = math.inf
        self.reason = ""
        self.ended_at = math.inf

    @property
    def now(self) -> int:
        return len(self.record)

    @property
    def open(self) -> list[str]:
        return [path for path in self.issued if path not in self.answered]

    def do(self, event: Event) -> None:
        """Do what an event of a record says."""
        kind, what, how = event
        before = self.run.state
        if kind == "start":
            self._note(event, self.run.start(what))
            return
        if kind == "deliver":
            self.answered[what] = (self.now, how)
            self._note(event, self.run.deliver(self.calls[what], how))
            return
        if before == "running" and self.cancel == math.inf:
            self.cancel, self.reason = self.now, what
        if how and before != "ended":
            self.hard = min(self.hard, self.now)
        commands = self.run.cancel(what, hard=how)
        assert not any(isinstance(command, Call) for command in commands) or before == "running"
        self._note(event, commands)

    def _note(self, event: Event, commands: list[Command] | Any) -> None:
        for command in commands:
            if isinstance(command, Cancel):
                assert command.path in self.issued
                assert command.path not in self.answered
                assert command.path not in self.cancelled
                self.cancelled[command.path] = self.now
            else:
                assert command.path not in self.issued
                self.issued[command.path] = self.now
                self.calls[command.path] = command
        self.advances.append([repr(command) for command in commands])
        self.record.append(event)
        assert sorted(c.path for c in self.run.open_leaves()) == sorted(self.open)
        if self.run.state == "ended":
            self.ended_at = min(self.ended_at, self.now - 1)
            assert not self.open
        else:
            assert self.open, "it has not ended, and there is nothing that could end it"


def drive(seed: int, flow: Flow, given_input: Payload, trouble: float) -> Recorded:
    """Run a flow to its end, in whatever order; `trouble` is the share of calls that fail."""
    random = Random(seed)
    run = Recorded(flow)
    run.do(("start", given_input, None))
    while run.run.state != "ended":
        if random.random() < trouble / 4:
            run.do(("cancel", random.choice(["cancelled", "deadline", "disconnect"]), random.random() < 0.4))
        else:
            run.do(("deliver", random.choice(run.open), some_outcome(random, trouble)))
    return run


def expected_of(flow: Flow, run: Recorded, given_input: Payload) -> Expected:
    return Reference(flow, run.answered).expect(meaning(given_input), run.cancel, run.reason, run.hard)


def same(value: Any, payload: Payload, undo: bool) -> bool:
    """Whether a payload means the value; in an undo's arguments an image is base64 text."""
    if not undo:
        return meaning(payload) == value

    def readable(part: Any) -> Any:
        return "iVBOR/8=" if part is Opaque else part

    return meaning(payload) == {name: readable(part) for name, part in value.items()}


troubles = st.sampled_from([0.0, 0.2, 0.5])
inputs = st.sampled_from([json_payload({"n": 1}), json_payload(None), BINARY])


@given(seeds, flows | sagas, inputs, troubles)
def test_a_run_does_what_its_flow_means(seed: int, flow: Flow, given_input: Payload, trouble: float) -> None:
    run = drive(seed, flow, given_input, trouble)
    expected = expected_of(flow, run, given_input)
    assert run.issued == {path: at for path, (at, _) in expected.issued.items()}
    assert run.cancelled == expected.cancelled
    assert run.ended_at == expected.end
    for path, (_, value) in expected.issued.items():
        leaf = run.calls[path]
        if isinstance(leaf, Call):
            assert same(value, leaf.payload, path.endswith("/undo")), path
        else:
            assert value is Nothing, path
    failure = run.run.failure
    if expected.how == "ok":
        assert failure is None
        assert meaning(run.run.result) == expected.value
    else:
        assert failure is not None
        assert not run.run.result.size
        assert set(failure.undo) == expected.undone
        assert len(failure.undo) == len(expected.undone)
        if expected.how == "cancelled":
            assert failure.reason == run.reason
        else:
            assert (failure.reason, failure.path) in expected.failures


@given(seeds, flows | sagas, inputs, troubles)
def test_a_replay_of_the_record_does_the_same(seed: int, flow: Flow, given_input: Payload, trouble: float) -> None:
    first = drive(seed, flow, given_input, trouble)
    # A definition that went through a store, and a process whose memory lies elsewhere.
    stored = msgspec.json.decode(msgspec.json.encode(flow), type=Flow)
    assert stored.version == flow.version
    ballast = [object() for _ in range(seed % 50)]
    second = Recorded(stored)
    for event in first.record:
        second.do(event)
    assert second.advances == first.advances
    assert ballast is not None
    assert second.run.state == "ended"
    assert (second.run.failure is None) == (first.run.failure is None)
    if first.run.failure is not None and second.run.failure is not None:
        assert second.run.failure.undo == first.run.failure.undo
        assert second.run.failure.path == first.run.failure.path


@given(seeds, flows)
def test_nothing_undone_stays_ahead_of_what_was_done_after_it(seed: int, flow: Flow) -> None:
    """The order alone, by another road: of two steps of one sequence, the later one's undo has ended first."""
    run = drive(seed, flow, json_payload({}), 0.3)
    began = {path: at for path, at in run.issued.items() if path.endswith("/undo")}
    for path, at in began.items():
        step = path.removesuffix("/undo")
        for other in began:
            done_before = run.answered[step][0] <= run.issued[other.removesuffix("/undo")]
            if other != path and done_before and not in_two_branches(step, other):
                assert run.answered[other][0] <= at, f"{path} is undone before {other}"


def in_two_branches(one: str, other: str) -> bool:
    """Whether two paths part at the branches of a parallel, which alone are called b0, b1, ..."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return next(a[0] == "b" for a, b in pairs if a != b)
