"""Each test module is about one example, `EXAMPLE`, which is served once for all of its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.project import Example, Functions, running


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    name: str = request.module.EXAMPLE
    with running(name, tmp_path_factory.mktemp("example")) as example:
        yield example


@pytest.fixture
def example(served: Example) -> Iterator[Example]:
    """The example, whose functions have not been called; no run of it is left."""
    served.functions.reset()
    yield served
    assert served.gateway.is_idle(), "a run was left behind"


@pytest.fixture
def functions(example: Example) -> Functions:
    """The functions of the example."""
    return example.functions
