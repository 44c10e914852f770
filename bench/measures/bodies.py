"""CPU per request by body size: 3 calls in sequence, the body goes through each function and back to the caller."""

from bench.contenders import CONTENDERS
from bench.functions.sized import body_of
from bench.load.order import Exchange, exchange, generate
from bench.load.wrk import LoadFailed
from bench.plan import BODY_LIMITS, BODY_SIZES, CONNECTIONS, NAMES
from bench.process import Running
from bench.result import Check, Section, paired, spread
from bench.stage import Stage

CONTENDING = ("legato", "floor")
IN_FLIGHT_BYTES = 4_000_000  # fewer connections for larger bodies, at least two
TRIAL = 12
LIMIT = 60.0


def measure(stage: Stage) -> Section:
    section = Section(
        "CPU per request of 3 calls in sequence, by the size of the body (request, calls and answers alike)",
        ("body", *(f"{CONTENDERS[name].title}, µs" for name in CONTENDING), "ratio"),
    )
    with stage.scene() as scene:
        running = scene.start_all(CONTENDING, scene.start_sized())
        for title, size in BODY_SIZES.items():
            stage.say(f"bodies: {title}")
            seen = _size(scene, running, title, size, section)
            _report(stage, section, title, seen)
    return section


def _size(stage: Stage, running: dict[str, Running], title: str, size: int, section: Section) -> dict[str, list[float]]:
    files = exchange(stage, f"bytes-{size}", body_of(size, 0), body_of(size, len(NAMES)))
    connections = max(2, min(CONNECTIONS, IN_FLIGHT_BYTES // size))
    seen: dict[str, list[float]] = {name: [] for name in running}
    counts: dict[str, int] = {}
    try:
        for name, server in running.items():  # warms up, and tells how many requests fill the time
            _, seconds = _burst(server, files, TRIAL * connections, connections, title, section)
            counts[name] = max(2 * connections, round(TRIAL * connections / seconds * stage.plan.body_seconds))
        for _ in range(stage.plan.body_rounds):
            for name, server in running.items():
                seen[name].append(_burst(server, files, counts[name], connections, title, section)[0])
    except LoadFailed as problem:
        section.problems.append(f"{title}: {problem}")
    return seen


def _burst(
    server: Running, files: Exchange, count: int, connections: int, title: str, section: Section
) -> tuple[float, float]:
    """CPU per request in µs, and the seconds it took."""
    before = server.cpu_seconds()
    more = {"count": count, "connections": connections, "limit": LIMIT}
    result = generate(server, "closed", "sequence", files, LIMIT + 10, **more)
    spent = server.cpu_seconds() - before
    if result["wrong"]:
        section.problems.append(f"{server.name}, {title}: {result['wrong']} of {count} answers wrong or missing")
    return spent / count * 1e6, result["seconds"]


def _report(stage: Stage, section: Section, title: str, seen: dict[str, list[float]]) -> None:
    missing = {name: "absent" if name in stage.absent else "failed" for name in CONTENDING if not seen.get(name)}
    cells = [missing.get(name) or spread(seen[name]) for name in CONTENDING]
    ratio = paired(*(seen.get(name, []) for name in CONTENDING))
    section.rows.append([title, *cells, "-" if ratio is None else f"{ratio:.2f}"])
    section.data[title] = seen
    if title in BODY_LIMITS:
        why = next((f"{CONTENDERS[name].title} {reason}" for name, reason in missing.items()), "")
        section.checks.append(Check(f"CPU, {title} bodies: Legato / floor", ratio, BODY_LIMITS[title], None, why))
