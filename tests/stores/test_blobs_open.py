"""What the setting `data` may name, and what is said of what it may not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from legato.errors import DefinitionError
from legato.stores.blobs_folder import FolderData
from legato.stores.blobs_open import open_data
from legato.stores.s3 import S3Data

GOOD = """
class Store:
    def __init__(self, place="here"):
        self.place = place
    def put(self, key, data): ...
    def get(self, key, *more): return b"own"
    @staticmethod
    def delete(key): ...
    @classmethod
    def keys(cls, folder=""): return []

class Outer:
    Inner = Store
"""
_numbers = itertools.count()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend("nowhere")  # puts back what is changed
    return tmp_path


def opened(folder: Path, text: str, name: str = "Store") -> object:
    """The store of a module that holds this text."""
    module = f"data_module_{next(_numbers)}"
    (folder / f"{module}.py").write_text(text)
    return open_data(f"{module}:{name}", folder)


def refused(folder: Path, text: str, name: str = "Store") -> str:
    with pytest.raises(DefinitionError) as raised:
        opened(folder, text, name)
    said = str(raised.value)
    assert said.startswith("`data`: data_module_")
    return said


def test_files_are_beside_the_settings(folder: Path) -> None:
    store = open_data("files:some/data", folder)
    assert isinstance(store, FolderData)
    assert store.folder == folder / "some" / "data"
    absolute = open_data(f"files:{folder}/abs", Path("elsewhere"))
    assert isinstance(absolute, FolderData)
    assert absolute.folder == folder / "abs"


def test_s3(folder: Path) -> None:
    store = open_data("s3://shop-data/some/prefix", folder)
    assert isinstance(store, S3Data)
    assert store.label == "s3://shop-data/some/prefix"


@pytest.mark.parametrize("name", ["Store", "Outer.Inner"])
def test_a_class_of_the_user_s_own(folder: Path, name: str) -> None:
    store = opened(folder, GOOD, name)
    assert store.get("a") == b"own"  # type: ignore[attr-defined]
    assert store.place == "here"  # type: ignore[attr-defined]


def test_a_class_in_a_package(folder: Path) -> None:
    (folder / "shop_of_data").mkdir()
    (folder / "shop_of_data" / "stores.py").write_text(GOOD)
    assert open_data("shop_of_data.stores:Store", folder).get("a") == b"own"


@pytest.mark.parametrize("spec", ["", "shop", "shop:", ":Store"])
def test_what_names_nothing(folder: Path, spec: str) -> None:
    with pytest.raises(DefinitionError, match=r"names no store: write files:PATH, s3://BUCKET/PREFIX or module:Class$"):
        open_data(spec, folder)


def test_a_module_that_is_not_there(folder: Path) -> None:
    with pytest.raises(
        DefinitionError, match=r"^`data`: no_such.stores:Store: cannot import no_such.stores: ModuleNot"
    ):
        open_data("no_such.stores:Store", folder)


@pytest.mark.parametrize("text", ["1 / 0", "raise SystemExit(3)", "def"])
def test_a_module_that_fails(folder: Path, text: str) -> None:
    assert "cannot import data_module_" in refused(folder, text)


def test_a_class_that_is_not_there(folder: Path) -> None:
    assert refused(folder, GOOD, "Shop").endswith("has no attribute 'Shop'")


def test_what_is_no_class(folder: Path) -> None:
    assert refused(folder, "def Store(): ...").endswith("is no class; name the class of your store")


def test_every_method_that_lacks_is_named(folder: Path) -> None:
    said = refused(folder, "class Store:\n    def get(self, key): ...\n    keys = ['a']\n")
    assert (
        ": it has no method put; it has no method delete; it has no method keys; a store has the methods put(key"
        in said
    )
    assert "no method get" not in said


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("def get(self, key, *more)", "async def get(self, key)", "get is an `async def`"),
        ("def keys(cls, folder=\"\"): return []", "def keys(cls): ...", "keys cannot be called with 1 argument: "),
        ("def put(self, key, data)", "def put(self, key)", "put cannot be called with 2 arguments: "),
        ("def put(self, key, data)", "def put(self, key, data, more)", "put cannot be called with 2 arguments: "),
        ("def delete(key)", "def delete()", "delete cannot be called with 1 argument: "),
    ],
)  # fmt: skip
def test_methods_that_could_not_be_called(folder: Path, before: str, after: str, why: str) -> None:
    assert before in GOOD
    assert why in refused(folder, GOOD.replace(before, after))


def test_a_class_that_needs_arguments_or_fails(folder: Path) -> None:
    said = refused(folder, GOOD.replace('place="here"', "place"))
    assert "it is made without arguments, and that raises TypeError: " in said
    said = refused(folder, GOOD.replace("self.place = place", "raise OSError('no disk')"))
    assert said.endswith("it is made without arguments, and that raises OSError: no disk")
