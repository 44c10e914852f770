"""Serves an example's functions over HTTP, each at `/NAME`: `python ../serve.py`, in the example's folder.

Every Python function of `functions.py` is one, hyphens standing for its underscores. It is called with the decoded
body, and with the request if it has a second parameter. What it returns is the answer, `(status, answer)` one with
another status than 200, `(status, bytes, type)` one that is no JSON; what it raises of `legato.errors` is a status
too. Nothing of Legato's own is tried in here.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from legato.errors import ComeAgain, Refused

PORT = 9000
Function = Callable[..., Any]


@dataclass(frozen=True)
class Request:
    """A request to a function: `path` is what stands behind its name, names of headers are in lower case."""

    function: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a function answers."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    retry_after: float | None = None


def functions_of(module: ModuleType) -> dict[str, Function]:
    """The functions that a module defines, by the names that flows call them by."""
    found = inspect.getmembers(module, inspect.isfunction)
    own = {name: function for name, function in found if function.__module__ == module.__name__}
    return {name.replace("_", "-"): function for name, function in own.items() if not name.startswith("_")}


def load(file: Path) -> ModuleType:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location("functions", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FunctionServer(ThreadingHTTPServer):
    """The functions of one module on one port of this machine, 0 for one that is free."""

    daemon_threads = True
    block_on_close = False  # connections are kept alive: nobody waits until the last one has ended

    def __init__(self, module: ModuleType, port: int = PORT) -> None:
        self.functions = functions_of(module)
        super().__init__(("127.0.0.1", port), _Handler)

    def answer(self, request: Request) -> Answer | None:
        """What is answered; None for hanging up without a word."""
        function = self.functions.get(request.function)
        if function is None:
            return _json(404, {"error": f"there is no function {request.function}: {', '.join(self.functions)}"})
        try:
            value = _decoded(request)
            takes_request = len(inspect.signature(function).parameters) > 1
            said = function(value, request) if takes_request else function(value)
        except Refused as error:
            return _json(error.status, {"error": str(error)})
        except ComeAgain as error:
            return Answer(503, json.dumps({"error": str(error)}).encode(), retry_after=error.delay)
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"error": f"{type(error).__name__}: {error}"})
        status, body, *kind = cast("tuple[Any, ...]", said) if isinstance(said, tuple) else (200, said)
        if kind:
            return Answer(status, body, *kind)
        if isinstance(body, bytes):
            return Answer(status, body, "application/octet-stream")
        return Answer(204) if body is None else _json(status, body)

    def tell(self, request: Request, answer: Answer | None) -> None:
        """Say what was done."""
        print(f"{request.function} {'hung up' if answer is None else answer.status}", flush=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gateway that does not wait for an answer any more ends the connection, and that is all."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet
    server: FunctionServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def _serve(self) -> None:
        url = urlsplit(self.path)
        name, slash, rest = url.path[1:].partition("/")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(name, self.command, unquote(slash + rest), query, headers, body)
        answer = self.server.answer(request)
        self.server.tell(request, answer)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        if answer.body:
            self.send_header("content-type", answer.content_type)
        if answer.status != 204:
            self.send_header("content-length", str(len(answer.body)))
        if answer.retry_after is not None:
            self.send_header("retry-after", f"{answer.retry_after:.0f}")
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        """`tell` says it."""


def _decoded(request: Request) -> object:
    """JSON as what it says, text as a string, anything else as bytes, nothing as None."""
    content_type = request.headers.get("content-type", "")
    if not request.body:
        return None
    if "json" in content_type or content_type == "application/x-www-form-urlencoded":  # `curl -d` says this of JSON
        return json.loads(request.body)
    return request.body.decode() if content_type.startswith("text/") else request.body


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode())


def main() -> None:
    """Serve the functions of a folder until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve an example's functions over HTTP.")
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="the example's folder (this one)")
    parser.add_argument("--port", type=int, default=PORT, help=f"on this machine ({PORT})")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True
    with FunctionServer(load(arguments.folder / "functions.py"), arguments.port) as server:
        print(f"on http://127.0.0.1:{server.server_address[1]}: {', '.join(server.functions)}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
