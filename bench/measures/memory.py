"""Memory of idle connections: what the process holds before, with thousands of kept-alive connections, and after."""

import time

from bench.contenders import CONTENDERS
from bench.load.order import generate, idling, usual
from bench.load.wrk import LoadFailed
from bench.process import Running
from bench.result import Section
from bench.stage import Stage

NAMES = ("legato", "floor")
LIMIT = 60.0  # half for opening, half for idling: below Legato's own idle time-out of 75 s
SETTLE = 1.0
SPARE = 500  # descriptors beyond the connections: listeners, connections to functions
MIB = 1024 * 1024


def measure(stage: Stage) -> Section:
    count = stage.plan.idle_connections
    section = Section(
        f"Memory at {count:,} idle connections, each after one request",
        ("contender", "before, MiB", "idling, MiB", "KiB a connection", "after closing, MiB"),
    )
    if stage.machine.descriptors < count + SPARE:
        section.notes.append(f"absent: the limit of open files is {stage.machine.descriptors}; raise it with ulimit -n")
        return section
    with stage.scene() as scene:
        running = scene.start_all(NAMES, scene.start_nginx())
        for name in NAMES:
            if name not in running:
                section.rows.append([CONTENDERS[name].title, f"absent: {stage.absent[name]}", "", "", ""])
                continue
            stage.say(f"memory: {name}")
            try:
                _measure(scene, running[name], count, section)
            except LoadFailed as problem:
                section.problems.append(str(problem))
    return section


def _measure(stage: Stage, server: Running, count: int, section: Section) -> None:
    files = usual(stage, "sequence")
    warm = generate(server, "closed", "sequence", files, 60, count=2000, connections=100, limit=30)
    time.sleep(SETTLE)
    before = server.resident_bytes()
    with idling(server, files, count, LIMIT) as facts:
        time.sleep(SETTLE)
        idle = server.resident_bytes()
    time.sleep(SETTLE)
    after = server.resident_bytes()
    wrong = warm["wrong"] + facts["wrong"]
    if wrong:
        section.problems.append(f"{server.name}: {wrong} answers wrong")
    if facts["open_at_the_end"] != count:
        section.problems.append(f"{server.name}: {count - facts['open_at_the_end']} idle connections were closed early")
    each = (idle - before) / count
    figures = [f"{before / MIB:.1f}", f"{idle / MIB:.1f}", f"{each / 1024:.2f}", f"{after / MIB:.1f}"]
    section.rows.append([CONTENDERS[server.name].title, *figures])
    section.data[server.name] = {"before": before, "idle": idle, "after": after, "bytes_each": each}
