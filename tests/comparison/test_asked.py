"""What users of gateways and of function composers asked for and could not have: docs/comparison.md has the list."""

from __future__ import annotations

from typing import Any

import pytest

from legato.formats import read
from legato.gateway.problems import status_of
from legato.model.payload import EMPTY
from legato.model.source import Source
from legato.testing import ok, refused, retryable, unknown
from tests.language.play import play

# Shapes of flows.


def test_a_then_bcd_then_e() -> None:
    """Sequential and parallel in one endpoint: A, then B, C and D at once, then E with all of their answers."""
    functions: dict[str, Any] = {name: ok(name).later(1.0) for name in "abcd"}
    played = play("steps: [a, {parallel: {b: b, c: c, d: d}}, e]", functions, 1)
    assert played.calls[0] == ("a", 1)
    assert played.calls[1:4] == [(f"parallel.{name}", "a") for name in "bcd"]
    assert played.calls[4] == ("e", {"b": "b", "c": "c", "d": "d"})
    assert played.took == pytest.approx(2.0, abs=0.2)


def test_diamond() -> None:
    """D waits for B and C, each of which waits for A alone; no level waits for its slowest member."""
    text = """
        steps:
          - graph:
              a: a
              slow: {call: slow, after: a}
              quick: {call: quick, after: a}
              after-quick: {call: more, after: quick}
              end: {call: end, after: [slow, after-quick]}
        """
    played = play(text, {"slow": ok("slow").later(9.0), "quick": ok("quick").later(1.0)}, 1)
    assert played.events.index("begin graph.after-quick") < played.events.index("end graph.slow")
    assert played.value == {"slow": "slow", "after-quick": "quick"}


def test_parallel_then_join() -> None:
    """A parallel and its join, by name, without a file of states."""
    assert play("steps: [{parallel: {a: f, b: g}}, join]", {"f": 1, "g": 2}).sent["join"] == {"a": 1, "b": 2}


def test_for_each() -> None:
    text = "steps: [list, {foreach: '${value.ids}', concurrency: 2, steps: [{call: get, path: '/${item}'}]}]"
    played = play(text, {"list": {"ids": [1, 2, 3]}, "get": lambda item: {"id": item}})
    assert played.value == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert [asked.parts and asked.parts.path for asked in played.asked[1:]] == [b"/1", b"/2", b"/3"]


def test_join_collections_by_id() -> None:
    text = """
        steps:
          - parallel: {orders: orders, users: users}
          - set: "${value.orders.map(o, {'order': o.id, 'user': value.users.filter(u, u.id == o.user)[0].name})}"
        """
    functions = {
        "orders": [{"id": 1, "user": 8}, {"id": 2, "user": 9}],
        "users": [{"id": 9, "name": "Bob"}, {"id": 8, "name": "Ada"}],
    }
    assert play(text, functions).value == [{"order": 1, "user": "Ada"}, {"order": 2, "user": "Bob"}]


def test_merge_arrays() -> None:
    """Same-schema answers of several functions as one list."""
    text = "steps: [{parallel: {a: f, b: g}, merge: '${value.a.items + value.b.items}'}]"
    assert play(text, {"f": {"items": [1, 2]}, "g": {"items": [3]}}).value == [1, 2, 3]


def test_dynamic_fan_in() -> None:
    """A loop, a condition and an empty branch join, whatever they took."""
    text = """
        steps:
          - parallel:
              loop: {foreach: "${value.items}", steps: [f]}
              perhaps: {choose: [{when: "${value.more}", call: g}, {otherwise: true, steps: [{set: none}]}]}
        """
    functions = {"f": lambda n: n + 1, "g": "g"}
    assert play(text, functions, {"items": [], "more": False}).value == {"loop": [], "perhaps": "none"}
    assert play(text, functions, {"items": [1, 2], "more": True}).value == {"loop": [2, 3], "perhaps": "g"}


def test_parallel_is_parallel() -> None:
    """A loop's items and branches are in flight at once, those of one function as well."""
    text = "steps: [{foreach: '${value}', concurrency: 10, steps: [f]}]"
    played = play(text, {"f": ok(1).later(1.0)}, list(range(10)))
    assert (played.functions.most_in_flight, played.took) == (10, pytest.approx(1.0, abs=0.2))


