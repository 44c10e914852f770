"""The short form of the campaign; the long one is `python -m tests.soak.fuzz_language`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from legato.formats.kinds import KINDS
from legato.formats.report import Report
from legato.hosts.inline import InlineRun
from legato.kernel import calls
from legato.kernel.calls import Placed
from legato.kernel.scheduler import StepFailed
from legato.model.flow import Flow
from legato.model.outcome import Failure, Outcome
from legato.model.payload import EMPTY
from legato.values import Expression
from tests.soak import language_checks
from tests.soak.flow_grammar import Flows
from tests.soak.fuzz_language import fuzz
from tests.soak.language_campaign import Campaign


def test_random_texts_are_read_and_run_as_promised(tmp_path: Path) -> None:
    counts = fuzz(5, 7, tmp_path)
    assert not list(tmp_path.iterdir())
    for what in ("damaged_text: refused", "damaged_tree: refused", "grammar: accepted", "unknown_key: told"):
        assert counts[what] > 0, counts
    for what in ("expression: value", "expression: refused", "run: ok", "run: failed", "run: mistake"):
        assert counts[what] > 0, counts


def first_finding(campaign: Campaign, cases: int = 1500) -> str:
    """What the campaign finds first; empty for nothing."""
    for number in range(cases):
        campaign.one(number)
        if campaign.found:
            return next(iter(campaign.found.values()))
    return ""


def forgets_unknown_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Report.add
    monkeypatch.setattr(Report, "add", lambda *given: None if "unknown key" in given[2] else add(*given))


def loses_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "place", lambda report, offset: (report.lines + 1, 1))


def loses_a_field_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_checks.msgspec.json, "decode", lambda *_, **__: Flow(name="order"))


def gives_all_items_one_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Placed, "of", lambda placed, frame: placed.pattern.replace("[*]", "[0]"))


def answers_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    end = InlineRun._end
    monkeypatch.setattr(InlineRun, "_end", lambda run: (end(run), run.reply(run, EMPTY, None)))


def does_not_tell_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        calls, "mistake", lambda error, path: StepFailed(Failure("mistake", Outcome("unknown", detail="x")))
    )


def raises_what_it_should_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Expression, "evaluate", lambda *_: 1 // 0)


def gives_what_is_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Expression, "evaluate", lambda *_: b"{")


PLANTED: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    forgets_unknown_keys: "in silence",
    loses_places: "outside of the file",
    loses_a_field_of_the_model: "does not come back the same",
    gives_all_items_one_path: "",
    answers_twice: "answers",
    does_not_tell_where: "names no step",
    raises_what_it_should_not: "ZeroDivisionError",
    gives_what_is_no_json: "",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_planted_defects_are_found(plant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path) -> None:
    campaign = Campaign(3, tmp_path)
    with pytest.MonkeyPatch.context() as monkeypatch:
        plant(monkeypatch)
        found = first_finding(campaign)
    assert found
    assert PLANTED[plant] in found


def test_there_is_enough_to_begin_with(tmp_path: Path) -> None:
    """The texts of this project, flows of the grammar that are right, and bombs of every kind of data."""
    campaign = Campaign(3, tmp_path)
    assert len(campaign.texts) > 150
    assert len(campaign.good) > 30
    kinds = {key for n in range(300) for key in str(Flows(Random(n), ("one",)).flow("order")).split("'")}
    assert kinds >= {*KINDS} - {"wait", "publish"}
