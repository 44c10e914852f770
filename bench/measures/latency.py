"""Latency at half saturation against Bun: both get the same constant arrival rate, half the slower's best."""

from typing import Any

from bench.contenders import CONTENDERS
from bench.load.order import generate, usual
from bench.load.wrk import LoadFailed, saturate
from bench.plan import PATHS
from bench.process import Running
from bench.result import Check, Section, paired, spread
from bench.stage import Stage

NAMES = ("legato", "bun")
CONNECTIONS = 64
WARM = 0.5
ROUNDS = 3
MARKS = ("p50", "p99", "p99.9", "max")


def measure(stage: Stage) -> Section:
    section = Section(
        "Latency at half saturation, counted from when a request was due",
        ("contender", "kind", "requests/s", *(f"{mark}, ms" for mark in MARKS)),
    )
    with stage.scene() as scene:
        running = scene.start_all(NAMES, scene.start_nginx())
        for kind in PATHS:
            stage.say(f"latency: {kind}")
            try:
                _measure(scene, running, kind, section)
            except LoadFailed as problem:
                section.problems.append(f"{kind}: {problem}")
    for name in NAMES:
        if name not in running:
            section.rows.append([CONTENDERS[name].title, "", f"absent: {stage.absent[name]}", "", "", "", ""])
    return section


def _measure(stage: Stage, running: dict[str, Running], kind: str, section: Section) -> None:
    rates: list[float] = []
    for server in running.values():
        saturate(stage, server, kind, stage.plan.warm_seconds)
        burst = saturate(stage, server, kind, stage.plan.cpu_seconds)
        rates.append(burst.rate)
        section.problems += [burst.problem] if burst.problem else []
    if not rates or not min(rates):
        return
    rate = min(rates) / 2
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    files = usual(stage, kind)
    for _ in range(ROUNDS):
        for name, server in running.items():
            more = {"rate": rate, "seconds": stage.plan.latency_seconds, "warm": WARM, "connections": CONNECTIONS}
            result = generate(server, "open", kind, files, 60, **more)
            seen[name].append(result)
            if result["wrong"]:
                section.problems.append(f"{name}, {kind}: {result['wrong']} of {result['requests']} answers wrong")
    for name, results in seen.items():
        marks = [spread([result[mark] * 1e3 for result in results], 2) for mark in MARKS]
        section.rows.append([CONTENDERS[name].title, kind, f"{rate:,.0f}", *marks])
    section.data[kind] = {"rate": rate, "seen": seen}
    ours, theirs = ([result["p99"] for result in seen.get(name, [])] for name in NAMES)
    if ours and theirs:
        section.checks.append(Check(f"p99, {kind}: Legato / Bun", paired(ours, theirs), None))