def test_flow_picked_by_payload() -> None:
    text = """
        steps:
          - choose:
              - {when: "${input.kind == 'a'}", steps: [{flow: one}]}
              - {when: "${input.kind == 'b'}", steps: [{flow: two}]}
              - {otherwise: true, steps: [{fail: "no flow for ${input.kind}", status: 422}]}
        """
    flows = {"one": "steps: [{set: 1}]", "two": "steps: [{set: 2}]"}
    assert play(text, {}, {"kind": "b"}, flows=flows).value == 2
    assert play(text, {}, {"kind": "c"}, flows=flows).error.answer == 422


def test_one_function_in_many_flows() -> None:
    """Functions are services with a name; flows share them, and they scale on their own."""
    flows = {"one": "steps: [{call: f, input: 1}]", "two": "steps: [{call: f, input: 2}]"}
    played = play("steps: [{parallel: {a: {flow: one}, b: {flow: two}}}]", {"f": lambda n: n * 10}, flows=flows)
    assert played.value == {"a": 10, "b": 20}


def test_no_recompilation() -> None:
    """A flow is a text that is read; what is wrong with it is told at once, all of it."""
    text = b"flow: shop\nsteps:\n  - {cal: f}\n  - {call: g, retry: {atempts: 3}}\n"
    definition = read(Source(name="shop", origin="flows/shop.yaml", language="native", text=text))
    lines = {problem.line for problem in definition.problems}
    assert (definition.flow, lines) == (None, {3, 4})


# What goes from one call to the next.


def test_previous_answer_in_the_next_body() -> None:
    text = "steps: [f, {call: g, input: {id: '${value.id}', all: '${value}'}}]"
    assert play(text, {"f": {"id": 7}}).sent["g"] == {"id": 7, "all": {"id": 7}}


def test_previous_answer_in_a_header() -> None:
    text = "steps: [login, {call: get, method: GET, headers: {Authorization: 'Bearer ${value.token}'}}]"
    parts = play(text, {"login": {"token": "t1"}}).asked[1].parts
    assert parts is not None
    assert parts.headers == b"authorization: Bearer t1\r\n"


def test_empty_answers() -> None:
    """204, and a body of nothing, are an answer: no value."""
    text = "steps: [f, {set: {was: '${value}'}}]"
    assert play(text, {"f": ok(None, 204)}).value == {"was": None}
    assert play("steps: [{parallel: {a: f, b: g}}]", {"f": EMPTY, "g": 1}).value == {"a": None, "b": 1}


def test_mapping_of_answers() -> None:
    text = "steps: [{call: f, input: {q: '${input.ask}'}, output: {pick: [id], rename: {id: key}}}]"
    played = play(text, {"f": {"id": 7, "secret": 1}}, {"ask": "x"})
    assert (played.sent["f"], played.value) == ({"q": "x"}, {"key": 7})


# Conditions and ends.


def test_skip_by_answer() -> None:
    played = play("steps: [f, {call: g, when: '${!value.cached}'}]", {"f": {"cached": True}})
    assert played.paths == ["f"]


def test_condition_on_a_failure() -> None:
    """A status that is no success decides, too."""
    text = """
        steps:
          - call: find
            on_error:
              steps:
                - choose:
                    - {when: "${error.status == 404}", call: create}
                    - {otherwise: true, steps: [{fail: "find answered ${error.status}", status: 502}]}
        """
    assert play(text, {"find": refused(404), "create": "new"}).value == "new"
    assert play(text, {"find": refused(403)}).error.outcome.detail == "find answered 403"


def test_stop_and_say_why() -> None:
    """The flow ends early, and the caller gets the status and the body that the flow wants."""
    text = """
        steps:
          - check
          - {fail: "out of stock: ${value.sku}", status: 409, when: "${value.left == 0}", id: in-stock}
          - charge
        on_failure: [{set: {code: E42, why: "${error.detail}"}}]
        """
    played = play(text, {"check": {"sku": "pen", "left": 0}})
    said = played.error.said
    assert (status_of(played.error), said and said.value()) == (409, {"code": "E42", "why": "out of stock: pen"})
    assert played.paths == ["check"]


def test_required_and_optional() -> None:
    text = "steps: [{parallel: {user: user, adverts: {call: adverts, on_error: skip}}}]"
    played = play(text, {"user": 1, "adverts": unknown(500)})
    assert (played.value, played.completed) == ({"user": 1}, False)
    assert play(text, {"user": unknown(500), "adverts": 1}).error.path == "parallel.user"


