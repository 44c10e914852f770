"""Somebody who follows a page of the documentation: writes its files, types its commands, and sees what they print."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.serving import OURS, serving
from tests.support.gateway_process import free_port
from tests.support.valkey_server import ValkeyServer

LISTEN = "127.0.0.1:8080"  # what the documentation shows; the reader's gateway takes a port that is free
LIVE = 10.0  # seconds in which what was written must be served: `legato dev` may start anew for it

_ADDED = re.compile(r"^(.*\n)\s*# \.\.\.\n", re.MULTILINE)  # `key:`, and below it `# ...`: to be added there
_CHANGING = (  # what is another at each try
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "RUN"),
    (re.compile(r"\b(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{3}(\+00:00)?"), "TIME"),
    (re.compile(r"\b\d+\.\d+\b(?!\.)"), "MS"),
    (re.compile(r"[ \t]+"), " "),
)


class Reader:
    """Works in a folder, in one terminal; gateways are started in another, and end when the next one is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listen = f"127.0.0.1:{free_port()}"
        self._environment = {name: value for name, value in os.environ.items() if name not in OURS}
        self._gateway = ExitStack()
        self._has_written = False  # what a gateway may not have seen yet
        self._cache = ExitStack()
        self._valkey: ValkeyServer | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.close()
        self._cache.close()

    def writes(self, name: str, text: str) -> None:
        """Save a file. One with `# ...` is added to: what stands below goes below the line that stands above."""
        file = self.folder / name
        if added := _ADDED.search(text):
            before = file.read_text()
            assert added[1] in before, f"{name} has no line {added[1]!r}"
            text = before.replace(added[1], added[1] + text[added.end() :])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self._has_written = True
        if name == "legato.yaml":
            self._listens_elsewhere(file)

    def sees(self, typed: str, shown: str) -> None:
        """Type a command; it must print what is shown, but for times and ids."""
        until = time.monotonic() + (LIVE if self._has_written else 0)
        while (printed := self._types(typed)) is not None and _masked(printed) != _masked(shown):
            assert time.monotonic() < until, f"$ {typed}\n{printed}"
            time.sleep(0.1)
        self._has_written = typed.startswith("valkey-cli")

    def _types(self, typed: str) -> str | None:
        """What a line prints; None for those whose output is not looked at."""
        match shlex.split(typed, comments=True):
            case [*words, "|", "grep", wanted]:
                return "".join(line for line in (self._does(words) or "").splitlines(True) if wanted in line)
            case [*words, ">", file]:
                self.writes(file, self._does(words) or "")
                return ""
            case words:
                return self._does(words)

    def _does(self, words: list[str]) -> str | None:
        variables: dict[str, str] = {}
        while (named := re.match(r"([A-Z_]+)=(.*)", words[0])) is not None:
            variables[named[1]] = self._cache_url() if named[1] == "CACHE_URL" else named[2]
            words.pop(0)
        environment = {**self._environment, **variables}
        match words:
            case ["cd", folder]:
                self.folder /= folder
                return None
            case ["export", variable]:
                name, _, self._environment[name] = variable.partition("=")
                return None
            case ["legato", "serve" | "dev" as command, *arguments]:
                self._gateway.close()
                self._gateway.enter_context(serving(self.folder, self._listen, environment, arguments, command))
                return None
            case ["legato", *arguments]:
                printed = self._runs(arguments, environment)
                if arguments[0] == "init":
                    self._listens_elsewhere(self.folder.joinpath(*arguments[1:], "legato.yaml"))
                return printed
            case ["curl", *arguments]:
                return self._asks(arguments)
            case ["valkey-cli", *arguments]:
                assert self._valkey is not None, "no CACHE_URL yet"
                answer = self._valkey.cli(*arguments)
                return "OK" if answer is True else str(answer)
            case _:
                pytest.fail(f"nobody knows how to try {shlex.join(words)}")

    def _runs(self, arguments: list[str], environment: Mapping[str, str]) -> str:
        """What a terminal shows of `legato`: output and errors."""
        command = [sys.executable, "-m", "legato", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30
        )
        return done.stdout.decode().replace(self._listen, LISTEN)

    def _asks(self, arguments: list[str]) -> str:
        """What curl would print, of the options that the documentation uses."""
        headers: dict[str, str] = {}
        method, body, url = None, None, ""
        words = iter(arguments)
        for word in words:
            match word:
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers[name] = value
                case "-X":
                    method = next(words)
                case "-d" | "--data-binary":
                    body = next(words).encode()
                    if body.startswith(b"@"):
                        body = (self.folder / body[1:].decode()).read_bytes()
                    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
                case "--fail-with-body":
                    pass
                case _:
                    assert not word.startswith("-"), f"unknown option {word}"
                    url = word
        connection = http.client.HTTPConnection(self._listen, timeout=10)
        try:
            path = urlsplit(url)._replace(scheme="", netloc="").geturl()
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
            return connection.getresponse().read().decode()
        except OSError as error:  # `legato dev` starts the gateway anew
            return str(error)
        finally:
            connection.close()

    def _listens_elsewhere(self, settings: Path) -> None:
        lines = [line for line in settings.read_text().splitlines() if not line.startswith("listen:")]
        settings.write_text("\n".join([*lines, f"listen: {self._listen}\n"]))

    def _cache_url(self) -> str:
        if self._valkey is None:
            self._valkey = self._cache.enter_context(ValkeyServer(self.folder / "valkey"))
        return self._valkey.url


def _masked(text: str) -> str:
    for changing, mask in _CHANGING:
        text = changing.sub(mask, text)
    return "\n".join(line.rstrip() for line in text.rstrip("\n").splitlines())
