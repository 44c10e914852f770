"""Following the changes of a real Valkey server, which tells them or does not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from valkey.exceptions import NoPermissionError

from legato.model.source import Gone
from legato.stores import valkey_tracking
from legato.stores.valkey import ValkeyStore
from legato.stores.valkey_wire import REMEDIES
from tests.support.told import Told, watched
from tests.support.valkey_server import ValkeyServer

ORDER = "fnkit:pipeline:order"
ADVICE = dict(REMEDIES)[NoPermissionError].removeprefix("allow the user ")


@pytest.fixture
def store(server: ValkeyServer, told: Told) -> Iterator[ValkeyStore]:
    with watched(server.url, told) as store:
        yield store


def calls_of(server: ValkeyServer) -> dict[str, int]:
    """How often each command has come, those of the test's own looking aside."""
    counts = server.cli("INFO", "commandstats")
    ours = ("cmdstat_info", "cmdstat_client", "cmdstat_ping")
    return {name: counts[name]["calls"] for name in counts if not name.startswith(ours)}


# A server that tells.


@pytest.mark.parametrize("prefix", ["fnkit:pipeline:", "legato:flow:"])
def test_what_others_set_and_delete_is_told_at_once(
    server: ValkeyServer, store: ValkeyStore, told: Told, prefix: str
) -> None:
    delays: list[float] = []
    with contextlib.closing(server.client()) as client:
        for turn in range(20):
            start = time.perf_counter()
            client.set(f"{prefix}order", f"v{turn}")
            told.until_there(order=b"v%d" % turn)
            delays.append(told.at - start)
        client.delete(f"{prefix}order")
        told.until_there()
    assert store.mode == "tracking"
    assert store.refusal == ""
    assert told.gone == [Gone(name="order", origin=f"{server.url} {prefix}order", how="deleted")]
    assert set(told.calls) == {"changed"}
    assert sorted(delays)[10] < 0.1


def test_nothing_is_asked_while_nothing_happens_and_one_key_when_it_changes(
    server: ValkeyServer, store: ValkeyStore, told: Told
) -> None:
    server.cli("SET", ORDER, "a")
    told.until_there(order=b"a")
    before = calls_of(server)
    time.sleep(0.3)
    assert calls_of(server) == before
    server.cli("SET", "legato:flow:b", "b")
    server.cli("SET", "fnkit:config:b", "b")
    told.until_there(order=b"a", b=b"b")
    after = calls_of(server)
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)} == {
        "cmdstat_set": 2,
        "cmdstat_getrange": 1,
    }


