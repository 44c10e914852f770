"""The programs under measurement, how each is started, and the tools to fetch or build the ones that are not Python.

A contender that cannot be started is `absent`, with the reason in the report.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.process import ROOT, Launch

BENCH = ROOT / "bench"
CACHE = BENCH / ".cache"
PEERS = BENCH / "peers"
BUN = CACHE / "node_modules/@oven/bun-linux-x64/bin/bun"
GO_PEER = CACHE / "peer-go"
STANDING_PORT = "127.0.0.1:9001"  # the functions' address as every legato.yaml in here has it


class Absent(Exception):
    """The contender cannot run here; the text is the reason."""


@dataclass(frozen=True)
class Contender:
    name: str
    title: str
    prefix: str
    launch: Callable[[int, int, Path], Launch]  # (port, functions' port, folder of its own) -> what to start


def _floor(port: int, functions: int, folder: Path) -> Launch:
    return Launch((sys.executable, str(PEERS / "floor.py"), str(port), str(functions)), {})


def _aiohttp(port: int, functions: int, folder: Path) -> Launch:
    options = "--loop uvloop --http httptools --no-access-log --log-level warning --host 127.0.0.1 --port"
    command = (sys.executable, "-m", "uvicorn", "aiohttp_app:app", "--app-dir", str(PEERS), *options.split(), str(port))
    return Launch(command, {"FUNCTIONS_PORT": str(functions)})


def _bun(port: int, functions: int, folder: Path) -> Launch:
    bun = shutil.which("bun") or (str(BUN) if BUN.exists() else None)
    if bun is None:
        raise Absent("no bun on PATH; `python -m bench --fetch` brings one")
    return Launch((bun, str(PEERS / "bun.js"), str(port), str(functions)), {})


def _go(port: int, functions: int, folder: Path) -> Launch:
    source = PEERS / "main.go"
    if not GO_PEER.exists() or GO_PEER.stat().st_mtime < source.stat().st_mtime:
        go = shutil.which("go")
        if go is None:
            raise Absent("no go on PATH")
        CACHE.mkdir(exist_ok=True)
        built = subprocess.run((go, "build", "-o", GO_PEER, source), capture_output=True, text=True, timeout=300)
        if built.returncode:
            raise Absent(f"go build: {built.stderr.strip()[-200:]}")
    return Launch((str(GO_PEER), str(port), str(functions)), {})


def _legato(port: int, functions: int, folder: Path) -> Launch:
    copied(BENCH / "legato", functions, folder)
    return serving(folder, port)


def serving(folder: Path, port: int) -> Launch:
    """The gateway over a folder."""
    beside = Path(sys.executable).parent / "legato"
    command = str(beside) if beside.exists() else shutil.which("legato")
    if command is None:
        raise Absent("no `legato` command beside this Python or on PATH: install the project first")
    return Launch((command, "serve", str(folder), "--listen", f"127.0.0.1:{port}"), {})


def copied(source: Path, functions: int, folder: Path) -> None:
    """A gateway's folder, with the functions where they are this time."""
    shutil.copytree(source, folder)
    settings = folder / "legato.yaml"
    text = settings.read_text()
    if STANDING_PORT not in text:
        raise Absent(f"{settings.name} does not name {STANDING_PORT}")
    settings.write_text(text.replace(STANDING_PORT, f"127.0.0.1:{functions}"))


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("legato", "Legato", "/orchestrate", _legato),
        Contender("floor", "floor", "", _floor),
        Contender("bun", "Bun", "", _bun),
        Contender("go", "Go", "", _go),
        Contender("aiohttp", "uvicorn + aiohttp", "", _aiohttp),
    )
}


def fetch() -> int:
    """Install Bun's binary into bench/.cache."""
    try:
        install("@oven/bun-linux-x64", CACHE)
    except Absent as problem:
        print(f"{problem}; or put `bun` on PATH by hand", file=sys.stderr)
        return 3
    return 0


def install(package: str, folder: Path) -> None:
    """Bring a package of npm's into a folder of its own, for npm takes out of a folder what it is not asked for."""
    npm = shutil.which("npm")
    if npm is None:
        raise Absent("npm not found: install it first")
    folder.mkdir(parents=True, exist_ok=True)
    command = (npm, "install", "--prefix", str(folder), package, "--no-save", "--no-package-lock")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as problem:
        raise Absent(f"npm install {package} did not end") from problem
    if done.returncode:
        raise Absent(f"npm install {package}: {done.stderr.strip()[-200:]}")
