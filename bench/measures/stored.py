"""Durable runs a second over a journal that holds many ended runs, beside an empty one; what a run takes on disk."""

from http.client import HTTPException
from statistics import median

from bench.contenders import Absent
from bench.durable.disk import Disk, NoDisk, real_disk
from bench.durable.gateway import Gateway
from bench.durable.load import Spell, drive
from bench.load.wrk import LoadFailed
from bench.plan import DURABLE_CONNECTIONS, STORED_LIMIT
from bench.result import Check, Section, paired, spread
from bench.stage import Stage, StartFailed

WARM = 1.0


def measure(stage: Stage) -> Section:
    count = stage.plan.stored_runs
    section = Section(
        f"Durable runs of 3 calls with {count:,} ended runs in the journal: median (least-most) of the rounds",
        ("journal", "runs/s", "CPU ms a run", "bytes a run"),
    )
    names = ("empty at first", f"{count:,} runs")
    spells: dict[str, list[Spell]] = {name: [] for name in names}
    try:
        with real_disk(stage.scratch) as disk:
            sizes = _rounds(stage, disk, spells, count, section)
    except (NoDisk, Absent, StartFailed, LoadFailed, OSError, HTTPException) as problem:
        section.problems.append(f"Legato absent from the part of stored runs: {problem}")
        sizes = []
    for name, size in zip(names, sizes, strict=False):
        rates = [spell.rate for spell in spells[name]]
        section.rows.append([name, spread(rates), _cpu(spells[name]), f"{size:,.0f}"])
        section.data[name] = {"rate": rates, "bytes_each": size}
    section.notes.append("The many are one real run, copied by SQL under fresh ids.")
    empty, full = ([spell.rate for spell in spells[name]] for name in names)
    what = f"durable runs/s: empty journal / {count:,} runs stored"
    section.checks = [Check(what, paired(empty, full), STORED_LIMIT, None, "failed")]
    return section


def _cpu(spells: list[Spell]) -> str:
    return f"{median([spell.cpu_millis for spell in spells]):.2f}" if spells else "-"


def _rounds(stage: Stage, disk: Disk, spells: dict[str, list[Spell]], count: int, section: Section) -> list[float]:
    """Both take turns; the bytes of the journals for each run, when they have stopped."""
    with Stage(stage.machine, stage.plan, disk.folder, stage.spoil) as scene:
        functions = scene.start_nginx()
        gateways = [Gateway(scene, disk.folder / name, functions) for name in ("empty", "full")]
        scene.say(f"stored: filling a journal with {count:,} runs")
        copy = gateways[1].fill("seq", "succeeded", count)
        for gateway in gateways:
            gateway.start()
        gateways[1].wait_for(copy, "succeeded", 5)  # the gateway knows the copies
        for number in range(stage.plan.durable_rounds + 1):
            scene.say(f"stored: round {number} of {stage.plan.durable_rounds}" if number else "stored: warming up")
            seconds = stage.plan.durable_seconds if number else WARM
            for gateway, series in zip(gateways, spells.values(), strict=True):
                spell = drive(scene, disk, gateway.contending(), seconds, DURABLE_CONNECTIONS)
                section.problems += [spell.problem] if spell.problem else []
                if number:
                    series.append(spell)
        for gateway in gateways:
            gateway.running.stop()
        return [gateway.bytes_each() for gateway in gateways]
