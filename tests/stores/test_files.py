"""A folder of definitions: what is taken, that one bad file disturbs no other, how it is written, what is noticed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from legato.errors import StoreUnavailable
from legato.model.source import MAX_BYTES, Gone, Source
from legato.stores import files, folder
from legato.stores.files import FileStore, read_file

PATIENCE = 10.0


def loaded(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files that could be read, and of those that could not."""
    sources = FileStore(folder).load()
    names = [Path(source.origin).name for source in sources]
    good = [name for name, source in zip(names, sources, strict=True) if source.trouble is None]
    return good, [name for name in names if name not in good]


# Reading.


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
    sources = FileStore(str(tmp_path)).load()
    assert [(source.name, source.language, source.text) for source in sources] == [
        ("a", "fnkit", b"a.json"),
        ("a", "native", b"a.yaml"),
        ("a-b", "native", b"a-b.yml"),
        ("a.b", "native", b"a.b.yaml"),
        ("b", "native", b"b.yaml"),
    ]
    origin = str(tmp_path / "a.json")
    assert sources[0] == Source(name="a", language="fnkit", text=b"a.json", origin=origin, draft=True)


def test_a_missing_folder_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "nowhere")
    assert store.load() == []
    assert not store.delete("a")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_cannot_be_used(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "flows")
    (tmp_path / "flows").write_text("")
    for use in (store.load, lambda: store.put("a", "native", b"", "v1"), lambda: store.delete("a")):
        with pytest.raises(StoreUnavailable, match=r"flows: cannot be .*; name a folder, or take away what is there"):
            use()


def test_the_label_is_the_folder_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore("flows")
    assert store.label == "flows"
    assert store.put("a", "native", b"", "v1").origin == os.path.join("flows", "a.yaml")


def test_each_load_sees_what_is_there_now(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.load() == []
    (tmp_path / "a.yaml").write_text("1")
    assert [source.text for source in store.load()] == [b"1"]
    (tmp_path / "a.yaml").unlink()
    assert store.load() == []


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
    troubles = [source.trouble for source in FileStore(tmp_path).load() if source.trouble is not None]
    assert all(trouble.message.startswith("cannot be read: ") and trouble.remedy for trouble in troubles)
    assert {"it is not a file", "it is larger than 1024 KiB"} <= {trouble.message[16:] for trouble in troubles}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("x")
    (tmp_path / "secret.yaml").touch(mode=0)
    assert loaded(tmp_path) == (["good.yaml"], ["secret.yaml"])


def test_names_that_are_no_text_can_still_be_sent(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.yaml", "wb") as file:
        file.write(b"x")
    os.mkdir(os.fsencode(tmp_path) + b"/\xfe.yaml")
    sources = FileStore(tmp_path).load()
    assert [source.name for source in sources] == ["\N{REPLACEMENT CHARACTER}"] * 2
    [trouble] = [source.trouble for source in sources if source.trouble is not None]
    assert (sources[0].origin + trouble.file + str(trouble)).encode("utf-8")


def test_one_file_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert read_file(tmp_path / "a.json") == FileStore(tmp_path).load()[0]
    missing = read_file(tmp_path / "b.conf")
    assert (missing.name, missing.language, missing.text) == ("b", "native", b"")
    assert missing.trouble is not None
    assert missing.trouble.message == "cannot be read: No such file or directory"


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("half")
    sleeps: list[float] = []

    def finish(seconds: float) -> None:
        sleeps.append(seconds)

    opens = iter([b"half a", b"half a thought"])

    def fstat(descriptor: int) -> os.stat_result:
        status = real_fstat(descriptor)
        with contextlib.suppress(StopIteration):
            (tmp_path / "a.yaml").write_bytes(next(opens))
        return status

    real_fstat = os.fstat
    monkeypatch.setattr(folder.time, "sleep", finish)
    monkeypatch.setattr(folder.os, "fstat", fstat)
    [source] = FileStore(tmp_path).load()
    assert source.text == b"half a thought"
    assert sleeps


# Writing.


def test_the_files_that_are_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "deep" / "flows")
    store.put("a", "native", b"1", "v1")
    store.put("b.c", "fnkit", b"{}", "v1")
    assert sorted(os.listdir(store.folder)) == ["a.yaml", "b.c.json"]
    assert (store.folder / "a.yaml").read_bytes() == b"1"


def test_every_other_file_of_the_name_makes_way(tmp_path: Path) -> None:
    for name in ("a.yml", "a.json", "a.md", "a.b.yaml"):
        (tmp_path / name).write_text("old")
    store = FileStore(tmp_path)
    store.put("a", "native", b"new", "v1")
    assert sorted(os.listdir(tmp_path)) == ["a.b.yaml", "a.md", "a.yaml"]
    (tmp_path / "a.json").write_text("old")
    assert store.delete("a")
    assert sorted(os.listdir(tmp_path)) == ["a.b.yaml", "a.md"]


def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch(mode=0o600)
    FileStore(tmp_path).put("a", "native", b"secret", "v1")
    assert stat.S_IMODE((tmp_path / "a.yaml").stat().st_mode) == 0o600


def test_a_crash_in_writing_leaves_the_text_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path)
    store.put("a", "native", b"old", "v1")
    (tmp_path / files.NEW).write_text("what a crash left")
    monkeypatch.setattr(files.os, "rename", _no_space)
    with pytest.raises(StoreUnavailable, match="No space left on device; make room on the disk"):
        store.put("a", "native", b"new", "v1")
    assert [source.text for source in store.load()] == [b"old"]
    monkeypatch.undo()
    store.put("a", "native", b"new", "v1")
    assert os.listdir(tmp_path) == ["a.yaml"]


