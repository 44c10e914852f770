"""Counters of runs and calls, cheap to count and rendered for Prometheus only when asked.

The hot path adds to plain lists and dicts; prometheus_client formats at scrape time (names: contract 5).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from weakref import WeakValueDictionary

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from legato.telemetry.sharing import Sharing

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Meter:
    """Ends by outcome, and how long they took.

    The times of those that went well are only noted (`took`, one append) and sorted into buckets when somebody asks,
    or by `fold` once a second.
    """

    __slots__ = ("__weakref__", "_buckets", "_noted", "_seconds", "ends", "took")

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._noted: list[float] = []
        self._seconds = 0.0
        self.took = self._noted.append  # how long, in seconds, something took that went well

    def count(self, end: str, seconds: float) -> None:
        """Count one end of any kind."""
        self.ends[end] = self.ends.get(end, 0) + 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def fold(self) -> None:
        """Count what has been noted."""
        noted = sorted(self._noted)
        self._noted.clear()
        if not noted:
            return
        self.ends["ok"] = self.ends.get("ok", 0) + len(noted)
        self._seconds += sum(noted)
        below = 0
        for i, bound in enumerate(BOUNDS):
            upto = bisect_right(noted, bound)
            self._buckets[i] += upto - below
            below = upto
        self._buckets[-1] += len(noted) - below

    def reading(self) -> Reading:
        """What it shows now."""
        self.fold()
        return Reading(ends=dict(self.ends), buckets=list(self._buckets), seconds=self._seconds)


class Reading(msgspec.Struct):
    """What a meter shows; `buckets` are not cumulated, and sorted by BOUNDS."""

    ends: dict[str, int]
    buckets: list[int]
    seconds: float

    def add(self, other: Reading) -> None:
        """Count what another process has counted."""
        for end, number in other.ends.items():
            self.ends[end] = self.ends.get(end, 0) + number
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds

    def histogram(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: how many took at most so long."""
        return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self.buckets), strict=True))


class Readings(msgspec.Struct):
    """All that a process shows."""

    flows: dict[str, Reading] = {}
    functions: dict[str, Reading] = {}
    gauges: dict[str, dict[str, float]] = {}

    def add(self, other: Readings) -> None:
        """Count what another process has counted."""
        for mine, theirs in ((self.flows, other.flows), (self.functions, other.functions)):
            for name, reading in theirs.items():
                if name in mine:
                    mine[name].add(reading)
                else:
                    mine[name] = reading
        for name, values in other.gauges.items():
            for label, value in values.items():
                gauge = self.gauges.setdefault(name, {})
                gauge[label] = gauge.get(label, 0) + value


class _Gauge(msgspec.Struct):
    help_text: str
    label: str
    read: Callable[[], Mapping[str, float]]
    shared: bool


class Metrics:
    """All meters of a process, by flow and by function."""

    def __init__(self) -> None:
        # Flows and functions come and go; a meter is there as long as somebody counts with it.
        self._flows = WeakValueDictionary[str, Meter]()
        self._functions = WeakValueDictionary[str, Meter]()
        self._gauges: dict[str, _Gauge] = {}
        self._sharing: Sharing | None = None

    def flow(self, name: str) -> Meter:
        """The meter of a flow, made at first use."""
        return self._flows.setdefault(name, Meter())

    def function(self, name: str) -> Meter:
        """The meter of a function, made at first use."""
        return self._functions.setdefault(name, Meter())

    def fold(self) -> None:
        """Sort in what the meters have noted; to be called now and then, so that notes do not pile up."""
        for meter in (*self._flows.values(), *self._functions.values()):
            meter.fold()

    def gauge(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]], shared: bool = False
    ) -> None:
        """Have a gauge read at scrape time: `read` gives values by label value.

        `shared` says that every process shows the same; otherwise theirs are added up.
        """
        self._gauges[name] = _Gauge(help_text, label, read, shared)

    def share(self, folder: str) -> None:
        """Show what all processes have counted that share by this folder, not only this one."""
        self._sharing = Sharing(folder)

    @property
    def is_shared(self) -> bool:
        """Whether other processes are to know what is counted here."""
        return self._sharing is not None

    def publish(self, readings: Readings) -> None:
        """Let the other processes know what has been counted; to be called now and then, from any thread."""
        for name, gauge in self._gauges.items():
            if gauge.shared:
                readings.gauges.pop(name)
        if self._sharing is not None:
            self._sharing.write(msgspec.msgpack.encode(readings))

    def read(self) -> Readings:
        """What is counted here, as it is now."""
        return Readings(
            flows=_counted(self._flows),
            functions=_counted(self._functions),
            gauges={name: dict(gauge.read()) for name, gauge in self._gauges.items()},
        )

    def collect(self, readings: Readings) -> Iterator[Metric]:
        """What was read, with what the other processes show, in Prometheus' terms."""
        for data, lives in () if self._sharing is None else self._sharing.read():
            other = msgspec.msgpack.decode(data, type=Readings)
            if not lives:
                other.gauges.clear()
            readings.add(other)
        runs = CounterMetricFamily("legato_runs", "Runs that ended.", labels=["flow", "outcome"])
        run_seconds = HistogramMetricFamily("legato_run_seconds", "How long runs took.", labels=["flow"])
        for name, reading in sorted(readings.flows.items()):
            _add(runs, run_seconds, name, reading)
        calls = CounterMetricFamily("legato_calls", "Attempts that ended.", labels=["function", "outcome"])
        call_seconds = HistogramMetricFamily("legato_call_seconds", "How long attempts took.", labels=["function"])
        for name, reading in sorted(readings.functions.items()):
            _add(calls, call_seconds, name, reading)
        yield from (runs, run_seconds, calls, call_seconds)
        for name, gauge in self._gauges.items():
            family = GaugeMetricFamily(name, gauge.help_text, labels=[gauge.label])
            for value, number in readings.gauges[name].items():
                family.add_metric([value], number)
            yield family

    def render(self, readings: Readings) -> bytes:
        """The text exposition format, version 0.0.4; with what the other processes show. From any thread."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self.collect(readings)))
        return generate_latest(registry)


class _Collected(Collector):
    """Metrics that are there already, as a registry wants them."""

    def __init__(self, metrics: Iterator[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        return self._metrics


def _counted(meters: Mapping[str, Meter]) -> dict[str, Reading]:
    """What those meters show that have counted anything: ten thousand flows that nobody calls make no page of zeros."""
    readings = {name: meter.reading() for name, meter in meters.items()}
    return {name: reading for name, reading in readings.items() if reading.ends}


def _add(counter: CounterMetricFamily, histogram: HistogramMetricFamily, name: str, reading: Reading) -> None:
    histogram.add_metric([name], reading.histogram(), reading.seconds)
    for end, number in sorted(reading.ends.items()):
        counter.add_metric([name, end], number)
