"""Every example of the documentation works: definitions load, Python compiles, commands answer what is shown."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from legato.formats import read, read_settings
from legato.model.source import Source
from tests.docs.pages import PAGES, Block, blocks, name_of
from tests.docs.serving import OURS, serving
from tests.support.gateway_process import free_port

BLOCKS = [pytest.param(block, id=f"{name_of(page)}-{n}") for page in PAGES for n, block in enumerate(blocks(page))]
CONSOLES = [page for page in PAGES if any(block.language == "console" for block in blocks(page))]
HELLO = "flow: hello\nsteps: [greet]\n"
ECHO = "functions: {greet: {builtin: echo}}\n"


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block: Block) -> None:
    match block.language:
        case "yaml":
            check_yaml(block)
        case "json":
            if "mode" in json.loads(block.text):
                check_definition(block.text, "example", "fnkit")
        case "python":
            compile(block.text, name_of(block.page), "exec")
        case "console":
            assert block.commands, "a console shows commands behind $"
        case language:
            assert language in ("text", "sh"), f"say what this block is: {language!r}"


def check_yaml(block: Block) -> None:
    lines = block.text.splitlines()
    names = [line.removeprefix("flow:").strip() for line in lines if line.startswith("flow:")]
    if names:
        check_definition(block.text, names[0], "native")
    elif lines[0].startswith("- "):
        check_definition(f"flow: example\nsteps:\n{textwrap.indent(block.text, '  ')}", "example", "native")
    else:
        settings, problems = read_settings(block.text.encode(), name_of(block.page), ".", {})
        assert settings is not None, "\n".join(map(str, problems))


def check_definition(text: str, name: str, language: str) -> None:
    source = Source(name=name, language="fnkit" if language == "fnkit" else "native", text=text.encode(), origin=name)
    definition = read(source)
    assert definition.flow is not None, "\n".join(map(str, definition.problems))


@contextmanager
def listening_elsewhere(page: Path, folder: Path) -> Iterator[str]:
    """The project that a page builds, on a port that is free; a page without one gets a flow that says hello."""
    listen = f"127.0.0.1:{free_port()}"
    (folder / "flows").mkdir()
    files = {block.file: block.text for block in blocks(page) if block.file}
    files.setdefault("legato.yaml", ECHO)
    if not any(file.startswith("flows/") for file in files):
        files["flows/hello.yaml"] = HELLO
    files["legato.yaml"] += f"listen: {listen}\n"
    for file, content in files.items():
        (folder / file).write_text(content)
    yield listen


@pytest.mark.parametrize("page", CONSOLES, ids=map(name_of, CONSOLES))
def test_commands(page: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        listen = stack.enter_context(listening_elsewhere(page, tmp_path))
        for block in blocks(page):
            for typed, shown in block.commands if block.language == "console" else ():
                words = shlex.split(typed)
                variables = dict(word.split("=", 1) for word in words if "=" in word and word.split("=")[0].isupper())
                match [word for word in words if word.split("=")[0] not in variables]:
                    case ["legato", "serve", *rest]:
                        stack.enter_context(serving(tmp_path, listen, variables, rest))
                    case ["legato", *arguments]:
                        assert legato(tmp_path, arguments, variables).rstrip("\n") == shown.rstrip("\n")
                    case ["curl", *rest]:
                        assert curl(listen, rest) == shown.rstrip("\n")
                    case command:
                        pytest.fail(f"nobody knows how to try {command}")


def legato(folder: Path, arguments: list[str], variables: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "legato", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | dict(variables)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def curl(listen: str, arguments: list[str]) -> str:
    """What curl would print, of the options that the documentation uses."""
    headers: dict[str, str] = {}
    body, url = None, ""
    words = iter(arguments)
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            assert not word.startswith("-"), f"unknown option {word}"
            url = word
    connection = http.client.HTTPConnection(listen, timeout=10)
    try:
        connection.request("GET" if body is None else "POST", urlsplit(url).path, body, headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
