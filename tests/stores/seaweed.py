"""A real S3 server for tests: SeaweedFS on free ports of 127.0.0.1, ended by its process's id."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig

PATIENCE = 30.0  # seconds for its five services to find each other
BUCKET = "shop-data"  # is there
PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
USER = {"AWS_ACCESS_KEY_ID": "shop", "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests", "AWS_REGION": "us-east-1"}


def binary() -> str:
    """Where the server is; empty where the package has none for this machine."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed") or ""


class Seaweed:
    """A server whose files are in `folder`, with one bucket. It makes others as they are written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which it is reached."""
        return {**USER, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def __enter__(self) -> Seaweed:
        identity = {
            "name": "shop",
            "credentials": [{"accessKey": USER["AWS_ACCESS_KEY_ID"], "secretKey": USER["AWS_SECRET_ACCESS_KEY"]}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        free = _free_ports(2 * len(PORTS))
        ports = {name: (free.pop(), free.pop()) for name in PORTS}
        self.port = ports["s3.port"][0]
        arguments = {
            "dir": self.folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "filer": "true", "s3": "true",
            "s3.config": config, "s3.port.iceberg": 0, "s3.port.lance": 0, "master.telemetry": "false",
            "filer.localSocket": self.folder / "filer.sock", "s3.localSocket": self.folder / "s3.sock",
            "volume.max": 30, "master.volumeSizeLimitMB": 64,
            **{name: plain for name, (plain, _) in ports.items()},
            **{f"{name}.grpc": grpc for name, (_, grpc) in ports.items()},
        }  # fmt: skip
        command = [binary(), "-logtostderr", "server", *(f"-{name}={value}" for name, value in arguments.items())]
        with open(self.folder / "server.log", "wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def _wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + PATIENCE
        while not _answers(self.port):
            log = (self.folder / "server.log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, log
            assert time.monotonic() < until, log
            time.sleep(0.1)
        options: ClientConfig = {"allow_http": True}
        store = S3Store(
            BUCKET,
            endpoint=self.environment["AWS_ENDPOINT_URL"],
            access_key_id=USER["AWS_ACCESS_KEY_ID"],
            secret_access_key=USER["AWS_SECRET_ACCESS_KEY"],
            client_options=options,
        )
        store.put("x", b"x")
        store.delete("x")


def _answers(port: int) -> bool:
    """Whether S3 is there: without a signature, it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 403
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
