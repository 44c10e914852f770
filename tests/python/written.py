"""What the tests of the Python face share: flows out of YAML, and runs that are driven delivery by delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import dedent
from typing import Any

from legato.builder import CodeFlow, Flow
from legato.formats import read
from legato.kernel import Call, Cancel, Command, Facts, Leaf, Respond, Run, link
from legato.model import flow as model
from legato.model.definition import Definition
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload, json_payload
from legato.model.source import Source


def from_yaml(text: str, name: str = "f") -> model.Flow:
    """The flow in a text, `flow: NAME` put before it."""
    text = f"flow: {name}\n{dedent(text)}"
    definition = read(Source(name=name, language="native", text=text.encode(), origin=f"{name}.yaml"))
    assert definition.flow is not None, "\n".join(map(str, definition.problems))
    return definition.flow


class Driven:
    """A run of a flow, driven by hand. `log` says what was issued and delivered; replaying it must say the same."""

    def __init__(self, flow: Flow | CodeFlow, value: object = None, flows: Sequence[Flow | CodeFlow] = ()) -> None:
        self._flow, self._value, self._flows = flow, value, flows
        definitions = {each.name: each.definition() for each in (flow, *flows)}
        self.run = Run(program_of(definitions, flow.name))
        self.leaves: dict[str, Leaf] = {}
        self.sent: dict[str, Any] = {}
        self.log: list[str] = []
        self.cancelled: list[str] = []
        self.delivered: dict[str, Outcome] = {}
        self.responded: list[Respond] = []
        self._events: list[tuple[str, Outcome | None]] = []
        self._take("start", self.run.start(EMPTY if value is None else json_payload(value), Facts(id="run-1")))

    @property
    def open(self) -> list[str]:
        """The paths of what has been issued and not delivered."""
        return [path for path, leaf in self.leaves.items() if not leaf.ended]

    def ok(self, path: str, value: object = None) -> Driven:
        """Deliver an answer."""
        return self.deliver(path, Outcome("ok", EMPTY if value is None else json_payload(value), 200))

    def fail(self, path: str, kind: Any = "refused", status: int = 422, body: object = None) -> Driven:
        """Deliver a failure."""
        payload = EMPTY if body is None else json_payload(body)
        return self.deliver(path, Outcome(kind, payload, status, f"{path} said no"))

    def deliver(self, path: str, outcome: Outcome) -> Driven:
        """Deliver an outcome."""
        self._events.append((path, outcome))
        self.delivered[path] = outcome
        self._take(f"{path} {outcome.kind}", self.run.deliver(self.leaves[path], outcome))
        return self

    def settle(self, path: str) -> Driven:
        """Deliver what a host says of a leaf that was cancelled after it was sent."""
        return self.deliver(path, Outcome("unknown", detail="aborted"))

    def cancel(self, reason: Any = "cancelled") -> Driven:
        """Cancel the run."""
        self._events.append((reason, None))
        self._take(f"cancel {reason}", self.run.cancel(reason))
        return self

    def _take(self, event: str, commands: Sequence[Command]) -> None:
        words: list[str] = []
        for command in commands:
            if isinstance(command, Cancel):
                self.cancelled.append(command.path)
                words.append(f"cancel {command.path}")
            elif isinstance(command, Respond):
                self.responded.append(command)
                words.append(f"respond {command.status}")
            else:
                assert command.path not in self.leaves, f"{command.path} is issued twice"
                self.leaves[command.path] = command
                words.append(command.path)
                if isinstance(command, Call):
                    self.sent[command.path] = command.payload.value()
        self.log.append(f"{event} -> {', '.join(words)}")

    @property
    def result(self) -> Any:
        """The result of a run that has ended well."""
        assert self.run.state == "ended", f"the run waits for {self.open}"
        assert self.run.failure is None, self.run.failure
        return self.run.result.value() if self.run.result.size else None

    @property
    def failure(self) -> Any:
        """The failure of a run that has ended."""
        assert self.run.state == "ended", f"the run waits for {self.open}"
        assert self.run.failure is not None, self.run.result
        return self.run.failure

    def replayed(self) -> Driven:
        """The same events of another run: it must issue the same."""
        again = Driven(self._flow, self._value, self._flows)
        for what, outcome in self._events:
            again.cancel(what) if outcome is None else again.deliver(what, outcome)
        assert again.log == self.log
        return again


def program_of(definitions: Mapping[str, Definition], name: str) -> Any:
    """A program of one of these."""

    def codes(flow: model.Flow) -> Mapping[str, Callable[..., Any]]:
        return definitions[flow.name].code if flow.name in definitions else {}

    def resolve(wanted: str) -> model.Flow | None:
        return definitions[wanted].flow if wanted in definitions else None

    flow = definitions[name].flow
    assert flow is not None
    return link(flow, resolve, codes)


def text(body: str) -> Payload:
    """A payload that is text."""
    return Payload.of(b"text/plain", body.encode())
