"""What tests of fnkit's contract share: servers of definitions, gateways, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fnkit.stage import FnkitGateway, Shop, stop_all, urls
from tests.support.function_server import functions
from tests.support.valkey_server import ValkeyServer

NAMES = ("a", "b", "c", "Upper_1")

StartGateway = Callable[..., FnkitGateway]
StartServer = Callable[..., ValkeyServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways for one test: `start(settings, CACHE_URL=...)`; each is waited for until it listens."""
    started: list[FnkitGateway] = []

    def start(settings: dict[str, Any], **environment: str) -> FnkitGateway:
        gateway = FnkitGateway(tmp_path / f"gateway-{len(started)}", settings, **environment)
        started.append(gateway)
        gateway.wait_until_live()
        return gateway

    yield start
    stop_all(started)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of definitions for one test, with arguments as on their command line."""
    started: list[ValkeyServer] = []

    def start(*arguments: str) -> ValkeyServer:
        server = ValkeyServer(tmp_path / f"valkey-{len(started)}", *arguments)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="package")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("fnkit")
    with ValkeyServer(folder / "valkey") as server, functions(*NAMES) as those:
        bad = {"nobody": "http://127.0.0.1:1", "fails": {"builtin": "fail"}, "fails-too": {"builtin": "fail"}}
        gateway = FnkitGateway(folder / "shop", {"functions": {**urls(those), **bad}}, CACHE_URL=server.url)
        try:
            gateway.wait_until_live()
            gateway.until_ready()
            yield Shop(gateway, server, those)
        finally:
            stop_all([gateway])


@pytest.fixture
def shop(_shop: Shop) -> Shop:
    """One gateway for all tests that leave it as it was; its functions echo, and have forgotten everything."""
    _shop.reset()
    return _shop