def test_a_burst_is_told_together(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    with contextlib.closing(server.client()) as client:
        client.mset({f"fnkit:pipeline:n{number}": "x" for number in range(1200)})
        told.until(lambda: len(told.there) == 1200)
        assert told.calls == ["changed"]
        client.mset({f"fnkit:pipeline:n{number}": "x" for number in range(1200)})
        client.set(ORDER, "")
        told.until(lambda: "order" in told.there)
    assert len(told.found) == 1201  # the same text again is no change


def test_what_cannot_be_read_is_told_with_its_trouble(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    server.cli("RPUSH", ORDER, "x")
    told.until(lambda: told.found)
    assert told.found[0].trouble is not None
    server.cli("RPUSH", ORDER, "y")
    server.cli("DEL", ORDER)
    told.until(lambda: told.gone)
    assert len(told.found) == 1


def test_a_definition_that_moves_is_gone_here_and_found_there(
    server: ValkeyServer, store: ValkeyStore, told: Told
) -> None:
    server.cli("SET", ORDER, "x")
    told.until_there(order=b"x")
    server.cli("RENAME", ORDER, "legato:flow:invoice")
    told.until_there(invoice=b"x")
    store.put("invoice", "fnkit", b"y", "v")
    told.until(lambda: len(told.gone) == 2 and len(told.found) == 3)
    assert [end.origin.split()[1] for end in told.gone] == [ORDER, "legato:flow:invoice"]
    server.cli("MOVE", "fnkit:pipeline:invoice", 1)
    told.until(lambda: len(told.gone) == 3)


def test_an_expired_key_is_deleted(server: ValkeyServer, store: ValkeyStore, told: Told) -> None:
    server.cli("SET", ORDER, "x", "PX", 50)
    told.until(lambda: told.gone)
    assert told.gone[0].how == "deleted"
    assert told.found[0].text == b"x"


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
def test_flushed_keys_are_deleted(server: ValkeyServer, store: ValkeyStore, told: Told, command: str) -> None:
    server.cli("MSET", ORDER, "x", "legato:flow:b", "y", "legato:flow:c", "z")
    told.until(lambda: len(told.there) == 3)
    server.cli(command)
    told.until(lambda: len(told.gone) == 3)
    assert {end.how for end in told.gone} == {"deleted"}


@pytest.mark.parametrize(
    ("events", "how"), [("Ee", "evicted"), ("Ke", "evicted"), ("", "evicted"), ("busy", "deleted")]
)
def test_an_evicted_key_is_told_apart_where_the_server_says_so(
    server: ValkeyServer, store: ValkeyStore, told: Told, events: str, how: str
) -> None:
    """Without events its counters say it, as long as nobody else takes keys away meanwhile."""
    busy, events = events == "busy", events.replace("busy", "")
    server.cli("CONFIG", "SET", "notify-keyspace-events", events)
    server.cli("MSET", ORDER, "x", "legato:flow:b", "y")
    told.until(lambda: len(told.there) == 2)
    server.cli("DEL", "legato:flow:b")
    told.until(lambda: told.gone)
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    if busy:
        server.cli("DEL", "of-somebody-else")
    server.cli("CONFIG", "SET", "maxmemory", "1")
    told.until(lambda: len(told.gone) == 2)
    assert [(end.name, end.how) for end in told.gone] == [("b", "deleted"), ("order", how)]
    server.cli("CONFIG", "SET", "maxmemory", "0")
    server.cli("SET", ORDER, "x")
    told.until_there(order=b"x")


def until_looked_at(server: ValkeyServer, times: int) -> None:
    """Wait until somebody has asked for the server's counters so often; asking here counts, too."""
    before = looks = int(server.cli("INFO", "commandstats")["cmdstat_info"]["calls"])
    asked = 0
    while looks - before - asked < times:
        time.sleep(0.05)
        looks = int(server.cli("INFO", "commandstats")["cmdstat_info"]["calls"])
        asked += 1


def test_what_others_took_away_long_ago_hides_no_eviction(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_tracking, "PING_EVERY", 0.05)
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.cli("CONFIG", "SET", "maxmemory", "100mb")
    server.cli("SET", ORDER, "x")
    told = Told()
    with watched(server.url, told):  # it knows that the server makes room, and looks at its counters again and again
        server.cli("DEL", "of-somebody-else")
        until_looked_at(server, 30)
        server.cli("CONFIG", "SET", "maxmemory", "1")
        told.until(lambda: told.gone)
        assert [end.how for end in told.gone] == ["evicted"]


def test_what_changed_between_load_and_watch_is_told_and_later_loads_hide_nothing(
    server: ValkeyServer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(valkey_tracking.COMPARE_EVERY, "tracking", 0.3)
    monkeypatch.setattr(valkey_tracking.News, "note", lambda *_: None)
    server.cli("MSET", ORDER, "x", "legato:flow:b", "y", "legato:flow:same", "z")
    with contextlib.closing(ValkeyStore(server.url)) as store:
        assert len(store.load()) == 3
        server.cli("SET", ORDER, "new")
        server.cli("DEL", "legato:flow:b")
        store.watch(told)
        told.until(lambda: told.gone)
        assert [source.text for source in told.found] == [b"new"]
        assert [(end.name, end.how) for end in told.gone] == [("b", "deleted")]
        server.cli("SET", "legato:flow:late", "x")
        assert len(store.load()) == 3
        told.until(lambda: "late" in told.there)


def test_a_listener_that_fails_is_told_the_next_change(server: ValkeyServer) -> None:
    class Failing(Told):
        def changed(self, found: Any, gone: Any) -> None:
            super().changed(found, gone)
            raise ValueError("its own affair")

    told = Failing()
    with watched(server.url, told):
        server.cli("SET", ORDER, "x")
        told.until_there(order=b"x")
        server.cli("SET", ORDER, "y")
        told.until_there(order=b"y")


# A server that does not tell.


@pytest.mark.parametrize(
    ("rules", "events", "mode"),
    [
        (["-client|tracking", "&*"], "", "polling"),
        (["-client|tracking", "&*"], "KEA", "keyspace"),
        (["-client|tracking", "&*"], "Kg$", "keyspace"),
        (["-client|tracking", "&*"], "Eg$", "polling"),
        (["-client|tracking", "&*", "-config"], "KEA", "polling"),
        (["resetchannels"], "KEA", "polling"),
        (["resetchannels", "&__redis__:invalidate"], "", "tracking"),
        (["-info", "&*"], "", "tracking"),
        (["-@all", "resetkeys", "resetchannels", *ADVICE.split()], "", "tracking"),
    ],
)
def test_where_a_user_may_not_be_told_changes_are_seen_all_the_same(
    server: ValkeyServer, told: Told, monkeypatch: pytest.MonkeyPatch, rules: list[str], events: str, mode: str
) -> None:
    monkeypatch.setitem(valkey_tracking.COMPARE_EVERY, "polling", 0.1)
    server.cli("CONFIG", "SET", "notify-keyspace-events", events)
    server.cli("ACL", "SETUSER", "gateway", "on", ">pw", "~*", "+@all", *rules)
    with watched(server.url.replace("//", "//gateway:pw@"), told) as store:
        assert store.mode == mode
        assert ("permission" in store.refusal) == (mode != "tracking")
        server.cli("SET", ORDER, "x")
        told.until_there(order=b"x")
        server.cli("SET", ORDER, "y")
        told.until_there(order=b"y")
        server.cli("DEL", ORDER)
        told.until(lambda: told.gone)
    assert [end.how for end in told.gone] == ["deleted"]
    assert "down" not in told.calls


def test_a_flush_is_seen_where_only_keys_are_told(
    server: ValkeyServer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(valkey_tracking.COMPARE_EVERY, "keyspace", 0.2)
    server.cli("CONFIG", "SET", "notify-keyspace-events", "KA")
    server.cli("ACL", "SETUSER", "default", "-client|tracking")
    server.cli("SET", ORDER, "x")
    with watched(server.url, told) as store:
        assert store.mode == "keyspace"
        server.cli("FLUSHALL")
        told.until(lambda: told.gone)
