"""`legato init`: what it writes works, and nothing that is there is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legato.formats.document import read_document
from legato.formats.schema import schema_text
from tests.cli.test_schema import VALIDATORS, value_of
from tests.docs.serving import serving
from tests.support.gateway_process import free_port

FILES = {
    "legato.yaml",
    "flows/hello.yaml",
    "functions.py",
    ".legato/flow.schema.json",
    ".legato/settings.schema.json",
    ".gitignore",
}
PATIENCE = 30.0  # seconds


def legato(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """What a command prints; it runs in a process of its own, because it imports code by a name that others have."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LEGATO_", "CACHE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "legato", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_project(tmp_path: Path) -> None:
    told = legato(tmp_path, "init", "shop")
    project = tmp_path / "shop"
    assert files(project) == FILES
    assert told.count("made ") == len(FILES)
    assert "kept" not in told
    assert legato(project, "check") == "1 flow: no problems\n"
    free = f"listen: 127.0.0.1:{free_port()}"  # nobody answers there, so it runs here
    (project / "legato.yaml").write_text((project / "legato.yaml").read_text().replace("listen: 127.0.0.1:8080", free))
    result = json.loads(legato(project, "run", "hello", "-d", '{"name": "Ada"}'))
    assert result == {"name": "Ada", "greeting": "Hello, Ada!", "letters": 3}
    refused = json.loads(legato(project, "run", "hello", "-d", "{}", code=1))
    assert refused["step"] == "check-name"
    assert 'say a name: {"name": "Ada"}' in refused["detail"]


def test_editors_find_the_schemas(tmp_path: Path) -> None:
    legato(tmp_path, "init")
    for file, language in (("flows/hello.yaml", "flow"), ("legato.yaml", "settings")):
        first = (tmp_path / file).read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        target = (tmp_path / file).parent / first.partition("=")[2]
        assert target.read_text() == schema_text(language)
        root, report = read_document(file, (tmp_path / file).read_bytes())
        assert root is not None
        assert report.ok
        assert VALIDATORS[language].is_valid(value_of(root))


def test_what_is_commented_out_works(tmp_path: Path) -> None:
    """Whoever takes the mark of a comment away must not be punished for it."""
    legato(tmp_path, "init")
    flow = tmp_path / "flows" / "hello.yaml"
    text = flow.read_text()
    for line in ("- parallel:", "    greeting: greet", "    letters: count-letters"):
        text = text.replace(f"# {line}", line)
    flow.write_text(text.replace("# undo: take-back-greeting", "undo: count-letters"))
    settings = tmp_path / "legato.yaml"
    text = settings.read_text()
    for line in ("send-mail:", "charge:", "auth:"):
        text = text.replace(f"# {line}", line)
    settings.write_text(text)
    assert legato(tmp_path, "check", SHOP_TOKEN="secret") == "1 flow: no problems\n"


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    mine = {"functions.py": "x = 1\n", ".gitignore": "*.log\n"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    told = legato(tmp_path, "init")
    assert files(tmp_path) == FILES
    for name, text in mine.items():
        assert f"kept  {name}" in told
        assert (tmp_path / name).read_text() == text
    assert "--force overwrites them" in told
    told = legato(tmp_path, "init", "--force")
    assert "made  functions.py" in told
    assert "kept  .gitignore" in told
    assert (tmp_path / ".gitignore").read_text() == "*.log\n"
    assert legato(tmp_path, "check") == "1 flow: no problems\n"


def test_twice_changes_nothing(tmp_path: Path) -> None:
    legato(tmp_path, "init")
    (tmp_path / "legato.yaml").write_text("listen: 127.0.0.1:9999\n")
    told = legato(tmp_path, "init")
    assert told.count("kept ") == len(FILES)
    assert (tmp_path / "legato.yaml").read_text() == "listen: 127.0.0.1:9999\n"
    assert "http://127.0.0.1:9999/orchestrate/hello" in told


def test_the_last_command_works(tmp_path: Path) -> None:
    """What is to be typed next is typed here, a server being there."""
    port = free_port()
    (tmp_path / "legato.yaml").write_text(f"listen: 127.0.0.1:{port}\n")
    text = legato(tmp_path, "init", "--force")
    settings = tmp_path / "legato.yaml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    command = legato(tmp_path, "init").splitlines()[-1].strip()
    assert command == text.splitlines()[-1].strip().replace(":8080", f":{port}")
    with serving(tmp_path, f"127.0.0.1:{port}"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode == 127:
        pytest.skip("curl is not installed")
    assert json.loads(done.stdout)["greeting"] == "Hello, Ada!"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("listen: 0.0.0.0:80", "http://localhost:80/orchestrate/hello"),
        ("listen: '[::1]:90'", "http://[::1]:90/orchestrate/hello"),
        ("listen: unix:/run/x y.sock", "--unix-socket '/run/x y.sock' http://localhost/orchestrate/hello"),
        ("auth: {tokens: [s3cret]}", 'Authorization: Bearer TOKEN"'),
        ("listen: oops", "http://127.0.0.1:8080/orchestrate/hello"),
    ],
)
def test_the_last_command_goes_where_the_settings_say(tmp_path: Path, settings: str, expected: str) -> None:
    (tmp_path / "legato.yaml").write_text(settings)
    told = legato(tmp_path, "init")
    assert expected in told
    assert "s3cret" not in told


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("")
    assert "is a file" in legato(tmp_path, "init", "shop", code=2)
    (tmp_path / "flows").write_text("")
    assert "flows is not a folder" in legato(tmp_path, "init", code=2)
