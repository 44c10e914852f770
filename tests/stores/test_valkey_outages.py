"""Following a real Valkey server that goes and comes, and the end of following."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from legato.model.source import Source
from legato.stores import valkey_tracking
from legato.stores.valkey import ValkeyStore
from legato.stores.valkey_texts import Standing
from tests.support.told import Told, until, watched
from tests.support.valkey_server import ValkeyServer

ORDER = "fnkit:pipeline:order"


@pytest.fixture
def store(server: ValkeyServer, told: Told) -> Iterator[ValkeyStore]:
    with watched(server.url, told) as store:
        yield store


# A server that goes and comes.


def test_what_a_killed_server_forgot_is_lost_not_deleted(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    server.cli("MSET", ORDER, "x", "legato:flow:b", "y")
    told.until(lambda: len(told.there) == 2)
    server.kill()
    told.until(lambda: told.calls[-1] == "down")
    assert store.mode == ""
    time.sleep(0.3)
    server.start()
    told.until_up()
    assert told.calls == ["changed", "down", "changed", "up"]
    assert [(end.name, end.how) for end in told.gone] == [("b", "lost"), ("order", "lost")]
    assert told.whys[0].startswith(f"{server.url}: ")
    server.cli("SET", ORDER, "x")
    told.until_there(order=b"x")
    server.cli("DEL", ORDER)
    told.until(lambda: len(told.gone) == 3)
    assert told.gone[2].how == "deleted"


def test_only_what_changed_meanwhile_is_told_after_a_restart(tmp_path: Path, told: Told) -> None:
    with ValkeyServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        server.cli("MSET", ORDER, "x", "legato:flow:b", "y")
        with watched(server.url, told) as store:
            for turn in range(3):
                server.kill()
                told.until(lambda: told.calls and told.calls[-1] == "down")
                with contextlib.closing(ValkeyStore(server.url)):
                    port, server.port = server.port, ValkeyServer(tmp_path).port
                    server.start()
                    server.cli("SET", ORDER, f"new {turn}")
                    server.kill()
                    server.port = port
                server.start()
                told.until_up()
                assert store.mode == "tracking"
    assert told.calls == ["down", "changed", "up"] * 3
    assert [source.text for source in told.found] == [b"new 0", b"new 1", b"new 2"]
    assert told.gone == []


def test_what_is_deleted_while_cut_off_is_deleted(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    server.cli("MSET", ORDER, "x", "legato:flow:b", "y")
    told.until(lambda: len(told.there) == 2)
    with contextlib.closing(server.client()) as client, client.pipeline() as transaction:
        transaction.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        transaction.delete(ORDER)
        transaction.execute()
    told.until_up()
    assert [(end.name, end.how) for end in told.gone] == [("order", "deleted")]
    assert told.calls == ["changed", "down", "changed", "up"]


def test_a_watch_may_start_before_its_server(tmp_path: Path, told: Told) -> None:
    server = ValkeyServer(tmp_path)
    with contextlib.closing(ValkeyStore(server.url)) as store:
        store.watch(told)
        told.until(lambda: told.calls == ["down"])
        assert "Connection refused; start the server" in told.whys[0]
        time.sleep(0.5)
        with server:
            told.until_up()
            server.cli("SET", ORDER, "x")
            told.until_there(order=b"x")
            assert told.calls == ["down", "up", "changed"]


def test_a_server_that_hangs_is_noticed(server: ValkeyServer, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey_tracking, "PING_EVERY", 0.2)
    monkeypatch.setattr(valkey_tracking, "PONG_WITHIN", 0.3)
    with watched(server.url + "?socket_timeout=0.5", told):
        time.sleep(0.7)
        assert told.calls == []
        server.pause()
        told.until(lambda: told.calls == ["down"], 3)
        assert "no answer within 0.3 s" in told.whys[0]
        server.resume()
        told.until_up()
        server.cli("SET", ORDER, "x")
        told.until_there(order=b"x")


def test_a_server_that_is_reading_its_data_is_still_down(tmp_path: Path, told: Told) -> None:
    slow = ("--key-load-delay", "200")  # microseconds; it answers (that it reads) after each 1024 commands
    with ValkeyServer(tmp_path, "--appendonly", "yes") as server:
        with contextlib.closing(server.client()) as client, client.pipeline(transaction=False) as commands:
            for number in range(4000):
                commands.set(f"fnkit:pipeline:n{number}", "x")
            commands.execute()
        with watched(server.url, told) as store:
            server.stop()
            told.until(lambda: told.calls == ["down"])
            server.arguments += slow
            starting = threading.Thread(target=server.start)
            starting.start()
            said: set[str] = set()
            while starting.is_alive():
                try:
                    store.load()
                except Exception as error:
                    said.add(str(error).rpartition("; ")[2])
            told.until_up()
            starting.join()
    assert "wait until the server has read its data" in said
    assert told.calls == ["down", "up"]


def test_a_server_that_becomes_a_replica_is_followed_on(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    server.cli("SET", ORDER, "x")
    told.until_there(order=b"x")
    server.cli("REPLICAOF", "127.0.0.1", "1")
    assert [source.text for source in store.load()] == [b"x"]
    server.cli("REPLICAOF", "NO", "ONE")
    server.cli("SET", ORDER, "y")
    told.until_there(order=b"y")


def test_a_replica_whose_primary_came_back_empty_has_lost_its_keys(tmp_path: Path, told: Told) -> None:
    with ValkeyServer(tmp_path / "primary", "--repl-diskless-sync-delay", "0") as primary:
        replicaof = ("--replicaof", "127.0.0.1", str(primary.port))
        primary.cli("SET", ORDER, "x")
        with (
            ValkeyServer(tmp_path / "replica", *replicaof) as replica,
            contextlib.closing(ValkeyStore(replica.url)) as store,
        ):
            until(store.load)
            store.watch(told)
            until(lambda: store.mode)
            primary.kill()
            primary.start()
            told.until(lambda: told.gone)
            assert [(end.name, end.how) for end in told.gone] == [("order", "lost")]


@pytest.mark.parametrize(
    ("occasion", "missing", "before", "now", "how"),
    [
        ("connected", 2, Standing("a", 5), Standing("a", 5), "deleted"),
        ("connected", 2, Standing("a", 5), Standing("a", 6), "deleted"),
        ("connected", 2, Standing("a", 5), Standing("a", 7), "evicted"),
        ("connected", 2, Standing("a", 5), Standing("b", 0), "lost"),
        ("connected", 2, Standing(), Standing(), "lost"),
        ("due", 2, Standing(), Standing(), "deleted"),
        ("flushed", 2, Standing("a", 5), Standing("a", 9), "deleted"),
        ("flushed", 2, Standing("a", 5), Standing("b", 9), "lost"),
    ],
)
def test_why_keys_are_missing(occasion: Any, missing: int, before: Standing, now: Standing, how: str) -> None:
    assert valkey_tracking._how(occasion, missing, before, now) == how


# The end.


def closes_promptly(store: ValkeyStore) -> None:
    start = time.monotonic()
    store.close()
    assert time.monotonic() - start < 1.0
    until(lambda: not any(thread.name == "legato-valkey" for thread in threading.enumerate()), 1.0)


def test_close_ends_the_thread_and_the_telling(server: ValkeyServer, told: Told) -> None:
    with watched(server.url, told) as store:
        with pytest.raises(RuntimeError, match="being watched"):
            store.watch(told)
        closes_promptly(store)
        server.cli("SET", ORDER, "x")
        time.sleep(0.05)
        assert told.calls == []
        assert store.mode == ""
        store.watch(told)
        told.until_there(order=b"x")


@pytest.mark.parametrize("state", ["gone", "hanging", "hanging as it connects"])
def test_close_does_not_wait_for_a_server(server: ValkeyServer, told: Told, state: str) -> None:
    with watched(server.url, told) as store:
        if state != "hanging":
            server.kill()
            told.until(lambda: told.calls == ["down"])
        if state == "hanging as it connects":
            server.start()
            server.pause()
            time.sleep(0.3)
        if state == "hanging":
            server.pause()
        closes_promptly(store)


def test_a_listener_may_close_the_store(server: ValkeyServer) -> None:
    class Closing(Told):
        def changed(self, found: Any, gone: Any) -> None:
            store.close()
            super().changed(found, gone)

    told = Closing()
    with watched(server.url, told) as store:
        server.cli("SET", ORDER, "x")
        told.until_there(order=b"x")
        closes_promptly(store)


def test_a_found_definition_is_what_load_gives(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    put: Source = store.put("order", "fnkit", b"x", "v")
    told.until(lambda: told.found)
    assert told.found == [put] == store.load()
