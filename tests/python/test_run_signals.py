"""Waits of flows that are run in a test: signals are given beforehand."""

from __future__ import annotations

import pytest

import legato
from legato import RunFailed, run_sync

WAITS = "flow: waits\ndurable: true\nsteps: [{wait: approval, timeout: 50ms%s}, {set: {by: '${value.by}'}}]"


def test_a_signal_that_is_given() -> None:
    assert run_sync(WAITS % "", signals={"approval": {"by": "ada"}}) == {"by": "ada"}


def test_a_default_when_the_time_has_passed() -> None:
    assert run_sync(WAITS % ", default: {by: nobody}", signals={"other": 1}) == {"by": "nobody"}


def test_no_signal_in_time() -> None:
    with pytest.raises(RunFailed) as caught:
        run_sync(WAITS % "")
    assert caught.value.status == 504
    assert "approval" in str(caught.value)


def test_a_wait_without_end_says_what_to_give() -> None:
    with pytest.raises(RunFailed, match="signals="):
        run_sync("flow: waits\ndurable: true\nsteps: [{wait: approval}]")


def test_what_is_mounted_has_no_journal() -> None:
    with pytest.raises(legato.DefinitionError, match="legato serve"):
        legato.asgi(legato.Flow("waits", durable=True).call("echo"))
