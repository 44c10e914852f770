"""Random flows of every kind of step, in every nesting. All of them can be linked."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from legato.model.flow import Callback, Flow
from legato.model.mapping import Shape, Template
from legato.model.policy import Retry
from legato.model.steps import (
    CallStep,
    Case,
    ChooseStep,
    Edge,
    FailStep,
    ForeachStep,
    GraphNode,
    GraphStep,
    OnError,
    ParallelStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
    UndoCall,
)

WHEN = "${value.a == 'x'}"
names = st.sampled_from(["a", "b", "render-mail", "get-all-of-it"])
timeouts = st.none() | st.sampled_from([0.1, 2.0, 90.0])
retries = st.none() | st.builds(Retry, attempts=st.integers(1, 4), backoff=st.sampled_from([0.0, 0.2, 5.0]))
undos = st.none() | st.builds(UndoCall, function=names, timeout=timeouts, retry=retries)
whens = st.sampled_from(["", WHEN])
values = st.sampled_from([Template(value="${value}"), Template(value={"a": 1}), Shape(pick=("a",), wrap="b")])
plain_errors = (
    st.none() | st.just(OnError(action="skip")) | st.builds(lambda value: OnError(action="value", value=value), values)
)

_calls = st.builds(
    CallStep,
    function=names,
    method=st.sampled_from(["POST", "GET"]),
    path=st.sampled_from(["", "/x/${value.id}"]),
    when=whens,
    timeout=timeouts,
    retry=retries,
    undo=undos,
    on_error=plain_errors,
    on_response=st.sampled_from(["", "shop:read"]),
)
leaves: st.SearchStrategy[Step] = st.one_of(
    _calls,
    _calls,
    st.builds(PythonStep, python=st.just("shop:add_vat"), timeout=timeouts, undo=undos),
    st.builds(SetStep, set=values, when=whens),
    st.builds(SleepStep, sleep=st.sampled_from([0.5, 86400.0])),
    st.builds(RespondStep, respond=values),
    st.builds(FailStep, fail=st.just("no"), when=whens, on_error=plain_errors),
)


def _graph(draw_edges: list[int], steps: Sequence[Step], timeout: float | None) -> GraphStep:
    """Nodes that are after some of those before them."""
    nodes: dict[str, GraphNode] = {}
    transforms = [None, None, Template(value="${value.items[0]}")]
    for n, step in enumerate(steps):
        bits = draw_edges[n] if n < len(draw_edges) else 0
        after = {
            f"n{k}": Edge(order=bool(bits >> (k + 5) & 1))
            if bits >> (k + 5) & 1
            else Edge(transform=transforms[bits % 3])
            for k in range(n)
            if bits >> k & 1
        }
        nodes[f"n{n}"] = GraphNode(step=step, after=after)
    return GraphStep(nodes=nodes, timeout=timeout)


def _composed(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    some = st.lists(inner, max_size=3).map(tuple)
    errors = plain_errors | st.builds(lambda steps: OnError(action="steps", steps=steps), some)
    return st.one_of(
        st.builds(SequenceStep, steps=some, timeout=timeouts, on_error=errors),
        st.builds(
            lambda steps, error: ParallelStep(branches={f"b{n}": step for n, step in enumerate(steps)}, on_error=error),
            st.lists(inner, min_size=1, max_size=4),
            errors,
        ),
        st.builds(
            _graph, st.lists(st.integers(0, 2**10), max_size=6), st.lists(inner, min_size=1, max_size=6), timeouts
        ),
        st.builds(
            ForeachStep,
            over=st.sampled_from(["${value.items}", [1, 2, 3]]),
            steps=some,
            concurrency=st.sampled_from([1, 2, 16]),
            timeout=timeouts,
        ),
        st.builds(
            lambda bodies, rest, every: ChooseStep(
                cases=tuple(Case(when=WHEN, steps=body) for body in bodies), otherwise=rest, all=every
            ),
            st.lists(some, min_size=1, max_size=3),
            st.none() | some,
            st.booleans(),
        ),
        st.builds(lambda function, error: CallStep(function=function, on_error=error), names, errors),
    )


steps: st.SearchStrategy[Step] = st.recursive(leaves, _composed, max_leaves=12)
bodies = st.lists(steps, max_size=4).map(tuple)
flows = st.builds(
    Flow,
    name=st.just("random"),
    steps=bodies,
    timeout=timeouts,
    on_failure=st.just(()) | st.lists(leaves, max_size=2).map(tuple),
    finally_=st.just(()) | st.lists(leaves, max_size=2).map(tuple),
    callback=st.none() | st.just(Callback(url="https://shop.example/told", timeout=1.0)),
)
