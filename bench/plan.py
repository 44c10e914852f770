"""How long each part runs, what is sent and expected, and the ratios the project requires of itself."""

from dataclasses import dataclass

PARTS = ("cpu", "features", "language", "latency", "memory", "bodies", "durable", "stored", "waiting")
DURABLE_PARTS = ("durable", "stored", "waiting")  # have contenders, and a proof, of their own
PATHS = {"sequence": "/seq", "parallel": "/par"}
TOKEN = "bench-token"
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
NAMES = ("a", "b", "c")
CONNECTIONS = 16

# Keys in order and no spaces: an answer is then the same bytes whichever language parsed and wrote it again.
REQUEST = b'{"order":1234,"customer":"c-77"}'
ANSWER = b'{"fn":"%b","note":"an answer, sixty-six bytes","ok":true,"z":[1,2]}'
ANSWERS = {name: ANSWER % name.encode() for name in NAMES}
EXPECTED = {
    "sequence": ANSWERS["c"],
    "parallel": b"{" + b",".join(b'"%b":%b' % (name.encode(), ANSWERS[name]) for name in NAMES) + b"}",
}


@dataclass(frozen=True)
class Plan:
    rounds: int
    warm_seconds: int
    cpu_seconds: int
    latency_seconds: float
    body_rounds: int
    body_seconds: float
    idle_connections: int
    durable_rounds: int
    durable_seconds: float
    lone_seconds: float
    stored_runs: int


NORMAL = Plan(5, 2, 2, 4.0, 3, 1.5, 10_000, 3, 4.0, 2.0, 1_000_000)
QUICK = Plan(3, 1, 1, 2.0, 1, 0.7, 10_000, 1, 2.0, 1.0, 100_000)

# (kind of flow, peer) -> (required, wanted): Legato's CPU per request over the peer's, at most
CPU_LIMITS: dict[tuple[str, str], tuple[float, float | None]] = {
    ("sequence", "floor"): (1.7, 1.4),
    ("sequence", "bun"): (0.95, 0.8),
    ("sequence", "go"): (0.65, None),
    ("sequence", "aiohttp"): (0.25, None),
    ("parallel", "floor"): (2.0, None),
    ("parallel", "bun"): (1.15, None),
    ("parallel", "go"): (0.65, None),
    ("parallel", "aiohttp"): (0.25, None),
}
# Flows of bench/legato over a built-in function that echoes: the same three calls without and with a condition and a
# mapping. Both answer with what was asked.
COMPOSED = {"plain": "/plain", "mapped": "/mapped"}
COMPOSED_LIMIT = 1.5  # CPU per request of `mapped` over that of `plain`, at most
STEPS = (1, 10, 100, 1000)  # of a sequence
ITEMS = (10, 100, 1000, 10_000, 100_000)  # of a foreach
LINEAR_LIMIT = 1.5  # CPU of one step, or of one item, over the least among all sizes, at most
BODY_SIZES = {"100 B": 100, "1 KB": 1000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
BODY_LIMITS = {"1 MB": 1.3}

DURABLE_CONNECTIONS = 64  # more gain nobody much
DURABLE_LIMIT = (2000.0, 10)  # runs a second, or as many times Restate's, whichever is less: at least
DURABLE_WANTED = 0.5  # of that limit over Legato's rate: twice the limit
LONE_LIMIT_MS = 2.0  # of a lone run over its three calls
STORED_LIMIT = 1.25  # runs a second with an empty journal over those with many runs in it: 0.8 the other way round
RESIDENT_LIMIT = 1.0  # GiB, with all those waiting runs
READY_LIMIT = 20.0  # seconds
LATE_LIMIT = 1.0  # seconds
