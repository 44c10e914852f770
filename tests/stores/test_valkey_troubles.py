"""What is said when a Valkey server cannot be reached or used; and TLS, for which a wrong certificate is one."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from legato.errors import StoreUnavailable
from legato.stores.valkey import ValkeyStore
from tests.support.tls_front import TLSFront
from tests.support.valkey_server import ValkeyServer

FNKIT = b'{"mode":"sequential","steps":["a","b"]}'
NATIVE = b"steps:\n  - call: a\n"


@pytest.fixture
def store(server: ValkeyServer) -> Iterator[ValkeyStore]:
    with contextlib.closing(ValkeyStore(server.url)) as store:
        yield store


def unavailable(url: str, write: bool = False) -> str:
    """What is said when a store cannot be read, or written."""
    with pytest.raises(StoreUnavailable) as caught, contextlib.closing(ValkeyStore(url)) as store:
        store.put("order", "native", b"very secret text", "v") if write else store.load()
    assert "very secret" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_is_gone_is_unavailable_and_then_there_again(server: ValkeyServer, store: ValkeyStore) -> None:
    store.put("order", "native", NATIVE, "v")
    server.kill()
    with pytest.raises(StoreUnavailable, match=rf"{server.url}: .*Connection refused; start the server"):
        store.load()
    server.start()
    assert store.load() == []


def test_a_server_that_hangs_is_given_up(server: ValkeyServer) -> None:
    server.pause()
    assert "see whether the server hangs" in unavailable(server.url + "?socket_timeout=0.2")


@pytest.mark.parametrize("given", ["", "user-x:very%20secret@", ":very%20secret@"])
def test_a_password_is_wanted_and_never_said(tmp_path: Path, given: str) -> None:
    with ValkeyServer(tmp_path, "--requirepass", "right one") as server:
        said = unavailable(server.url.replace("//", f"//{given}"))
        assert said.startswith(f"{server.url}: ")
        assert "name user and password in the URL" in said
        assert "user-x" not in said
        with contextlib.closing(ValkeyStore(server.url.replace("//", "//:right%20one@"))) as store:
            assert store.label == server.url
            source = store.put("order", "native", NATIVE, "v")
            assert store.load() == [source]
            assert source.origin == f"{server.url} legato:flow:order"


def test_what_a_user_may_not_do_is_said_with_what_to_allow(server: ValkeyServer) -> None:
    server.cli("SET", "fnkit:pipeline:order", FNKIT)
    server.cli("SET", "legato:flow:order", NATIVE)
    server.cli("ACL", "SETUSER", "reader", "on", ">pw", "~fnkit:pipeline:*", "+@all", "-@write")
    server.cli("ACL", "SETUSER", "nobody", "on", ">pw", "~*", "+@all", "-scan")
    url = server.url.replace("//", "//reader:pw@")
    with contextlib.closing(ValkeyStore(url)) as store:
        fnkit, native = store.load()
        assert fnkit.trouble is None
        assert native.trouble is not None
        assert native.trouble.message == "cannot be read: the user may not read this key"
    assert "no permissions to run the 'set' command; allow the user ~fnkit:pipeline:*" in unavailable(url, write=True)
    assert "'scan' command" in unavailable(server.url.replace("//", "//nobody:pw@"))


def test_a_replica_is_read_and_not_written(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, "--replicaof", "127.0.0.1", "1") as server:
        with contextlib.closing(ValkeyStore(server.url)) as store:
            assert store.load() == []
        assert "read only replica; this server is a replica: name the one" in unavailable(server.url, write=True)


def test_a_full_server_is_read_and_not_written(server: ValkeyServer, store: ValkeyStore) -> None:
    source = store.put("order", "native", NATIVE, "v")
    server.cli("CONFIG", "SET", "maxmemory", "1")
    assert "the server is full: raise its maxmemory" in unavailable(server.url, write=True)
    assert store.load() == [source]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "one of the following schemes"),
        ("http://host", "one of the following schemes"),
        ("valkey://user:very/secret@host", "not well formed"),
        ("valkey://user:very secret@[::1", "not well formed"),
        ("valkey://host:port", "not well formed"),
        ("valkey://host/first", "number of a database"),
        ("valkey://host?db=first", "Invalid value for `db`"),
        ("valkey://host?decode_responses=1", "no option decode_responses"),
        ("valkey://host?ssl_ca_certs=x", "ssl_ca_certs"),
        ("valkeys://host?ssl_cert_reqs=maybe", "Requirements Flag"),
        ("unix://", "no socket"),
    ],
)
def test_a_url_that_means_nothing_is_refused_at_once(url: str, why: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"write it as valkey://USER") as caught:
        ValkeyStore(url)
    assert why in str(caught.value)
    assert "very" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("redis://u:p@cache", "redis://cache:6379/0"),
        ("rediss://:p@cache:1/2?ssl_cert_reqs=none", "rediss://cache:1/2"),
        ("valkey://[::1]:7/1", "valkey://[::1]:7/1"),
        ("unix:///run/valkey.sock?db=2&password=p", "unix:///run/valkey.sock?db=2"),
    ],
)
def test_labels_say_where_and_nothing_secret(url: str, label: str) -> None:
    assert ValkeyStore(url).label == label


def test_a_database_that_the_server_has_not(server: ValkeyServer) -> None:
    assert "DB index is out of range" in unavailable(server.url.replace("/0", "/99"))


def test_a_server_of_another_kind() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        said = unavailable(f"valkey://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert "see whether the URL names a Valkey server" in said


def test_without_the_package_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['valkey'] = None\n"
        "from legato.stores.valkey import ValkeyStore\n"
        "try: ValkeyStore('valkey://host')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("StoreUnavailable ")
    assert "install legato[valkey]" in said


def test_over_tls(server: ValkeyServer, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with contextlib.closing(TLSFront(context, server.port)) as front:
        url = f"valkeys://localhost:{front.port}"
        with contextlib.closing(ValkeyStore(f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}")) as store:
            assert store.label == f"{url}/0"
            assert store.put("order", "native", NATIVE, "v") == store.load()[0]
        for wrong in (
            f"{url}?ssl_ca_certs={tmp_path / 'other.pem'}",
            f"valkeys://127.0.0.1:{front.port}?ssl_ca_certs={tmp_path / 'ca.pem'}",
        ):
            assert "name the host as its certificate does" in unavailable(wrong)
        with contextlib.closing(ValkeyStore(f"{url}?ssl_cert_reqs=none")) as store:
            assert len(store.load()) == 1
