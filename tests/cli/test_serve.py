"""`legato serve` in the foreground: what it says at the start, what it listens on, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from legato.cli.listening import listen_on
from tests.cli.commands import NOBODY, project
from tests.support.gateway_process import free_port
from tests.support.texts import request
from tests.support.wire import Address, Wire

PATIENCE = 20.0


def start(folder: Path, *arguments: str, before: Sequence[str] = (), closed: bool = False) -> subprocess.Popen[bytes]:
    """`legato serve`, standard error to the file `told`; `before` is what its command begins with."""
    environment = {name: value for name, value in os.environ.items() if name not in NOBODY}
    command = [*before, sys.executable, "-W", "error", "-m", "legato", "serve", str(folder), *arguments]
    if closed:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    with (folder / "told").open("wb") as told:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told, env=environment,
            start_new_session=True,
        )  # fmt: skip


def until_live(process: subprocess.Popen[bytes], folder: Path, address: Address) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, told(folder)
        try:
            with Wire(address) as wire:
                assert wire.ask(request("/livez")).status == 200
                return
        except OSError:
            assert time.monotonic() < end, told(folder)
            time.sleep(0.02)


def told(folder: Path) -> str:
    return (folder / "told").read_text()


@contextmanager
def serving(folder: Path, address: Address, *arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    process = start(folder, *arguments, **options)  # type: ignore[arg-type]
    try:
        until_live(process, folder, address)
        yield process
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in told(folder)


def at(port: int) -> tuple[str, int]:
    return "127.0.0.1", port


# Addresses.


def test_a_port_in_use_is_one_line_and_no_announcement(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start(project(tmp_path, {"a": ["echo"]}, listen=listen))
        assert process.wait(PATIENCE) == 1
    assert told(tmp_path) == f"cannot listen on {listen}: address already in use; choose another by --listen\n"


def test_a_path_that_is_no_socket_stays(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:
        path = Path(short) / "s"
        path.write_text("mine")
        process = start(project(tmp_path, listen=f"unix:{path}"))
        assert process.wait(PATIENCE) == 1
        assert path.read_text() == "mine"
    assert "address already in use" in told(tmp_path)


def test_a_host_that_nobody_knows(tmp_path: Path) -> None:
    process = start(project(tmp_path), "--listen", "no-such-host.invalid:0", "--open")
    assert process.wait(PATIENCE) == 1
    assert told(tmp_path).startswith("cannot listen on no-such-host.invalid:0: ")
    assert told(tmp_path).count("\n") == 1


def test_a_name_with_two_addresses_is_listened_on_at_both(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [*both, both[0]])
    sockets = listen_on(f"localhost:{port}")
    assert [each.family for each in sockets] == [socket.AF_INET6, socket.AF_INET]
    with pytest.raises(OSError, match="in use"):
        listen_on(f"localhost:{port}")
    for each in sockets:
        each.close()


def test_an_address_of_a_name_that_this_machine_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere, here])
    [only] = listen_on("localhost:0")
    only.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere])
    with pytest.raises(OSError, match="assign"):
        listen_on("localhost:0")


def test_a_unix_socket_is_for_everybody_unless_the_one_before_was_not(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:
        path = Path(short) / "s"
        project(tmp_path, listen=f"unix:{path}")
        for mode in (0o666, 0o600):
            with serving(tmp_path, str(path)):
                assert stat.S_IMODE(path.stat().st_mode) == mode
            path.chmod(0o600)


# What it says.


def test_functions_without_an_entry_and_an_empty_folder(tmp_path: Path) -> None:
    port = free_port()
    with serving(project(tmp_path / "1", {"a": ["ecko"]}, listen=f"127.0.0.1:{port}"), at(port)):
        said = "ecko has no entry in `functions` and is called at http://ecko:8080; did you mean `echo`?\n"
        assert told(tmp_path / "1") == f"{said}legato serves 1 flow on http://127.0.0.1:{port}\n  a\n"
    empty = tmp_path / "2"
    empty.mkdir()
    with serving(empty, at(port), "--listen", f"127.0.0.1:{port}"):
        assert told(empty).startswith(f"no legato.yaml and no flows/ in {empty}; `legato init` writes a project\n")


def test_names_do_not_command_the_terminal(tmp_path: Path) -> None:
    port = free_port()
    project(tmp_path, listen=f"127.0.0.1:{port}")
    (tmp_path / "flows" / "a\x1b[2J.yaml").write_text("flow: a\nsteps: [echo]\n")
    with serving(tmp_path, at(port)):
        assert "[2J" in told(tmp_path)
        assert "\x1b" not in told(tmp_path)


# How it ends.


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hangup_stops_it_as_sigterm_does(tmp_path: Path, workers: str) -> None:
    port = free_port()
    project(tmp_path, {"slow": ["slow"]}, listen=f"127.0.0.1:{port}")
    with serving(tmp_path, at(port), "--workers", workers) as process, Wire(at(port)) as wire:
        wire.send(request("/orchestrate/slow", b'{"seconds": 1}', "POST"))
        time.sleep(0.3)
        for _ in range(2):  # one of the kernel, one of the shell
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        assert wire.answer().status == 200
        assert process.wait(PATIENCE) == 0


def test_one_that_was_started_to_stay_stays(tmp_path: Path) -> None:
    port = free_port()
    project(tmp_path, {"a": ["echo"]}, listen=f"127.0.0.1:{port}")
    with serving(tmp_path, at(port), before=["nohup"]) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        until_live(process, tmp_path, at(port))
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_without_standard_output(tmp_path: Path) -> None:
    port = free_port()
    project(tmp_path, {"a": ["echo"]}, listen=f"127.0.0.1:{port}", access_log=True)
    with serving(tmp_path, at(port), closed=True) as process:
        with Wire(at(port)) as wire:
            assert wire.ask(request("/orchestrate/a", b"1", "POST"), "POST").body == b"1"
        process.terminate()
        assert process.wait(PATIENCE) == 0
