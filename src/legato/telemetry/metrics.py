"""Counters of runs and calls, cheap to count and rendered for Prometheus only when asked.

The hot path adds to plain lists and dicts; prometheus_client formats at scrape time (names: contract 5).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Meter:
    """Ends by outcome, and how long they took.

    The times of those that went well are only noted (`took`, one append) and sorted into buckets when somebody asks,
    or by `fold` once a second.
    """

    __slots__ = ("_buckets", "_noted", "_seconds", "ends", "took")

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

    def histogram(self) -> tuple[list[tuple[str, float]], float]:
        """Prometheus' buckets (how many took at most so long), and the sum in seconds."""
        self.fold()
        total, rows = 0, list[tuple[str, float]]()
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self._buckets, strict=True):
            total += count
            rows.append((bound, total))
        return rows, self._seconds


class Metrics:
    """All meters of a process, by flow and by function."""

    def __init__(self) -> None:
        self._flows: dict[str, Meter] = {}
        self._functions: dict[str, Meter] = {}
        self._gauges: list[tuple[str, str, str, Callable[[], Mapping[str, float]]]] = []

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

    def gauge(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Have a gauge read at scrape time: `read` gives values by label value."""
        self._gauges.append((name, help_text, label, read))

    def collect(self) -> Iterator[Metric]:
        """Prometheus' collector protocol."""
        runs = CounterMetricFamily("legato_runs", "Runs that ended.", labels=["flow", "outcome"])
        run_seconds = HistogramMetricFamily("legato_run_seconds", "How long runs took.", labels=["flow"])
        for name, meter in sorted(self._flows.items()):
            _add(runs, run_seconds, name, meter)
        calls = CounterMetricFamily("legato_calls", "Attempts that ended.", labels=["function", "outcome"])
        call_seconds = HistogramMetricFamily("legato_call_seconds", "How long attempts took.", labels=["function"])
        for name, meter in sorted(self._functions.items()):
            _add(calls, call_seconds, name, meter)
        yield from (runs, run_seconds, calls, call_seconds)
        for name, help_text, label, read in self._gauges:
            gauge = GaugeMetricFamily(name, help_text, labels=[label])
            for value, number in read().items():
                gauge.add_metric([value], number)
            yield gauge

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # pyright: ignore[reportArgumentType]
        return generate_latest(registry)


def _add(counter: CounterMetricFamily, histogram: HistogramMetricFamily, name: str, meter: Meter) -> None:
    rows, seconds = meter.histogram()
    histogram.add_metric([name], rows, seconds)
    for end, number in sorted(meter.ends.items()):
        counter.add_metric([name, end], number)
