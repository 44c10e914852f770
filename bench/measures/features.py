"""The table of what each feature costs: bench/features.py run in this process."""

import importlib

from bench.result import Section
from bench.stage import Stage


def measure(stage: Stage) -> Section:
    columns = ("feature", "once, µs", "times", "request, µs")
    section = Section("What each feature costs Legato per request of 3 calls", columns)
    stage.say("features")
    try:
        costs = importlib.import_module("bench.features").costs()
    except Exception as problem:  # it imports the product, which may be absent or broken
        section.notes.append(f"absent: {problem!r}")
        return section
    if not costs:
        section.notes.append("absent: FEATURES in bench/features.py is empty")
        return section
    for cost in costs:
        figures = [f"{cost.once_micros:.2f}", str(cost.times), f"{cost.request_micros:.2f}"]
        section.rows.append([cost.name, *(figures if not cost.problem else [f"absent: {cost.problem}", "", ""])])
        section.data[cost.name] = cost.request_micros
    section.rows.append(["together", "", "", f"{sum(cost.request_micros for cost in costs):.2f}"])
    return section
