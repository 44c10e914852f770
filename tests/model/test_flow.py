"""A flow's version: same meaning, same version; another meaning, another version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given

from legato.model.flow import Flow
from legato.model.policy import Retry
from legato.model.steps import CallStep, ParallelStep, SequenceStep, UndoCall, WaitStep
from tests.kernel.strategies import flows

UNDO = UndoCall(function="u", retry=Retry())
CALL = CallStep(function="f", id="a", undo=UNDO, retry=Retry(attempts=2), pivot=True, at_most_once=True)
WAIT = WaitStep(wait="w", schema={"type": "object"}, undo=UNDO)
FLOW = Flow(
    name="x", steps=(CALL, ParallelStep(branches={"b": CALL, "a": SequenceStep(steps=(CALL, WAIT), undo=UNDO)}))
)


def test_a_version_is_known_for_ever() -> None:
    # A journal keeps it: a change here parks every durable run that is under way.
    assert Flow(name="x", steps=(CallStep(function="f"),)).version == "236376a15574f18e"
    assert FLOW.version == "d495c03e753653e0"


@given(flows)
def test_a_version_survives_storage(flow: Flow) -> None:
    assert re.fullmatch("[0-9a-f]{16}", flow.version)
    for encode, decode in (
        (msgspec.json.encode, msgspec.json.decode),
        (msgspec.msgpack.encode, msgspec.msgpack.decode),
    ):
        again = decode(encode(flow), type=Flow)
        assert again == flow
        assert again.version == flow.version


def variants(value: Any) -> Iterator[Any]:
    """The value with one thing in it changed."""
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            for changed in variants(getattr(value, field)):
                yield msgspec.structs.replace(value, **{field: changed})
    elif isinstance(value, dict):
        for key, inner in value.items():
            for changed in variants(inner):
                yield {**value, key: changed}
            yield {(f"{key}2" if k == key else k): v for k, v in value.items()}
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            for changed in variants(inner):
                yield (*value[:n], changed, *value[n + 1 :])
        yield value[1:] if value else (500,)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield value + "2"
    elif value is None:
        yield 1.5


def test_everything_that_means_something_is_in_the_version() -> None:
    versions = [FLOW.version, *(changed.version for changed in variants(FLOW))]
    assert len(versions) > 60
    assert len(set(versions)) == len(versions)


def test_the_order_of_steps_and_branches_means_something() -> None:
    a, b = CallStep(function="a"), CallStep(function="b")
    assert Flow(name="x", steps=(a, b)).version != Flow(name="x", steps=(b, a)).version
    one = Flow(name="x", steps=(ParallelStep(branches={"a": a, "b": b}),))
    other = Flow(name="x", steps=(ParallelStep(branches={"b": b, "a": a}),))
    assert one.version != other.version, "the order of a parallel's branches is that of its result"


def test_flows_are_plain_data() -> None:
    with pytest.raises(AttributeError):
        FLOW.name = "y"  # type: ignore[misc]
