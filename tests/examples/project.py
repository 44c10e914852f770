"""An example as it runs: a copy of its folder, its functions as a real HTTP server, the gateway in its own process.

Everything listens on ports that are free; nothing else of the example is changed.
"""

from __future__ import annotations

import http.client
import json
import re
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from examples.serve import Answer, FunctionServer, Request, functions_of, load
from tests.support.gateway_process import GatewayProcess

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SHOWN_FUNCTIONS = "127.0.0.1:9000"  # what the examples' files say
SHOWN_GATEWAY = "127.0.0.1:8080"
PATIENCE = 8.0  # seconds
RUN = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

Doing = Callable[[Request], Answer | None]


class Said:
    """What the gateway answered."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def completed(self) -> str | None:
        return self.headers.get("legato-completed")

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:500]!r}"


class Functions(FunctionServer):
    """The functions of an example; what was asked of them is noted, and a test can have them do something else."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = threading.Condition()
        self.open: set[socket.socket] = set()
        super().__init__(load(file), 0)
        self.reset()
        self._go()

    def reset(self) -> None:
        """As new."""
        self.functions = functions_of(load(self.file))
        self.calls: list[Request] = []
        self.events: list[tuple[str, str]] = []  # ("begins" or "ends", function)
        self.instead: dict[str, Doing] = {}

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def called(self) -> list[str]:
        """The functions that were called, in order."""
        return [call.function for call in self.calls]

    def ended(self, function: str) -> list[str]:
        """One for each time that a function has answered."""
        return [each for event, each in self.events if event == "ends" and each == function]

    def sent(self, function: str) -> list[Any]:
        """The JSON bodies that a function was sent."""
        return [json.loads(call.body) for call in self.calls if call.function == function]

    def answers(self, function: str, status: int, value: object = None) -> None:
        """Have a function answer this, whatever it is asked."""
        body = b"" if value is None else json.dumps(value).encode()
        self.instead[function] = lambda request: Answer(status, body)

    def hangs_up(self, function: str) -> None:
        """Have a function end the connection without an answer."""
        self.instead[function] = lambda request: None

    def meet(self, *names: str) -> None:
        """Have these functions answer as usual once all of them have been called: they must be called at once."""
        barrier = threading.Barrier(len(names))

        def wait(request: Request) -> Answer | None:
            barrier.wait(PATIENCE)
            return FunctionServer.answer(self, request)

        self.instead.update(dict.fromkeys(names, wait))

    def wait_for(self, function: str) -> None:
        """Wait until a function has answered."""
        with self.lock:
            assert self.lock.wait_for(lambda: bool(self.ended(function)), PATIENCE), self.events

    def answer(self, request: Request) -> Answer | None:
        with self.lock:
            self.calls.append(request)
            self.events.append(("begins", request.function))
        doing = self.instead.get(request.function)
        return super().answer(request) if doing is None else doing(request)

    def tell(self, request: Request, answer: Answer | None) -> None:
        with self.lock:
            self.events.append(("ends", request.function))
            self.lock.notify_all()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def down(self) -> Generator[None]:
        """Nobody listens for a while, and what was connected is not any more."""
        self.stop()
        assert until(lambda: not self.open)
        try:
            yield
        finally:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
            self._go()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def _go(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Example:
    """An example that is served."""

    def __init__(self, name: str, functions: Functions, gateway: GatewayProcess) -> None:
        self.name = name
        self.functions = functions
        self.gateway = gateway

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Said:
        """One request to the gateway."""
        connection = http.client.HTTPConnection(self.gateway.listen, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, fields, answer.read())
        finally:
            connection.close()

    def run(self, flow: str, value: object, **headers: str) -> Said:
        """Run a flow with a JSON value."""
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(value).encode()
        return self.ask("POST", f"/orchestrate/{flow}", body, {"content-type": "application/json", **fields})

    def result(self, flow: str, value: object) -> Any:
        """The result of a flow that succeeds."""
        said = self.run(flow, value)
        assert said.status == 200, said
        return said.json()

    def follow_readme(self) -> None:
        """Type what the README says; what is printed must be what it shows, but for the ids of runs."""
        shown = re.findall(r"^\$ curl (.*)\n((?:(?!\$ |```).*\n)*)", _console(self.name), re.MULTILINE)
        assert shown, f"the README of {self.name} shows no request"
        for typed, printed in shown:
            answer = self.type(typed).body.decode("utf-8", "replace")
            answered, promised = RUN.sub("RUN", answer).rstrip("\n"), RUN.sub("RUN", printed).rstrip("\n")
            assert answered == promised, f"$ curl {typed}"

    def type(self, typed: str) -> Said:
        """What curl is told to ask, asked."""
        headers = {"user-agent": "curl/8.6.0"}
        method, body, url = "", None, ""
        words = iter(shlex.split(typed))
        for word in words:
            match word:
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers[name.lower()] = value
                case "-X":
                    method = next(words)
                case "-d" | "--data-binary":
                    text = next(words)
                    body = (EXAMPLES / self.name / text[1:]).read_bytes() if text[0] == "@" else text.encode()
                    headers.setdefault("content-type", "application/x-www-form-urlencoded")
                case _:
                    assert word.startswith(f"http://{SHOWN_GATEWAY}/"), f"nobody knows how to type {word}"
                    url = word
        path = url.removeprefix(f"http://{SHOWN_GATEWAY}")
        return self.ask(method or ("GET" if body is None else "POST"), path, body, headers)


def _console(name: str) -> str:
    blocks = re.findall(
        r"^```console\n(.*?)^```$", (EXAMPLES / name / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return "".join(blocks)


def settings_of(folder: Path, elsewhere: Mapping[str, str]) -> dict[str, Any]:
    """The settings in a folder, with other addresses in the place of those that are written there."""
    text = (folder / "legato.yaml").read_text()
    for shown, real in elsewhere.items():
        text = text.replace(shown, real)
    settings: dict[str, Any] = yaml.safe_load(text)
    del settings["listen"]
    return settings


@contextmanager
def gateway_on(folder: Path, elsewhere: Mapping[str, str]) -> Generator[GatewayProcess]:
    """The gateway of a project, which is changed in its settings alone."""
    gateway = GatewayProcess(folder, {}, settings_of(folder, elsewhere))
    try:
        gateway.wait_until_live()
        yield gateway
    finally:
        gateway.stop()


@contextmanager
def running(name: str, folder: Path) -> Generator[Example]:
    """An example, served."""
    copy = folder / name
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("__pycache__", "*.db*"))
    functions = Functions(copy / "functions.py")
    try:
        with gateway_on(copy, {SHOWN_FUNCTIONS: functions.url}) as gateway:
            yield Example(name, functions, gateway)
    finally:
        functions.stop()


def until(what: Callable[[], bool]) -> bool:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