def test_pick_the_status() -> None:
    """Of success, by `respond`; of failure, by `return_status` or `fail`."""
    early = play("steps: [f, {respond: '${value}', status: 201}]", {"f": {"id": 1}}).early
    assert early is not None
    assert early.status == 201
    failed = play("steps: [{call: f, return_status: [409]}]", {"f": refused(409)}).error
    assert (status_of(failed), status_of(play("steps: [f]", {"f": refused(409)}).error)) == (409, 502)


def test_partial_failure() -> None:
    """How many branches, or items, must succeed is said."""
    text = "steps: [{parallel: {a: f, b: g, c: h}, join: {quorum: 2}}]"
    assert play(text, {"f": 1, "g": unknown(500), "h": 3}).value == {"a": 1, "c": 3}
    assert play(text, {"f": 1, "g": unknown(500), "h": unknown(500)}).error.reason == "failed"
    text = "steps: [{foreach: '${value}', tolerate: '50%', steps: [f]}]"
    functions = {"f": lambda n: unknown(500) if n % 2 else n}
    assert play(text, functions, [0, 1, 2, 3]).value == [0, None, 2, None]
    assert play(text, functions, [1, 3, 2]).error.path == "foreach[1].f"


# Time and trouble.


def test_timeouts() -> None:
    """Of a call, of any step, and of the whole flow, which is 504."""
    assert play("steps: [{call: f, timeout: 1s}]", {"f": ok(1).later(5.0)}).error.outcome.kind == "unknown"
    failed = play("steps: [{steps: [f, g], timeout: 1s}]", {"f": ok(1).later(5.0)}).error
    assert (failed.reason, failed.path, status_of(failed)) == ("deadline", "steps", 504)
    played = play("steps: [f]\ntimeout: 1s", {"f": ok(1).later(5.0)})
    assert (status_of(played.error), played.functions.aborted) == (504, ["f"])


def test_retry_is_opt_in_and_safe() -> None:
    """Nothing is tried again unless it says so; and never what may have been done already, unless that does no harm."""
    assert play("steps: [f]", {"f": retryable()}).paths == ["f"]
    retried = "steps: [{call: f, retry: {attempts: 3}}]"
    assert len(play(retried, {"f": retryable()}).paths) == 3
    assert len(play(retried, {"f": unknown(500)}).paths) == 1
    assert len(play(retried.replace("call: f,", "call: f, idempotent: true,"), {"f": unknown(500)}).paths) == 3
    assert len(play(retried, {"f": refused()}).paths) == 1


def test_idempotency_keys() -> None:
    """The same for all attempts of a call, another for each call."""
    answers = iter([retryable(), ok(1), ok(2), ok(3)])
    text = "steps: [{call: f, retry: {attempts: 2}}, {foreach: [1, 2], steps: [f]}]"
    first, again, *others = play(text, {"f": lambda _: next(answers)}).asked
    assert first.key == again.key
    assert len({first.key, *(other.key for other in others)}) == 3


def test_compensation() -> None:
    """Several writes, then undo: in reverse order, what is unknown included, with what was sent and answered."""
    text = """
        steps:
          - {call: reserve, undo: release}
          - {call: charge, undo: {call: refund, input: {payment: "${result == null ? '' : result.id}"}}}
          - ship
        """
    played = play(text, {"reserve": {"r": 1}, "charge": {"id": "p1"}, "ship": refused(409)}, {"order": 7})
    assert played.paths == ["reserve", "charge", "ship", "charge/undo", "reserve/undo"]
    assert played.sent["charge/undo"] == {"payment": "p1"}
    assert played.sent["reserve/undo"] == {"sent": {"order": 7}, "result": {"r": 1}}
    assert played.error.undo == [("charge/undo", True), ("reserve/undo", True)]
    played = play(text, {"reserve": {"r": 1}, "charge": unknown()}, {"order": 7})
    assert played.sent["charge/undo"] == {"payment": ""}


def test_sleep() -> None:
    played = play("steps: [f, {sleep: 90s}, g]\ntimeout: 5m", {"f": 1, "g": 2})
    assert (played.took, played.sent["g"]) == (pytest.approx(90, abs=0.5), 1)


def test_result_comes_back() -> None:
    """However long, and with however many steps: the answer is the result; or the flow answers first and goes on."""
    assert play("steps: [f, {sleep: 50s}, g]", {"f": 1, "g": "end"}).value == "end"
    played = play("steps: [{respond: {accepted: true}, status: 202}, f, g]", {"f": 1})
    assert played.payload.value() == {"accepted": True}
    assert played.paths == ["f", "g"]