def _no_space(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "../a", "/a", "a\0b", "\udc80\ud800"])
def test_names_that_are_no_files_are_refused(tmp_path: Path, name: str) -> None:
    store = FileStore(tmp_path)
    with pytest.raises(ValueError):
        store.put(name, "native", b"", "v1")
    with pytest.raises(ValueError):
        store.delete(name)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read_again_is_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with pytest.raises(ValueError, match="1024 KiB"):
        store.put("a", "native", b"x" * (MAX_BYTES + 1), "v1")
    with pytest.raises(StoreUnavailable, match="take a shorter name"):
        store.put("a" * 300, "native", b"", "v1")
    (tmp_path / "b.yaml").mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be written to"):
        store.put("b", "native", b"", "v1")
    assert os.listdir(tmp_path) == ["b.yaml"]


def test_another_process_that_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    threading.Timer(0.2, os.close, (descriptor,)).start()
    store.put("a", "native", b"", "v1")
    monkeypatch.setattr(files, "LOCK_PATIENCE", 0.1)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="is locked by another writer; end the process"):
            store.delete("a")
    finally:
        os.close(descriptor)
    assert store.delete("a")


# Watching.


class Listener:
    """What is there, by the name of its file, as it was told."""

    def __init__(self, store: FileStore) -> None:
        self.texts: dict[str, bytes] = {}
        self.told: list[str] = []
        self.store = store
        self.changed(store.load(), [])
        store.watch(self)
        time.sleep(0.1)  # it looks at once, and then at what happens

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        for each in gone:
            self.texts.pop(os.path.basename(each.origin))
            self.told.append(f"-{os.path.basename(each.origin)}")
        for source in found:
            text = source.text if source.trouble is None else source.trouble.message.encode()
            self.texts[os.path.basename(source.origin)] = text
            self.told.append(f"+{os.path.basename(source.origin)} {text.decode()[:20]}")

    def down(self, why: str) -> None:
        self.told.append(why.split(": ", 1)[1])

    def up(self) -> None:
        self.told.append("up")

    def until(self, **texts: bytes) -> None:
        """Wait until exactly these are there."""
        until = time.monotonic() + PATIENCE
        while self.texts != {name.replace("_", "."): text for name, text in texts.items()}:
            assert time.monotonic() < until, (self.texts, self.told)
            time.sleep(0.002)

    def until_told(self, *told: str) -> None:
        until = time.monotonic() + PATIENCE
        while tuple(self.told[-len(told) :]) != told:
            assert time.monotonic() < until, self.told
            time.sleep(0.002)


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Listener]:
    """A listener of a folder; fails when something else than what is there was told in the end."""
    listener = Listener(FileStore(folder))
    try:
        yield listener
    finally:
        listener.store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("legato-files")]


