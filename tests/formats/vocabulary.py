"""Random flows from the words of the language: such as are right, and such as are nearly so."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from legato.formats.kinds import FLOW_KEYS, KINDS, LOOP_KEYS, MODIFIERS

Tree = st.SearchStrategy[Any]

names = st.sampled_from(["a", "b-c", "b_c", "d1", "pay"])
durations = st.sampled_from(["1ms", "250ms", "1.5s", "5m", "2h", "1d"])
expressions = st.sampled_from(
    ["${value}", "${input.a.b}", "${has(value.a)}", "${value.a > 1 && value['x}'] == \"}\"}", "${ {'a': [1]}.a[0] }"]
)
texts = expressions | st.sampled_from(["x", "to ${value.a}!", "$${x}", "é", "a: b # c", "true", "12", " "])
json_values: Tree = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "value", "pick"]), inner),
    max_leaves=4,
)
paths = st.sampled_from(["id", "user.name", "a-b.c d"])
shapes = st.fixed_dictionaries(
    {},
    optional={
        "under": paths,
        "pick": paths | st.lists(paths, min_size=1, max_size=2),
        "drop": paths,
        "rename": st.sampled_from([{"id": "key"}, {"user.name": "name", "a": "b.c"}]),
        "wrap": st.just("all"),
    },
)
mappings = shapes | st.builds(lambda value: {"value": value}, json_values) | texts.filter(str.strip)
retries = st.fixed_dictionaries(
    {"attempts": st.integers(1, 100)}, optional={"backoff": durations.filter(lambda d: d not in ("2h", "1d"))}
)
headers = st.dictionaries(st.sampled_from(["x-a", "Accept", "x_b"]), st.sampled_from(["v", "a ${value.a}"]), max_size=2)
query = st.dictionaries(st.sampled_from(["q", "a b"]), st.sampled_from([1, None, True, "x", "${value.a}", ["a", 2.5]]))
url_paths = st.sampled_from(["/", "/v1/x", "/v1/${value.id}", "/${value.a}-${value.b}/%20"])
undos = names | st.fixed_dictionaries(
    {"call": names},
    optional={"timeout": durations, "path": url_paths, "query": query, "headers": headers, "retry": retries},
)
statuses = st.sampled_from([200, "2xx", 404, "5XX"])
PYTHON = st.just("shop.scoring:score")

# What may stand after each key of a step that holds no steps.
GOOD: dict[str, Tree] = {
    "call": names,
    "method": st.sampled_from(["GET", "PUT", "POST"]),
    "path": url_paths,
    "query": query,
    "headers": headers,
    "encode": st.sampled_from(["json", "form", "text"]),
    "decode": st.sampled_from(["json", "xml", "binary"]),
    "success": statuses | st.lists(statuses, min_size=1, max_size=3),
    "return_status": st.booleans() | st.just([404, "5xx"]) | st.just({"404": 410, "5xx": 503}),
    "retry": retries,
    "idempotent": st.booleans(),
    "hedge": st.booleans() | st.sampled_from(["50ms", {"delay": "1s", "attempts": 3}, {}]),
    "undo": undos,
    "at_most_once": st.booleans(),
    "on_response": PYTHON,
    "python": PYTHON,
    "join": st.sampled_from(["all", "any", {"quorum": 1}]),
    "merge": st.sampled_from(["first", "${value.x}"]),
    "prefer": st.just([]),
    "concurrency": st.integers(1, 1000),
    "tolerate": st.sampled_from([0, 3, "50%", "0.5%"]),
    "min_successful": st.integers(0, 3),
    "collect": st.sampled_from(["values", "outcomes", "object"]),
    "flow": names,
    "set": mappings,
    "sleep": durations,
    "wait": names,
    "default": mappings,
    "schema": st.booleans() | st.just({"type": "object", "required": ["by"]}),
    "publish": st.sampled_from(["shop.orders", "a/b"]),
    "respond": mappings,
    "status": st.sampled_from([422, 503]),
    "fail": st.sampled_from(["no", "no ${value.a}"]),
    "id": st.just("one"),
    "when": expressions,
    "input": mappings,
    "output": mappings,
    "timeout": durations,
}


def _step(kind: str, inner: Tree, body: Tree | None = None, **more: Tree) -> Tree:
    optional = {key: GOOD[key] for key in (*KINDS[kind], *MODIFIERS) if key in GOOD and key != kind}
    if kind == "foreach":
        optional.pop("min_successful")
    if kind == "parallel":
        optional.pop("prefer")
    if kind == "wait":
        more["timeout"] = durations
    if kind == "fail":
        optional.pop("undo")
    on_error = st.sampled_from(["fail", "skip", {"value": {"a": 1}}]) | st.builds(
        lambda steps: {"steps": steps}, st.lists(inner, max_size=2)
    )
    # Few keys each: enough of them meet in enough steps.
    chosen = st.sets(st.sampled_from(sorted({*optional, "on_error"} - more.keys())), max_size=3)
    optional["on_error"] = on_error
    return chosen.flatmap(
        lambda keys: st.fixed_dictionaries(
            {kind: GOOD[kind] if body is None else body, **more, **{key: optional[key] for key in sorted(keys)}}
        )
    )


def _composed(inner: Tree) -> Tree:
    several = st.lists(inner, max_size=2)
    case = st.fixed_dictionaries({"when": expressions, "steps": several})
    node = inner | st.builds(lambda step: {"steps": [step], "after": {"a": "data"}}, inner)
    loop = st.fixed_dictionaries({"over": expressions | st.just([1, 2]), "steps": several})
    graph = st.builds(lambda first, then: {"a": first, "b": then}, inner, node)
    return st.one_of(
        _step("steps", inner, several),
        _step("parallel", inner, st.dictionaries(st.sampled_from("xyz"), inner | several, min_size=1, max_size=3)),
        _step("graph", inner, graph),
        _step("foreach", inner, expressions | st.just([1, {"a": "${input.b}"}]), steps=several),
        st.builds(lambda body: {"foreach": body}, loop),
        _step(
            "choose",
            inner,
            st.builds(lambda cases: [*cases, {"otherwise": True, "call": "a"}], st.lists(case, min_size=1, max_size=2)),
        ),
        st.builds(lambda each: {"choose": {"all": True, "cases": [{**each, "name": "x"}]}}, case),
    )


_leaves = [kind for kind in KINDS if kind in GOOD]
good_steps: Tree = st.recursive(names | st.one_of([_step(kind, names) for kind in _leaves]), _composed, max_leaves=6)


def _made_right(flow: Any, pivot: bool) -> Any:
    """A flow whose explicit ids are all different, and which is durable where it or one of its steps asks for that."""
    flow = copy.deepcopy(flow)  # what strategies give is shared between examples
    waiting, number = [flow], 0
    first = flow["steps"][0]
    if pivot and isinstance(first, dict) and not first.keys() & {"when", "on_error", "fail"}:
        first["pivot"] = True
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, dict) and isinstance(tree.get("id"), str):
            number += 1
            tree["id"] = f"id{number}"
        if isinstance(tree, dict) and tree.keys() & {"wait", "at_most_once", "pivot", "strategy"}:
            flow["durable"] = True
        waiting += tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return flow


_flows: Tree = st.fixed_dictionaries(
    {"flow": st.just("order"), "steps": st.lists(good_steps, min_size=1, max_size=4)},
    optional={
        "description": st.just("x"),
        "timeout": durations,
        "on_disconnect": st.sampled_from(["cancel", "finish"]),
        "durable": st.booleans(),
        "strategy": st.sampled_from(["backward", "forward"]),
        "answer_within": durations,
        "input": st.booleans() | st.just({"type": "object", "properties": {"a": {"type": "integer"}}}),
        "output": mappings,
        "on_failure": st.lists(good_steps, max_size=2),
        "finally": st.lists(names, max_size=2),
        "callback": st.sampled_from(["https://h/x?${input.id}", {"url": "http://h", "when": "failure"}]),
    },
)

good_flows = st.builds(_made_right, _flows, st.booleans())

_words = sorted({*FLOW_KEYS, *LOOP_KEYS, *MODIFIERS, *(key for own in KINDS.values() for key in own)})
_words += ["over", "after", "cases", "all", "otherwise", "name", "value", "pick", "url", "attempts", "zzz"]
_parts = (
    texts | durations | names | st.none() | st.booleans() | st.integers() | st.floats(-9e99, 9e99) | st.just("skip")
)
wild_trees: Tree = st.recursive(
    _parts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_words), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_good_flows(draw: st.DrawFn) -> Any:
    """A right flow in which one value was exchanged for another, or stands under another key."""
    flow = draw(good_flows)
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [flow]
    while waiting:
        tree = waiting.pop()
        keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
        places += [(tree, key) for key in keys]
        waiting += [tree[key] for key in keys]
    tree, key = draw(st.sampled_from(places))
    if isinstance(tree, dict) and draw(st.booleans()):
        tree[draw(st.sampled_from(_words))] = tree.pop(key)
    else:
        tree[key] = draw(wild_trees)
    return flow
