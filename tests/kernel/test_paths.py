"""Paths of calls (contract 2): by position and name, unique, never by a counter of a run."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.errors import DefinitionError
from legato.kernel import link
from legato.model.flow import MAX_STEPS, Flow
from legato.model.names import expression_name
from legato.model.paths import Scope, branch_ids, colliding_ids
from legato.model.steps import Step
from tests.kernel.flows import call, flow, par, seq


def paths(definition: Flow) -> list[str]:
    return [c.path for c in link(definition).calls]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (flow(call("f")), ["f"]),
        (flow(call("f", id="first")), ["first"]),
        (flow(call("f"), call("f"), call("f")), ["f", "f_2", "f_3"]),
        (flow(call("f"), call("g", id="f")), ["f_2", "f"]),
        (flow(call("f"), call("g", id="f_2"), call("f")), ["f", "f_2", "f_3"]),
        (flow(call("f"), call("f"), call("f_2")), ["f", "f_2", "f_2_2"]),
        (flow(call("a-b"), call("a_b"), call("a-b")), ["a-b", "a_b_2", "a-b_3"]),
        (flow(call("a_b"), call("g", id="a-b")), ["a_b_2", "a-b"]),
        (flow(seq(call("f")), seq(call("f"))), ["steps.f", "steps_2.f_2"]),  # nested sequences share their scope
        (flow(seq(call("f", id="x"), id="s"), call("x")), ["s.x", "x_2"]),
        (flow(par(a=call("f"), b=call("f"))), ["parallel.a", "parallel.b"]),
        (flow(par(a=call("f")), par(a=call("f"))), ["parallel.a", "parallel_2.a"]),
        (flow(par("p", a=call("f", id="own"), b=seq(call("f"), call("f")))), ["p.own", "p.b.f", "p.b.f_2"]),
        (flow(par("p", a=par(x=call("f")), b=seq(par(x=call("f"))))), ["p.a.x", "p.b.parallel.x"]),
        (flow(call("x"), par("p", a=seq(call("x")))), ["x", "p.a.x"]),  # a branch is a scope of its own
        (flow(par("p", a=call("f", id="b"), b=call("f"))), ["p.b", "p.b_2"]),
        (flow(par("p", b=call("f"), a=call("f", id="b"))), ["p.b_2", "p.b"]),
        (flow(par("p", **{"a-b": call("f"), "a_b": call("f")})), ["p.a-b", "p.a_b_2"]),
        (flow(call("f", undo="u"), call("f", undo="u")), ["f/undo", "f", "f_2/undo", "f_2"]),
    ],
)
def test_paths(definition: Flow, expected: list[str]) -> None:
    assert paths(definition) == expected


@pytest.mark.parametrize(
    "definition",
    [flow(call("f", id="x"), call("g", id="x")), flow(par("p", a=call("f", id="x"), b=call("f", id="x"))),
     flow(call("f", id="x"), seq(seq(), id="x"), par(a=call("h"), id="x"), call("i", id="x"))],
)  # fmt: skip
def test_two_calls_never_share_a_path(definition: Flow) -> None:
    with pytest.raises(DefinitionError, match="two steps have the path"):
        link(definition)


def test_colliding_explicit_ids_are_found_for_formats_to_report() -> None:
    steps = (call("f", id="a-b"), call("f", id="c"), seq(call("g", id="a_b"), id="c"), call("h"))
    assert [step.id for step in colliding_ids(steps)] == ["c", "a_b"]
    assert colliding_ids((call("f"), call("f"), par(a=call("f", id="x"), id="y"), call("g", id="x"))) == []


def test_a_program_has_the_version_of_its_flow() -> None:
    definition = flow(call("f"))
    assert link(definition).version == definition.version
    assert link(definition).flow is definition


def test_every_call_knows_its_place() -> None:
    calls = link(flow(call("f", undo="u"), par(a=call("g", undo="u")))).calls
    assert [c.index for c in calls] == list(range(len(calls)))
    assert [c.key for c in calls] == [c.path.encode() for c in calls]
    assert [(c.path, c.is_undo) for c in calls if c.undo is None] == [("f/undo", True), ("parallel.a/undo", True)]
    assert [c.undo.linked.path for c in calls if c.undo is not None] == ["f/undo", "parallel.a/undo"]


def test_an_undo_call_has_the_policy_that_its_author_gave() -> None:
    from legato.model.policy import Retry
    from legato.model.steps import UndoCall

    step = call("f")
    retry = Retry(attempts=3)
    undo = UndoCall(function="u", timeout=2.5, retry=retry)
    undo_call, _ = link(flow(type(step)(function="f", undo=undo))).calls
    assert (undo_call.function, undo_call.definition.timeout, undo_call.definition.retry) == ("u", 2.5, retry)
    assert undo_call.definition.method == "POST"


def test_only_what_a_strict_join_looks_into_is_inspected() -> None:
    def inspected(*steps: Step) -> list[str]:
        return [c.path for c in link(flow(*steps)).calls if c.inspected]

    assert inspected(call("f"), call("g")) == []
    assert inspected(par("p", a=call("f", undo="u"), b=seq(call("g"), seq(call("h"))))) == ["p.a", "p.b.steps.h"]
    assert inspected(par("p", lenient=True, a=call("f"), b=seq(call("g")))) == []
    assert inspected(par("p", a=seq(call("f"), par(x=call("g"))), b=seq())) == ["p.a.parallel.x"]
    assert inspected(par("p", a=seq(call("f"), seq(), seq(seq())))) == ["p.a.f"]  # empty sequences pass the value on


def test_a_flow_as_large_as_allowed_links_in_no_time() -> None:
    steps = tuple(call("f") for _ in range(MAX_STEPS))
    started = time.perf_counter()
    assert paths(flow(*steps))[-1] == f"f_{MAX_STEPS}"
    assert time.perf_counter() - started < 2


ids = st.sampled_from(["a", "a-b", "a_b", "a_2", "a_2_2", "b", "steps"])
steps_of_ids = st.lists(st.tuples(ids, st.booleans()), max_size=12)


@given(steps_of_ids)
def test_ids_of_a_scope_are_unique_even_in_expressions(spec: list[tuple[str, bool]]) -> None:
    steps: list[Step] = []
    taken: set[str] = set()
    for name, wanted in spec:
        explicit = wanted and expression_name(name) not in taken
        if explicit:
            taken.add(expression_name(name))
        steps.append(call("f", id=name) if explicit else call(name))
    scope = Scope(steps)
    given_ids = [scope.id_of(step) for step in steps]
    assert len({expression_name(i) for i in given_ids}) == len(steps)
    assert all(i == step.id for i, step in zip(given_ids, steps, strict=True) if step.id)
    assert given_ids == [Scope(steps).id_of(step) for step in steps][:1] + given_ids[1:]


@given(st.dictionaries(ids, st.none() | ids, max_size=6))
def test_ids_of_branches_are_unique_even_in_expressions(spec: dict[str, str | None]) -> None:
    branches: dict[str, Step] = {}
    taken: set[str] = set()
    for name, explicit in spec.items():
        fresh = explicit is not None and expression_name(explicit) not in taken
        if explicit is not None and fresh:
            taken.add(expression_name(explicit))
        branches[name] = call("f", id=explicit if explicit is not None and fresh else "")
    given_ids = branch_ids(branches)
    assert list(given_ids) == list(branches)
    assert len({expression_name(i) for i in given_ids.values()}) == len(branches)
    assert all(given_ids[name] == step.id for name, step in branches.items() if step.id)
