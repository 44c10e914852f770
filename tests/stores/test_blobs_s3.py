"""Large data in S3 where things go wrong: who may not, what is not there, servers that do not answer."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable

import pytest

from legato.errors import NoSuchData, StoreUnavailable
from legato.stores import s3 as s3_module
from legato.stores.s3 import ENDPOINTS, S3Data
from tests.stores.seaweed import BUCKET, USER, Seaweed

RIGHTS = "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a user who may read, write, list and delete there"


def each_act(store: S3Data) -> list[Callable[[], object]]:
    return [lambda: store.put("a", b"x"), lambda: store.get("a"), lambda: store.delete("a"), lambda: [*store.keys("")]]


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:/shop-data",
        "s3://Shop",
        "s3://s",
        "s3://-ab",
        "s3://a b",
        "http://shop-data",
        "s3://k:s@shop-data/x",
    ],
)
def test_what_is_no_place_in_s3(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"is no place in S3: write s3://BUCKET/PREFIX$"):
        S3Data(url)


@pytest.mark.parametrize("prefix", ["a//b", "../a", "a b", "x" * 201])
def test_a_prefix_is_the_beginning_of_keys(prefix: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"the prefix .*key"):
        S3Data(f"s3://{BUCKET}/{prefix}")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreUnavailable, match=r"^s3://shop-data: S3 needs .* pip install 'legato\[s3\]'$"):
        S3Data("s3://shop-data")


def test_prefixes_do_not_see_each_other(s3: Seaweed) -> None:
    whole = S3Data(f"s3://{BUCKET}")
    stores = [S3Data(f"s3://{BUCKET}/{prefix}") for prefix in ("p", "p/", "p1", "p/q")]
    for number, store in enumerate(stores):
        store.put("k/x", b"%d" % number)
    assert [store.get("k/x") for store in stores] == [b"1", b"1", b"2", b"3"]
    assert sorted(stores[0].keys("k")) == ["k/x"]
    assert sorted(stores[0].keys("")) == ["k/x", "q/k/x"]
    assert whole.get("p/q/k/x") == b"3"
    for key in [*whole.keys("p"), *whole.keys("p1")]:
        whole.delete(key)
    assert [*stores[2].keys("")] == []


def test_what_is_sent_in_parts_is_there_as_a_whole(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    megabyte = 1024 * 1024
    monkeypatch.setattr(s3_module, "SINGLE", 6 * megabyte)
    monkeypatch.setattr(s3_module, "PART", 5 * megabyte)
    store = S3Data(f"s3://{BUCKET}/parts")
    for data in (b"1" * 6 * megabyte, bytes(range(256)) * 4096 * 11 + b"end"):
        store.put("a", data)
        assert store.get("a") == data


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_SECRET_ACCESS_KEY", "another-secret"), ("AWS_ACCESS_KEY_ID", "nobody")]
)
def test_who_may_not_is_told_what_to_set(
    s3: Seaweed, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    store = S3Data(f"s3://{BUCKET}/x")
    for act in each_act(store):
        with pytest.raises(StoreUnavailable) as raised:
            act()
        assert str(raised.value).startswith(f"s3://{BUCKET}/x: ")
        assert str(raised.value).endswith(RIGHTS)
        assert "\n" not in str(raised.value)
        assert USER["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)
        assert "another-secret" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_not_data_that_is_not_there(s3: Seaweed) -> None:
    store = S3Data("s3://no-such-bucket/x")
    with pytest.raises(
        StoreUnavailable, match=r"^s3://no-such-bucket/x: NoSuchBucket: .*; make the bucket, or mend its"
    ):
        store.get("a")
    with pytest.raises(NoSuchData, match=f"^s3://{BUCKET}/x: there is no a/b$"):
        S3Data(f"s3://{BUCKET}/x").get("a/b")


def test_a_server_that_is_not_there(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{probe.getsockname()[1]}")
        store = S3Data(f"s3://{BUCKET}/x")
        for act in each_act(store):
            with pytest.raises(StoreUnavailable) as raised:
                act()
            assert str(raised.value).endswith(
                "; see whether it can be reached; AWS_ENDPOINT_URL names another server than AWS"
            )
            assert re.search(
                r"/x: .*Error performing \w+ http://127\S+: HTTP error: error sending request; see", str(raised.value)
            )


@pytest.mark.parametrize("number", range(len(ENDPOINTS)))
def test_the_endpoint_is_the_first_that_is_set(s3: Seaweed, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(ENDPOINTS[number], s3.environment["AWS_ENDPOINT_URL"])
    for later in ENDPOINTS[number + 1 :]:
        monkeypatch.setenv(later, "https://127.0.0.1:9")
    store = S3Data(f"s3://{BUCKET}/endpoint")
    store.put("a", b"x")
    assert store.get("a") == b"x"
