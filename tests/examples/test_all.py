"""What holds for every example: it is whole, it is in the table, it has tests, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import anchors
from tests.examples.project import EXAMPLES

NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "legato.yaml").exists())
TABLE = (EXAMPLES / "README.md").read_text()
READMES = [EXAMPLES / "README.md", *(EXAMPLES / name / "README.md" for name in NAMES)]


def test_there_are_examples() -> None:
    assert len(NAMES) == 13


@pytest.mark.parametrize("name", NAMES)
def test_is_whole(name: str) -> None:
    folder = EXAMPLES / name
    assert all((folder / each).exists() for each in ("README.md", "functions.py", "flows"))
    readme = (folder / "README.md").read_text()
    assert readme.startswith(f"# {name}: ")
    assert "$ python ../serve.py &\n$ legato serve" in readme
    for flow in (folder / "flows").iterdir():
        assert flow.stem in readme, f"{flow.name} is not told of"
    module = Path(__file__).parent / f"test_{name.replace('-', '_')}.py"
    assert f'EXAMPLE = "{name}"' in module.read_text()


def test_table() -> None:
    assert re.findall(r"^\| \[([\w-]+)\]\(\1/README\.md\) \|", TABLE, re.MULTILINE) == NAMES


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
def test_links(readme: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", readme.read_text())
    for link in links:
        file, _, anchor = link.partition("#")
        if "://" not in file:
            target = readme.parent / file
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_check_finds_nothing() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LEGATO_", "CACHE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "legato", "check", *NAMES, "orchestrators/payments"],
        cwd=EXAMPLES, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warned = set(re.findall(r"^warning: ([^:]+):", done.stderr, re.MULTILINE))
    assert warned <= {"lattice/flows/lattice-in-order.yaml"}, done.stderr


def test_functions_are_served_as_the_readmes_say() -> None:
    command = [sys.executable, "../serve.py", "--port", "0"]
    with subprocess.Popen(command, cwd=EXAMPLES / "lattice", stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert re.fullmatch(r"on http://127\.0\.0\.1:\d+: add, visit\n", process.stdout.readline())
        finally:
            process.terminate()
