"""What must hold after each death of the gateway, and when every run has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from legato.hosts.journal.records import Attempted, Cancelled, Decided, Delivered, Ended, Started, payload_of
from tests.soak.crash_callers import Promises
from tests.soak.crash_flows import Document
from tests.soak.crash_functions import Asked, Functions, answer_of
from tests.soak.crash_gateway import Gateway, Noted, Wreck
from tests.soak.crash_model import Ending, Expected, order_of, paths_in

ENDS = ("succeeded", "failed", "undone", "cancelled")
MOST = {"once": 1, "firm": 4, "never": 1, "again": 8, "undo": 16, "sure": 1_000_000}  # attempts


class Violation(AssertionError):
    """Something that must hold does not. `run` is whose record shows it."""

    def __init__(self, what: str, run: str = "") -> None:
        super().__init__(f"{what}{f' (run {run})' if run else ''}")
        self.run = run


class Deaths:
    """What was on disk at each death: `committed` are keys of calls by the life in which their outcome was."""

    def __init__(self, flows: Mapping[str, Document], functions: Functions, promises: Promises) -> None:
        self._flows = flows
        self._functions = functions
        self._promises = promises
        self._events: dict[str, list[tuple[int, str, str]]] = {}
        self.committed: dict[str, int] = {}
        self.in_flight = 0  # calls at deaths
        self._deaths = 0

    def look(self, wreck: Wreck, life: int) -> None:
        """Take in what the life that has just ended left. Raises Violation."""
        for run, noted in wreck.events.items():
            events = [(event.seq, event.kind, event.path) for event in noted]
            before = self._events.get(run, [])
            if events == before:
                continue
            if events[: len(before)] != before:
                raise Violation(f"what was written is not there any more: {before} is now {events}", run)
            if [seq for seq, _, _ in events] != list(range(len(events))):
                raise Violation(f"events are missing: {events}", run)
            self._events[run] = events
            for _, kind, path in events[len(before) :]:
                if kind == "outcome":
                    self.committed.setdefault(f"{run}/{path}", life)
        for run in self._promises.runs:
            if run not in wreck.runs:
                raise Violation("a run that was acknowledged is lost", run)
        for run, start in self._promises.runs.items():
            if start.status != 202 and "ended" not in {kind.partition(" ")[0] for _, kind, _ in self._events[run]}:
                raise Violation(f"its caller was told the end ({start.status}), and that is lost", run)
        for run, identity in self._promises.signals:
            if (identity, "signal") not in {(path, kind) for _, kind, path in self._events.get(run, [])}:
                raise Violation(f"a signal that was acknowledged is lost: {identity}", run)
        for run in self._promises.cancels:
            kinds = {kind.partition(" ")[0] for _, kind, _ in self._events.get(run, [])}
            # One that has failed already is cancelled without a word of it.
            state, flow = wreck.runs[run]
            closes = state == "undoing" or not self._flows[flow].keys().isdisjoint(("finally", "on_failure"))
            if not kinds & {"cancel", "ended"} and not closes:
                raise Violation("a cancel that was acknowledged is lost", run)
        self._deaths = life

    def check_calls(self) -> None:
        """No call was made again after its outcome was on disk at a death, and none more often than it may be."""
        for key, asked in self._functions.by_key.items():
            run = key.partition("/")[0]
            committed = self.committed.get(key)
            late = [each.life for each in asked if committed is not None and each.life > committed]
            if late:
                raise Violation(f"{key} was called in life {late}, and its outcome was on disk in {committed}", run)
            if len({each.body for each in asked}) > 1:
                raise Violation(f"{key} was called with other bodies: {[each.body[:200] for each in asked]}", run)
            # A request that was under way in the network when its sender died comes later; it is of its life.
            in_flight = len({each.life for each in asked if each.life < (committed or self._deaths)})
            self.in_flight += in_flight
            most = MOST[asked[0].function] + (in_flight if asked[0].function != "never" else 0)
            if len(asked) > most:
                raise Violation(f"{key} was called {len(asked)} times, and may be {most} times", run)
            lives = [each.life for each in asked]
            for life in set(lives):
                if lives.count(life) > MOST[asked[0].function]:
                    raise Violation(f"{key} was tried {lives.count(life)} times in life {life}", run)


class RunRecord:
    """A run that has ended, as its record has it."""

    def __init__(self, gateway: Gateway, run: str, state: str, flow: str, events: list[Noted]) -> None:
        self.run = run
        self.state = state
        self.flow = flow
        self.events = events
        self.evidence: dict[str, Ending] = {}
        self.outcomes: dict[str, Delivered] = {}
        self.order: dict[str, int] = {}
        self.cancels: list[Cancelled] = []
        self.attempts: dict[str, int] = {}
        self.decided: set[str] = set()
        self.started: Started | None = None
        self.ended: Ended | None = None
        for event in events:
            match gateway.body_of(event):
                case Started() as record:
                    self.started = record
                case Ended() as record:
                    self.ended = record
                case Cancelled() as record:
                    self.cancels.append(record)
                case Decided() as record:
                    self.decided.add(event.path)
                case Attempted() as record:
                    self.attempts[event.path] = self.attempts.get(event.path, 0) + 1
                case Delivered() as record:
                    self.outcomes[event.path] = record
                    self.order[event.path] = event.seq
                    value = value_of(record.payload) if record.kind == "ok" else None
                    self.evidence[event.path] = Ending(record.kind, record.status, value, record.maybe_done)
                case _:
                    pass

    @property
    def late(self) -> set[str]:
        """Leaves that ended after something had failed, or the run was cancelled."""
        bad = [self.order[path] for path, ending in self.evidence.items() if ending.kind != "ok"]
        bad += [event.seq for event in self.events if event.kind.startswith("cancel")]
        return {path for path, seq in self.order.items() if bad and seq > min(bad)}

    def of(self, what: str) -> Violation:
        """A violation that this record shows."""
        return Violation(f"{self.flow} {self.state}: {what}", self.run)


def value_of(payload: Any) -> Any:
    """The JSON of a payload's record."""
    body = payload_of(payload).body
    return json.loads(body) if body else None


