"""Ten thousand definitions: how long a start takes, and that one change costs one parse."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import legato.catalog
from legato.app import open_stores
from legato.catalog import Catalog
from legato.model.definition import Definition
from legato.model.settings import Settings
from legato.model.source import Source
from legato.ports import DefinitionStore
from legato.stores.sqlite import SqliteStore
from legato.telemetry.log import Log
from tests.fnkit.stage import KEY, FnkitGateway, pipeline, stop_all
from tests.support.texts import request
from tests.support.valkey_server import ValkeyServer

MANY = 10_000
USUAL = 2.0  # seconds from the start of the process to /readyz on an idle machine
SLACK = 3  # times that, on one that is not
PATIENCE = 10.0


def text_of(number: int) -> str:
    steps = [f"f{(number + n) % 50}" for n in range(3)]
    return pipeline("parallel" if number % 2 else "sequential", *steps)


TEXTS = {f"p{number}": text_of(number) for number in range(MANY)}


class Kept:
    """A project with many definitions somewhere, and a way to change one from outside."""

    def __init__(self, folder: Path, store: str, change: Callable[[str, str | None], object]) -> None:
        self.folder = folder
        self.store = store
        self.change = change

    @property
    def kind(self) -> str:
        return self.store.partition(":")[0]

    def open(self) -> list[DefinitionStore]:
        """The stores as a gateway opens them; the first is the folder of files."""
        return open_stores(Settings(folder=str(self.folder), store=self.store))


@contextlib.contextmanager
def in_valkey(folder: Path) -> Iterator[Kept]:
    with ValkeyServer(folder / "server") as server, server.client() as client:
        filling = client.pipeline(transaction=False)
        for name, text in TEXTS.items():
            filling.set(KEY + name, text)
        filling.execute()

        def change(name: str, text: str | None) -> None:
            client.execute_command(*(("DEL", KEY + name) if text is None else ("SET", KEY + name, text)))

        yield Kept(folder, server.url, change)


@contextlib.contextmanager
def in_sqlite(folder: Path) -> Iterator[Kept]:
    store = SqliteStore(folder / "legato.db")
    store.put("p0", "fnkit", TEXTS["p0"].encode(), "version")  # makes the file; the rest comes in one transaction
    rows = [(name, text.encode(), number) for number, (name, text) in enumerate(TEXTS.items()) if number]
    copy = "INSERT INTO flow SELECT ?, language, ?, version, seq + ?, changed FROM flow WHERE name = 'p0'"
    with contextlib.closing(sqlite3.connect(folder / "legato.db")) as connection, connection:
        connection.executemany(copy, rows)

    def change(name: str, text: str | None) -> None:
        if text is None:
            store.delete(name)
        else:
            store.put(name, "fnkit", text.encode(), "version")

    yield Kept(folder, "sqlite:legato.db", change)
    store.close()


@contextlib.contextmanager
def in_files(folder: Path) -> Iterator[Kept]:
    flows = folder / "flows"
    flows.mkdir()
    for name, text in TEXTS.items():
        (flows / f"{name}.json").write_text(text)

    def change(name: str, text: str | None) -> None:
        if text is None:
            (flows / f"{name}.json").unlink()
        else:
            (folder / "new").write_text(text)
            (folder / "new").replace(flows / f"{name}.json")

    yield Kept(folder, "files", change)


@pytest.fixture(scope="module", params=[in_valkey, in_sqlite, in_files])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with request.param(tmp_path_factory.mktemp(request.param.__name__)) as kept:
        yield kept


def test_a_start_is_quick(kept: Kept) -> None:
    gateway = FnkitGateway(kept.folder, {"store": kept.store, "functions": {"default": "http://127.0.0.1:1/{name}"}})
    try:
        gateway.wait_until_live()
        gateway.until_ready()
        took = time.monotonic() - gateway.began
        print(f"\n{MANY:,} in {kept.kind}: ready after {took:.2f} s, {gateway.memory() / 2**20:.0f} MiB")
        assert gateway.metric("legato_definitions", state="ok") == MANY
        assert gateway.metric("legato_definitions", state="broken") == 0
        assert gateway.ask(request("/orchestrate/p9999")).status == 502, "nobody is there"
        assert len(gateway.ask(request("/metrics")).body) < 100_000, "flows that nobody calls have nothing to show"
        assert took < USUAL * SLACK
    finally:
        stop_all([gateway])


def test_one_change_costs_one_parse(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    read = legato.catalog.read

    def counting(source: Source) -> Definition:
        parsed.append(source.name)
        return read(source)

    monkeypatch.setattr(legato.catalog, "read", counting)
    catalog = Catalog(kept.open(), Log(io.StringIO()))
    catalog.load()
    assert sorted(parsed) == sorted(TEXTS)
    parsed.clear()
    asyncio.run(change_some(kept, catalog, parsed))
    assert parsed == ["p17", "new", "p17"]


async def change_some(kept: Kept, catalog: Catalog, parsed: list[str]) -> None:
    changed: asyncio.Queue[list[str]] = asyncio.Queue()
    catalog.watch(lambda names: changed.put_nowait(list(names)))
    try:
        for name, text in (("p17", text_of(5)), ("new", text_of(6)), ("p18", None), ("p17", TEXTS["p17"])):
            before = list(parsed)
            began = time.monotonic()
            await asyncio.to_thread(kept.change, name, text)
            async with asyncio.timeout(PATIENCE):
                assert await changed.get() == [name]
            assert len(parsed) - len(before) == (text is not None)
            definition = catalog.definitions.get(name)
            source = None if definition is None else definition.source
            assert (source.text.decode() if source else None) == text
            assert changed.empty()
            print(f"\n{kept.kind}: a change is known after {(time.monotonic() - began) * 1000:.0f} ms", end="")
    finally:
        await asyncio.to_thread(catalog.close)
        kept.change("p18", TEXTS["p18"])
        kept.change("new", None)
