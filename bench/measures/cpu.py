"""CPU per request at full load: the contenders take turns within each round, ratios are taken within a round."""

from statistics import median

from bench.contenders import CONTENDERS
from bench.load.wrk import Burst, LoadFailed, saturate
from bench.plan import CPU_LIMITS, PATHS
from bench.process import Running
from bench.result import Check, Section, paired, spread
from bench.stage import Stage

Bursts = dict[tuple[str, str], list[Burst]]  # by (contender, kind)


def measure(stage: Stage) -> Section:
    section = Section(
        "CPU of the gateway process per request of 3 calls: median (least-most) of the rounds",
        ("contender", *(f"{kind}, µs" for kind in PATHS), *(f"{kind}, requests/s" for kind in PATHS)),
    )
    with stage.scene() as scene:
        functions = scene.start_nginx()
        running = scene.start_all(tuple(CONTENDERS), functions)
        bursts = _rounds(scene, running, section)
    for name, contender in CONTENDERS.items():
        section.rows.append([contender.title, *_cells(stage, name, bursts)])
    section.checks = [_check(stage, bursts, kind, peer) for kind, peer in CPU_LIMITS]
    section.data = {
        f"{name} {kind}": {"micros": [burst.cpu_micros for burst in series], "rate": [burst.rate for burst in series]}
        for (name, kind), series in bursts.items()
    }
    return section


def _rounds(stage: Stage, running: dict[str, Running], section: Section) -> Bursts:
    """Rounds of every contender and kind; one that fails leaves the race with a problem."""
    bursts: Bursts = {(name, kind): [] for name in running for kind in PATHS}
    out: set[str] = set()
    for number in range(stage.plan.rounds + 1):  # round 0 warms up
        seconds = stage.plan.cpu_seconds if number else stage.plan.warm_seconds
        stage.say(f"cpu: round {number} of {stage.plan.rounds}" if number else "cpu: warming up")
        for kind in PATHS:
            for name in running:
                if name in out:
                    continue
                try:
                    burst = saturate(stage, running[name], kind, seconds)
                except LoadFailed as problem:
                    burst = Burst(0, 0, 0, f"{name}, {kind}: {problem}")
                if burst.problem:
                    section.problems.append(burst.problem)
                if burst.requests == 0:
                    out.add(name)
                elif number:
                    bursts[name, kind].append(burst)
    return bursts


def _cells(stage: Stage, name: str, bursts: Bursts) -> list[str]:
    if not bursts.get((name, "sequence")):
        return [f"absent: {stage.absent.get(name, 'failed')}", "", "", ""]
    micros = [spread([burst.cpu_micros for burst in bursts[name, kind]], 1) for kind in PATHS]
    return micros + [f"{median([burst.rate for burst in bursts[name, kind]]):,.0f}" for kind in PATHS]


def _check(stage: Stage, bursts: Bursts, kind: str, peer: str) -> Check:
    required, wanted = CPU_LIMITS[kind, peer]
    ours, theirs = ([burst.cpu_micros for burst in bursts.get((name, kind), [])] for name in ("legato", peer))
    missing = next((name for name, found in (("legato", ours), (peer, theirs)) if not found), None)
    why = f"{CONTENDERS[missing].title} {'absent' if missing in stage.absent else 'failed'}" if missing else ""
    return Check(f"CPU, {kind}: Legato / {CONTENDERS[peer].title}", paired(ours, theirs), required, wanted, why)
