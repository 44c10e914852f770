"""What tests of the running gateway share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tests.hypothesis_profiles  # noqa: F401 - importing it is what chooses the profile
from tests.support.function_server import FunctionServer
from tests.support.gateway_process import GatewayProcess

StartGateway = Callable[..., GatewayProcess]
StartFunction = Callable[..., FunctionServer]


@contextmanager
def gateways(folder: Path) -> Generator[StartGateway]:
    """A way to start gateways, each of which is stopped at the end; fails if one left a traceback."""
    started: list[GatewayProcess] = []

    def start(flows: Mapping[str, object], **settings: Any) -> GatewayProcess:
        process = GatewayProcess(folder / f"gateway-{len(started)}", flows, settings)
        started.append(process)
        process.wait_until_live()
        return process

    yield start
    for process in started:
        if process.process.poll() is None:
            process.stop()
        else:
            process.check_errors()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways for one test: `gateway(flows, **settings)`."""
    with gateways(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """Start gateways for the tests of a module."""
    with gateways(tmp_path_factory.mktemp("shared")) as start:
        yield start


@pytest.fixture(scope="module")
def shared_function() -> Iterator[FunctionServer]:
    """A function for the tests of a module."""
    server = FunctionServer()
    yield server
    server.stop()


@pytest.fixture
def function() -> Iterator[StartFunction]:
    """Start functions: `function()` is a server on a port of its own that echoes until told otherwise."""
    started: list[FunctionServer] = []

    def start(*args: Any, **keywords: Any) -> FunctionServer:
        server = FunctionServer(*args, **keywords)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
