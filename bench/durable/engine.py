"""What a durable engine under measurement is: how it is started, and the processes it runs in."""

import http.client
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import Absent
from bench.process import Launch, Running
from bench.stage import Stage, StartFailed


@dataclass
class Place:
    """Where an engine starts its processes: a folder of its own on a real disk, and the functions that it calls."""

    stage: Stage
    folder: Path
    functions: int
    processes: list[Running] = field(default_factory=list[Running])

    def begin(self, name: str, port: int, launch: Launch, ready: Callable[[int], object] | None = None) -> int:
        """Start a process that may use both cores, wait until it is ready, give back its port."""
        cores = self.stage.machine.load_core, self.stage.machine.gateway_core
        self.processes.append(self.stage.begin(name, port, launch, *cores, ready=ready))
        return port


@dataclass(frozen=True)
class Engine:
    name: str
    title: str
    path: str
    launch: Callable[[Place], int]  # starts everything, returns the port that takes requests


@dataclass(frozen=True)
class Contending:
    """An engine that runs."""

    engine: Engine
    port: int
    processes: list[Running]

    def cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in self.processes)

    def resident_bytes(self) -> int:
        return sum(process.resident_bytes() for process in self.processes)

    def ended(self) -> str:
        """Which of its processes has ended, with its last words; empty while all run."""
        ended = [process for process in self.processes if process.ended() is not None]
        return "; ".join(f"{each.name} ended with code {each.ended()}: {each.last_words()}" for each in ended)


def start(stage: Stage, engine: Engine, functions: int) -> Contending:
    """Raises Absent, with the reason."""
    folder = stage.scratch / engine.name
    folder.mkdir()
    folder.chmod(0o711)  # Postgres runs as another user when this is root
    place = Place(stage, folder, functions)
    try:
        port = engine.launch(place)
    except (StartFailed, OSError, http.client.HTTPException, subprocess.SubprocessError) as problem:
        raise Absent(str(problem)) from problem
    return Contending(engine, port, place.processes)


def listening(port: int) -> None:
    """Raises OSError until somebody listens."""
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
