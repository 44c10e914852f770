"""One gateway with three functions, shared by the tests of a module; each test finds it as new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.function_server import FunctionServer, functions
from tests.support.gateway_process import GatewayProcess
from tests.transport.stage import FLOWS, Stage


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with functions("a", "b", "c") as servers:
        entries = {name: f"http://127.0.0.1:{server.port}/{name}" for name, server in servers.items()}
        gateway = GatewayProcess(
            tmp_path_factory.mktemp("stage"), FLOWS, {"functions": {**entries, "echo": {"builtin": "echo"}}}
        )
        gateway.wait_until_live()
        try:
            yield Stage(gateway, servers)
        finally:
            gateway.stop()


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    yield running
    assert running.gateway.is_idle(), "a run has not ended"
    running.gateway.check_errors()
    for server in running.functions.values():
        server.reset()


@pytest.fixture
def live(stage: Stage) -> GatewayProcess:
    return stage.gateway


@pytest.fixture
def a(stage: Stage) -> FunctionServer:
    return stage.functions["a"]


@pytest.fixture
def b(stage: Stage) -> FunctionServer:
    return stage.functions["b"]


@pytest.fixture
def c(stage: Stage) -> FunctionServer:
    return stage.functions["c"]
