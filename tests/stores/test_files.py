"""A folder of definitions: what is taken, in which order, and that one bad file disturbs no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from legato.model.source import MAX_BYTES, Source
from legato.stores.files import FileStore


def loaded(folder: Path) -> tuple[list[str], list[str]]:
    sources, problems = FileStore(folder).load()
    return [Path(source.origin).name for source in sources], [Path(problem.file).name for problem in problems]


def test_what_is_taken_and_in_which_order(tmp_path: Path) -> None:
    for name in (
        "b.yaml",
        "a-b.yml",
        "a.json",
        "a.yaml",
        ".hidden.yaml",
        "notes.md",
        "yaml",
        "x.yaml~",
        "c.YAML",
        "a.b.yaml",
    ):
        (tmp_path / name).write_text(name)
    sources, problems = FileStore(str(tmp_path)).load()
    assert problems == []
    assert [(source.name, source.language, source.text) for source in sources] == [
        ("a", "fnkit", b"a.json"),
        ("a", "native", b"a.yaml"),
        ("a-b", "native", b"a-b.yml"),
        ("a.b", "native", b"a.b.yaml"),
        ("b", "native", b"b.yaml"),
    ]
    assert sources[0] == Source(name="a", language="fnkit", text=b"a.json", origin=str(tmp_path / "a.json"))


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert FileStore(tmp_path / "nowhere").load() == ([], [])


def test_a_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "flows").write_text("")
    assert loaded(tmp_path / "flows") == ([], ["flows"])


def test_each_load_sees_what_is_there_now(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.load() == ([], [])
    (tmp_path / "a.yaml").write_text("1")
    assert [source.text for source in store.load()[0]] == [b"1"]
    (tmp_path / "a.yaml").unlink()
    assert store.load() == ([], [])


def test_bad_files_disturb_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("x")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "good.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "largest.yaml").write_bytes(b"x" * MAX_BYTES)
    before = len(os.listdir("/proc/self/fd"))
    good, bad = loaded(tmp_path)
    assert good == ["good.yaml", "largest.yaml", "link.yaml"]
    assert bad == ["dangling.yaml", "folder.yaml", "large.yaml", "loop.yaml", "pipe.yaml"]
    assert len(os.listdir("/proc/self/fd")) == before
    _, problems = FileStore(tmp_path).load()
    assert all(problem.message.startswith("cannot be read: ") and problem.remedy for problem in problems)
    assert {"it is not a file", "it is larger than 1024 KiB"} <= {problem.message[16:] for problem in problems}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("x")
    (tmp_path / "secret.yaml").touch(mode=0)
    assert loaded(tmp_path) == (["good.yaml"], ["secret.yaml"])


def test_names_that_are_no_text_can_still_be_sent(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.yaml", "wb") as file:
        file.write(b"x")
    os.mkdir(os.fsencode(tmp_path) + b"/\xfe.yaml")
    [source], [problem] = FileStore(tmp_path).load()
    assert source.name == "\N{REPLACEMENT CHARACTER}"
    assert (source.origin + problem.file + str(problem)).encode("utf-8")
