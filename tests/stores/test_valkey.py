"""Definitions in a real Valkey server: reading and writing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from legato.errors import Conflict
from legato.model.source import MAX_BYTES, Source
from legato.stores.valkey import ValkeyStore
from tests.support.valkey_server import ValkeyServer

FNKIT = b'{"mode":"sequential","steps":["a","b"]}'
NATIVE = b"steps:\n  - call: a\n"


@pytest.fixture
def store(server: ValkeyServer) -> Iterator[ValkeyStore]:
    with contextlib.closing(ValkeyStore(server.url)) as store:
        yield store


def trouble(source: Source) -> str:
    assert source.trouble is not None
    assert source.text == b""
    assert source.trouble.file == source.origin
    assert source.trouble.remedy
    return source.trouble.message


# Reading.


def test_definitions_of_both_layouts_are_read_as_they_are_and_others_keys_are_not(
    server: ValkeyServer, store: ValkeyStore
) -> None:
    server.cli("SET", "legato:flow:order", b"\xff\r\n\0")
    server.cli("SET", "fnkit:pipeline:order", FNKIT)
    server.cli("SET", "fnkit:pipeline:größe", b"")
    server.cli("SET", "fnkit:config:order", b"no definition")
    server.cli("SET", "legato:flows", b"no definition")
    sources = store.load()
    assert [(source.name, source.language, source.text) for source in sources] == [
        ("größe", "fnkit", b""),
        ("order", "fnkit", FNKIT),
        ("order", "native", b"\xff\r\n\0"),
    ]
    assert sources[1].origin == f"{server.url} fnkit:pipeline:order"
    assert all(source.trouble is None and not source.draft for source in sources)
    assert store.revisions("order") == []


def test_what_cannot_be_read_harms_no_other_and_a_huge_value_is_not_fetched(
    server: ValkeyServer, store: ValkeyStore
) -> None:
    server.cli("SET", "fnkit:pipeline:fine", FNKIT)
    server.cli("RPUSH", "fnkit:pipeline:list", "a")
    server.cli("SETRANGE", "legato:flow:huge", 20 * MAX_BYTES, "x")
    server.cli("SET", "legato:flow:most", b"x" * MAX_BYTES)
    server.cli("SET", b"legato:flow:\xff", NATIVE)
    server.cli("SET", b"legato:flow:\xfe", NATIVE)
    before = server.cli("INFO", "stats")["total_net_output_bytes"]
    sources = store.load()
    assert server.cli("INFO", "stats")["total_net_output_bytes"] - before < 3 * MAX_BYTES
    by_name = {source.name: source for source in sources}
    assert by_name["fine"].text == FNKIT
    assert by_name["most"].trouble is None
    assert trouble(by_name["list"]) == "cannot be read: it is not a string"
    assert trouble(by_name["huge"]) == "cannot be read: it is larger than 1024 KiB"
    assert trouble(by_name["\ufffd"]) == "cannot be read: its name is not UTF-8"
    assert len({source.origin for source in sources}) == len(sources) == 6


def test_many_are_read_in_pieces(server: ValkeyServer, store: ValkeyStore) -> None:
    with contextlib.closing(server.client()) as client:
        client.mset({f"fnkit:pipeline:n{number:04}": str(number) for number in range(2600)})
        client.mset({f"junk:{number}": "" for number in range(5000)})
    assert [(source.name, source.text) for source in store.load()] == [
        (f"n{number:04}", str(number).encode()) for number in range(2600)
    ]


def test_the_database_is_the_urls(server: ValkeyServer) -> None:
    server.cli("SET", "legato:flow:a", NATIVE, db=3)
    with contextlib.closing(ValkeyStore(server.url.replace("/0", "/3"))) as store:
        assert [source.origin for source in store.load()] == [server.url.replace("/0", "/3") + " legato:flow:a"]


# Writing.


def test_put_writes_one_language_and_takes_the_other_away(server: ValkeyServer, store: ValkeyStore) -> None:
    server.cli("SET", "fnkit:pipeline:order", FNKIT, "EX", 1000)
    assert store.put("order", "native", NATIVE, "v1") == store.load()[0]
    assert server.cli("KEYS", "*") == [b"legato:flow:order"]
    assert store.put("order", "fnkit", FNKIT, "v2") == store.load()[0]
    assert server.cli("KEYS", "*") == [b"fnkit:pipeline:order"]
    assert server.cli("TTL", "fnkit:pipeline:order") == -1
    assert store.delete("order") is True
    assert store.delete("order") is False
    assert store.load() == []


def test_put_mends_a_key_of_another_type(server: ValkeyServer, store: ValkeyStore) -> None:
    server.cli("RPUSH", "fnkit:pipeline:order", "a")
    [broken] = store.load()
    store.put("order", "fnkit", FNKIT, "v1", expected=broken.digest)
    assert [source.text for source in store.load()] == [FNKIT]


def test_a_write_that_expects_something_else_is_refused(server: ValkeyServer, store: ValkeyStore) -> None:
    first = store.put("order", "native", NATIVE, "v1", expected="")
    with pytest.raises(Conflict, match="legato:flow:order: it is there already; read it"):
        store.put("order", "native", b"other", "v2", expected="")
    second = store.put("order", "fnkit", FNKIT, "v2", expected=first.digest)
    with pytest.raises(Conflict, match="fnkit:pipeline:order: it was changed meanwhile; read it again and repeat"):
        store.put("order", "native", b"other", "v3", expected=first.digest)
    with pytest.raises(Conflict, match="changed meanwhile"):
        store.delete("order", expected=first.digest)
    assert store.load() == [second]
    assert store.delete("order", expected=second.digest) is True
    with pytest.raises(Conflict, match="order is not there any more"):
        store.put("order", "native", b"other", "v4", expected=second.digest)
    assert server.cli("DBSIZE") == 0


@pytest.mark.parametrize("first", [True, False], ids=["new", "there"])
def test_of_writers_who_expect_the_same_exactly_one_wins(server: ValkeyServer, store: ValkeyStore, first: bool) -> None:
    writers, rounds = 4, 15
    wins: list[tuple[int, str]] = []
    meet = threading.Barrier(writers)

    def write(who: int) -> None:
        with contextlib.closing(ValkeyStore(server.url)) as mine:
            for turn in range(rounds):
                name = f"n{turn}"
                expected = "" if first else there[turn].digest
                meet.wait(10)
                with contextlib.suppress(Conflict):
                    language = "native" if who % 2 else "fnkit"
                    wins.append((turn, mine.put(name, language, b"%d" % who, "v", expected=expected).origin))

    there = [] if first else [store.put(f"n{turn}", "native", NATIVE, "v") for turn in range(rounds)]
    threads = [threading.Thread(target=write, args=(who,)) for who in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turn for turn, _ in wins) == list(range(rounds))
    assert {source.origin for source in store.load()} == {origin for _, origin in wins}


def test_a_store_serves_many_threads_at_once(store: ValkeyStore) -> None:
    def work(who: int) -> None:
        for turn in range(20):
            text = b"%d" % turn
            assert store.put(f"n{who}", "native", text, "v").text == text
            assert text in [source.text for source in store.load() if source.name == f"n{who}"]

    failures: list[BaseException] = []

    def guarded(who: int) -> None:
        try:
            work(who)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# Other ways to get there.


def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ValkeyServer(tmp_path, "--unixsocket", str(path)), contextlib.closing(ValkeyStore(f"unix://{path}")) as store:
        assert store.put("order", "native", NATIVE, "v") == store.load()[0]
        path.unlink()
