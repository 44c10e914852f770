"""Journals that were recorded once come to the same for ever: their runs are on users' disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from legato.hosts.journal.replay import Unfit
from legato.kernel import VERSION
from legato.model.journal import Event, StoredRun
from legato.testing import ManualClock, run_in_manual_time
from tests.journal.record import CODE, FOLDER, SCENES, Functions, come_to, read, recorded
from tests.journal.recorded_code import FLOWS
from tests.journal.stage import MemoryJournal, Stage

FILES = sorted(FOLDER.glob("*.json"))


def replayed(path: Path, change: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what comes of a file's events now, what came of them)"""
    row, events, definition, wanted = read(path)
    events = events if change is None else change(events)

    async def main(_: ManualClock) -> dict[str, Any]:
        stage = Stage(Functions(), MemoryJournal(), [flow.definition("test") for flow in FLOWS])
        try:
            return come_to(stage, row, events, definition)
        finally:
            stage.stop()

    return run_in_manual_time(main), wanted


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_journal_comes_to_the_same(path: Path) -> None:
    found, wanted = replayed(path)
    if wanted["failure"] is not None:
        place, reason, undo = found["failure"]
        found["failure"] = [place, reason, [list(each) for each in undo]]
    assert found == wanted


def test_every_scene_is_recorded() -> None:
    assert {path.stem for path in FILES} == {*SCENES, *(flow.name for flow in FLOWS)}
    assert CODE.keys() <= {flow.name for flow in FLOWS}


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "callback"], ids=lambda path: path.stem)
def test_what_is_recorded_now_is_what_was(path: Path) -> None:
    """Old runs go on under new code, so that what the host writes must not change without anybody knowing."""
    doings = CODE.get(path.stem, {}) if path.stem.startswith("code-") else SCENES[path.stem][1]
    now = recorded(path.stem, doings)
    _, events, _, wanted = read(path)
    assert [event[2:4] for event in now["events"]] == [[event.kind, event.path] for event in events]
    assert now["comes_to"]["open"] == wanted["open"]
    assert now["comes_to"]["outward"] == wanted["outward"]


def test_a_record_of_another_flow_does_not_fit() -> None:
    def change(events: list[Event]) -> list[Event]:
        return [event._replace(path="elsewhere") if event.path == "b" else event for event in events]

    with pytest.raises(Unfit, match="`elsewhere` was recorded here, and the flow as it is now asks for b"):
        replayed(FOLDER / "sequence.json", change)


def test_a_record_that_is_cut_short_is_another() -> None:
    """Else the tests above would say nothing."""
    found, wanted = replayed(FOLDER / "saga.json", lambda events: events[:-3])
    assert found != wanted
    assert StoredRun is not None
    assert VERSION == 1, "the kernel has another behaviour: record journals of it beside those of version 1"
