"""Items that wait for nothing leave the host its turns, so that others go on and the run's own deadline comes."""

from __future__ import annotations

import asyncio

from legato.connectors.builtin import BuiltinConnector
from legato.kernel.foreach import WORK_IN_A_TURN
from legato.testing import Stage
from tests.language.play import flow_of, play
from tests.language.recorded import Recorded

SETS = "{foreach: '${lists.range(%d)}', steps: [{set: '${index}'}]}"


def pauses(text: str) -> int:
    """How often a run has paused; it is replayed, too."""
    kernel = play(f"steps: [{text}]").run.kernel
    assert isinstance(kernel, Recorded)
    return sum(path.endswith("/pause") for path in kernel.issued)


def test_few_items_need_no_pause_and_many_need_few() -> None:
    assert pauses(SETS % (WORK_IN_A_TURN // 4)) == 0
    assert 5 <= pauses(SETS % 4000) <= 64


def test_calls_are_pauses_themselves() -> None:
    assert pauses("{foreach: '${lists.range(4000)}', steps: [echo]}") == 0


def test_the_deadline_comes_in_the_midst_of_loops() -> None:
    inner = SETS % 900

    async def main() -> str:
        stage = Stage(BuiltinConnector(), timeout=0.2)
        stage.start(flow_of(f"steps: [{{foreach: '${{lists.range(900000)}}', steps: [{inner}]}}]"))
        while not stage.ends:  # noqa: ASYNC110 - who ends tells nobody
            await asyncio.sleep(0.01)
        failure = stage.ends[0].failure
        return "" if failure is None else failure.reason

    assert asyncio.run(main()) == "deadline"
