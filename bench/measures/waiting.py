"""Many runs that only wait: what they hold of memory, how long a restart takes, how late a timer among them is.

The process is killed and started again while the timer runs, which therefore lives in the journal alone.
"""

import time
from datetime import datetime
from http.client import HTTPException

from bench.contenders import Absent
from bench.durable.disk import NoDisk, real_disk
from bench.durable.gateway import Gateway
from bench.plan import LATE_LIMIT, READY_LIMIT, RESIDENT_LIMIT
from bench.result import Check, Section
from bench.stage import Stage, StartFailed

TIMEOUT = 10.0  # of the wait in bench/durable/legato/flows/brief.yaml
SETTLE = 2.0
MIB = 1024 * 1024


def measure(stage: Stage) -> Section:
    count = stage.plan.stored_runs
    section = Section(
        f"{count:,} runs that wait for a signal, after a kill",
        ("memory, MiB", "start to ready, s", "a timer fires late by, s", "bytes a run"),
    )
    found: dict[str, float] = {}
    try:
        with real_disk(stage.scratch) as disk, Stage(stage.machine, stage.plan, disk.folder, stage.spoil) as scene:
            found = _wait(scene, Gateway(scene, disk.folder / "waiting", scene.start_nginx()), count)
    except (NoDisk, Absent, StartFailed, OSError, HTTPException) as problem:
        section.problems.append(f"Legato absent from the part of waiting runs: {problem}")
    if found:
        figures = [f"{found['resident'] / MIB:.0f}", f"{found['ready']:.2f}", f"{found['late']:.2f}"]
        section.rows.append([*figures, f"{found['bytes_each']:,.0f}"])
    section.data = dict(found)
    section.notes.append("The many are one real run, copied by SQL under fresh ids.")
    resident = found["resident"] / 1024**3 if found else None
    section.checks = [
        Check(f"memory of {count:,} waiting runs, GiB", resident, RESIDENT_LIMIT, None, "failed"),
        Check(f"restart to ready with {count:,} waiting runs, s", found.get("ready"), READY_LIMIT, None, "failed"),
        Check(f"a timer among {count:,} waiting runs, s late", found.get("late"), LATE_LIMIT, None, "failed"),
    ]
    return section


def _wait(scene: Stage, gateway: Gateway, count: int) -> dict[str, float]:
    scene.say(f"waiting: filling a journal with {count:,} runs")
    copy = gateway.fill("patient", "waiting", count)
    gateway.start()
    brief = gateway.begin_run("brief")
    due = datetime.fromisoformat(gateway.document(brief)["created"]).timestamp() + TIMEOUT
    gateway.running.kill()
    scene.say("waiting: killed, starting again")
    ready = gateway.start()
    began = time.time()
    if due > began:
        time.sleep(SETTLE)
    resident = gateway.running.resident_bytes()
    gateway.wait_for(brief, "succeeded", TIMEOUT + 20)
    late = max(0.0, time.time() - max(due, began))  # one that was due before the start can fire only afterwards
    resident = max(resident, gateway.running.resident_bytes())
    gateway.signal(copy, "go")
    gateway.wait_for(copy, "succeeded", 5)  # the copies are runs that do wait
    gateway.running.stop()
    return {"resident": resident, "ready": ready, "late": late, "bytes_each": gateway.bytes_each()}
