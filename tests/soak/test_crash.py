"""The short form of the crash campaign, and that it would find what it looks for; the long one is `make soak`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.soak.crash import campaign
from tests.soak.crash_callers import Promises, Start
from tests.soak.crash_checks import Deaths, Violation
from tests.soak.crash_functions import Asked, Functions
from tests.soak.crash_gateway import Noted, Wreck
from tests.soak.crash_model import Ending, Expected, order_of, paths_in

RUN = "01a20160-5f95-73d9-894f-7621191aa73f"


def test_a_gateway_that_is_killed_keeps_its_promises(tmp_path: Path) -> None:
    counts = campaign(5, 11, tmp_path)
    assert counts["runs acknowledged"] > 5
    assert counts["calls in flight at a death"] > 0


# The model.

UNDO = {"call": "undo"}
SAGA = [
    {"call": "once", "id": "a", "undo": UNDO},
    {"parallel": {"x": {"steps": [{"call": "once", "id": "b", "undo": UNDO}]},
                  "y": {"steps": [{"call": "once", "id": "c", "undo": UNDO}, {"call": "once", "id": "d"}]}}, "id": "p"},
]  # fmt: skip


def came(value: Any) -> Ending:
    return Ending("ok", 200, value, False)


def expected(steps: Any, **endings: Ending) -> Expected:
    evidence = {path.replace("__", "."): ending for path, ending in endings.items()}
    return Expected({"flow": {"steps": steps}}, "flow", {"n": 1}, evidence)


def test_the_model_joins_what_branches_leave() -> None:
    model = expected(SAGA, a=came(1), p__x__b=came(2), p__y__c=came(3), p__y__d=came(4))
    assert (model.end, model.value) == ("succeeded", {"x": 2, "y": 4})
    assert model.due == []


def test_the_model_undoes_what_is_or_may_be_done_last_first() -> None:
    lost, no = Ending("unknown", 0, None, False), Ending("refused", 409, None, False)
    model = expected(SAGA, a=came(1), p__x__b=lost, p__y__c=came(3), p__y__d=no)
    assert model.end == "failed"
    assert sorted(paths_in(model.rest)) == ["a", "p.x.b", "p.y.c"]
    assert sorted(order_of(model.rest)) == [("p.x.b", "a"), ("p.y.c", "a")]


def test_the_model_undoes_nothing_that_was_refused_or_never_sent() -> None:
    no, unsent = Ending("refused", 409, None, False), Ending("cancelled", 0, None, False)
    model = expected(SAGA, a=no)
    assert (model.end, model.rest) == ("failed", [])
    model = expected(SAGA, a=came(1), p__x__b=unsent, p__y__c=came(1), p__y__d=no)
    assert sorted(paths_in(model.rest)) == ["a", "p.y.c"]


def test_the_model_sees_what_was_never_begun() -> None:
    assert expected(SAGA, a=came(1), p__x__b=came(2), p__y__c=came(3)).end == "stopped"


def test_the_model_undoes_before_it_goes_on_after_a_handled_failure() -> None:
    steps = [
        {"steps": [{"call": "once", "id": "a", "undo": UNDO}, {"call": "once", "id": "b"}], "id": "g",
         "on_error": "skip"},
        {"steps": [{"call": "once", "id": "c", "undo": UNDO}], "id": "h", "undo": UNDO},
    ]  # fmt: skip
    model = expected(steps, g__a=came(1), g__b=Ending("refused", 409, None, False), h__c=came(5))
    assert (model.end, model.value) == ("succeeded", 5)
    assert model.due == [["g.a"]]
    assert model.rest == ["h"]


# What is looked at after each death.


class Seen:
    """What was on the disk at deaths, and the calls that came."""

    def __init__(self) -> None:
        self.functions = Functions(1)
        self.promises = Promises()
        self.deaths = Deaths({"flow": {"steps": []}}, self.functions, self.promises)

    def call(self, path: str, life: int, body: bytes = b"1", function: str = "once") -> None:
        before = self.functions.by_key.setdefault(f"{RUN}/{path}", [])
        before.append(Asked(f"{RUN}/{path}", function, life, body, len(before) + 1, 0.0))

    def die(self, life: int, *events: tuple[str, str], there: bool = True) -> None:
        wreck = Wreck.__new__(Wreck)
        wreck.runs = {RUN: ("running", "flow")} if there else {}
        noted = [Noted(seq, 0.0, kind, path, b"", None) for seq, (kind, path) in enumerate(events)]
        wreck.events = {RUN: noted} if there else {}
        self.deaths.look(wreck, life)


STARTED = ("started", "")


def test_a_call_that_is_made_again_after_its_outcome_was_stored_is_found() -> None:
    seen = Seen()
    seen.call("a", 1)
    seen.die(1, STARTED, ("outcome", "a"))
    seen.deaths.check_calls()
    seen.call("a", 2)
    seen.die(2, STARTED, ("outcome", "a"))
    with pytest.raises(Violation, match=r"called in life \[2\], and its outcome was on disk in 1"):
        seen.deaths.check_calls()


def test_a_call_that_was_in_flight_may_be_made_again_once() -> None:
    seen = Seen()
    seen.call("a", 1)
    seen.die(1, STARTED)
    seen.call("a", 2)
    seen.die(2, STARTED, ("outcome", "a"))
    seen.deaths.check_calls()
    seen.call("a", 2)
    with pytest.raises(Violation, match=r"called 3 times, and may be 2 times|tried 2 times in life 2"):
        seen.deaths.check_calls()


def test_another_body_under_the_same_key_is_found() -> None:
    seen = Seen()
    seen.call("a", 1)
    seen.die(1, STARTED)
    seen.call("a", 2, b"2")
    with pytest.raises(Violation, match="other bodies"):
        seen.deaths.check_calls()


def test_what_is_acknowledged_and_not_there_is_found() -> None:
    seen = Seen()
    seen.promises.runs[RUN] = start = Start(1, "flow", "", RUN, 202)
    with pytest.raises(Violation, match="a run that was acknowledged is lost"):
        seen.die(1, there=False)
    seen.die(1, STARTED)
    seen.promises.signals.add((RUN, "go#1"))
    with pytest.raises(Violation, match="a signal that was acknowledged is lost"):
        seen.die(2, STARTED)
    seen.die(2, STARTED, ("signal", "go#1"))
    start.status = 200
    with pytest.raises(Violation, match=r"its caller was told the end \(200\), and that is lost"):
        seen.die(2, STARTED, ("signal", "go#1"))
    start.status = 202
    seen.promises.cancels[RUN] = False
    with pytest.raises(Violation, match="a cancel that was acknowledged is lost"):
        seen.die(3, STARTED, ("signal", "go#1"))


def test_events_that_are_gone_or_others_are_found() -> None:
    seen = Seen()
    seen.die(1, STARTED, ("outcome", "a"))
    with pytest.raises(Violation, match="is not there any more"):
        seen.die(2, STARTED)
    with pytest.raises(Violation, match="is not there any more"):
        seen.die(2, STARTED, ("outcome", "b"))


def test_the_functions_come_to_the_same_for_the_same_key() -> None:
    async def main() -> list[bytes]:
        functions = Functions(1)
        await functions.open()
        answers: list[bytes] = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection("127.0.0.1", functions.port)
            body = json.dumps({"n": 1}).encode()
            head = f"POST /1/once HTTP/1.1\r\nidempotency-key: {RUN}/a\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            writer.write_eof()
            answers.append((await reader.read()).partition(b"\r\n\r\n")[2])
            writer.close()
        await functions.close()
        assert [asked.number for asked in functions.asked] == list(range(1, 9))
        return answers

    answers = asyncio.run(main())
    assert len(set(answers)) == 1
    assert b'"step": "a"' in answers[0]
