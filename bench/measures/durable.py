"""Durable runs over HTTP, beside other engines that survive a crash: how many a second, and how long a lone one takes.

First every engine shows that it makes the three calls, each with the answer of the one before. Then they take turns
within each round, all on the same disk, and nobody's work is left over when the next one begins.
"""

import time
from dataclasses import asdict
from http.client import HTTPException
from statistics import median

from bench.contenders import Absent
from bench.durable.contenders import ENGINES
from bench.durable.disk import Disk, NoDisk, real_disk
from bench.durable.engine import Contending, start
from bench.durable.load import calls_alone, drive
from bench.durable.race import COLUMNS, Race, checks, row
from bench.functions.recorder import Recorder, recording
from bench.load.wrk import LoadFailed
from bench.plan import ANSWERS, DURABLE_CONNECTIONS, EXPECTED, NAMES, REQUEST
from bench.result import Section, spread
from bench.stage import Stage, ask

PAUSE = 1.0  # between two turns
WARM = 1.0


def measure(stage: Stage) -> Section:
    title = f"Durable runs of 3 calls in sequence over HTTP, {DURABLE_CONNECTIONS} at once and one alone: median"
    section, race = Section(f"{title} (least-most) of the rounds", COLUMNS), Race()
    try:
        with real_disk(stage.scratch) as disk:
            _race(stage, disk, race, section)
    except NoDisk as problem:
        race.absent = {name: str(problem) for name in ENGINES}
    if "legato" in race.absent:
        section.problems.append(f"Legato absent from the durable part: {race.absent['legato']}")
    section.rows = [row(race, name) for name in ENGINES]
    section.checks = checks(race)
    section.data = {"absent": race.absent, "calls_ms": [each * 1e3 for each in race.calls]}
    for name in ENGINES:
        section.data[name] = {"many": [asdict(each) for each in race.many[name]], "lone_over_ms": race.over_calls(name)}
    return section


def _race(stage: Stage, disk: Disk, race: Race, section: Section) -> None:
    with Stage(stage.machine, stage.plan, disk.folder, stage.spoil) as scene:
        with recording() as recorder:
            running = _started(scene, recorder, race, section)
        scene.start_nginx(recorder.port)
        try:
            for number in range(stage.plan.durable_rounds + 1):
                stage.say(
                    f"durable: round {number} of {stage.plan.durable_rounds}" if number else "durable: warming up"
                )
                _round(scene, disk, running, race, section, recorder.port, warm=not number)
        except LoadFailed as problem:  # the functions alone
            section.problems.append(str(problem))
        race.memory = {name: contending.resident_bytes() for name, contending in running.items()}
    section.notes.append(
        f"A commit of this disk ({disk.kind}), 4 KiB and fdatasync: {disk.sync_micros:.0f} µs. The three calls alone: "
        f"{spread([each * 1e3 for each in race.calls], 2)} ms. All engines together when nobody asks them anything: "
        f"{median(race.idle or [0]) * 100:.0f} % of a core."
    )


def _started(scene: Stage, recorder: Recorder, race: Race, section: Section) -> dict[str, Contending]:
    """The engines that run here and do the work."""
    running: dict[str, Contending] = {}
    for name, engine in ENGINES.items():
        scene.say(f"durable: starting {engine.title}")
        try:
            contending = start(scene, engine, recorder.port)
        except Absent as problem:
            race.absent[name] = str(problem)
            continue
        faults = _faults(contending, recorder)
        section.problems += [f"{name}: {fault}" for fault in faults]
        if faults:
            race.absent[name] = "does not do the work"
        else:
            running[name] = contending
    return running


def _faults(contending: Contending, recorder: Recorder) -> list[str]:
    recorder.expect(parallel=False)
    try:
        answer = ask(contending.port, "POST", contending.engine.path, REQUEST)
    except (OSError, HTTPException) as problem:
        return [f"does not answer: {problem!r}; {contending.ended()}"]
    faults: list[str] = []
    if (answer.status, answer.body) != (200, EXPECTED["sequence"]):
        faults.append(f"answered {answer.status} {answer.body[:200]!r}")
    made = [(call.name, call.body) for call in recorder.calls]
    if made != list(zip(NAMES, (REQUEST, *ANSWERS.values()), strict=False)):
        faults.append(f"called {made}")
    return faults


def _round(
    scene: Stage,
    disk: Disk,
    running: dict[str, Contending],
    race: Race,
    section: Section,
    functions: int,
    warm: bool,
) -> None:
    """Everybody's turn; an engine that fails leaves the race with a problem."""
    seconds, alone = (WARM, WARM) if warm else (scene.plan.durable_seconds, scene.plan.lone_seconds)
    before, since = _cpu(running), time.monotonic()
    calls = calls_alone(scene, functions, alone)
    if not warm:
        race.calls.append(calls)
        race.idle.append((_cpu(running) - before) / (time.monotonic() - since))
    for name, contending in list(running.items()):
        time.sleep(PAUSE)
        try:
            many = drive(scene, disk, contending, seconds, DURABLE_CONNECTIONS)
            time.sleep(PAUSE)
            lone = drive(scene, disk, contending, alone, 1)
        except LoadFailed as problem:
            section.problems.append(str(problem))
            race.absent[name] = "failed"
            del running[name]
            continue
        section.problems += [spell.problem for spell in (many, lone) if spell.problem]
        if not warm:
            if lone.flushes_each is not None and lone.flushes_each < 1:
                section.problems.append(
                    f"{name}: runs are acknowledged before they are on disk: fewer flushes than runs"
                )
            race.many[name].append(many)
            race.lone[name].append(lone)


def _cpu(running: dict[str, Contending]) -> float:
    return sum(contending.cpu_seconds() for contending in running.values())
