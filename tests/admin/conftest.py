"""A gateway that the tests of a module share; every flow that a test defines is taken away after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.admin.serving import Serving

TAGS = """
import time
from legato.errors import ComeAgain, Refused

TIMES = []

def refuse(value):
    raise Refused("not \\udc80 today", status=402)

def fail(value):
    raise ValueError("secret-of-an-exception")

def second_time(value):
    TIMES.append(value)
    if len(TIMES) % 2:
        raise ComeAgain("first")
    return "done"

""" + "\n".join(f"def f{number}(value):\n    return 'f{number}'\n" for number in range(10))

FUNCTIONS = {
    "echo": {"builtin": "echo"},
    "slow": {"builtin": "slow"},
    "fail": {"builtin": "fail"},
    "nowhere": {"url": "http://127.0.0.1:9"},
    "missing": {"python": "no_such_module:f"},
    "refuse": {"python": "tags:refuse"},
    "raise": {"python": "tags:fail"},
    "second-time": {"python": "tags:second_time", "idempotent": True},
    **{f"f{number}": {"python": f"tags:f{number}"} for number in range(10)},
}

Start = Callable[..., Serving]


def write_code(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tags.py").write_text(TAGS)
    return folder


def starting(folder: Path) -> Iterator[Start]:
    """A way to start gateways with the functions above; each is stopped at the end, or has ended by then."""
    with ExitStack() as stopping:

        def start(name: str = "", **options: Any) -> Serving:
            place = write_code(folder / (name or f"gateway-{len(list(folder.iterdir()))}"))
            for file, code in options.pop("files", {}).items():
                (place / file).write_text(code)
            options.setdefault("functions", FUNCTIONS)
            gateway = Serving(place, **options)

            def stop() -> None:
                if gateway.process.poll() is None:
                    gateway.stop()
                else:
                    gateway.check_errors()
                    gateway.let_go()

            stopping.callback(stop)
            return gateway

        yield start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    yield from starting(tmp_path_factory.mktemp("shared"))
