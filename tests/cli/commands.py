"""Commands in this process, on projects with and without a gateway."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from legato.cli import main
from tests.support.gateway_process import free_port, write_project

FUNCTIONS = {"echo": {"builtin": "echo"}, "slow": {"builtin": "slow"}, "missing": {"python": "no_such_module:f"}}
NOBODY: dict[str, str | None] = dict.fromkeys(("LEGATO_TOKEN", "LEGATO_ADMIN_TOKEN", "LEGATO_GATEWAY", "CACHE_URL"))


def project(folder: Path, flows: dict[str, object] | None = None, **settings: Any) -> Path:
    """A project at whose address nobody listens."""
    settings.setdefault("listen", f"127.0.0.1:{free_port()}")
    write_project(folder, flows or {}, {"functions": FUNCTIONS, **settings})
    return folder


def legato(folder: Path, *arguments: str, code: int = 0, given: bytes | None = None, **variables: str) -> Result:
    """The result of a command that must end with `code`."""
    return invoke(*arguments, "--project", str(folder), code=code, given=given, **variables)


def invoke(*arguments: str, code: int = 0, given: bytes | None = None, **variables: str) -> Result:
    """The same of a command that has no `--project`."""
    result = CliRunner().invoke(main, arguments, input=given, env={**NOBODY, **variables})
    said = f"{result.exit_code}\n{result.stdout}\n{result.stderr}\n{result.exception!r}"
    assert result.exit_code == code, said
    assert result.exception is None or isinstance(result.exception, SystemExit), said
    assert "Traceback" not in said
    return result


def as_json(folder: Path, *arguments: str, **variables: str) -> Any:
    """What a command prints with `--json`: JSON and nothing else."""
    result = legato(folder, *arguments, "--json", **variables)
    return json.loads(result.stdout)


def on_terminal(*arguments: str, code: int = 0, **variables: str) -> str:
    """What a terminal shows of a command that must end with `code`."""
    environment = {name: value for name, value in os.environ.items() if name not in NOBODY}
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "legato", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env=environment | {"COLUMNS": "300"} | variables,
    )
    os.close(follower)
    shown = b""
    with suppress(OSError):  # how a terminal ends
        while data := os.read(leader, 65536):
            shown += data
    os.close(leader)
    said = shown.decode().replace("\r\n", "\n")
    assert process.wait(20) == code, said
    assert "Traceback" not in said
    return said


@contextmanager
def server(answer: Callable[[socket.socket, bytes], object]) -> Iterator[str]:
    """Something that listens, and is a gateway as long as `/livez` is asked for; then `answer` does what it does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    if data.startswith(b"GET /livez"):
                        body = b'{"status":"ok"}'
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                        continue
                    answer(connection, data)
                    break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