def test_an_editor_saves(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("1")
    with watched(tmp_path) as listener:
        file.write_text("2")  # in place
        listener.until(a_yaml=b"2")
        (tmp_path / ".a.yaml.swp").write_text("3")  # beside, and renamed
        (tmp_path / ".a.yaml.swp").rename(file)
        listener.until(a_yaml=b"3")
        file.rename(tmp_path / "a.yaml~")  # the old one as a copy first
        time.sleep(0.03)
        file.write_text("4")
        listener.until(a_yaml=b"4")
        file.unlink()  # taken away, and written anew
        time.sleep(0.03)
        file.write_text("5")
        listener.until(a_yaml=b"5")
        os.utime(file)
        (tmp_path / "notes.md").write_text("")
        time.sleep(0.2)
        assert [told for told in listener.told if told.startswith("-")] == []
        file.unlink()
        listener.until()


def test_a_file_that_is_emptied_and_then_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    with watched(tmp_path) as listener:
        with open(tmp_path / "a.yaml", "wb") as file:
            time.sleep(0.06)
            file.write(b"2")
        listener.until(a_yaml=b"2")
        assert listener.told == ["+a.yaml 1", "+a.yaml 2"]
        (tmp_path / "a.yaml").write_text("")
        listener.until(a_yaml=b"")  # what stays empty is empty


def test_a_change_that_leaves_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("1")
    os.utime(file, (1, 1))
    with watched(tmp_path) as listener:
        for text in ("2", "3"):
            file.write_text(text)
            os.utime(file, (1, 1))
            listener.until(a_yaml=text.encode())


def test_the_folder_is_a_link_that_is_swapped(tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / number).mkdir()
        (tmp_path / number / "a.yaml").write_text(number)
        (tmp_path / number / f"only-{number}.yaml").write_text("")
    (tmp_path / "flows").symlink_to("1")
    with watched(tmp_path / "flows") as listener:
        (tmp_path / "new").symlink_to("2")
        (tmp_path / "new").rename(tmp_path / "flows")
        listener.until(a_yaml=b"2", **{"only-2_yaml": b""})
        (tmp_path / "2" / "a.yaml").write_text("3")
        listener.until(a_yaml=b"3", **{"only-2_yaml": b""})
        (tmp_path / "flows").unlink()  # in two steps
        time.sleep(0.1)
        (tmp_path / "flows").symlink_to("1")
        listener.until(a_yaml=b"1", **{"only-1_yaml": b""})
        assert "-a.yaml" not in listener.told


def test_a_config_map_is_swapped(tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "a.yaml").write_text(number)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    with watched(tmp_path) as listener:
        assert listener.texts == {"a.yaml": b"1"}
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        shutil.rmtree(tmp_path / "..1")
        listener.until(a_yaml=b"2")


def test_the_folder_comes_and_goes(tmp_path: Path) -> None:
    flows = tmp_path / "deep" / "flows"
    with watched(flows) as listener:
        flows.mkdir(parents=True)
        (flows / "a.yaml").write_text("1")
        listener.until(a_yaml=b"1")
        (flows / "a.yaml").write_text("2")
        listener.until(a_yaml=b"2")
        for number in range(3):  # at once: the number of a folder is used again
            shutil.rmtree(flows)
            flows.mkdir()
            (flows / "a.yaml").write_text(f"{number}")
            listener.until(a_yaml=b"%d" % number)
        (flows / "b.yaml").write_text("1")
        listener.until(a_yaml=b"2", b_yaml=b"1")
        flows.rename(tmp_path / "elsewhere")
        listener.until()
        (tmp_path / "elsewhere").rename(flows)
        listener.until(a_yaml=b"2", b_yaml=b"1")
        assert not {told for told in listener.told if told.endswith(("up", "folder"))}


def test_a_folder_that_cannot_be_read_is_down_until_it_can(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "a.yaml").write_text("1")
    with watched(flows) as listener:
        flows.rename(tmp_path / "aside")
        flows.write_text("a file")
        listener.until_told("cannot be read: Not a directory; name a folder, or take away what is there")
        (tmp_path / "aside" / "a.yaml").write_text("2")
        flows.unlink()
        (tmp_path / "aside").rename(flows)
        listener.until_told("+a.yaml 2", "up")
        (flows / "a.yaml").write_text("3")
        listener.until(a_yaml=b"3")
        assert len(listener.told) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rights_that_are_lost_and_given_back(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    with watched(tmp_path) as listener:
        (tmp_path / "a.yaml").chmod(0)
        listener.until(a_yaml=b"cannot be read: Permission denied")
        (tmp_path / "a.yaml").chmod(0o600)
        listener.until(a_yaml=b"1")
        tmp_path.chmod(0)
        listener.until_told("cannot be read: Permission denied; give this user the right to it")
        tmp_path.chmod(0o700)
        listener.until_told("up")


def test_a_file_becomes_a_folder_and_a_file_again(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    with watched(tmp_path) as listener:
        (tmp_path / "a.yaml").unlink()
        (tmp_path / "a.yaml").mkdir()
        listener.until(a_yaml=b"cannot be read: it is not a file")
        (tmp_path / "a.yaml").rmdir()
        (tmp_path / "a.yaml").write_text("2")
        listener.until(a_yaml=b"2")


def test_a_name_that_is_no_text_does_not_end_the_watching(tmp_path: Path) -> None:
    with watched(tmp_path) as listener:
        with open(os.fsencode(tmp_path) + b"/\xff.yaml", "wb") as file:
            file.write(b"x")
        (tmp_path / "a.yaml").write_text("1")
        listener.until(a_yaml=b"1", **{"\N{REPLACEMENT CHARACTER}_yaml": b"x"})


def test_without_the_kernels_help_it_looks_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("OS file watch limit reached")  # as the library does

    monkeypatch.setattr(files.watchfiles, "watch", refuse)
    monkeypatch.setattr(files, "POLL", 0.05)
    monkeypatch.setattr(files, "POLLS", 3)
    with watched(tmp_path / "flows") as listener:
        (tmp_path / "flows").mkdir()
        for text in ("1", "2"):
            (tmp_path / "flows" / "a.yaml").write_text(text)
            listener.until(a_yaml=text.encode())
        monkeypatch.undo()  # there are watches to be had again
        (tmp_path / "flows" / "a.yaml").write_text("3")
        listener.until(a_yaml=b"3")


def test_a_lost_event_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "is_definition", lambda _: False)
    monkeypatch.setattr(files, "FULL", 0.3)
    with watched(tmp_path) as listener:
        (tmp_path / "a.yaml").write_text("1")
        listener.until(a_yaml=b"1")


def test_many_files(tmp_path: Path) -> None:
    for number in range(2_000):
        (tmp_path / f"{number}.yaml").write_bytes(b"1")
    with watched(tmp_path) as listener:
        assert len(listener.texts) == 2_000
        for number in range(0, 2_000, 10):
            (tmp_path / f"{number}.yaml").write_bytes(b"2")
        for number in range(1, 2_000, 10):
            (tmp_path / f"{number}.yaml").unlink()
        until = time.monotonic() + PATIENCE
        while len(listener.texts) != 1_800 or sorted(listener.texts.values()).count(b"2") != 200:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(listener.told) == 2_400