class Ends:
    """Checks of runs that have ended. `disturbed` counts those where time on a busy machine made what was not meant."""

    def __init__(self, flows: Mapping[str, Document], functions: Functions, promises: Promises) -> None:
        self._flows = flows
        self._functions = functions
        self._promises = promises
        self.undone = 0
        self.by_state: dict[str, int] = {}

    def check(self, record: RunRecord) -> None:
        """Raises Violation."""
        if record.state not in ENDS or record.ended is None or record.started is None:
            raise record.of("it did not end")
        if record.ended.state != record.state:
            raise record.of(f"its row does not say what its record does: {record.ended.state}")
        self.by_state[record.state] = self.by_state.get(record.state, 0) + 1
        self._check_calls(record)
        value = value_of(record.started.input)
        expected = Expected(self._flows, record.flow, value, record.evidence, record.late)
        self._check_state(record, expected)
        self._check_undo(record, expected)
        self._check_handlers(record)
        self._check_answer(record)

    def _check_calls(self, record: RunRecord) -> None:
        for key, asked in self._calls_of(record.run):
            path = key.partition("/")[2]
            outcome = record.outcomes.get(path)
            if outcome is None:
                raise record.of(f"{path} was called, and its outcome is not in the record")
            ending = record.evidence[path]
            if any(each.effect for each in asked) and not ending.effect_possible:
                raise record.of(f"{path} had an effect, and its outcome says {outcome.kind} {outcome.detail}")
            answers = {each.answered for each in asked}
            if outcome.status and outcome.status not in answers and path not in record.decided:
                raise record.of(f"{path} ended with {outcome.status}, and what was answered is {answers}")
            if outcome.kind == "ok" and path not in record.decided:
                meant = answer_of(self._functions.seed, key, asked[0].body)
                if ending.value != meant:
                    raise record.of(f"{path} left {ending.value}, and answered {meant}")
        for path, outcome in record.outcomes.items():
            is_called = f"{record.run}/{path}" in self._functions.by_key
            if outcome.function and outcome.kind == "ok" and not is_called and path not in record.decided:
                raise record.of(f"{path} went well, and nobody was called")
            if record.attempts.get(path, 0) >= MOST.get(outcome.function, 99):
                raise record.of(f"{path} was tried again {record.attempts[path]} times")

    def _calls_of(self, run: str) -> Iterator[tuple[str, list[Asked]]]:
        yield from self._by_run.get(run, {}).items()

    @property
    def _by_run(self) -> dict[str, dict[str, list[Asked]]]:
        known: dict[str, dict[str, list[Asked]]] | None = getattr(self, "_runs", None)
        if known is None:
            known = {}
            for key, asked in self._functions.by_key.items():
                known.setdefault(key.partition("/")[0], {})[key] = asked
            self._runs = known
        return known

    def _check_state(self, record: RunRecord, expected: Expected) -> None:
        if record.cancels:
            if record.state == "succeeded" and not all(cancel.hard for cancel in record.cancels):
                raise record.of("it was cancelled, and succeeded")  # a hard one may also cut off its `finally`
            return
        if expected.end == "stopped":
            raise record.of("something was not begun, and nothing failed")
        if expected.end == "succeeded":
            if record.state != "succeeded":
                raise record.of(f"nothing failed for good: {msgspec.to_builtins(record.ended)}")
            assert record.ended is not None
            if (value := value_of(record.ended.result)) != expected.value:
                raise record.of(f"its result is {value}, and should be {expected.value}")
        elif record.state == "succeeded":
            raise record.of("something failed for good, and it succeeded")

    def _check_undo(self, record: RunRecord, expected: Expected) -> None:
        due = [*expected.due, *([] if record.state == "succeeded" else [expected.rest])]
        if any(cancel.hard for cancel in record.cancels):
            return  # how far undo had come is anybody's guess
        wanted = sorted(f"{path}/undo" for trail in due for path in paths_in(trail))
        done = sorted(path for path in record.outcomes if path.endswith("/undo"))
        if wanted != done:
            raise record.of(f"{wanted} should have been undone, and {done} were")
        for path in wanted:
            if record.outcomes[path].kind != "ok":
                raise record.of(f"{path} ended with {record.outcomes[path]}")
            self._check_undo_body(record, path)
        for trail in due:
            for first, second in order_of(trail):
                if record.order[f"{first}/undo"] > record.order[f"{second}/undo"]:
                    raise record.of(f"{second} was undone before {first}")
        self.undone += len(wanted)
        if record.state == "undone" and not wanted:
            raise record.of("nothing was undone")

    def _check_undo_body(self, record: RunRecord, path: str) -> None:
        """What an undo is sent is what the call was sent and what it answered."""
        step = path.removesuffix("/undo")
        [first, *_] = self._functions.by_key[f"{record.run}/{path}"]
        sent = json.loads(first.body)
        calls = self._functions.by_key.get(f"{record.run}/{step}")
        if calls is not None and sent["sent"] != (json.loads(calls[0].body) if calls[0].body else None):
            raise record.of(f"{path} was sent {sent}, and the call {calls[0].body!r}")
        if step in record.outcomes and sent["result"] != record.evidence[step].value:
            raise record.of(f"{path} was told of the result {sent['result']}, not {record.evidence[step].value}")

    def _check_handlers(self, record: RunRecord) -> None:
        flow = self._flows[record.flow]
        if any(cancel.hard for cancel in record.cancels):
            return
        if "finally" in flow and "/finally.last" not in record.outcomes:
            raise record.of("its `finally` was not done")
        if "on_failure" in flow and (record.state == "succeeded") == ("/failure.sorry" in record.outcomes):
            raise record.of(f"its `on_failure`: {'/failure.sorry' in record.outcomes}")

    def _check_answer(self, record: RunRecord) -> None:
        start = self._promises.runs.get(record.run)
        if start is None or start.status == 202:
            return
        assert record.ended is not None
        if (start.status == 200) != (record.state == "succeeded"):
            raise record.of(f"its caller was answered {start.status}")
        if start.status == 200 and start.result != value_of(record.ended.result):
            raise record.of(f"its caller was answered {start.result}")


def check_starts(promises: Promises, records: list[RunRecord]) -> None:
    """One run for each key, and for each start without one at most as many as it was tried."""
    by_number: dict[int, list[str]] = {}
    for record in records:
        assert record.started is not None
        by_number.setdefault(value_of(record.started.input)["n"], []).append(record.run)
    for start in promises.starts:
        runs = by_number.get(start.number, [])
        if len(runs) > 1:
            raise Violation(f"start {start.number} (key {start.key!r}) made {len(runs)} runs: {runs}", runs[0])
        if start.run and runs != [start.run]:
            raise Violation(f"start {start.number} was told of {start.run}, and made {runs}", start.run)
