"""How a status is classified (contract 1), and after which outcomes an undo is due."""

from __future__ import annotations

from typing import get_args

import pytest

from legato.model.outcome import Failure, Kind, Outcome, classify
from legato.model.payload import EMPTY


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status(status: int) -> None:
    if status // 100 == 2:
        expected = "ok"
    elif status in (408, 425, 429, 503):
        expected = "retryable"
    elif status // 100 == 4:
        expected = "refused"
    else:
        expected = "unknown"
    assert classify(status) == expected


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("maybe_done", [False, True])
def test_effect_possible(kind: Kind, maybe_done: bool) -> None:
    assert Outcome(kind, maybe_done=maybe_done).effect_possible == (maybe_done or kind in ("ok", "unknown"))


def test_an_outcome_begins_with_nothing_known() -> None:
    outcome = Outcome("refused")
    assert outcome.payload is EMPTY
    assert (outcome.status, outcome.detail, outcome.retry_after) == (0, "", None)
    assert (outcome.overloaded, outcome.maybe_done) == (False, False)
    assert "refused" in repr(outcome)


def test_failures_do_not_share_their_undo_lists() -> None:
    one, other = Failure("failed", Outcome("refused"), "a", "f"), Failure("failed", Outcome("refused"))
    one.undo.append(("a/undo", True))
    assert other.undo == []
    assert "'a'" in repr(one)
