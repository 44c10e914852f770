"""Random flows whose calls fail at random and are retried: they end as if nothing had failed, and redo nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import pytest

from legato.hosts.journal.operate import NotPossible, Operator, Signal
from legato.model.payload import EMPTY
from tests.admin.durable import FUNCTIONS, Durable

RETRIED: list[int] = []  # how often each run was
ROUNDS = 8  # in each, half of what fails is mended
CODE = """
import pathlib
from legato.errors import Refused

HERE = pathlib.Path(__file__).parent


def numbered(value):
    if (HERE / f"broken-{value['n']}").exists():
        raise Refused("broken")
    return value["n"]
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    folder = tmp_path_factory.mktemp("rewound")
    (folder / "counted.py").write_text(CODE)
    functions = {**FUNCTIONS, "numbered": {"python": "counted:numbered"}}
    gateway = Durable(folder, functions=functions)
    yield gateway
    gateway.stop()


class Maker:
    """Makes a random flow; `calls` counts its calls."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count()
        self.calls = 0

    def steps(self, depth: int) -> list[Any]:
        return [self.step(depth) for _ in range(self._random.randint(1, 3))]

    def step(self, depth: int) -> dict[str, Any]:
        number = next(self._numbers)
        kind = self._random.choice(["call", "call", "steps", "parallel", "foreach", "choose", "timed", "graph"])
        name = f"s{number}"
        if depth == 0 or kind == "call":
            self.calls += 1
            return {"call": "numbered", "id": name, "input": {"n": number}}
        inner = self.steps(depth - 1)
        match kind:
            case "steps":
                return {"steps": inner, "id": name}
            case "timed":
                return {"steps": inner, "id": name, "timeout": "1h"}
            case "parallel":
                branches = {f"b{place}": step for place, step in enumerate(inner)}
                return {"parallel": branches, "id": name}
            case "graph":
                nodes = {f"n{place}": step for place, step in enumerate(inner)}
                return {"graph": nodes, "id": name}
            case "choose":
                return {
                    "choose": [{"when": "${true}", "steps": inner}, {"otherwise": True, "steps": inner}],
                    "id": name,
                }
            case _:
                loop = {"over": "${[1, 2]}"}
                return {"foreach": loop, "concurrency": self._random.randint(1, 2), "steps": inner, "id": name}


@pytest.mark.parametrize("seed", range(30))
def test_as_if_nothing_had_failed(gateway: Durable, seed: int) -> None:
    random = Random(seed)
    maker = Maker(random)
    flow = {"flow": f"random-{seed}", "durable": True, "steps": maker.steps(3)}
    defined = gateway.put(f"random-{seed}", json.dumps(flow))
    assert defined.status == 201, defined
    meant = gateway.run(f"random-{seed}", b"0")
    assert meant.status == 200, meant
    broken = {random.randrange(40) for _ in range(6)}
    for number in broken:
        (gateway.folder / f"broken-{number}").touch()
    run = gateway.begin(f"random-{seed}", 0)
    for _ in range(ROUNDS):
        document = gateway.until_state(run, "succeeded", "failed")
        if document["state"] == "succeeded":
            break
        step = int(document["error"]["step"].rpartition(".")[2].lstrip("s"))
        broken -= {step, *random.sample(sorted(broken), len(broken) // 2)}
        for number in range(40):
            if number not in broken:
                (gateway.folder / f"broken-{number}").unlink(missing_ok=True)
        assert gateway.about(run, "/retry").status == 202
    assert gateway.until_state(run, "succeeded", "failed")["state"] == "succeeded"
    for number in range(40):
        (gateway.folder / f"broken-{number}").unlink(missing_ok=True)
    document = gateway.document(run, "?steps=all")
    assert document["result"] == meant.json()
    assert {step["state"] for step in document["steps"]} <= {"succeeded", "cancelled"}
    told = gateway.about(run, "/events", method="GET", accept="application/json").json()
    void = {seq for event in told if event["kind"] == "retried" for seq in event["void"]}
    RETRIED.append(sum(event["kind"] == "retried" for event in told))
    done = [event["path"] for event in told if event["kind"] == "outcome" and event["outcome"] == "ok"]
    assert len(done) == len(set(done)), "what had succeeded was done again"
    assert not any(event["seq"] in void for event in told if event.get("outcome") == "ok")


def test_some_had_failed_more_than_once() -> None:
    assert sum(RETRIED) >= len(RETRIED) / 2
    assert not RETRIED or max(RETRIED) > 1


def test_nothing_is_taken_that_cannot_be_stored() -> None:
    class Troubled:
        trouble = "the journal x: cannot be written: disk full; make room"

    class Host:
        stopping = False
        journal = Troubled()

    operator = Operator(Host())  # type: ignore[arg-type]
    for asked in (operator.signal(b"k" * 16, Signal("x", EMPTY)), operator.cancel(b"k" * 16, False)):
        with pytest.raises(NotPossible, match="make room") as refused:
            asyncio.run(asked)
        assert refused.value.why == "not_stored"
