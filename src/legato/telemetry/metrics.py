"""Counters of runs and calls, cheap to count and rendered for Prometheus only when asked.

The hot path adds to plain lists and dicts; prometheus_client formats at scrape time (names: contract 5).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Meter:
    """Ends by outcome, and how long they took."""

    __slots__ = ("active", "buckets", "ends", "seconds")

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.active = 0

    def count(self, end: str, seconds: float) -> None:
        """Count one end."""
        ends = self.ends
        ends[end] = ends.get(end, 0) + 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: how many took at most so long."""
        total, rows = 0, list[tuple[str, float]]()
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self.buckets, strict=True):
            total += count
            rows.append((bound, total))
        return rows


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

    def gauge(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Have a gauge read at scrape time: `read` gives values by label value."""
        self._gauges.append((name, help_text, label, read))

    def collect(self) -> Iterator[Metric]:
        """Prometheus' collector protocol."""
        runs = CounterMetricFamily("legato_runs", "Runs that ended.", labels=["flow", "outcome"])
        run_seconds = HistogramMetricFamily("legato_run_seconds", "How long runs took.", labels=["flow"])
        active = GaugeMetricFamily("legato_runs_active", "Runs that have not ended.", labels=["flow"])
        for name, meter in sorted(self._flows.items()):
            _add(runs, run_seconds, name, meter)
            active.add_metric([name], meter.active)
        calls = CounterMetricFamily("legato_calls", "Attempts that ended.", labels=["function", "outcome"])
        call_seconds = HistogramMetricFamily("legato_call_seconds", "How long attempts took.", labels=["function"])
        for name, meter in sorted(self._functions.items()):
            _add(calls, call_seconds, name, meter)
        yield from (runs, run_seconds, active, calls, call_seconds)
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
    for end, number in sorted(meter.ends.items()):
        counter.add_metric([name, end], number)
    histogram.add_metric([name], meter.cumulative(), meter.seconds)
