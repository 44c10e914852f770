"""The figures of the durable race: gathered by engine, shown as rows, judged as ratios taken within a round."""

from statistics import median

from bench.durable.contenders import ENGINES
from bench.durable.load import Spell
from bench.plan import DURABLE_LIMIT, DURABLE_WANTED, LONE_LIMIT_MS
from bench.result import Check, paired, spread

COLUMNS = (
    "engine",
    "runs/s",
    "CPU ms a run",
    "flushes a run",
    "lone run, ms",
    "over its calls, ms",
    "flushes of a lone run",
    "memory, MiB",
)
MIB = 1024 * 1024


class Race:
    """The figures of all rounds, by engine."""

    def __init__(self) -> None:
        self.many: dict[str, list[Spell]] = {name: [] for name in ENGINES}
        self.lone: dict[str, list[Spell]] = {name: [] for name in ENGINES}
        self.calls: list[float] = []
        self.idle: list[float] = []  # cores that all engines together take when nobody asks anything of them
        self.memory: dict[str, int] = {}
        self.absent: dict[str, str] = {}

    def over_calls(self, name: str) -> list[float]:
        """Milliseconds of a lone run beyond those of its calls, a figure for each round."""
        pairs = zip(self.lone[name], self.calls, strict=False)
        return [(spell.median_seconds - calls) * 1e3 for spell, calls in pairs]


def row(race: Race, name: str) -> list[str]:
    title, many, lone = ENGINES[name].title, race.many[name], race.lone[name]
    if not many:
        return [title, f"absent: {race.absent.get(name, 'failed')}", *[""] * (len(COLUMNS) - 2)]
    return [
        title,
        spread([spell.rate for spell in many]),
        f"{median([spell.cpu_millis for spell in many]):.2f}",
        _flushes(many),
        spread([spell.median_seconds * 1e3 for spell in lone], 2),
        f"{median(race.over_calls(name)):.2f}",
        _flushes(lone),
        f"{race.memory.get(name, 0) / MIB:.0f}",
    ]


def _flushes(spells: list[Spell]) -> str:
    known = [each for spell in spells if (each := spell.flushes_each) is not None]
    return f"{median(known):.2f}" if known else "-"


def checks(race: Race) -> list[Check]:
    rates = {name: [spell.rate for spell in spells] for name, spells in race.many.items()}
    ours, why = rates["legato"], f"Legato {race.absent.get('legato', '')}"[:40]
    # Whichever is less is required; twice as much is wanted, which is half of this ratio.
    least, times = DURABLE_LIMIT
    required = [min(least, times * rate) for rate in rates["restate"]] or [least] * len(ours)
    over = race.over_calls("legato")
    found = [
        Check(f"durable runs/s: {least:,.0f} or {times} x Restate / Legato", paired(required, ours), 1, DURABLE_WANTED),
        Check("lone durable run over its calls, ms", median(over) if over else None, LONE_LIMIT_MS),
    ]
    for name, engine in ENGINES.items():
        if name != "legato":
            gone, lone = f"{engine.title} {'absent' if name in race.absent else 'failed'}", race.over_calls(name)
            what = f"durable runs/s: Legato / {engine.title}"
            found.append(Check(what, paired(ours, rates[name]), None, None, gone))
            what = f"lone run over its calls: {engine.title} / Legato"
            found.append(Check(what, paired(lone, over), None, None, gone))
    return [check if ours else Check(check.what, None, check.required, check.wanted, why) for check in found]
