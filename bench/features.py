"""What each feature costs for one request, in µs: the product's own functions, timed in this process.

Add a `Feature` for each: `prepare` imports what it needs and returns a function without arguments that does what the
product does for this feature in one request (or, with `times`, once for each of that many calls in a request).
"""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Work = Callable[[], object]
REPEATS = 9
REPEAT_SECONDS = 0.02


@dataclass(frozen=True)
class Feature:
    name: str
    prepare: Callable[[], Work]
    times: int = 1  # how often one request of three calls does it


@dataclass(frozen=True)
class Cost:
    name: str
    once_micros: float
    times: int
    problem: str = ""

    @property
    def request_micros(self) -> float:
        return self.once_micros * self.times


HEAD = (
    b"POST /orchestrate/seq HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nauthorization: Bearer bench-token\r\n"
    b"content-type: application/json\r\ncontent-length: 2\r\n\r\n"
)
ANSWER = b"HTTP/1.1 200 OK\r\nserver: n\r\ndate: now\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"


def kernel() -> Work:
    from legato.kernel import Run, link
    from legato.model.flow import Flow
    from legato.model.outcome import Outcome
    from legato.model.payload import JSON, Payload
    from legato.model.steps import CallStep

    program = link(Flow(name="seq", steps=tuple(CallStep(function=name) for name in "abc")))
    outcome = Outcome("ok", Payload.of(JSON, b"{}"), 200)

    def work() -> None:
        run = Run(program)
        commands = run.start(outcome.payload)
        while commands:
            commands = run.deliver(commands[0], outcome)

    return work


def remembering() -> Work:
    from types import SimpleNamespace
    from typing import Any

    from legato.hosts.recent import RecentRuns

    recent = RecentRuns(1000)
    call: Any = object()
    kernel = SimpleNamespace(failure=None)

    def work() -> None:
        noted = [(call, 1, 1.0, 2.0, "ok", 200, "") for _ in range(3)]
        run: Any = SimpleNamespace(noted=noted, kernel=kernel, id=b"", bound=call, started=1.0, now=2.0)
        recent.note(run)

    return work


def admission() -> Work:
    """The credential, the route, the hop count: what a head means, worked out when it is first seen."""
    from legato.app import App
    from legato.formats import read
    from legato.model.settings import Settings
    from legato.model.source import Source
    from legato.transport.request import Head

    app = App(Settings(tokens={"bench-token": ("run",)}), stores=[])
    flow = Source(name="seq", language="native", text=b"flow: seq\nsteps: [a, b, c]\n", origin="seq.yaml")
    app.orchestrator.deploy(read(flow))
    app.gateway.serve_flows(["seq"])
    head = Head()
    head.path = b"/orchestrate/seq"
    head.fields = {b"host": b"h", b"authorization": b"Bearer bench-token", b"content-type": b"application/json"}

    def work() -> None:
        assert app.gateway.admit(head) is None

    return work


class _Notes:
    """Takes what a parser finds, as the protocols do."""

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}

    def on_message_begin(self) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.lower()] = value

    def on_headers_complete(self) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


def request_parse() -> Work:
    from httptools import HttpRequestParser

    parser, data = HttpRequestParser(_Notes()), HEAD + b"{}"
    return lambda: parser.feed_data(data)


def answer_parse() -> Work:
    from httptools import HttpResponseParser

    parser, data = HttpResponseParser(_Notes()), ANSWER + b"{}"
    return lambda: parser.feed_data(data)


def memo() -> Work:
    from legato.transport.memo import HeadMemo

    known, data = HeadMemo[int](), ANSWER + b"{}"
    known.keep(ANSWER, 2)

    def work() -> None:
        length = data.find(b"\r\n\r\n") + 4
        assert known.find(data[:length]) == len(data) - length

    return work


def identity() -> Work:
    """Run id, idempotency keys, trace headers: one id, and the header lines of three calls."""
    from legato.telemetry.ids import new_run_id, trace_of

    def work() -> None:
        run_id = new_run_id()
        trace, _ = trace_of(None, run_id)
        line = b"\r\ntraceparent: 00-%b-%b" % (trace, run_id[-8:])
        for path in (b"/a", b"/b", b"/c"):
            b"".join((b"idempotency-key: ", run_id, path, line, b"01234567", b"-01\r\n"))

    return work


def metrics() -> Work:
    """Noting four times (three calls and the run), and sorting them into buckets when a thousand have come."""
    from itertools import cycle

    from legato.telemetry.metrics import Meter

    meter = Meter()
    folds = cycle([True, *[False] * 249])

    def work() -> None:
        for _ in range(4):
            meter.took(0.001)
        if next(folds):
            meter.fold()

    return work


def deadlines() -> Work:
    from math import inf

    from legato.hosts.lane import Lane
    from legato.transport.wheel import Timer, Wheel

    lane = Lane[Timer](wheel=Wheel())
    lane.slot = 1  # armed, as it is under load

    def work() -> None:
        run = Timer(due=inf)
        lane.enter(run)
        lane.leave(run)

    return work


def joining() -> Work:
    """Checking three JSON answers and splicing them (parallel only)."""
    from legato.model.payload import JSON, Payload, join_object

    body = b'{"name":"somebody","total":120.5,"items":["a","b","c"],"id":1}'
    names = [b'"a":', b'"b":', b'"c":']

    def work() -> None:
        join_object(names, [Payload(JSON, (body,), len(body)).json() for _ in names])

    return work


FEATURES: list[Feature] = [
    Feature("kernel: paths, outcomes, cancellation", kernel),
    Feature("run id, idempotency keys, trace headers", identity),
    Feature("metrics of three calls and the run", metrics),
    Feature("deadline and timeouts", deadlines),
    Feature("remembering what each step did", remembering),
    Feature("checking and splicing JSON (parallel)", joining),
    Feature("a head seen before", memo, 4),
    Feature("a request head not seen before: parsing", request_parse),
    Feature("a request head not seen before: credential, route", admission),
    Feature("an answer head not seen before: parsing", answer_parse, 3),
]


def cost_of(feature: Feature) -> Cost:
    """The median of repeats, each long enough to be timed well; the loop's own cost is taken off."""
    try:
        timer = timeit.Timer(feature.prepare())
        count, taken = timer.autorange()
        count = max(1, round(count * REPEAT_SECONDS / taken))
        nothing = median(timeit.Timer(lambda: None).repeat(REPEATS, count)) / count
        once = median(timer.repeat(REPEATS, count)) / count - nothing
    except Exception as problem:  # the product's code may raise anything; the report says what
        return Cost(feature.name, 0.0, feature.times, repr(problem))
    return Cost(feature.name, max(0.0, once) * 1e6, feature.times)


def costs() -> list[Cost]:
    return [cost_of(feature) for feature in FEATURES]
