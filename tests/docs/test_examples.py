"""Every example of the documentation works: definitions load, Python compiles, commands answer what is shown."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from legato.formats import read, read_settings
from legato.model.source import Source
from tests.docs.pages import PAGES, Block, blocks, name_of
from tests.docs.reader import Reader

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
        variables = dict.fromkeys(re.findall(r"\$\{env\.(\w+)\}", block.text), "set")
        settings, problems = read_settings(block.text.encode(), name_of(block.page), ".", variables)
        assert settings is not None, "\n".join(map(str, problems))


def check_definition(text: str, name: str, language: str) -> None:
    source = Source(name=name, language="fnkit" if language == "fnkit" else "native", text=text.encode(), origin=name)
    definition = read(source)
    assert definition.flow is not None, "\n".join(map(str, definition.problems))


@pytest.mark.parametrize("page", CONSOLES, ids=map(name_of, CONSOLES))
def test_commands(page: Path, tmp_path: Path) -> None:
    """Follow a page from its top. One that builds no project gets a flow that says hello."""
    with Reader(tmp_path) as reader:
        if not any(block.file or "$ legato init" in block.text for block in blocks(page)):
            reader.writes("legato.yaml", ECHO)
            reader.writes("flows/hello.yaml", HELLO)
        for block in blocks(page):
            if block.file:
                reader.writes(block.file, block.text)
            for typed, shown in block.commands if block.language == "console" else ():
                reader.sees(typed, shown)
