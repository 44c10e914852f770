"""Where the gateway listens."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.support.gateway_process import free_port
from tests.support.texts import request

ECHO = {"echo": {"builtin": "echo"}}


def test_on_a_unix_socket(gateway: StartGateway, tmp_path: Path) -> None:
    path = tmp_path / "s"
    live = gateway({"echo": ["echo"], "slow": ["slow"]}, functions={**ECHO, "slow": {"builtin": "slow"}},
                   listen=f"unix:{path}", access_log=True)  # fmt: skip
    with live.connect() as wire:
        for number in range(3):
            assert wire.ask(request(body=b"%d" % number)).body == b"%d" % number
        assert wire.ask(request("/livez")).status == 200
        wire.send(request("/orchestrate/slow", b'{"seconds":0.7}')).half_close()
        assert wire.last().status == 200
    live.connect().send(request("/orchestrate/slow", b'{"seconds":1}')).reset()
    assert live.is_idle()


def test_on_ipv6(gateway: StartGateway) -> None:
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    live = gateway({"echo": ["echo"]}, functions=ECHO, listen=f"[::1]:{port}", access_log=True)
    with live.connect() as wire:
        assert wire.ask(request(body=b"1", host=f"[::1]:{port}").replace(b"Host: gateway\r\n", b"")).body == b"1"


def test_a_gateway_without_a_token_does_not_listen_on_the_network(gateway: StartGateway) -> None:
    with pytest.raises(AssertionError, match="without a credential"):
        gateway({"echo": ["echo"]}, functions=ECHO, listen=f"0.0.0.0:{free_port()}")


def test_a_port_in_use_is_told(gateway: StartGateway) -> None:
    live = gateway({"echo": ["echo"]}, functions=ECHO)
    from tests.support.gateway_process import GatewayProcess

    second = GatewayProcess(live.folder / "second", {"echo": ["echo"]}, {"functions": ECHO, "listen": live.listen})
    assert second.wait() not in (0, 2)
    assert "in use" in second.errors()
    assert "Traceback" not in second.errors()


def test_an_address_in_use_ends_it_with_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "legato", "serve", str(tmp_path)]
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run([*command, "--listen", listen], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "address already in use" in ended.stderr
