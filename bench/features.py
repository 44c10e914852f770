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


FEATURES: list[Feature] = []


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
