"""What composition costs: a condition and a mapping through the gateway; steps and items by their number in process."""

import importlib

from bench.load.wrk import Burst, LoadFailed, saturate
from bench.plan import COMPOSED, COMPOSED_LIMIT, LINEAR_LIMIT
from bench.result import Check, Section, paired, spread
from bench.stage import Stage

WHAT = {"plain": "3 calls", "mapped": "3 calls, one condition, one mapping"}


def measure(stage: Stage) -> Section:
    section = Section(
        "What composition costs Legato: CPU, median (least-most) of the rounds", ("what", "of", "each, µs")
    )
    _composed(stage, section)
    _linear(stage, section)
    return section


def _composed(stage: Stage, section: Section) -> None:
    """Both flows take turns within a round, through the gateway."""
    bursts: dict[str, list[Burst]] = {kind: [] for kind in COMPOSED}
    with stage.scene() as scene:
        running = scene.start_all(("legato",), scene.start_nginx())
        for number in range(stage.plan.rounds + 1 if running else 0):  # round 0 warms up
            stage.say(f"language: round {number} of {stage.plan.rounds}" if number else "language: warming up")
            for kind in COMPOSED:
                try:
                    burst = saturate(scene, running["legato"], kind, stage.plan.cpu_seconds)
                except LoadFailed as problem:
                    burst = Burst(0, 0, 0, f"legato, {kind}: {problem}")
                section.problems += [burst.problem] if burst.problem else []
                if number and burst.requests:
                    bursts[kind].append(burst)
    for kind, series in bursts.items():
        micros = [burst.cpu_micros for burst in series]
        section.rows.append([f"a request: {WHAT[kind]}", "", spread(micros, 1)])
        section.data[kind] = micros
    ratio = paired(section.data["mapped"], section.data["plain"])
    why = "" if running else "Legato absent"
    section.checks.append(Check("CPU: a condition and a mapping / without", ratio, COMPOSED_LIMIT, None, why))


def _linear(stage: Stage, section: Section) -> None:
    stage.say("language: steps and items")
    try:
        found = importlib.import_module("bench.linear").costs(stage.plan.rounds)
    except Exception as problem:  # it imports the product, which may be absent or broken
        section.notes.append(f"absent: {problem!r}")
        return
    for linear in found:
        for count, figures in linear.micros.items():
            section.rows.append([linear.what, f"{count:,}", spread(figures, 2)])
        section.data[linear.what] = {str(count): figures for count, figures in linear.micros.items()}
        section.checks.append(Check(f"CPU, {linear.what}: dearest / cheapest size", linear.worst(), LINEAR_LIMIT))
